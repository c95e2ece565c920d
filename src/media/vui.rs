//! What the VUI of both codecs begins with (H.264 E.1.1, H.265 E.2.1).

use super::bits::BitReader;
use super::refused::Fault;

/// `aspect_ratio_idc` that is followed by a width and a height.
const EXTENDED_SAR: u32 = 255;

/// Aspect ratio, overscan, video signal type and chroma sample location: read past, within their ranges.
pub(super) fn picture_properties(r: &mut BitReader<'_>) -> Result<(), Fault> {
    if r.flag()? && r.bits(8)? == EXTENDED_SAR {
        r.skip(32)?; // sar_width, sar_height
    }
    if r.flag()? {
        r.flag()?; // overscan_appropriate_flag
    }
    if r.flag()? {
        r.skip(4)?; // video_format, video_full_range_flag
        if r.flag()? {
            r.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
        }
    }
    if r.flag()? {
        r.ue_to(5, "chroma_sample_loc_type")?;
        r.ue_to(5, "chroma_sample_loc_type")?;
    }
    Ok(())
}
