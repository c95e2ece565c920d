//! seq_parameter_set_rbsp (H.264 7.3.2.1.1).

use bytes::Bytes;

use super::{scaling_matrix, vui};
use crate::media::Fault;
use crate::media::bits::{BitReader, escape, unescape};
use crate::ops::limits;

/// Largest bit depth let through.
const BIT_DEPTH: u32 = 10;
/// Every level of table A-1.
const LEVELS: [u8; 20] =
    [9, 10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62];

#[derive(Debug)]
pub(super) struct Sps {
    pub(super) nal: Bytes,
    pub(super) id: u32,
    pub(super) profile: u8,
    pub(super) constraints: u8,
    pub(super) level: u8,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) bit_depth: u8,
    pub(super) chroma_format_idc: u8,
    pub(super) macroblocks: u32,
    pub(super) frames_only: bool,
}

impl Sps {
    /// Whether the profile knows transform_8x8_mode and scaling matrices.
    pub(super) fn is_high(&self) -> bool {
        is_high(self.profile)
    }
}

fn is_high(profile: u8) -> bool {
    matches!(profile, 44 | 100 | 110 | 122 | 244)
}

/// What the High profiles say of samples; 8-bit 4:2:0 otherwise.
struct Format {
    chroma_format_idc: u8,
    bit_depth: u8,
}

pub(super) fn parse(nal: &[u8]) -> Result<Sps, Fault> {
    let (header, payload) = nal.split_at_checked(1).ok_or(Fault::Truncated)?;
    if header.first().is_none_or(|b| b & 0x9f != 7) {
        return Err(Fault::WrongHeader);
    }
    let rbsp = unescape(payload)?;
    let mut r = BitReader::new(&rbsp);
    let (profile, constraints, level) = (byte(&mut r)?, byte(&mut r)?, byte(&mut r)?);
    if !matches!(profile, 66 | 77 | 88) && !is_high(profile) {
        return Err(Fault::Unsupported("profile_idc"));
    }
    if constraints & 3 != 0 {
        return Err(Fault::Unsupported("reserved_zero_2bits"));
    }
    if !LEVELS.contains(&level) {
        return Err(Fault::OutOfRange("level_idc"));
    }
    let id = r.ue_to(31, "seq_parameter_set_id")?;
    let format = if is_high(profile) {
        format(&mut r)?
    } else {
        Format { chroma_format_idc: 1, bit_depth: 8 }
    };
    order(&mut r)?;
    r.ue_to(limits::REFERENCE_PICTURES, "max_num_ref_frames")?;
    r.flag()?; // gaps_in_frame_num_value_allowed_flag
    let size = size(&mut r, format.chroma_format_idc)?;
    if r.flag()? {
        vui::parse(&mut r)?;
    }
    Ok(Sps {
        nal: escape(header, r.finish()?),
        id,
        profile,
        constraints,
        level,
        width: size.width,
        height: size.height,
        bit_depth: format.bit_depth,
        chroma_format_idc: format.chroma_format_idc,
        macroblocks: size.macroblocks,
        frames_only: size.frames_only,
    })
}

fn byte(r: &mut BitReader<'_>) -> Result<u8, Fault> {
    u8::try_from(r.bits(8)?).map_err(|_| Fault::Truncated)
}

fn format(r: &mut BitReader<'_>) -> Result<Format, Fault> {
    let chroma_format_idc = r.ue_to(3, "chroma_format_idc")?;
    if chroma_format_idc == 3 && r.flag()? {
        return Err(Fault::Unsupported("separate_colour_plane_flag"));
    }
    let luma = r.ue_to(BIT_DEPTH - 8, "bit_depth_luma_minus8")?;
    r.ue_to(BIT_DEPTH - 8, "bit_depth_chroma_minus8")?;
    r.flag()?; // qpprime_y_zero_transform_bypass_flag
    if r.flag()? {
        scaling_matrix(r, if chroma_format_idc == 3 { 6 } else { 2 })?;
    }
    let small = |v| u8::try_from(v).map_err(|_| Fault::OutOfRange("chroma_format_idc"));
    Ok(Format { chroma_format_idc: small(chroma_format_idc)?, bit_depth: small(luma + 8)? })
}

/// Frame numbers and picture order count.
fn order(r: &mut BitReader<'_>) -> Result<(), Fault> {
    r.ue_to(12, "log2_max_frame_num_minus4")?;
    match r.ue_to(2, "pic_order_cnt_type")? {
        0 => {
            r.ue_to(12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            r.flag()?; // delta_pic_order_always_zero_flag
            r.se()?; // offset_for_non_ref_pic
            r.se()?; // offset_for_top_to_bottom_field
            for _ in 0..r.ue_to(255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                r.se()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Ok(())
}

struct Size {
    width: u16,
    height: u16,
    macroblocks: u32,
    frames_only: bool,
}

fn size(r: &mut BitReader<'_>, chroma_format_idc: u8) -> Result<Size, Fault> {
    let side = limits::PICTURE_SIDE / 16 - 1;
    let across = r.ue_to(side, "pic_width_in_mbs_minus1")? + 1;
    let units = r.ue_to(side, "pic_height_in_map_units_minus1")? + 1;
    let frames_only = r.flag()?;
    let down = if frames_only { units } else { 2 * units };
    if !frames_only {
        r.flag()?; // mb_adaptive_frame_field_flag
    }
    r.flag()?; // direct_8x8_inference_flag
    let samples = u64::from(across) * u64::from(down) * 256;
    if down > side + 1 || samples > limits::PICTURE_SAMPLES {
        return Err(Fault::OutOfRange("the picture size"));
    }
    let (crop_x, crop_y) = crop(r, chroma_format_idc, frames_only)?;
    let cut = |full: u32, crop: u64| {
        u64::from(full * 16)
            .checked_sub(crop)
            .and_then(|v| u16::try_from(v).ok())
            .filter(|v| *v > 0)
            .ok_or(Fault::OutOfRange("frame_cropping"))
    };
    Ok(Size {
        width: cut(across, crop_x)?,
        height: cut(down, crop_y)?,
        macroblocks: across * down,
        frames_only,
    })
}

/// Luma samples cut off in each direction.
fn crop(
    r: &mut BitReader<'_>,
    chroma_format_idc: u8,
    frames_only: bool,
) -> Result<(u64, u64), Fault> {
    if !r.flag()? {
        return Ok((0, 0));
    }
    let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
    let unit_x = if matches!(chroma_format_idc, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_format_idc == 1 { 2 } else { 1 } * if frames_only { 1 } else { 2 };
    Ok((
        unit_x * (u64::from(left) + u64::from(right)),
        unit_y * (u64::from(top) + u64::from(bottom)),
    ))
}
