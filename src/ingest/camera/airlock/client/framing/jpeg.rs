//! The payload of RTP/JPEG packets (RFC 2435 3.1): all that the depacketiser would refuse a session for, or take for
//! something else than it is.

use super::Bad;
use crate::ingest::camera::airlock::JpegForm;

/// What a packet says of its picture, and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Type, Q, width and height: the same in each packet of a picture.
    pub(super) picture: [u8; 4],
    /// Coded bytes before this packet's.
    pub(super) offset: usize,
    /// Coded bytes in it.
    pub(super) length: usize,
}

impl Piece {
    pub(super) fn read(payload: &[u8]) -> Result<Self, Bad> {
        let (main, mut rest) = payload.split_first_chunk::<8>().ok_or(Bad::Broken)?;
        let [specific, o1, o2, o3, kind, q, width, height] = *main;
        if specific != 0 {
            return Err(Bad::Form(JpegForm::Interlaced));
        }
        match kind {
            0 | 1 => {}
            64 | 65 => rest = rest.get(4..).ok_or(Bad::Broken)?,
            _ => return Err(Bad::Form(JpegForm::Sampling)),
        }
        if width == 0 || height == 0 {
            return Err(Bad::Form(JpegForm::Side));
        }
        let offset = u32::from_be_bytes([0, o1, o2, o3]);
        match q {
            1..=99 => {}
            128.. if offset == 0 => rest = behind_tables(rest)?,
            128.. => {}
            0 | 100..=127 => return Err(Bad::Form(JpegForm::Tables)),
        }
        let offset = usize::try_from(offset).map_err(|_| Bad::Broken)?;
        Ok(Self { picture: [kind, q, width, height], offset, length: rest.len() })
    }
}

/// Both tables of 8 bits must be there: the depacketiser remembers none, and of more it makes a mess.
fn behind_tables(rest: &[u8]) -> Result<&[u8], Bad> {
    let (header, rest) = rest.split_first_chunk::<4>().ok_or(Bad::Broken)?;
    let [_, precision, l0, l1] = *header;
    if precision != 0 || u16::from_be_bytes([l0, l1]) != 128 {
        return Err(Bad::Form(JpegForm::Tables));
    }
    rest.get(128..).ok_or(Bad::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_TABLES: [u8; 12] = [0, 0, 0, 0, 1, 255, 80, 45, 0, 0, 0, 128];

    fn first() -> Vec<u8> {
        [&WITH_TABLES[..], &[9; 128], b"coded"].concat()
    }

    fn changed(at: usize, byte: u8) -> Result<Piece, Bad> {
        let mut payload = first();
        payload[at] = byte;
        Piece::read(&payload)
    }

    #[test]
    fn headers_end_where_the_coded_data_begins() {
        let picture = [1, 255, 80, 45];
        assert_eq!(Piece::read(&first()), Ok(Piece { picture, offset: 0, length: 5 }));
        let later = [0, 1, 2, 3, 1, 255, 80, 45, 7, 7];
        assert_eq!(Piece::read(&later), Ok(Piece { picture, offset: 0x01_0203, length: 2 }));
        let fixed = [0, 0, 0, 0, 0, 99, 80, 45, 7];
        let picture = [0, 99, 80, 45];
        assert_eq!(Piece::read(&fixed), Ok(Piece { picture, offset: 0, length: 1 }));
        let restarts = [0, 0, 0, 9, 65, 255, 80, 45, 0, 4, 0xff, 0xff, 7];
        let picture = [65, 255, 80, 45];
        assert_eq!(Piece::read(&restarts), Ok(Piece { picture, offset: 9, length: 1 }));
        for payload in [&first()[..12 + 128], &later[..8], &fixed[..8], &restarts[..12]] {
            assert_eq!(Piece::read(payload).map(|piece| piece.length), Ok(0));
            for end in 0..payload.len() {
                assert_eq!(Piece::read(&payload[..end]), Err(Bad::Broken), "{end}");
            }
        }
    }

    #[test]
    fn kinds_that_are_not_taken_have_names() {
        let form = |form| Err(Bad::Form(form));
        for specific in [1, 2, 3, 255] {
            assert_eq!(changed(0, specific), form(JpegForm::Interlaced));
        }
        for kind in [2, 63, 66, 127, 128, 255] {
            assert_eq!(changed(4, kind), form(JpegForm::Sampling));
        }
        for q in [0, 100, 127] {
            assert_eq!(changed(5, q), form(JpegForm::Tables));
        }
        assert_eq!(changed(6, 0), form(JpegForm::Side));
        assert_eq!(changed(7, 0), form(JpegForm::Side));
        // Tables of 16 bits; more, fewer, none.
        for (at, byte) in [(9, 1), (9, 3), (10, 1), (11, 129), (11, 64), (11, 0)] {
            assert_eq!(changed(at, byte), form(JpegForm::Tables));
        }
        assert!(changed(8, 1).is_ok(), "must be zero, and nobody looks");
    }
}
