//! pic_parameter_set_rbsp (H.265 7.3.2.3).

use bytes::Bytes;

use super::sps::Sps;
use super::{open, scaling};
use crate::media::Fault;
use crate::media::bits::{BitReader, escape, unescape};

/// What of a PPS decides how a slice segment header is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Pps {
    pub(super) nal: Bytes,
    pub(super) id: u32,
    pub(super) dependent_segments: bool,
    pub(super) output_flag: bool,
    pub(super) cabac_init: bool,
    /// Default active pictures of both lists.
    pub(super) reference_counts: (u32, u32),
    pub(super) chroma_offsets: bool,
    pub(super) weighted: bool,
    pub(super) weighted_two: bool,
    /// Tiles or wavefronts.
    pub(super) entry_points: bool,
    pub(super) across_slices: bool,
    pub(super) deblocking_override: bool,
    pub(super) deblocking_disabled: bool,
    pub(super) lists_modification: bool,
    pub(super) header_extension: bool,
    pub(super) chroma_offset_lists: bool,
}

pub(super) fn parse(nal: &[u8], sps: &Sps) -> Result<Pps, Fault> {
    let (header, payload) = open(nal, 34)?;
    let rbsp = unescape(payload)?;
    let mut r = BitReader::new(&rbsp);
    let mut pps = Pps { id: r.ue_to(63, "pps_pic_parameter_set_id")?, ..Pps::default() };
    if r.ue_to(15, "pps_seq_parameter_set_id")? != sps.id {
        return Err(Fault::Dangling("SPS"));
    }
    pps.dependent_segments = r.flag()?;
    pps.output_flag = r.flag()?;
    r.zeros(3, "num_extra_slice_header_bits")?;
    r.flag()?; // sign_data_hiding_enabled_flag
    pps.cabac_init = r.flag()?;
    pps.reference_counts.0 = r.ue_to(14, "num_ref_idx_l0_default_active_minus1")? + 1;
    pps.reference_counts.1 = r.ue_to(14, "num_ref_idx_l1_default_active_minus1")? + 1;
    let transform_skip = quantisation(&mut r, sps)?;
    pps.chroma_offsets = r.flag()?;
    pps.weighted = r.flag()?;
    pps.weighted_two = r.flag()?;
    r.flag()?; // transquant_bypass_enabled_flag
    let tiles = r.flag()?;
    let wavefronts = r.flag()?;
    pps.entry_points = tiles || wavefronts;
    if tiles {
        self::tiles(&mut r, sps)?;
    }
    pps.across_slices = r.flag()?;
    if r.flag()? {
        deblocking(&mut r, &mut pps)?;
    }
    if r.flag()? {
        scaling::parse(&mut r)?;
    }
    pps.lists_modification = r.flag()?;
    r.ue_to(sps.block_log2 - 2, "log2_parallel_merge_level_minus2")?;
    pps.header_extension = r.flag()?;
    if r.flag()? {
        let range = r.flag()?;
        r.zeros(7, "pps_extension")?; // multilayer, 3D, SCC, 4 bits reserved
        if range {
            pps.chroma_offset_lists = range_extension(&mut r, sps, transform_skip)?;
        }
    }
    pps.nal = escape(header, r.finish()?);
    Ok(pps)
}

/// From init_qp to the chroma offsets; gives transform_skip_enabled_flag.
fn quantisation(r: &mut BitReader<'_>, sps: &Sps) -> Result<bool, Fault> {
    let lowest = -26 - 6 * (i32::from(sps.bit_depth) - 8);
    r.se_in(lowest..=25, "init_qp_minus26")?;
    r.flag()?; // constrained_intra_pred_flag
    let transform_skip = r.flag()?;
    if r.flag()? {
        r.ue_to(sps.coding_depth, "diff_cu_qp_delta_depth")?;
    }
    r.se_in(-12..=12, "pps_cb_qp_offset")?;
    r.se_in(-12..=12, "pps_cr_qp_offset")?;
    Ok(transform_skip)
}

fn tiles(r: &mut BitReader<'_>, sps: &Sps) -> Result<(), Fault> {
    // Level 6.2 allows 20 columns and 22 rows.
    let columns = r.ue_to(19.min(sps.across - 1), "num_tile_columns_minus1")?;
    let rows = r.ue_to(21.min(sps.down - 1), "num_tile_rows_minus1")?;
    if !r.flag()? {
        for (count, size, name) in
            [(columns, sps.across, "column_width_minus1"), (rows, sps.down, "row_height_minus1")]
        {
            let mut left = size;
            for _ in 0..count {
                // One block at least stays for each further tile.
                let most = left.checked_sub(2).ok_or(Fault::OutOfRange(name))?;
                left -= r.ue_to(most, name)? + 1;
            }
        }
    }
    r.flag()?; // loop_filter_across_tiles_enabled_flag
    Ok(())
}

fn deblocking(r: &mut BitReader<'_>, pps: &mut Pps) -> Result<(), Fault> {
    pps.deblocking_override = r.flag()?;
    pps.deblocking_disabled = r.flag()?;
    if !pps.deblocking_disabled {
        r.se_in(-6..=6, "pps_beta_offset_div2")?;
        r.se_in(-6..=6, "pps_tc_offset_div2")?;
    }
    Ok(())
}

/// Gives chroma_qp_offset_list_enabled_flag.
fn range_extension(r: &mut BitReader<'_>, sps: &Sps, transform_skip: bool) -> Result<bool, Fault> {
    if transform_skip {
        r.ue_to(3, "log2_max_transform_skip_block_size_minus2")?;
    }
    r.flag()?; // cross_component_prediction_enabled_flag
    let lists = r.flag()?;
    if lists {
        r.ue_to(sps.coding_depth, "diff_cu_chroma_qp_offset_depth")?;
        for _ in 0..=r.ue_to(5, "chroma_qp_offset_list_len_minus1")? {
            r.se_in(-12..=12, "cb_qp_offset_list")?;
            r.se_in(-12..=12, "cr_qp_offset_list")?;
        }
    }
    let most = u32::from(sps.bit_depth).saturating_sub(10);
    r.ue_to(most, "log2_sao_offset_scale_luma")?;
    r.ue_to(most.max(2), "log2_sao_offset_scale_chroma")?;
    Ok(lists)
}
