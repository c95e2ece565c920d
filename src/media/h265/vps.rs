//! video_parameter_set_rbsp (H.265 7.3.2.1).

use bytes::Bytes;

use super::{buffering, hrd, open, ptl};
use crate::media::Fault;
use crate::media::bits::{BitReader, escape, unescape};

#[derive(Debug)]
pub(super) struct Vps {
    pub(super) nal: Bytes,
    pub(super) id: u32,
}

pub(super) fn parse(nal: &[u8]) -> Result<Vps, Fault> {
    let (header, payload) = open(nal, 32)?;
    let rbsp = unescape(payload)?;
    let mut r = BitReader::new(&rbsp);
    let id = r.bits(4)?;
    if r.bits(2)? != 3 {
        return Err(Fault::Unsupported("vps_base_layer_internal_flag"));
    }
    r.zeros(6, "vps_max_layers_minus1")?;
    let max_sub_layers_minus1 = r.bits(3)?;
    r.flag()?; // vps_temporal_id_nesting_flag
    if r.bits(16)? != 0xffff {
        return Err(Fault::OutOfRange("vps_reserved_0xffff_16bits"));
    }
    ptl::parse(&mut r, max_sub_layers_minus1)?;
    buffering(&mut r, max_sub_layers_minus1)?;
    r.zeros(6, "vps_max_layer_id")?;
    if r.ue()? != 0 {
        return Err(Fault::Unsupported("vps_num_layer_sets_minus1"));
    }
    if r.flag()? {
        timing(&mut r, max_sub_layers_minus1)?;
    }
    r.zeros(1, "vps_extension_flag")?;
    Ok(Vps { nal: escape(header, r.finish()?), id })
}

fn timing(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<(), Fault> {
    r.skip(64)?; // vps_num_units_in_tick, vps_time_scale
    if r.flag()? {
        r.ue()?; // vps_num_ticks_poc_diff_one_minus1
    }
    // One layer set has one at most; its common part is always written.
    if r.ue_to(1, "vps_num_hrd_parameters")? == 1 {
        r.ue_to(0, "hrd_layer_set_idx")?;
        hrd::parse(r, max_sub_layers_minus1)?;
    }
    Ok(())
}
