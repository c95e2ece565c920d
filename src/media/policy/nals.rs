//! NAL units of one access unit: behind lengths, and behind start codes where a camera left some.

use std::ops::Range;

use memchr::memmem::Finder;

use super::DropReason;
use crate::ops::limits;

/// Bytes behind a pair of zeros that are looked at one by one.
const NEAR: usize = 32;

/// Where the NAL units of an access unit lie.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Nals {
    /// Without lengths, start codes and trailing zeros; none is empty.
    pub(super) places: Vec<Range<usize>>,
    /// What was left out on the way.
    pub(super) dropped: Vec<DropReason>,
    /// Whether `places` behind 4-byte lengths are the access unit byte for byte.
    pub(super) exact: Exactness,
}

/// Whether something was left out or has to be framed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Exactness {
    #[default]
    Exact,
    Changed,
}

/// Walks 4-byte lengths. Refuses a unit that is too large, has too many NAL units, or ends within one.
pub(super) fn walk(unit: &[u8]) -> Result<Nals, DropReason> {
    if unit.len() > limits::ACCESS_UNIT_BYTES {
        return Err(DropReason::TooLarge);
    }
    let zeros = Finder::new(&[0, 0]);
    let mut nals = Nals::default();
    let mut at = 0;
    while at < unit.len() {
        let rest = unit.get(at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(DropReason::BadFraming)?;
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_| DropReason::BadFraming)?;
        let nal = rest.get(..length).ok_or(DropReason::BadFraming)?;
        at += 4;
        if nal.is_empty() {
            nals.leave_out(DropReason::BadFraming)?;
        } else {
            nals.split(nal, at, &zeros)?;
        }
        at += length;
    }
    if nals.places.is_empty() { Err(DropReason::BadFraming) } else { Ok(nals) }
}

impl Nals {
    /// Also what is left out is bounded: a length of zero costs its sender four bytes only.
    fn leave_out(&mut self, reason: DropReason) -> Result<(), DropReason> {
        if self.dropped.len() == limits::ACCESS_UNIT_NALS {
            return Err(DropReason::TooManyNals);
        }
        self.dropped.push(reason);
        self.exact = Exactness::Changed;
        Ok(())
    }

    /// Cuts `nal`, which begins at `base`, at start codes; leaves it out if it holds another sequence
    /// that no NAL unit may hold.
    fn split(&mut self, nal: &[u8], base: usize, zeros: &Finder<'_>) -> Result<(), DropReason> {
        let (mut start, mut from) = (0, 0);
        while let Some(hit) = next_zeros(nal, from, zeros) {
            let run = nal.get(hit..).unwrap_or_default().iter().take_while(|b| **b == 0).count();
            let after = hit + run;
            match nal.get(after) {
                Some(1) => {
                    self.add(nal, start..hit, base)?;
                    self.exact = Exactness::Changed;
                    start = after + 1;
                }
                // Zeros up to the end are cut off with the rest below.
                None => {}
                Some(3) if run == 2 => {}
                Some(byte) if run > 2 || *byte <= 2 => {
                    return self.leave_out(DropReason::ForbiddenBytes);
                }
                Some(_) => {}
            }
            from = after + 1;
        }
        self.add(nal, start..nal.len(), base)
    }

    fn add(&mut self, nal: &[u8], place: Range<usize>, base: usize) -> Result<(), DropReason> {
        let whole = nal.get(place.clone()).unwrap_or_default();
        let kept = trim(whole).len();
        if kept < whole.len() {
            self.leave_out(DropReason::TrailingBytes)?;
        }
        if kept == 0 {
            return Ok(());
        }
        if self.places.len() == limits::ACCESS_UNIT_NALS {
            return Err(DropReason::TooManyNals);
        }
        let start = base + place.start;
        self.places.push(start..start + kept);
        Ok(())
    }
}

/// Where the next two zero bytes from `from` on begin. To begin a search costs as much as to look at tens of bytes, and
/// where one pair is the next is often near.
fn next_zeros(nal: &[u8], from: usize, zeros: &Finder<'_>) -> Option<usize> {
    let near = if from == 0 { 0 } else { NEAR };
    let rest = nal.get(from..)?;
    let first = rest.get(..near).unwrap_or(rest);
    if let Some(at) = first.windows(2).position(|pair| pair == [0, 0]) {
        return Some(from + at);
    }
    // The last of those may be the first of a pair.
    let skipped = first.len().saturating_sub(1);
    let at = zeros.find(rest.get(skipped..)?)?;
    Some(from + skipped + at)
}

/// Without trailing zero bytes and cabac_zero_words (H.264 7.3.2.10): they say nothing to a decoder.
fn trim(mut nal: &[u8]) -> &[u8] {
    loop {
        match nal {
            [rest @ .., 0] | [rest @ .., 0, 0, 3] => nal = rest,
            _ => return nal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter()
            .flat_map(|n| [&u32::try_from(n.len()).unwrap().to_be_bytes(), *n].concat())
            .collect()
    }

    fn split(nal: &[u8]) -> (Vec<Vec<u8>>, Vec<DropReason>, Exactness) {
        let unit = framed(&[nal, &[9]]);
        let nals = walk(&unit).unwrap();
        let mut parts: Vec<_> = nals.places.iter().map(|p| unit[p.clone()].to_vec()).collect();
        assert_eq!(parts.pop(), Some(vec![9]));
        (parts, nals.dropped, nals.exact)
    }

    #[test]
    fn lawful_units_stay_as_they_are() {
        let unit = framed(&[&[1, 2, 0, 0, 3, 1], &[7], &[1, 0, 0, 4, 0, 0, 3, 3]]);
        let nals = walk(&unit).unwrap();
        assert_eq!(nals.places, [4..10, 14..15, 19..27]);
        assert_eq!((nals.dropped, nals.exact), (vec![], Exactness::Exact));
    }

    #[test]
    fn start_codes_divide() {
        use DropReason::{ForbiddenBytes, TrailingBytes};
        for (nal, parts, dropped) in [
            (&[1, 2, 0, 0, 1, 3][..], vec![vec![1, 2], vec![3]], vec![]),
            (&[1, 2, 0, 0, 0, 0, 1, 3], vec![vec![1, 2], vec![3]], vec![]),
            (&[0, 0, 0, 1, 3, 3], vec![vec![3, 3]], vec![]),
            (&[1, 0, 0, 1], vec![vec![1]], vec![]),
            (&[1, 0], vec![vec![1]], vec![TrailingBytes]),
            (&[1, 0, 0, 0], vec![vec![1]], vec![TrailingBytes]),
            (&[1, 0, 0, 3, 0, 0, 3], vec![vec![1]], vec![TrailingBytes]),
            (&[0, 0, 0], vec![], vec![TrailingBytes]),
            (&[1, 0, 0, 2, 1], vec![], vec![ForbiddenBytes]),
            (&[1, 0, 0, 0, 5], vec![], vec![ForbiddenBytes]),
            (&[1, 0, 0, 0, 3], vec![], vec![ForbiddenBytes]),
        ] {
            assert_eq!(split(nal), (parts, dropped, Exactness::Changed), "{nal:?}");
        }
    }

    #[test]
    fn no_start_code_is_overlooked_behind_another_pair_of_zeros() {
        for between in 0..3 * NEAR {
            let nal = [&[1, 0, 0, 3][..], &vec![5; between], &[0, 0, 1, 7]].concat();
            let first = nal[..4 + between].to_vec();
            // Zeros behind an emulation prevention byte that nothing follows are cut off with it.
            let first = if between == 0 { vec![1] } else { first };
            let (parts, _, exact) = split(&nal);
            assert_eq!((parts, exact), (vec![first, vec![7]], Exactness::Changed), "{between}");
        }
    }

    #[test]
    fn framing_must_add_up() {
        for bad in [&[][..], &[0, 0, 0], &[0, 0, 0, 2, 1], &[0, 0, 0, 0], &[255; 40]] {
            assert_eq!(walk(bad), Err(DropReason::BadFraming), "{bad:?}");
        }
        let unit = framed(&[&[], &[1]]);
        assert_eq!(walk(&unit).unwrap().dropped, [DropReason::BadFraming]);
    }

    #[test]
    fn bytes_and_nal_units_are_limited() {
        let mut unit = framed(&[&vec![1; limits::ACCESS_UNIT_BYTES - 4]]);
        assert!(walk(&unit).is_ok());
        unit.push(1);
        assert_eq!(walk(&unit), Err(DropReason::TooLarge));
        let most = framed(&vec![&[1][..]; limits::ACCESS_UNIT_NALS]);
        assert!(walk(&most).is_ok());
        let more = framed(&vec![&[1][..]; limits::ACCESS_UNIT_NALS + 1]);
        assert_eq!(walk(&more), Err(DropReason::TooManyNals));
        // Those left out count as well.
        for nothing in [&[][..], &[0], &[1, 0, 0, 2, 1]] {
            let most = [&vec![nothing; limits::ACCESS_UNIT_NALS][..], &[&[1]]].concat();
            assert!(walk(&framed(&most)).is_ok(), "{nothing:?}");
            let more = [&[nothing], &most[..]].concat();
            assert_eq!(walk(&framed(&more)), Err(DropReason::TooManyNals), "{nothing:?}");
        }
        // Hidden behind start codes they count as well.
        let more = framed(&[&[1, 0, 0, 1].repeat(limits::ACCESS_UNIT_NALS + 1)]);
        assert_eq!(walk(&more), Err(DropReason::TooManyNals));
    }
}
