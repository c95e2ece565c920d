//! slice_segment_header (H.265 7.3.6.1): its place always, the rest up to the header extension if the
//! PPS announces one.

use super::pps::Pps;
use super::rps;
use super::sps::Sps;
use crate::media::Fault;
use crate::media::bits::{BitReader, slice_start};

/// The parameter sets that slices are checked against.
#[derive(Debug, Clone)]
pub(in crate::media) struct SliceRules {
    pub(super) sps: Sps,
    pub(super) pps: Pps,
}

/// NAL unit types of the pictures that everything behind them may start from.
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
/// Instantaneous refresh, with and without leading pictures.
const IDR: std::ops::RangeInclusive<u8> = 19..=20;

impl SliceRules {
    /// The `pps_pic_parameter_set_id` in force.
    pub(in crate::media) fn pps_id(&self) -> u32 {
        self.pps.id
    }

    /// Checks what stands at the beginning of a slice segment header. A slice for an unknown parameter
    /// set, or of a place already coded, is not decoded by anyone and could carry anything; so could a
    /// header extension. `previous` is the place of the segment before in the same access unit; gives
    /// the place of this one.
    pub(in crate::media) fn check(&self, nal: &[u8], previous: Option<u32>) -> Result<u32, Fault> {
        let start = slice_start(nal.get(2..).unwrap_or_default());
        let mut r = BitReader::new(&start);
        let kind = kind(nal);
        let segment = self.segment(&mut r, kind)?;
        if previous.is_some_and(|previous| segment.place <= previous) {
            return Err(Fault::OutOfRange("slice_segment_address"));
        }
        if self.pps.header_extension {
            self.rest(&mut r, kind, &segment)?;
            if r.ue()? != 0 {
                return Err(Fault::Unsupported("slice_segment_header_extension"));
            }
        }
        Ok(segment.place)
    }

    fn segment(&self, r: &mut BitReader<'_>, kind: u8) -> Result<Segment, Fault> {
        let first = r.flag()?;
        if IRAP.contains(&kind) {
            r.flag()?; // no_output_of_prior_pics_flag
        }
        if r.ue()? != self.pps.id {
            return Err(Fault::Dangling("PPS"));
        }
        if first {
            return Ok(Segment { place: 0, dependent: false });
        }
        let dependent = self.pps.dependent_segments && r.flag()?;
        let place = r.bits(width(self.sps.blocks))?;
        if place == 0 || place >= self.sps.blocks {
            return Err(Fault::OutOfRange("slice_segment_address"));
        }
        Ok(Segment { place, dependent })
    }

    /// Behind the place, up to the extension.
    fn rest(&self, r: &mut BitReader<'_>, kind: u8, segment: &Segment) -> Result<(), Fault> {
        if !segment.dependent {
            self.independent(r, kind)?;
        }
        if self.pps.entry_points {
            let count = r.ue_to(self.sps.blocks, "num_entry_point_offsets")?;
            if count > 0 {
                let bits = r.ue_to(31, "offset_len_minus1")? + 1;
                r.skip(usize::try_from(u64::from(count) * u64::from(bits)).unwrap_or(usize::MAX))?;
            }
        }
        Ok(())
    }

    fn independent(&self, r: &mut BitReader<'_>, kind: u8) -> Result<(), Fault> {
        let slice = match r.ue_to(2, "slice_type")? {
            0 => Slice::B,
            1 => Slice::P,
            _ => Slice::I,
        };
        if self.pps.output_flag {
            r.flag()?; // pic_output_flag
        }
        let references =
            if IDR.contains(&kind) { References::default() } else { self.references(r)? };
        let mut sao = false;
        if self.sps.sao {
            sao = r.flag()?;
            if self.sps.chroma_format_idc != 0 {
                sao |= r.flag()?;
            }
        }
        if slice != Slice::I {
            self.inter(r, slice, &references)?;
        }
        r.se_in(-128..=128, "slice_qp_delta")?;
        if self.pps.chroma_offsets {
            r.se_in(-12..=12, "slice_cb_qp_offset")?;
            r.se_in(-12..=12, "slice_cr_qp_offset")?;
        }
        if self.pps.chroma_offset_lists {
            r.flag()?; // cu_chroma_qp_offset_enabled_flag
        }
        self.loop_filter(r, sao)
    }

    fn references(&self, r: &mut BitReader<'_>) -> Result<References, Fault> {
        r.bits(self.sps.poc_bits)?; // slice_pic_order_cnt_lsb
        let sets = &self.sps.short_term;
        let mut pictures = if r.flag()? {
            let index = r.bits(width(u32::try_from(sets.len()).unwrap_or(0)))?;
            let set = usize::try_from(index).ok().and_then(|i| sets.get(i));
            set.ok_or(Fault::OutOfRange("short_term_ref_pic_set_idx"))?.used()
        } else {
            rps::of_slice(r, sets)?.used()
        };
        if let Some(known) = &self.sps.long_term {
            pictures += self.long_term(r, known)?;
        }
        let temporal_prediction = self.sps.temporal_prediction && r.flag()?;
        Ok(References { pictures, temporal_prediction })
    }

    fn long_term(&self, r: &mut BitReader<'_>, known: &[bool]) -> Result<usize, Fault> {
        let kinds = u32::try_from(known.len()).unwrap_or(0);
        let listed = if kinds > 0 { r.ue_to(32, "num_long_term_sps")? } else { 0 };
        let own = r.ue_to(32, "num_long_term_pics")?;
        let mut pictures = 0;
        for i in 0..listed + own {
            let used = if i < listed {
                let index = usize::try_from(r.bits(width(kinds))?).unwrap_or(usize::MAX);
                *known.get(index).ok_or(Fault::OutOfRange("lt_idx_sps"))?
            } else {
                r.bits(self.sps.poc_bits)?; // poc_lsb_lt
                r.flag()?
            };
            pictures += usize::from(used);
            if r.flag()? {
                r.ue()?; // delta_poc_msb_cycle_lt
            }
        }
        Ok(pictures)
    }

    /// What P and B slices say more.
    fn inter(&self, r: &mut BitReader<'_>, slice: Slice, refs: &References) -> Result<(), Fault> {
        let mut counts = self.pps.reference_counts;
        if r.flag()? {
            counts.0 = r.ue_to(14, "num_ref_idx_l0_active_minus1")? + 1;
            if slice == Slice::B {
                counts.1 = r.ue_to(14, "num_ref_idx_l1_active_minus1")? + 1;
            }
        }
        if slice != Slice::B {
            counts.1 = 0;
        }
        if self.pps.lists_modification && refs.pictures > 1 {
            let width = width(u32::try_from(refs.pictures).unwrap_or(0));
            for count in [counts.0, counts.1] {
                if count > 0 && r.flag()? {
                    r.skip(usize::try_from(count).unwrap_or(0) * width)?; // list_entry
                }
            }
        }
        if slice == Slice::B {
            r.flag()?; // mvd_l1_zero_flag
        }
        if self.pps.cabac_init {
            r.flag()?; // cabac_init_flag
        }
        if refs.temporal_prediction {
            let from_first = slice != Slice::B || r.flag()?;
            if (if from_first { counts.0 } else { counts.1 }) > 1 {
                r.ue_to(14, "collocated_ref_idx")?;
            }
        }
        let weighted = match slice {
            Slice::P => self.pps.weighted,
            Slice::B => self.pps.weighted_two,
            Slice::I => false,
        };
        if weighted {
            self.weights(r, counts)?;
        }
        r.ue_to(4, "five_minus_max_num_merge_cand")?;
        Ok(())
    }

    /// pred_weight_table (7.3.6.3).
    fn weights(&self, r: &mut BitReader<'_>, counts: (u32, u32)) -> Result<(), Fault> {
        let chroma = self.sps.chroma_format_idc != 0;
        r.ue_to(7, "luma_log2_weight_denom")?;
        if chroma {
            r.se_in(-7..=7, "delta_chroma_log2_weight_denom")?;
        }
        for count in [counts.0, counts.1] {
            let mut flags = || (0..count).map(|_| r.flag()).collect::<Result<Vec<_>, _>>();
            let luma = flags()?;
            let colour = if chroma { flags()? } else { Vec::new() };
            for i in 0..luma.len() {
                let codes = 2 * usize::from(luma.get(i) == Some(&true))
                    + 4 * usize::from(colour.get(i) == Some(&true));
                for _ in 0..codes {
                    r.se()?;
                }
            }
        }
        Ok(())
    }

    fn loop_filter(&self, r: &mut BitReader<'_>, sao: bool) -> Result<(), Fault> {
        let mut disabled = self.pps.deblocking_disabled;
        if self.pps.deblocking_override && r.flag()? {
            disabled = r.flag()?;
            if !disabled {
                r.se_in(-6..=6, "slice_beta_offset_div2")?;
                r.se_in(-6..=6, "slice_tc_offset_div2")?;
            }
        }
        if self.pps.across_slices && (sao || !disabled) {
            r.flag()?; // slice_loop_filter_across_slices_enabled_flag
        }
        Ok(())
    }
}

struct Segment {
    place: u32,
    dependent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Slice {
    B,
    P,
    I,
}

#[derive(Default)]
struct References {
    pictures: usize,
    temporal_prediction: bool,
}

fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b >> 1 & 0x3f)
}

/// Ceil(Log2(count)): the bits of an index.
fn width(count: u32) -> usize {
    let last = count.saturating_sub(1);
    usize::try_from(u32::BITS - last.leading_zeros()).unwrap_or(32)
}

/// Where the extension's length stands, for tests: bits behind the NAL header.
#[cfg(test)]
pub(super) fn extension_at(rules: &SliceRules, nal: &[u8]) -> Result<usize, Fault> {
    let start = slice_start(&nal[2..]);
    let mut r = BitReader::new(&start);
    let segment = rules.segment(&mut r, kind(nal))?;
    rules.rest(&mut r, kind(nal), &segment)?;
    Ok(r.position())
}
