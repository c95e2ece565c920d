//! The segments before the coded data.

use super::{DHT, DQT, DRI, EOI, JpegHead, JpegSampling, SOF0, SOI, SOS, tables};
use crate::media::{Fault, JpegParameters};
use crate::ops::limits;

/// What has been read so far.
#[derive(Debug, Default)]
struct Draft<'a> {
    quantisation: [Option<&'a [u8; 64]>; 4],
    dc: [Option<Plane>; 4],
    ac: [Option<Plane>; 4],
    restart_interval: u16,
    frame: Option<Frame>,
}

/// Whose typical table one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plane {
    Luma,
    Chroma,
}

/// The frame header.
#[derive(Debug)]
struct Frame {
    size: JpegParameters,
    sampling: JpegSampling,
    ids: [u8; 3],
    /// Quantisation tables of the three components.
    tables: [u8; 3],
}

/// Reads to the coded data. Returns the head, what stands behind it, and how many segments (and runs of
/// fill bytes) no decoder needs.
pub(super) fn head(picture: &[u8]) -> Result<(JpegHead, &[u8], u64), Fault> {
    let mut rest = picture.strip_prefix(&[0xff, SOI]).ok_or(Fault::WrongHeader)?;
    let (mut draft, mut left_out) = (Draft::default(), 0_u64);
    for _ in 0..limits::JPEG_SEGMENTS {
        let segment = Segment::read(rest)?;
        rest = segment.behind;
        left_out = left_out.saturating_add(u64::from(segment.filled));
        match segment.marker {
            DQT => draft.quantisation(segment.body)?,
            DHT => draft.huffman(segment.body)?,
            DRI => draft.restart(segment.body)?,
            SOF0 => draft.frame(segment.body)?,
            SOS => return Ok((draft.finish(segment.body)?, rest, left_out)),
            0xc2 | 0xc6 | 0xca | 0xce => return Err(Fault::Unsupported("progressive coding")),
            0xc9 | 0xcb..=0xcd | 0xcf => return Err(Fault::Unsupported("arithmetic coding")),
            0xc1 | 0xc3 | 0xc5 | 0xc7 => return Err(Fault::Unsupported("a coding but baseline")),
            0xdc => return Err(Fault::Unsupported("a number of lines behind the picture")),
            // Application data, comments, extensions.
            _ => left_out = left_out.saturating_add(1),
        }
    }
    Err(Fault::TooLong)
}

/// A marker segment.
struct Segment<'a> {
    marker: u8,
    body: &'a [u8],
    behind: &'a [u8],
    /// Whether fill bytes stood before the marker (T.81 B.1.1.2).
    filled: bool,
}

impl<'a> Segment<'a> {
    fn read(data: &'a [u8]) -> Result<Self, Fault> {
        let fill = data.iter().take_while(|byte| **byte == 0xff).count();
        let (&marker, rest) =
            data.get(fill..).and_then(<[u8]>::split_first).ok_or(Fault::Truncated)?;
        if fill == 0 {
            return Err(Fault::WrongHeader);
        }
        // These have no length, and no place here: a stuffed byte, TEM, RST, SOI, EOI.
        if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd7 | SOI | EOI) {
            return Err(Fault::OutOfRange("a marker before the coded data"));
        }
        let (length, _) = rest.split_first_chunk::<2>().ok_or(Fault::Truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (segment, behind) = rest.split_at_checked(length).ok_or(Fault::Truncated)?;
        let body = segment.get(2..).ok_or(Fault::OutOfRange("the length of a segment"))?;
        Ok(Self { marker, body, behind, filled: fill > 1 })
    }
}

impl<'a> Draft<'a> {
    /// T.81 B.2.4.1.
    fn quantisation(&mut self, mut body: &'a [u8]) -> Result<(), Fault> {
        while let Some((&which, rest)) = body.split_first() {
            if which >> 4 != 0 {
                return Err(Fault::Unsupported("a quantisation table of 16 bits"));
            }
            let slot = self.quantisation.get_mut(usize::from(which));
            let slot = slot.ok_or(Fault::OutOfRange("the number of a quantisation table"))?;
            let (table, rest) = rest.split_first_chunk::<64>().ok_or(Fault::Truncated)?;
            if table.contains(&0) {
                return Err(Fault::OutOfRange("a quantisation value"));
            }
            *slot = Some(table);
            body = rest;
        }
        Ok(())
    }

    /// T.81 B.2.4.2.
    fn huffman(&mut self, mut body: &'a [u8]) -> Result<(), Fault> {
        while let Some((&which, rest)) = body.split_first() {
            let counts = rest.get(..16).ok_or(Fault::Truncated)?;
            let values: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let (table, rest) = rest.split_at_checked(16 + values).ok_or(Fault::Truncated)?;
            let (slots, luma, chroma): (_, &[u8], &[u8]) = match which >> 4 {
                0 => (&mut self.dc, &tables::LUMA_DC, &tables::CHROMA_DC),
                1 => (&mut self.ac, &tables::LUMA_AC, &tables::CHROMA_AC),
                _ => return Err(Fault::OutOfRange("the class of a Huffman table")),
            };
            let slot = slots.get_mut(usize::from(which & 0xf));
            let slot = slot.ok_or(Fault::OutOfRange("the number of a Huffman table"))?;
            *slot = Some(match table {
                table if table == luma => Plane::Luma,
                table if table == chroma => Plane::Chroma,
                _ => return Err(Fault::Unsupported("a Huffman table that is not the typical one")),
            });
            body = rest;
        }
        Ok(())
    }

    /// T.81 B.2.4.4.
    fn restart(&mut self, body: &[u8]) -> Result<(), Fault> {
        let interval: [u8; 2] =
            body.try_into().map_err(|_| Fault::OutOfRange("the length of a segment"))?;
        self.restart_interval = u16::from_be_bytes(interval);
        Ok(())
    }

    /// T.81 B.2.2.
    fn frame(&mut self, body: &[u8]) -> Result<(), Fault> {
        let (fixed, components) = body.split_first_chunk::<6>().ok_or(Fault::Truncated)?;
        let [precision, h0, h1, w0, w1, count] = *fixed;
        if self.frame.is_some() {
            return Err(Fault::Unsupported("a second frame"));
        }
        if precision != 8 {
            return Err(Fault::Unsupported("a depth but 8 bits"));
        }
        if count != 3 {
            return Err(Fault::Unsupported("a number of components but 3"));
        }
        let components: &[u8; 9] =
            components.try_into().map_err(|_| Fault::OutOfRange("the length of a segment"))?;
        let [a, luma, qa, b, chroma_b, qb, c, chroma_c, qc] = *components;
        if a == b || b == c || a == c {
            return Err(Fault::OutOfRange("the number of a component"));
        }
        let sampling = match (luma, chroma_b, chroma_c) {
            (0x21, 0x11, 0x11) => JpegSampling::Yuv422,
            (0x22, 0x11, 0x11) => JpegSampling::Yuv420,
            _ => return Err(Fault::Unsupported("a sampling but 4:2:0 and 4:2:2")),
        };
        let size =
            JpegParameters::checked(u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]))?;
        self.frame = Some(Frame { size, sampling, ids: [a, b, c], tables: [qa, qb, qc] });
        Ok(())
    }

    /// T.81 B.2.3: one scan of all three components.
    fn finish(self, scan: &[u8]) -> Result<JpegHead, Fault> {
        let frame = self.frame.as_ref().ok_or(Fault::OutOfRange("a scan without a frame"))?;
        let scan: &[u8; 10] =
            scan.try_into().map_err(|_| Fault::Unsupported("a scan of some components"))?;
        let [count, a, ta, b, tb, c, tc, first, last, bits] = *scan;
        if (count, [a, b, c]) != (3, frame.ids) {
            return Err(Fault::Unsupported("a scan of some components"));
        }
        if (first, last, bits) != (0, 63, 0) {
            return Err(Fault::Unsupported("a scan of some coefficients"));
        }
        for (tables, plane) in [(ta, Plane::Luma), (tb, Plane::Chroma), (tc, Plane::Chroma)] {
            let of = |slots: &[Option<Plane>; 4], which| {
                slots.get(usize::from(which)).copied().flatten() == Some(plane)
            };
            if !of(&self.dc, tables >> 4) || !of(&self.ac, tables & 0xf) {
                return Err(Fault::Unsupported("another Huffman table than the typical one"));
            }
        }
        let [qa, qb, qc] = frame.tables.map(|which| {
            let table = self.quantisation.get(usize::from(which)).copied().flatten();
            table.ok_or(Fault::Dangling("quantisation table"))
        });
        let (luma, chroma) = (*qa?, *qb?);
        if chroma != *qc? {
            return Err(Fault::Unsupported("a quantisation table for each colour"));
        }
        Ok(JpegHead {
            size: frame.size,
            sampling: frame.sampling,
            restart_interval: self.restart_interval,
            tables: [luma, chroma],
        })
    }
}
