//! JPEG pictures (ITU-T T.81) as RFC 2435 can carry them: baseline, 8 bit, 4:2:0 or 4:2:2, the typical Huffman
//! tables, sides of multiples of 8 pixels up to 2040.
//!
//! A picture is read to its end marker and written anew: what no decoder needs (application data, comments,
//! unknown segments, bytes behind the end) is left out. The entropy-coded data is walked for its markers only.

mod read;
mod scan;
mod tables;
#[cfg(test)]
mod tests;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{Fault, JpegParameters, ParameterSet, Refused};
use crate::ops::limits;

/// Start of image, end of image, and the segments that are written.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
const SOF0: u8 = 0xc0;
const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;

/// What a decoder must know of a picture, beside its coded data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JpegHead {
    /// Width and height in pixels.
    pub size: JpegParameters,
    /// Size of the colour planes.
    pub sampling: JpegSampling,
    /// Coded blocks (MCUs) between two restart markers; 0: there are none.
    pub restart_interval: u16,
    /// Quantisation tables of luma and of both colours, 64 values each in zigzag order; none is 0.
    pub tables: [[u8; 64]; 2],
}

/// Size of the colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JpegSampling {
    /// Half the width: RFC 2435 type 0.
    Yuv422,
    /// Half the width, half the height: RFC 2435 type 1.
    Yuv420,
}

/// What of a picture was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stripped {
    /// Segments that no decoder needs, and fill bytes before a marker.
    pub(super) segments: u64,
    /// Whether something stood behind the coded data or the end of the image.
    pub(super) trailing: bool,
}

impl JpegParameters {
    /// A size that RFC 2435 can tell: multiples of 8 pixels, at most [`limits::JPEG_SIDE`].
    pub fn new(width: u16, height: u16) -> Result<Self, Refused> {
        Self::checked(width, height).map_err(|why| ParameterSet::JpegFrame.refuse(why))
    }

    fn checked(width: u16, height: u16) -> Result<Self, Fault> {
        let lawful = |side: u16| side.is_multiple_of(8) && (8..=limits::JPEG_SIDE).contains(&side);
        if !lawful(width) {
            return Err(Fault::OutOfRange("width (RTP carries multiples of 8 up to 2040)"));
        }
        if !lawful(height) {
            return Err(Fault::OutOfRange("height (RTP carries multiples of 8 up to 2040)"));
        }
        Ok(Self { width, height })
    }
}

impl JpegHead {
    /// Takes a picture that the policy let through apart: its head, and the coded data with the end marker.
    pub fn split(picture: &[u8]) -> Option<(Self, &[u8])> {
        read::head(picture).ok().map(|(head, coded, _)| (head, coded))
    }

    /// Coded blocks (MCUs) of the picture.
    fn blocks(&self) -> u32 {
        let high = match self.sampling {
            JpegSampling::Yuv422 => 8,
            JpegSampling::Yuv420 => 16,
        };
        let (width, height) = (u32::from(self.size.width), u32::from(self.size.height));
        width.div_ceil(16) * height.div_ceil(high)
    }

    /// Restart markers of the picture.
    fn restarts(&self) -> u32 {
        match u32::from(self.restart_interval) {
            0 => 0,
            interval => self.blocks().div_ceil(interval).saturating_sub(1),
        }
    }

    /// The segments from start of image to the coded data: one form only, that of RFC 2435 appendix B.
    fn write(&self) -> Vec<u8> {
        let mut out = vec![0xff, SOI];
        for (id, table) in (0..).zip(&self.tables) {
            segment(DQT, &[&[id], table], &mut out);
        }
        if self.restart_interval != 0 {
            segment(DRI, &[&self.restart_interval.to_be_bytes()], &mut out);
        }
        let luma = match self.sampling {
            JpegSampling::Yuv422 => 0x21,
            JpegSampling::Yuv420 => 0x22,
        };
        let (height, width) = (self.size.height.to_be_bytes(), self.size.width.to_be_bytes());
        let components = [3, 0, luma, 0, 1, 0x11, 1, 2, 0x11, 1];
        segment(SOF0, &[&[8], &height, &width, &components], &mut out);
        segment(DHT, &[&[0x00], &tables::LUMA_DC], &mut out);
        segment(DHT, &[&[0x10], &tables::LUMA_AC], &mut out);
        segment(DHT, &[&[0x01], &tables::CHROMA_DC], &mut out);
        segment(DHT, &[&[0x11], &tables::CHROMA_AC], &mut out);
        segment(SOS, &[&[3, 0, 0, 1, 0x11, 2, 0x11, 0, 63, 0]], &mut out);
        out
    }
}

/// A marker, the length of what follows (with its own two bytes), and the parts.
fn segment(marker: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&u16::try_from(length + 2).unwrap_or(u16::MAX).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Reads a picture to its end and writes it anew: the same memory if it already was in that form.
pub(super) fn clean(picture: Bytes) -> Result<(JpegHead, Bytes, Stripped), Fault> {
    if picture.len() > limits::JPEG_BYTES {
        return Err(Fault::TooLong);
    }
    let (head, coded, segments) = read::head(&picture)?;
    let scan = scan::walk(coded, head.restarts())?;
    let written = head.write();
    let length = written.len() + scan.coded.len() + 2;
    let stripped = Stripped { segments, trailing: scan.trailing };
    // Two fill bytes in place of the end marker are as long as it is.
    if picture.len() == length && !scan.trailing && picture.starts_with(&written) {
        return Ok((head, picture, stripped));
    }
    let mut anew = BytesMut::with_capacity(length);
    anew.put_slice(&written);
    anew.put_slice(scan.coded);
    anew.put_slice(&[0xff, EOI]);
    Ok((head, anew.freeze(), stripped))
}
