//! seq_parameter_set_rbsp (H.265 7.3.2.2).

use bytes::Bytes;

use super::{buffering, open, ptl, rps, scaling, small, vui};
use crate::media::Fault;
use crate::media::bits::{BitReader, escape, unescape};
use crate::ops::limits;

/// Largest bit depth let through.
const BIT_DEPTH: u32 = 12;

#[derive(Debug, Clone)]
pub(super) struct Sps {
    pub(super) nal: Bytes,
    pub(super) id: u32,
    pub(super) profile: u8,
    pub(super) level: u8,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) bit_depth: u8,
    pub(super) chroma_format_idc: u8,
    /// log2_diff_max_min_luma_coding_block_size
    pub(super) coding_depth: u32,
    /// CtbLog2SizeY
    pub(super) block_log2: u32,
    /// Coding tree blocks across, down, and of the picture.
    pub(super) across: u32,
    pub(super) down: u32,
    pub(super) blocks: u32,
    /// Bits of slice_pic_order_cnt_lsb.
    pub(super) poc_bits: usize,
    pub(super) sao: bool,
    pub(super) short_term: Vec<rps::Set>,
    /// used_by_curr_pic_lt_sps_flag of each, if long-term pictures may be used at all.
    pub(super) long_term: Option<Vec<bool>>,
    pub(super) temporal_prediction: bool,
}

pub(super) fn parse(nal: &[u8], vps_id: u32) -> Result<Sps, Fault> {
    let (header, payload) = open(nal, 33)?;
    let rbsp = unescape(payload)?;
    let mut r = BitReader::new(&rbsp);
    if r.bits(4)? != vps_id {
        return Err(Fault::Dangling("VPS"));
    }
    let max_sub_layers_minus1 = r.bits(3)?;
    r.flag()?; // sps_temporal_id_nesting_flag
    let general = ptl::parse(&mut r, max_sub_layers_minus1)?;
    let id = r.ue_to(15, "sps_seq_parameter_set_id")?;
    let format = format(&mut r)?;
    let poc_bits =
        usize::try_from(r.ue_to(12, "log2_max_pic_order_cnt_lsb_minus4")?).unwrap_or(0) + 4;
    buffering(&mut r, max_sub_layers_minus1)?;
    let (coding_min_log2, coding_depth) = blocks(&mut r)?;
    let sao = tools(&mut r, format.bit_depth)?;
    let short_term = rps::parse(&mut r)?;
    let long_term = if r.flag()? { Some(long_term(&mut r, poc_bits)?) } else { None };
    let temporal_prediction = r.flag()?;
    r.flag()?; // strong_intra_smoothing_enabled_flag
    if r.flag()? {
        vui::parse(&mut r, max_sub_layers_minus1)?;
    }
    if r.flag()? {
        extension(&mut r)?;
    }
    let block_log2 = coding_min_log2 + coding_depth;
    let blocks_along = |side: u32| ((side - 1) >> block_log2) + 1;
    let (across, down) = (blocks_along(format.coded_width), blocks_along(format.coded_height));
    if (format.coded_width | format.coded_height) & ((1 << coding_min_log2) - 1) != 0 {
        return Err(Fault::OutOfRange("the picture size"));
    }
    Ok(Sps {
        nal: escape(header, r.finish()?),
        id,
        profile: general.profile,
        level: general.level,
        width: format.width,
        height: format.height,
        bit_depth: small(format.bit_depth, "bit_depth_luma_minus8")?,
        chroma_format_idc: small(format.chroma_format_idc, "chroma_format_idc")?,
        coding_depth,
        block_log2,
        across,
        down,
        blocks: across * down,
        poc_bits,
        sao,
        short_term,
        long_term,
        temporal_prediction,
    })
}

struct Format {
    chroma_format_idc: u32,
    coded_width: u32,
    coded_height: u32,
    width: u16,
    height: u16,
    bit_depth: u32,
}

fn format(r: &mut BitReader<'_>) -> Result<Format, Fault> {
    let chroma_format_idc = r.ue_to(3, "chroma_format_idc")?;
    if chroma_format_idc == 3 && r.flag()? {
        return Err(Fault::Unsupported("separate_colour_plane_flag"));
    }
    let coded_width = r.ue_to(limits::PICTURE_SIDE, "pic_width_in_luma_samples")?;
    let coded_height = r.ue_to(limits::PICTURE_SIDE, "pic_height_in_luma_samples")?;
    let samples = u64::from(coded_width) * u64::from(coded_height);
    if samples == 0 || samples > limits::PICTURE_SAMPLES {
        return Err(Fault::OutOfRange("the picture size"));
    }
    let (mut crop_x, mut crop_y) = (0, 0);
    if r.flag()? {
        let unit_x = if matches!(chroma_format_idc, 1 | 2) { 2 } else { 1 };
        let unit_y = if chroma_format_idc == 1 { 2 } else { 1 };
        crop_x = unit_x * (u64::from(r.ue()?) + u64::from(r.ue()?));
        crop_y = unit_y * (u64::from(r.ue()?) + u64::from(r.ue()?));
    }
    let cut = |full: u32, crop: u64| {
        u64::from(full)
            .checked_sub(crop)
            .and_then(|v| u16::try_from(v).ok())
            .filter(|v| *v > 0)
            .ok_or(Fault::OutOfRange("conformance_window"))
    };
    let (width, height) = (cut(coded_width, crop_x)?, cut(coded_height, crop_y)?);
    let bit_depth = r.ue_to(BIT_DEPTH - 8, "bit_depth_luma_minus8")? + 8;
    r.ue_to(BIT_DEPTH - 8, "bit_depth_chroma_minus8")?;
    Ok(Format { chroma_format_idc, coded_width, coded_height, width, height, bit_depth })
}

/// Sizes of coding and transform blocks; gives MinCbLog2SizeY and how many sizes are above it.
fn blocks(r: &mut BitReader<'_>) -> Result<(u32, u32), Fault> {
    let coding_min = r.ue_to(3, "log2_min_luma_coding_block_size_minus3")? + 3;
    let coding_depth = r.ue_to(6 - coding_min, "log2_diff_max_min_luma_coding_block_size")?;
    let coding_max = coding_min + coding_depth;
    if coding_max < 4 {
        return Err(Fault::OutOfRange("CtbLog2SizeY"));
    }
    let transform_min = r.ue_to(3, "log2_min_luma_transform_block_size_minus2")? + 2;
    if transform_min >= coding_min {
        return Err(Fault::OutOfRange("log2_min_luma_transform_block_size_minus2"));
    }
    let most = coding_max.min(5).saturating_sub(transform_min);
    r.ue_to(most, "log2_diff_max_min_luma_transform_block_size")?;
    r.ue_to(coding_max - transform_min, "max_transform_hierarchy_depth_inter")?;
    r.ue_to(coding_max - transform_min, "max_transform_hierarchy_depth_intra")?;
    Ok((coding_min, coding_depth))
}

/// Scaling lists, AMP, SAO, PCM; gives whether SAO is enabled.
fn tools(r: &mut BitReader<'_>, bit_depth: u32) -> Result<bool, Fault> {
    if r.flag()? && r.flag()? {
        scaling::parse(r)?;
    }
    r.flag()?; // amp_enabled_flag
    let sao = r.flag()?;
    if r.flag()? {
        if r.bits(4)? + 1 > bit_depth {
            return Err(Fault::OutOfRange("pcm_sample_bit_depth_luma_minus1"));
        }
        if r.bits(4)? + 1 > BIT_DEPTH {
            return Err(Fault::OutOfRange("pcm_sample_bit_depth_chroma_minus1"));
        }
        let min = r.ue_to(2, "log2_min_pcm_luma_coding_block_size_minus3")? + 3;
        r.ue_to(5 - min, "log2_diff_max_min_pcm_luma_coding_block_size")?;
        r.flag()?; // pcm_loop_filter_disabled_flag
    }
    Ok(sao)
}

/// Candidates for long-term reference pictures.
fn long_term(r: &mut BitReader<'_>, poc_bits: usize) -> Result<Vec<bool>, Fault> {
    let mut used = Vec::new();
    for _ in 0..r.ue_to(32, "num_long_term_ref_pics_sps")? {
        r.bits(poc_bits)?; // lt_ref_pic_poc_lsb_sps
        used.push(r.flag()?);
    }
    Ok(used)
}

/// The range extension; all others are refused.
fn extension(r: &mut BitReader<'_>) -> Result<(), Fault> {
    let range = r.flag()?;
    r.zeros(7, "sps_extension")?; // multilayer, 3D, SCC, 4 bits reserved
    if range {
        r.skip(9)?;
    }
    Ok(())
}
