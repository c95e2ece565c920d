//! H.265 parameter sets (ITU-T H.265 7.3.2), and the beginning of slice segment headers (7.3.6).

mod hrd;
mod pps;
mod ptl;
mod rps;
mod scaling;
mod slice;
mod sps;
mod vps;
mod vui;

pub(super) use slice::SliceRules;

use super::bits::{BitReader, slice_start};
use super::{Fault, H265Parameters, ParameterSet, Refused};

impl H265Parameters {
    /// Parses and checks three NAL units (with header, without start code), and keeps of them
    /// exactly the bytes that the syntax uses. Extra slice header bits are refused: every slice
    /// carries them and no decoder reads them. `slice_segment_header_extension_present_flag` is taken,
    /// since Dahua cameras set it; [`SliceRules`] lets only slices with an empty extension through.
    pub fn new(vps: &[u8], sps: &[u8], pps: &[u8]) -> Result<Self, Refused> {
        Self::with_rules(vps, sps, pps).map(|(parameters, _)| parameters)
    }

    /// As [`Self::new`], with what the slices are checked against.
    pub(super) fn with_rules(
        vps: &[u8],
        sps: &[u8],
        pps: &[u8],
    ) -> Result<(Self, SliceRules), Refused> {
        let vps = vps::parse(vps).map_err(|why| ParameterSet::H265Vps.refuse(why))?;
        let sps = sps::parse(sps, vps.id).map_err(|why| ParameterSet::H265Sps.refuse(why))?;
        let pps = pps::parse(pps, &sps).map_err(|why| ParameterSet::H265Pps.refuse(why))?;
        let parameters = Self {
            vps: vps.nal,
            sps: sps.nal.clone(),
            pps: pps.nal.clone(),
            profile: sps.profile,
            level: sps.level,
            width: sps.width,
            height: sps.height,
            bit_depth: sps.bit_depth,
            chroma_format_idc: sps.chroma_format_idc,
        };
        Ok((parameters, SliceRules { sps, pps }))
    }
}

/// The `pps_pic_parameter_set_id` of a PPS.
pub(super) fn pps_id(nal: &[u8]) -> Option<u32> {
    BitReader::new(&slice_start(nal.get(2..)?)).ue().ok()
}

/// Splits a NAL unit into header and payload, if it is of `kind`, layer 0 and temporal layer 0.
fn open(nal: &[u8], kind: u8) -> Result<(&[u8], &[u8]), Fault> {
    let (header, payload) = nal.split_at_checked(2).ok_or(Fault::Truncated)?;
    if header == [kind << 1, 1] { Ok((header, payload)) } else { Err(Fault::WrongHeader) }
}

/// Decoded picture buffer sizes of the sub-layers, in VPS and SPS alike.
fn buffering(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<(), Fault> {
    let all = r.flag()?; // sub_layer_ordering_info_present_flag
    for _ in if all { 0 } else { max_sub_layers_minus1 }..=max_sub_layers_minus1 {
        let most =
            r.ue_to(crate::ops::limits::REFERENCE_PICTURES - 1, "max_dec_pic_buffering_minus1")?;
        r.ue_to(most, "max_num_reorder_pics")?;
        r.ue()?; // max_latency_increase_plus1
    }
    Ok(())
}

fn small(value: u32, name: &'static str) -> Result<u8, Fault> {
    u8::try_from(value).map_err(|_| Fault::OutOfRange(name))
}

#[cfg(test)]
mod tests;
