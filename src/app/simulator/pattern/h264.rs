//! The H.264 side of the pattern: constrained baseline, CAVLC, one slice, one reference picture, no
//! deblocking. Macroblocks are P_Skip, I_PCM (noise), or Intra_16x16 with DC prediction and at most one
//! coefficient (one luma value). Because only DC prediction is used, the sums of a macroblock's right
//! column and bottom row are all that must be known of what a decoder reconstructs.

use bytes::Bytes;

use crate::media::{Codec, H264Parameters};

use super::bits::BitWriter;
use super::layout::Layout;
use super::noise::Noise;
use super::{Coded, PatternSettings};

/// Bytes of one noise macroblock: 384 samples and its type.
pub(super) const NOISE_BYTES: usize = 386;
/// `mb_type` of Intra_16x16, DC prediction, no coded block pattern, in an I slice (table 7-11).
const INTRA_DC: u32 = 3;
/// `mb_type` of I_PCM in an I slice.
const I_PCM: u32 = 25;
/// Added to an I slice's `mb_type` in a P slice (table 7-13).
const INTRA_IN_P: u32 = 5;

/// An encoder and the state its pictures share.
#[derive(Debug)]
pub(super) struct H264 {
    columns: usize,
    edges: Vec<Edges>,
    frame_num: u16,
    idr_pic_id: u32,
}

/// What a decoder has at two edges of a macroblock: sums of 16 luma samples.
#[derive(Debug, Clone, Copy, Default)]
struct Edges {
    right: u32,
    bottom: u32,
}

impl H264 {
    pub(super) fn new(layout: &Layout) -> Self {
        let edges = vec![Edges::default(); layout.columns * layout.rows];
        Self { columns: layout.columns, edges, frame_num: 0, idr_pic_id: 0 }
    }

    /// One picture's NAL unit.
    pub(super) fn encode(&mut self, key: bool, blocks: &[Coded], noise: &mut Noise) -> Vec<u8> {
        let mut w = BitWriter::default();
        self.write_slice_header(&mut w, key);
        let mut skipped = 0;
        for (at, block) in blocks.iter().enumerate() {
            if *block == Coded::Skip {
                skipped += 1;
                continue;
            }
            if !key {
                w.ue(skipped);
                skipped = 0;
            }
            let type_base = if key { 0 } else { INTRA_IN_P };
            match block {
                Coded::Skip => {}
                Coded::Noise => self.write_noise(&mut w, at, type_base, noise.take(256)),
                Coded::Blank => self.write_flat(&mut w, at, type_base, blocks, None),
                Coded::Flat(luma) => self.write_flat(&mut w, at, type_base, blocks, Some(*luma)),
            }
        }
        if skipped > 0 {
            w.ue(skipped);
        }
        self.frame_num = if key { 1 } else { self.frame_num.wrapping_add(1) };
        // nal_ref_idc 3; type 5: IDR, 1: not.
        w.into_nal(if key { &[0x65] } else { &[0x61] })
    }

    fn write_slice_header(&mut self, w: &mut BitWriter, key: bool) {
        w.ue(0); // first_mb_in_slice
        w.ue(if key { 7 } else { 5 }); // slice_type: all I, all P
        w.ue(0); // pic_parameter_set_id
        w.bits(if key { 0 } else { u32::from(self.frame_num) }, 16);
        if key {
            self.idr_pic_id ^= 1; // differs between neighbours
            w.ue(self.idr_pic_id);
            w.bits(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
        } else {
            w.bits(0, 3); // no override of reference count, no list modification, sliding window
        }
        w.se(0); // slice_qp_delta
        w.ue(1); // disable_deblocking_filter_idc
    }

    fn write_noise(&mut self, w: &mut BitWriter, at: usize, type_base: u32, luma: &[u8]) {
        w.ue(type_base + I_PCM);
        w.align();
        w.bytes(luma);
        w.repeat(128, 128);
        if let Some(edges) = self.edges.get_mut(at) {
            edges.right = luma.iter().skip(15).step_by(16).map(|s| u32::from(*s)).sum();
            edges.bottom = luma.iter().skip(240).map(|s| u32::from(*s)).sum();
        }
    }

    /// A macroblock of one luma value: the predicted one, or the nearest to `luma` that one coefficient gives.
    fn write_flat(
        &mut self,
        w: &mut BitWriter,
        at: usize,
        type_base: u32,
        blocks: &[Coded],
        luma: Option<u8>,
    ) {
        let left = at.checked_sub(1).filter(|_| !at.is_multiple_of(self.columns));
        let above = at.checked_sub(self.columns);
        let predicted = self.predict(left, above);
        let level = luma.map_or(0, |luma| level_for(i32::from(luma) - predicted));
        w.ue(type_base + INTRA_DC);
        w.ue(0); // intra_chroma_pred_mode: DC
        w.se(0); // mb_qp_delta
        let coefficients = |at: Option<usize>| {
            at.map(|at| if blocks.get(at) == Some(&Coded::Noise) { 16 } else { 0 })
        };
        write_dc_level(w, level, context(coefficients(left), coefficients(above)));
        let value = (predicted + residual(level)).clamp(0, 255).unsigned_abs();
        if let Some(edges) = self.edges.get_mut(at) {
            *edges = Edges { right: value * 16, bottom: value * 16 };
        }
    }

    /// Intra_16x16 DC prediction (8.3.3.3).
    fn predict(&self, left: Option<usize>, above: Option<usize>) -> i32 {
        let left = left.and_then(|at| self.edges.get(at)).map(|edges| edges.right);
        let above = above.and_then(|at| self.edges.get(at)).map(|edges| edges.bottom);
        let value = match (left, above) {
            (Some(left), Some(above)) => (left + above + 16) >> 5,
            (Some(sum), None) | (None, Some(sum)) => (sum + 8) >> 4,
            (None, None) => 128,
        };
        i32::try_from(value).unwrap_or(128)
    }
}

/// What one DC coefficient adds to each sample at quantiser 36 (8.5.10, 8.5.12): 2.5 times its level.
fn residual(level: i32) -> i32 {
    (level * 160 + 32) >> 6
}

fn level_for(difference: i32) -> i32 {
    (difference * 2 + difference.signum() * 2) / 5
}

/// `nC` (9.2.1) from the neighbours' coefficient counts, where there are neighbours.
fn context(left: Option<u32>, above: Option<u32>) -> u32 {
    match (left, above) {
        (Some(left), Some(above)) => (left + above + 1) >> 1,
        (Some(count), None) | (None, Some(count)) => count,
        (None, None) => 0,
    }
}

/// Residual block with at most its first coefficient (9.2). `context` is 0, 8 or 16 here, so that
/// `coeff_token` is of the first or the last column of table 9-5.
fn write_dc_level(w: &mut BitWriter, level: i32, context: u32) {
    let fixed = context >= 8;
    match level.unsigned_abs() {
        0 => w.bits(if fixed { 0b00_0011 } else { 1 }, if fixed { 6 } else { 1 }),
        1 => {
            // One trailing one: the token, its sign.
            w.bits(1, if fixed { 6 } else { 2 });
            w.flag(level < 0);
            w.bits(1, 1); // total_zeros 0
        }
        size => {
            w.bits(if fixed { 0 } else { 0b00_0101 }, 6);
            // The first level behind fewer than three trailing ones is at least 2.
            write_level(w, 2 * (size - 2) + u32::from(level < 0));
            w.bits(1, 1); // total_zeros 0
        }
    }
}

/// `level_prefix` and `level_suffix` at suffix length 0 (9.2.2.1).
fn write_level(w: &mut BitWriter, code: u32) {
    match code {
        0..=13 => w.bits(1, code + 1),
        14..=29 => {
            w.bits(1, 15);
            w.bits(code - 14, 4);
        }
        30.. => {
            w.bits(1, 16);
            w.bits(code - 30, 12);
        }
    }
}

/// The parameter sets.
pub(super) fn codec(settings: &PatternSettings, layout: &Layout) -> Codec {
    let (profile, constraints, level) = (66, 0xC0, level_idc(settings, layout));
    let mut w = BitWriter::default();
    w.bits(profile, 8);
    w.bits(constraints, 8); // constraint_set0_flag and 1: constrained baseline
    w.bits(u32::from(level), 8);
    w.ue(0); // seq_parameter_set_id
    w.ue(12); // log2_max_frame_num 16
    w.ue(2); // pic_order_cnt_type: output in decoding order
    w.ue(1); // max_num_ref_frames
    w.flag(false); // gaps_in_frame_num_value_allowed_flag
    w.ue(u32::try_from(layout.columns - 1).unwrap_or(0));
    w.ue(u32::try_from(layout.rows - 1).unwrap_or(0));
    w.flag(true); // frame_mbs_only_flag
    w.flag(true); // direct_8x8_inference_flag
    super::write_cropping(&mut w, settings, layout);
    w.flag(false); // vui_parameters_present_flag
    let sps = w.into_nal(&[0x67]);
    let mut w = BitWriter::default();
    w.ue(0); // pic_parameter_set_id
    w.ue(0); // seq_parameter_set_id
    w.bits(0, 2); // CAVLC, no bottom field order
    w.ue(0); // one slice group
    w.ue(0); // one reference in list 0
    w.ue(0); // one in list 1
    w.bits(0, 3); // no weighted prediction
    w.se(36 - 26); // pic_init_qp: see `residual`
    w.se(0); // pic_init_qs
    w.se(0); // chroma_qp_index_offset
    w.flag(true); // deblocking_filter_control_present_flag
    w.bits(0, 2); // no constrained intra prediction, no redundant pictures
    let pps = w.into_nal(&[0x68]);
    Codec::H264(H264Parameters {
        sps: Bytes::from(sps),
        pps: Bytes::from(pps),
        profile: 66,
        constraints: 0xC0,
        level,
        width: settings.width,
        height: settings.height,
        bit_depth: 8,
        chroma_format_idc: 1,
    })
}

/// The lowest level that allows size, speed and bit rate (table A-1).
fn level_idc(settings: &PatternSettings, layout: &Layout) -> u8 {
    const LEVELS: [(u8, u64, u64, u64); 10] = [
        (20, 11_880, 396, 2_000),
        (30, 40_500, 1_620, 10_000),
        (31, 108_000, 3_600, 14_000),
        (32, 216_000, 5_120, 20_000),
        (40, 245_760, 8_192, 20_000),
        (41, 245_760, 8_192, 50_000),
        (42, 522_240, 8_704, 50_000),
        (50, 589_824, 22_080, 135_000),
        (51, 983_040, 36_864, 240_000),
        (52, 2_073_600, 36_864, 240_000),
    ];
    let blocks = u64::try_from(layout.columns * layout.rows).unwrap_or(u64::MAX);
    let rate = u64::from(settings.bit_rate) / 1000;
    let fits = |(_, a_second, a_picture, kilobits): &&(u8, u64, u64, u64)| {
        blocks <= *a_picture && blocks * u64::from(settings.fps) <= *a_second && rate <= *kilobits
    };
    LEVELS.iter().find(fits).map_or(62, |level| level.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_comes_within_three_of_what_is_wanted() {
        for difference in -255..=255 {
            let got = residual(level_for(difference));
            assert!((got - difference).abs() <= 2, "{difference} gave {got}");
        }
    }
}
