//! raw_data_block (ISO/IEC 14496-3 4.4.2.1): finds the elements of a frame and keeps the sound only.
//!
//! Elements have no length: to find a fill element behind a channel, the channel's whole syntax is
//! walked. Nothing is dequantised or decoded.

use bytes::Bytes;

use super::channel::{self, Info, Layout};
use crate::media::bits::BitReader;
use crate::media::{AacParameters, Fault};
use crate::ops::limits;

/// Walks the frames of one track.
#[derive(Debug, Clone)]
pub(in crate::media) struct Walker {
    layout: Layout,
    channels: Channels,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channels {
    Mono,
    Stereo,
}

/// A frame without fill and data elements, and how many these were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::media) struct Frame {
    /// Lawful elements, the end, and zero bits up to the next byte.
    pub(in crate::media) data: Bytes,
    /// Fill elements left out; these also carry SBR and PS.
    pub(in crate::media) fills: usize,
    /// Data stream elements left out.
    pub(in crate::media) data_elements: usize,
    /// Bytes or bits behind the end left out.
    pub(in crate::media) trailing: Trailing,
}

/// What stood behind the end of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::media) enum Trailing {
    /// Zero bits up to the next byte, as the standard says.
    None,
    /// Something else.
    Dropped,
}

impl Walker {
    /// A walker for frames of `parameters`; none for rates without a scale factor table.
    pub(in crate::media) fn new(parameters: &AacParameters) -> Option<Self> {
        let channels = match parameters.channels {
            1 => Channels::Mono,
            2 => Channels::Stereo,
            _ => return None,
        };
        Some(Self { layout: Layout::new(parameters.rate_index()?)?, channels })
    }

    /// Walks one raw frame to its end. The same memory comes back if there is nothing to leave out.
    pub(in crate::media) fn strip(&self, data: &Bytes) -> Result<Frame, Fault> {
        let mut r = BitReader::new(data);
        let (mut fills, mut data_elements) = (0, 0);
        let mut channel = None;
        for _ in 0..limits::AAC_ELEMENTS {
            let start = r.position();
            match r.bits(3)? {
                0 if self.channels == Channels::Mono && channel.is_none() => {
                    r.skip(4)?; // element_instance_tag
                    channel::walk(&mut r, &self.layout, None)?;
                    channel = Some(start..r.position());
                }
                1 if self.channels == Channels::Stereo && channel.is_none() => {
                    self.pair(&mut r)?;
                    channel = Some(start..r.position());
                }
                4 => {
                    data_element(&mut r)?;
                    data_elements += 1;
                }
                6 => {
                    fill(&mut r)?;
                    fills += 1;
                }
                7 => {
                    let channel = channel.ok_or(Fault::Unsupported("a frame without sound"))?;
                    let trailing = trailing(&r, data.len());
                    let whole = fills + data_elements == 0 && trailing == Trailing::None;
                    let kept = if whole { data.clone() } else { rewrite(data, &channel)? };
                    return Ok(Frame { data: kept, fills, data_elements, trailing });
                }
                _ => return Err(Fault::Unsupported("id_syn_ele")),
            }
        }
        Err(Fault::OutOfRange("the count of elements"))
    }

    /// channel_pair_element.
    fn pair(&self, r: &mut BitReader<'_>) -> Result<(), Fault> {
        r.skip(4)?; // element_instance_tag
        let mut common = None;
        if r.flag()? {
            let info = Info::parse(r, &self.layout)?;
            match r.bits(2)? {
                0 | 2 => {}
                1 => r.skip(info.bands())?, // ms_used
                _ => return Err(Fault::OutOfRange("ms_mask_present")),
            }
            common = Some(info);
        }
        channel::walk(r, &self.layout, common.as_ref())?;
        channel::walk(r, &self.layout, common.as_ref())
    }
}

/// fill_element, without a look at what it carries.
fn fill(r: &mut BitReader<'_>) -> Result<(), Fault> {
    let mut count = r.bits(4)?;
    if count == 15 {
        count += r.bits(8)?.saturating_sub(1);
    }
    r.skip(8 * usize::try_from(count).unwrap_or(usize::MAX / 8))
}

/// data_stream_element.
fn data_element(r: &mut BitReader<'_>) -> Result<(), Fault> {
    r.skip(4)?; // element_instance_tag
    let align = r.flag()?;
    let mut count = r.bits(8)?;
    if count == 255 {
        count += r.bits(8)?;
    }
    if align {
        r.skip(r.position().next_multiple_of(8) - r.position())?;
    }
    r.skip(8 * usize::try_from(count).unwrap_or(usize::MAX / 8))
}

fn trailing(r: &BitReader<'_>, bytes: usize) -> Trailing {
    let padding = r.position().next_multiple_of(8) - r.position();
    let exact = r.position().div_ceil(8) == bytes;
    if exact && r.peek(padding) == 0 { Trailing::None } else { Trailing::Dropped }
}

/// The bits of the one kept element, the end, and zeros up to the next byte.
fn rewrite(data: &[u8], channel: &std::ops::Range<usize>) -> Result<Bytes, Fault> {
    let mut r = BitReader::new(data);
    r.skip(channel.start)?;
    let mut out = Vec::with_capacity(channel.len() / 8 + 2);
    let (mut left, mut partial, mut bits) = (channel.len(), 0_u32, 0);
    while left >= 8 {
        out.push(u8::try_from(r.bits(8)?).unwrap_or(0));
        left -= 8;
    }
    for value in [(r.bits(left)?, left), (7, 3)] {
        partial = partial << value.1 | value.0;
        bits += value.1;
    }
    // At most 7 + 3 bits.
    let [_, _, high, low] = (partial << (16 - bits)).to_be_bytes();
    out.push(high);
    if bits > 8 {
        out.push(low);
    }
    Ok(out.into())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
