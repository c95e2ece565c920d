//! How access units lie in RTP payloads, per coding: enough to drop what the depacketiser would
//! refuse a whole session for, and to count what it will have to hold.

#[cfg(test)]
mod tests;

mod jpeg;

use memchr::memchr;

use self::jpeg::Piece;
use crate::ingest::camera::airlock::{Encoding, JpegForm};
use crate::ops::limits;

/// What a payload turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checked {
    /// NAL units (or audio frames) that begin in it.
    pub(super) units: u32,
    /// The marker as it must be.
    pub(super) marker: bool,
    /// The end of a fragmented unit before it is missing.
    pub(super) torn: bool,
}

/// Why a payload is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// It breaks the payload format.
    Broken,
    /// It goes on with a fragment that never began here: normal after a loss, and when joining.
    Orphan,
    /// A JPEG picture of a kind that is not taken.
    Form(JpegForm),
}

/// Follows the fragments of one track.
#[derive(Debug)]
pub(super) struct Framing {
    encoding: Encoding,
    fragment: Option<Fragment>,
}

/// A fragmented unit in progress.
#[derive(Debug, Clone, Copy)]
struct Fragment {
    timestamp: u32,
    scan: Scan,
    /// AAC: size of the frame. AAC and JPEG: bytes seen.
    size: usize,
    seen: usize,
    /// JPEG: what each packet of the picture repeats.
    picture: [u8; 4],
}

impl Fragment {
    fn new(timestamp: u32) -> Self {
        Self { timestamp, scan: Scan::Off, size: 0, seen: 0, picture: [0; 4] }
    }
}

impl Framing {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, fragment: None }
    }

    /// Forgets a fragment in progress, after packets were lost.
    pub(super) fn lose(&mut self) {
        self.fragment = None;
    }

    pub(super) fn check(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
    ) -> Result<Checked, Bad> {
        let torn = self.fragment.is_some_and(|f| f.timestamp != timestamp);
        if torn {
            self.fragment = None;
        }
        let before = self.fragment.take();
        let checked = match self.encoding {
            Encoding::H264 => self.h264(payload, timestamp, marker, before),
            Encoding::H265 => self.h265(payload, timestamp, marker, before),
            Encoding::Jpeg => self.jpeg(payload, timestamp, marker, before),
            Encoding::Aac => self.aac(payload, timestamp, marker, before),
            Encoding::Pcma | Encoding::Pcmu => samples(payload, 1, marker),
            Encoding::G726(g726) => samples(payload, g726.group().bytes, marker),
            Encoding::L16 => samples(payload, 2, marker),
        }?;
        Ok(Checked { torn: checked.torn || torn, ..checked })
    }

    /// RFC 6184, packetization modes 0 and 1.
    fn h264(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
        before: Option<Fragment>,
    ) -> Result<Checked, Bad> {
        let (&first, rest) = payload.split_first().ok_or(Bad::Broken)?;
        if first & 0x80 != 0 {
            return Err(Bad::Broken);
        }
        match first & 0x1f {
            1..=23 => {
                let units = Scan::header().run(payload)?;
                Ok(Checked { units, marker, torn: before.is_some() })
            }
            24 => {
                let units = aggregate(rest, |nal| Scan::header().run(nal))?;
                Ok(Checked { units, marker, torn: before.is_some() })
            }
            28 => {
                let (&header, body) = rest.split_first().ok_or(Bad::Broken)?;
                self.fragment(header, body, timestamp, marker, before, Scan::body())
            }
            _ => Err(Bad::Broken),
        }
    }

    /// RFC 7798 without DONL.
    fn h265(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
        before: Option<Fragment>,
    ) -> Result<Checked, Bad> {
        let kind = h265_type(payload)?;
        let rest = payload.get(2..).ok_or(Bad::Broken)?;
        match kind {
            0..=47 => Ok(Checked { units: 1, marker, torn: before.is_some() }),
            48 => {
                let units = aggregate(rest, |nal| h265_type(nal).map(|_| 1))?;
                Ok(Checked { units, marker, torn: before.is_some() })
            }
            49 => {
                let (&header, body) = rest.split_first().ok_or(Bad::Broken)?;
                self.fragment(header, body, timestamp, marker, before, Scan::Off)
            }
            _ => Err(Bad::Broken),
        }
    }

    /// FU-A and FU share the start and end bits.
    fn fragment(
        &mut self,
        header: u8,
        body: &[u8],
        timestamp: u32,
        marker: bool,
        before: Option<Fragment>,
        scan: Scan,
    ) -> Result<Checked, Bad> {
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        if marker && !end {
            return Err(Bad::Broken);
        }
        let (mut fragment, units) = match (start, before) {
            (true, _) => (Fragment { scan, ..Fragment::new(timestamp) }, 1_u32),
            (false, Some(fragment)) => (fragment, 0),
            (false, None) => return Err(Bad::Orphan),
        };
        let more = fragment.scan.run(body)?;
        if !end {
            self.fragment = Some(fragment);
        }
        let torn = start && before.is_some();
        Ok(Checked { units: units.saturating_add(more), marker, torn })
    }

    /// RFC 2435: each packet goes on where the one before ended.
    fn jpeg(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
        before: Option<Fragment>,
    ) -> Result<Checked, Bad> {
        let Piece { picture, offset, length } = Piece::read(payload)?;
        let begins = offset == 0;
        let (seen, torn) = match before {
            before if begins => (0, before.is_some()),
            Some(before) if before.picture != picture => return Err(Bad::Broken),
            Some(before) if before.seen == offset => (before.seen, false),
            Some(_) | None => return Err(Bad::Orphan),
        };
        let seen = seen.saturating_add(length);
        if seen > limits::JPEG_BYTES.saturating_sub(limits::JPEG_HEAD_BYTES) {
            return Err(Bad::Form(JpegForm::Bytes));
        }
        if !marker {
            self.fragment = Some(Fragment { seen, picture, ..Fragment::new(timestamp) });
        }
        Ok(Checked { units: u32::from(begins), marker, torn })
    }

    /// RFC 3640 mode AAC-hbr: 13 bits of size, 3 of index, no interleaving.
    fn aac(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
        before: Option<Fragment>,
    ) -> Result<Checked, Bad> {
        let (bits, rest) = payload.split_first_chunk::<2>().ok_or(Bad::Broken)?;
        let bits = usize::from(u16::from_be_bytes(*bits));
        if bits == 0 || bits & 0xf != 0 {
            return Err(Bad::Broken);
        }
        let (headers, data) = rest.split_at_checked(bits >> 3).ok_or(Bad::Broken)?;
        let (mut size, mut units) = (0_usize, 0_u32);
        for header in headers.chunks_exact(2) {
            let header = u16::from_be_bytes(header.try_into().map_err(|_| Bad::Broken)?);
            if header & 7 != 0 || header == 0 {
                return Err(Bad::Broken);
            }
            size = size.saturating_add(usize::from(header >> 3));
            units = units.saturating_add(1);
        }
        let (seen, fresh) = match before {
            Some(f) if units == 1 && f.size == size => (f.seen.saturating_add(data.len()), false),
            _ => (data.len(), true),
        };
        let torn = before.is_some() && fresh;
        if seen == size {
            // Some cameras forget the marker; a whole frame has one.
            return Ok(Checked { units: if fresh { units } else { 0 }, marker: true, torn });
        }
        if seen > size || units != 1 || marker {
            return Err(Bad::Broken);
        }
        self.fragment = Some(Fragment { size, seen, ..Fragment::new(timestamp) });
        Ok(Checked { units: u32::from(fresh), marker: false, torn })
    }
}

/// Samples that need no neighbour, in pieces of `least` octets: the depacketiser refuses half ones.
fn samples(payload: &[u8], least: usize, marker: bool) -> Result<Checked, Bad> {
    let whole = !payload.is_empty() && payload.len().is_multiple_of(least);
    if whole { Ok(Checked { units: 1, marker, torn: false }) } else { Err(Bad::Broken) }
}

fn h265_type(nal: &[u8]) -> Result<u8, Bad> {
    let (&[first, second], _) = nal.split_first_chunk::<2>().ok_or(Bad::Broken)?;
    if first & 0x80 != 0 || second & 7 == 0 {
        return Err(Bad::Broken);
    }
    Ok(first >> 1 & 0x3f)
}

/// STAP-A and AP: NAL units, each behind a 2-byte length.
fn aggregate(mut rest: &[u8], check: impl Fn(&[u8]) -> Result<u32, Bad>) -> Result<u32, Bad> {
    let mut units = 0_u32;
    loop {
        let (length, tail) = rest.split_first_chunk::<2>().ok_or(Bad::Broken)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (nal, tail) = tail.split_at_checked(length).ok_or(Bad::Broken)?;
        units = units.saturating_add(check(nal)?);
        if tail.is_empty() {
            return Ok(units);
        }
        rest = tail;
    }
}

/// Looks for start codes inside H.264 payloads: some cameras put byte streams (Annex B) where one NAL
/// unit belongs, and the depacketiser splits them, so they must be counted.
#[derive(Debug, Clone, Copy)]
enum Scan {
    /// H.265 and audio: nobody splits.
    Off,
    /// The next byte is a NAL header.
    Header,
    /// Inside a NAL unit, behind so many zero bytes (3: three or more).
    Body(u8),
}

impl Scan {
    fn header() -> Self {
        Self::Header
    }

    fn body() -> Self {
        Self::Body(0)
    }

    /// How many NAL units begin in `bytes`. [`Bad`]: a sequence no byte stream may have.
    fn run(&mut self, mut bytes: &[u8]) -> Result<u32, Bad> {
        let mut units = 0_u32;
        loop {
            match self {
                Self::Off => return Ok(units),
                Self::Header => {
                    let Some((&header, rest)) = bytes.split_first() else { break };
                    if header & 0x80 != 0 {
                        return Err(Bad::Broken);
                    }
                    units = units.saturating_add(1);
                    *self = Self::Body(0);
                    bytes = rest;
                }
                Self::Body(zeros @ 0) => {
                    let Some(at) = memchr(0, bytes) else { break };
                    *zeros = 1;
                    bytes = bytes.get(at.saturating_add(1)..).unwrap_or_default();
                }
                Self::Body(zeros) => {
                    let Some((&byte, rest)) = bytes.split_first() else { break };
                    match (*zeros, byte) {
                        (z, 0) => *zeros = z.saturating_add(1).min(3),
                        (2.., 1) => *self = Self::Header,
                        (2, 2) | (3.., _) => return Err(Bad::Broken),
                        _ => *zeros = 0,
                    }
                    bytes = rest;
                }
            }
        }
        Ok(units)
    }
}
