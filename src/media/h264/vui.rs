//! vui_parameters and hrd_parameters (H.264 annex E).

use crate::media::Fault;
use crate::media::bits::BitReader;
use crate::media::vui;
use crate::ops::limits;

pub(super) fn parse(r: &mut BitReader<'_>) -> Result<(), Fault> {
    vui::picture_properties(r)?;
    if r.flag()? {
        r.skip(65)?; // num_units_in_tick, time_scale, fixed_frame_rate_flag
    }
    let nal = r.flag()?;
    if nal {
        hrd(r)?;
    }
    let vcl = r.flag()?;
    if vcl {
        hrd(r)?;
    }
    if nal || vcl {
        r.flag()?; // low_delay_hrd_flag
    }
    r.flag()?; // pic_struct_present_flag
    if r.flag()? {
        restriction(r)?;
    }
    Ok(())
}

fn hrd(r: &mut BitReader<'_>) -> Result<(), Fault> {
    let count = r.ue_to(31, "cpb_cnt_minus1")? + 1;
    r.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..count {
        r.ue()?; // bit_rate_value_minus1
        r.ue()?; // cpb_size_value_minus1
        r.flag()?; // cbr_flag
    }
    r.skip(20) // delay lengths, time_offset_length
}

fn restriction(r: &mut BitReader<'_>) -> Result<(), Fault> {
    r.flag()?; // motion_vectors_over_pic_boundaries_flag
    r.ue_to(16, "max_bytes_per_pic_denom")?;
    r.ue_to(16, "max_bits_per_mb_denom")?;
    r.ue_to(16, "log2_max_mv_length_horizontal")?;
    r.ue_to(16, "log2_max_mv_length_vertical")?;
    r.ue_to(limits::REFERENCE_PICTURES, "max_num_reorder_frames")?;
    r.ue_to(limits::REFERENCE_PICTURES, "max_dec_frame_buffering")?;
    Ok(())
}
