//! The H.265 side of the pattern: main profile, coding tree blocks of 16 x 16 that are never split, loop
//! filters off. A block is skipped, raw samples (PCM with 2 bits a luma and 1 bit a chroma sample, so that a
//! block costs 80 bytes), or predicted from its neighbours without a residual.

use bytes::Bytes;

use crate::media::{Codec, H265Parameters};

use super::bits::BitWriter;
use super::cabac::{Cabac, Context};
use super::layout::Layout;
use super::noise::Noise;
use super::{Coded, PatternSettings};

/// Bytes of one noise block.
pub(super) const NOISE_BYTES: usize = 82;
/// Bytes of raw luma and chroma samples of one block.
const LUMA_BYTES: usize = 64;
const CHROMA_BYTES: usize = 16;

/// An encoder and the state its pictures share.
#[derive(Debug)]
pub(super) struct H265 {
    columns: usize,
    order: u16,
}

/// The context variables used, at their initial values for one slice type (9.3.2.2).
struct Contexts {
    skip: [Context; 3],
    intra: Context,
    part_mode: Context,
    luma_mode: Context,
    chroma_mode: Context,
    cbf_luma: Context,
    cbf_chroma: Context,
}

impl Contexts {
    fn new(key: bool) -> Self {
        let pick = |key_value, other| Context::new(if key { key_value } else { other });
        Self {
            skip: [197, 185, 201].map(Context::new),
            intra: pick(154, 149),
            part_mode: pick(184, 154),
            luma_mode: pick(184, 154),
            chroma_mode: pick(63, 152),
            cbf_luma: pick(141, 111),
            cbf_chroma: pick(94, 149),
        }
    }
}

impl H265 {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { columns: layout.columns, order: 0 }
    }

    /// One picture's NAL unit.
    pub(super) fn encode(&mut self, key: bool, blocks: &[Coded], noise: &mut Noise) -> Vec<u8> {
        self.order = if key { 0 } else { self.order.wrapping_add(1) };
        let mut w = BitWriter::default();
        write_slice_header(&mut w, (!key).then_some(self.order));
        let mut contexts = Contexts::new(key);
        let mut cabac = Cabac::new(w);
        for (at, block) in blocks.iter().enumerate() {
            if !key {
                let skip = *block == Coded::Skip;
                let near = self.skipped_neighbours(blocks, at);
                if let Some(context) = contexts.skip.get_mut(near) {
                    cabac.encode(context, skip);
                }
                if !skip {
                    cabac.encode(&mut contexts.intra, true);
                }
            }
            match block {
                Coded::Skip => {}
                Coded::Noise => write_raw(&mut cabac, &mut contexts, noise.take(LUMA_BYTES)),
                Coded::Flat(luma) => {
                    // The upper two bits, four samples a byte.
                    let samples = [(luma >> 6) * 0b0101_0101; LUMA_BYTES];
                    write_raw(&mut cabac, &mut contexts, &samples);
                }
                Coded::Blank => write_predicted(&mut cabac, &mut contexts),
            }
            cabac.terminate(at + 1 == blocks.len());
        }
        // Types 20 (IDR_N_LP) and 1 (TRAIL_R), layer 0, temporal id 0.
        cabac.out.into_stopped_nal(if key { &[0x28, 1] } else { &[0x02, 1] })
    }

    fn skipped_neighbours(&self, blocks: &[Coded], at: usize) -> usize {
        let left = at.checked_sub(1).filter(|_| !at.is_multiple_of(self.columns));
        let above = at.checked_sub(self.columns);
        let skipped = |at: &usize| blocks.get(*at) == Some(&Coded::Skip);
        left.iter().chain(&above).filter(|at| skipped(at)).count()
    }
}

fn write_slice_header(w: &mut BitWriter, order: Option<u16>) {
    w.flag(true); // first_slice_segment_in_pic_flag
    if order.is_none() {
        w.flag(false); // no_output_of_prior_pics_flag
    }
    w.ue(0); // slice_pic_parameter_set_id
    w.ue(if order.is_none() { 2 } else { 1 }); // slice_type
    if let Some(order) = order {
        w.bits(u32::from(order), 16); // slice_pic_order_cnt_lsb
        w.flag(true); // short_term_ref_pic_set_sps_flag
        w.flag(false); // num_ref_idx_active_override_flag
        w.ue(4); // five_minus_max_num_merge_cand: one
    }
    w.se(0); // slice_qp_delta
    w.flag(true); // byte_alignment
    w.align();
}

fn write_raw(cabac: &mut Cabac, contexts: &mut Contexts, luma: &[u8]) {
    cabac.encode(&mut contexts.part_mode, true); // 2Nx2N
    cabac.terminate(true); // pcm_flag
    cabac.out.align();
    cabac.out.bytes(luma);
    cabac.out.repeat(0xFF, CHROMA_BYTES); // 1 is grey
    cabac.restart();
}

fn write_predicted(cabac: &mut Cabac, contexts: &mut Contexts) {
    cabac.encode(&mut contexts.part_mode, true); // 2Nx2N
    cabac.terminate(false); // pcm_flag
    cabac.encode(&mut contexts.luma_mode, true); // prev_intra_luma_pred_flag
    cabac.bypass(false); // mpm_idx 0
    cabac.encode(&mut contexts.chroma_mode, false); // as luma
    cabac.encode(&mut contexts.cbf_chroma, false); // Cb
    cabac.encode(&mut contexts.cbf_chroma, false); // Cr
    cabac.encode(&mut contexts.cbf_luma, false);
}

/// The parameter sets.
pub(super) fn codec(settings: &PatternSettings, layout: &Layout) -> Codec {
    let level = level_idc(settings, layout);
    let mut w = BitWriter::default();
    w.bits(0, 4); // vps_video_parameter_set_id
    w.bits(0b11, 2); // base layer internal, available
    w.bits(0, 6); // one layer
    w.bits(0, 3); // one sub-layer
    w.flag(true); // vps_temporal_id_nesting_flag
    w.bits(0xFFFF, 16);
    write_profile(&mut w, level);
    write_buffering(&mut w);
    w.bits(0, 6); // vps_max_layer_id
    w.ue(0); // one layer set
    w.bits(0, 2); // no timing, no extension
    let vps = w.into_nal(&[0x40, 1]);
    Codec::H265(H265Parameters {
        vps: Bytes::from(vps),
        sps: Bytes::from(sequence_parameter_set(settings, layout, level)),
        pps: Bytes::from(picture_parameter_set()),
        profile: 1,
        level,
        width: settings.width,
        height: settings.height,
        bit_depth: 8,
        chroma_format_idc: 1,
    })
}

fn sequence_parameter_set(settings: &PatternSettings, layout: &Layout, level: u8) -> Vec<u8> {
    let samples = |blocks: usize| u32::try_from(blocks * 16).unwrap_or(0);
    let mut w = BitWriter::default();
    w.bits(0, 7); // video parameter set 0, one sub-layer
    w.flag(true); // sps_temporal_id_nesting_flag
    write_profile(&mut w, level);
    w.ue(0); // sps_seq_parameter_set_id
    w.ue(1); // chroma_format_idc
    w.ue(samples(layout.columns));
    w.ue(samples(layout.rows));
    super::write_cropping(&mut w, settings, layout);
    w.ue(0); // bit_depth_luma 8
    w.ue(0); // bit_depth_chroma 8
    w.ue(12); // log2_max_pic_order_cnt_lsb 16
    write_buffering(&mut w);
    w.ue(1); // log2_min_luma_coding_block_size 4
    w.ue(0); // and no larger
    w.ue(0); // log2_min_luma_transform_block_size 2
    w.ue(2); // up to 4
    w.ue(0); // max_transform_hierarchy_depth_inter
    w.ue(0); // max_transform_hierarchy_depth_intra
    w.bits(0, 3); // no scaling list, no asymmetric partitions, no sample adaptive offset
    w.flag(true); // pcm_enabled_flag
    w.bits(1, 4); // 2 bits a luma sample
    w.bits(0, 4); // 1 bit a chroma sample
    w.ue(1); // log2_min_pcm_luma_coding_block_size 4
    w.ue(0); // and no larger
    w.flag(true); // pcm_loop_filter_disabled_flag
    w.ue(1); // one reference picture set: the picture before
    w.ue(1); // num_negative_pics
    w.ue(0); // num_positive_pics
    w.ue(0); // delta_poc_s0 1
    w.flag(true); // used_by_curr_pic_s0_flag
    // No long-term pictures, temporal motion vectors, strong smoothing, VUI, extension.
    w.bits(0, 5);
    w.into_nal(&[0x42, 1])
}

fn picture_parameter_set() -> Vec<u8> {
    let mut w = BitWriter::default();
    w.ue(0); // pps_pic_parameter_set_id
    w.ue(0); // pps_seq_parameter_set_id
    // No dependent slices, output flag, extra bits (3), sign hiding, cabac_init.
    w.bits(0, 7);
    w.ue(0); // one reference in list 0
    w.ue(0); // one in list 1
    w.se(0); // init_qp 26: see `Context::new`
    w.bits(0, 3); // no constrained intra prediction, transform skip, quantiser changes
    w.se(0); // pps_cb_qp_offset
    w.se(0); // pps_cr_qp_offset
    // No slice chroma offsets, weighted prediction (2), bypass, tiles, wavefronts, filter across slices.
    w.bits(0, 7);
    w.bits(0b101, 3); // deblocking control: no override, disabled
    w.bits(0, 2); // no scaling list, no list modification
    w.ue(0); // log2_parallel_merge_level 2
    w.bits(0, 2); // no slice header extension, no extension
    w.into_nal(&[0x44, 1])
}

/// `profile_tier_level` for main profile, main tier, one sub-layer (7.3.3).
fn write_profile(w: &mut BitWriter, level: u8) {
    w.bits(1, 8); // profile space 0, tier 0, profile 1
    w.bits(0x6000_0000, 32); // compatible with main and main 10
    w.bits(0b1001, 4); // progressive, not interlaced, not marked packed, frames only
    w.bits(0, 32);
    w.bits(0, 12);
    w.bits(u32::from(level), 8);
}

/// One picture before, no reordering.
fn write_buffering(w: &mut BitWriter) {
    w.flag(true); // sub_layer_ordering_info_present_flag
    w.ue(1); // max_dec_pic_buffering 2
    w.ue(0); // max_num_reorder_pics
    w.ue(0); // no latency limit
}

/// The lowest level that allows size, speed and bit rate (tables A.8 and A.9, main tier).
fn level_idc(settings: &PatternSettings, layout: &Layout) -> u8 {
    const LEVELS: [(u8, u64, u64, u64); 10] = [
        (60, 3_686_400, 122_880, 1_500),
        (63, 7_372_800, 245_760, 3_000),
        (90, 16_588_800, 552_960, 6_000),
        (93, 33_177_600, 983_040, 10_000),
        (120, 66_846_720, 2_228_224, 12_000),
        (123, 133_693_440, 2_228_224, 20_000),
        (150, 267_386_880, 8_912_896, 25_000),
        (153, 534_773_760, 8_912_896, 40_000),
        (156, 1_069_547_520, 8_912_896, 60_000),
        (183, 2_139_095_040, 35_651_584, 120_000),
    ];
    let samples = u64::try_from(layout.columns * layout.rows * 256).unwrap_or(u64::MAX);
    let rate = u64::from(settings.bit_rate) / 1000;
    let fits = |(_, a_second, a_picture, kilobits): &&(u8, u64, u64, u64)| {
        samples <= *a_picture && samples * u64::from(settings.fps) <= *a_second && rate <= *kilobits
    };
    LEVELS.iter().find(fits).map_or(186, |level| level.0)
}
