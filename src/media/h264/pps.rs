//! pic_parameter_set_rbsp (H.264 7.3.2.2).

use bytes::Bytes;

use super::scaling_matrix;
use super::sps::Sps;
use crate::media::Fault;
use crate::media::bits::{BitReader, escape, unescape};

#[derive(Debug)]
pub(super) struct Pps {
    pub(super) nal: Bytes,
    pub(super) id: u32,
}

pub(super) fn parse(nal: &[u8], sps: &Sps) -> Result<Pps, Fault> {
    let (header, payload) = nal.split_at_checked(1).ok_or(Fault::Truncated)?;
    if header.first().is_none_or(|b| b & 0x9f != 8) {
        return Err(Fault::WrongHeader);
    }
    let rbsp = unescape(payload)?;
    let mut r = BitReader::new(&rbsp);
    let id = r.ue_to(255, "pic_parameter_set_id")?;
    if r.ue_to(31, "seq_parameter_set_id")? != sps.id {
        return Err(Fault::Dangling("SPS"));
    }
    r.skip(2)?; // entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag
    if r.ue_to(7, "num_slice_groups_minus1")? != 0 {
        return Err(Fault::Unsupported("num_slice_groups_minus1"));
    }
    r.ue_to(31, "num_ref_idx_l0_default_active_minus1")?;
    r.ue_to(31, "num_ref_idx_l1_default_active_minus1")?;
    r.flag()?; // weighted_pred_flag
    if r.bits(2)? > 2 {
        return Err(Fault::OutOfRange("weighted_bipred_idc"));
    }
    let lowest = -26 - 6 * (i32::from(sps.bit_depth) - 8);
    r.se_in(lowest..=25, "pic_init_qp_minus26")?;
    r.se_in(-26..=25, "pic_init_qs_minus26")?;
    r.se_in(-12..=12, "chroma_qp_index_offset")?;
    r.skip(2)?; // deblocking_filter_control_present_flag, constrained_intra_pred_flag
    if r.flag()? {
        // Redundant slices are not decoded as long as the primary ones are there.
        return Err(Fault::Unsupported("redundant_pic_cnt_present_flag"));
    }
    // Below High there is no more; some cameras leave garbage there, which ends here.
    if sps.is_high() && r.more_rbsp_data() {
        high(&mut r, sps.chroma_format_idc)?;
        if r.more_rbsp_data() {
            return Err(Fault::Behind);
        }
    }
    Ok(Pps { nal: escape(header, r.finish()?), id })
}

fn high(r: &mut BitReader<'_>, chroma_format_idc: u8) -> Result<(), Fault> {
    let eights = match (r.flag()?, chroma_format_idc) {
        (false, _) => 0,
        (true, 3) => 6,
        (true, _) => 2,
    };
    if r.flag()? {
        scaling_matrix(r, eights)?;
    }
    r.se_in(-12..=12, "second_chroma_qp_index_offset")?;
    Ok(())
}
