//! H.264 parameter sets (ITU-T H.264 7.3.2), and the beginning of slice headers (7.3.3).

mod pps;
mod sei;
mod sps;
mod vui;

use super::bits::{BitReader, slice_start};
use super::{Fault, H264Parameters, ParameterSet, Refused};

pub(super) use sei::{RECOVERY_POINT, recovers_at_once};

/// What a slice header is checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SliceRules {
    pps_id: u32,
    macroblocks: u32,
    frames_only: bool,
}

impl H264Parameters {
    /// Parses and checks a pair of NAL units (with header, without start code), and keeps of them
    /// exactly the bytes that the syntax uses.
    pub fn new(sps: &[u8], pps: &[u8]) -> Result<Self, Refused> {
        Self::with_rules(sps, pps).map(|(parameters, _)| parameters)
    }

    /// As [`Self::new`], with what the slices are checked against.
    pub(super) fn with_rules(sps: &[u8], pps: &[u8]) -> Result<(Self, SliceRules), Refused> {
        let sps = sps::parse(sps).map_err(|why| ParameterSet::H264Sps.refuse(why))?;
        let pps = pps::parse(pps, &sps).map_err(|why| ParameterSet::H264Pps.refuse(why))?;
        let rules = SliceRules {
            pps_id: pps.id,
            macroblocks: sps.macroblocks,
            frames_only: sps.frames_only,
        };
        let parameters = Self {
            sps: sps.nal,
            pps: pps.nal,
            profile: sps.profile,
            constraints: sps.constraints,
            level: sps.level,
            width: sps.width,
            height: sps.height,
            bit_depth: sps.bit_depth,
            chroma_format_idc: sps.chroma_format_idc,
        };
        Ok((parameters, rules))
    }
}

/// The `pic_parameter_set_id` of a PPS.
pub(super) fn pps_id(nal: &[u8]) -> Option<u32> {
    BitReader::new(&slice_start(nal.get(1..)?)).ue().ok()
}

impl SliceRules {
    /// The `pic_parameter_set_id` in force.
    pub(super) fn pps_id(&self) -> u32 {
        self.pps_id
    }

    /// Checks what stands at the beginning of a slice header. A slice for an unknown parameter set, or
    /// of a place already coded, is not decoded by anyone and could carry anything. `previous` is the
    /// place of the slice before in the same access unit; gives the place of this one.
    pub(super) fn check(&self, nal: &[u8], previous: Option<u32>) -> Result<u32, Fault> {
        let start = slice_start(nal.get(1..).unwrap_or_default());
        let mut r = BitReader::new(&start);
        let first = r.ue_to(self.macroblocks.saturating_sub(1), "first_mb_in_slice")?;
        r.ue_to(9, "slice_type")?;
        if r.ue()? != self.pps_id {
            return Err(Fault::Dangling("PPS"));
        }
        // Two fields of one access unit both begin at 0.
        if self.frames_only && previous.is_some_and(|previous| first <= previous) {
            return Err(Fault::OutOfRange("first_mb_in_slice"));
        }
        Ok(first)
    }
}

/// Whether a slice is of type I (table 7-6): it refers to no other picture.
pub(super) fn is_intra(nal: &[u8]) -> bool {
    let start = slice_start(nal.get(1..).unwrap_or_default());
    let mut r = BitReader::new(&start);
    r.ue().is_ok() && matches!(r.ue(), Ok(2 | 7))
}

/// scaling_list() of 7.3.2.1.1.1.
fn scaling_list(r: &mut BitReader<'_>, size: usize) -> Result<(), Fault> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            let delta = r.se_in(-128..=127, "delta_scale")?;
            next = (last + delta + 256) % 256;
        }
        if next != 0 {
            last = next;
        }
    }
    Ok(())
}

/// Six 4x4 lists, then `eights` 8x8 lists, each behind its flag.
fn scaling_matrix(r: &mut BitReader<'_>, eights: usize) -> Result<(), Fault> {
    for i in 0..6 + eights {
        if r.flag()? {
            scaling_list(r, if i < 6 { 16 } else { 64 })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
