//! vui_parameters (H.265 E.2.1).

use super::hrd;
use crate::media::Fault;
use crate::media::bits::BitReader;
use crate::media::vui;

pub(super) fn parse(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<(), Fault> {
    vui::picture_properties(r)?;
    r.skip(3)?; // neutral_chroma_indication, field_seq, frame_field_info_present
    if r.flag()? {
        for _ in 0..4 {
            r.ue_to(crate::ops::limits::PICTURE_SIDE, "def_disp_win_offset")?;
        }
    }
    if r.flag()? {
        r.skip(64)?; // vui_num_units_in_tick, vui_time_scale
        if r.flag()? {
            r.ue()?; // vui_num_ticks_poc_diff_one_minus1
        }
        if r.flag()? {
            hrd::parse(r, max_sub_layers_minus1)?;
        }
    }
    if r.flag()? {
        r.skip(3)?; // tiles_fixed_structure, motion_vectors_over_pic_boundaries, restricted lists
        r.ue_to(4095, "min_spatial_segmentation_idc")?;
        r.ue_to(16, "max_bytes_per_pic_denom")?;
        r.ue_to(16, "max_bits_per_min_cu_denom")?;
        r.ue_to(16, "log2_max_mv_length_horizontal")?;
        r.ue_to(16, "log2_max_mv_length_vertical")?;
    }
    Ok(())
}
