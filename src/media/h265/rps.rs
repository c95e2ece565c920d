//! st_ref_pic_set (H.265 7.3.7), as far as the length of the next one depends on it.

use crate::media::Fault;
use crate::media::bits::BitReader;
use crate::ops::limits;

/// Pictures of one set, nearest first: before the current one, then behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    before: Vec<Reference>,
    after: Vec<Reference>,
}

/// Distance in picture order, and whether the current picture uses it.
#[derive(Debug, Clone, Copy)]
struct Reference {
    distance: i32,
    used: bool,
}

impl Set {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// How many pictures the current one uses.
    pub(super) fn used(&self) -> usize {
        self.before.iter().chain(&self.after).filter(|r| r.used).count()
    }
}

/// The sets of an SPS.
pub(super) fn parse(r: &mut BitReader<'_>) -> Result<Vec<Set>, Fault> {
    let mut sets: Vec<Set> = Vec::new();
    for _ in 0..r.ue_to(64, "num_short_term_ref_pic_sets")? {
        let set = match sets.last() {
            Some(last) if r.flag()? => predicted(r, last)?,
            Some(_) | None => explicit(r)?,
        };
        sets.push(set);
    }
    Ok(sets)
}

/// The set of one slice, which may build on any of the SPS.
pub(super) fn of_slice(r: &mut BitReader<'_>, sets: &[Set]) -> Result<Set, Fault> {
    if sets.is_empty() || !r.flag()? {
        return explicit(r);
    }
    let back = usize::try_from(r.ue()?).unwrap_or(usize::MAX);
    let from = sets.iter().rev().nth(back).ok_or(Fault::OutOfRange("delta_idx_minus1"))?;
    predicted(r, from)
}

fn explicit(r: &mut BitReader<'_>) -> Result<Set, Fault> {
    let before = r.ue_to(limits::REFERENCE_PICTURES, "num_negative_pics")?;
    let after = r.ue_to(limits::REFERENCE_PICTURES - before, "num_positive_pics")?;
    let mut list = |count: u32, sign: i32| {
        let (mut distance, mut list) = (0, Vec::new());
        for _ in 0..count {
            let step = r.ue_to(0x7fff, "delta_poc_minus1")?;
            distance += sign * (i32::try_from(step).unwrap_or(0) + 1);
            list.push(Reference { distance, used: r.flag()? });
        }
        Ok(list)
    };
    Ok(Set { before: list(before, -1)?, after: list(after, 1)? })
}

fn predicted(r: &mut BitReader<'_>, from: &Set) -> Result<Set, Fault> {
    let negative = r.flag()?;
    let distance = i32::try_from(r.ue_to(0x7fff, "abs_delta_rps_minus1")?).unwrap_or(0) + 1;
    let shift = if negative { -distance } else { distance };
    // One entry for each old picture, and one for the picture that the old set belonged to.
    let mut shifted = Vec::with_capacity(from.len() + 1);
    let own = Reference { distance: 0, used: false };
    for old in from.before.iter().chain(&from.after).chain([&own]) {
        let used = r.flag()?;
        let kept = used || r.flag()?;
        shifted.push(kept.then_some(Reference { distance: old.distance + shift, used }));
    }
    // In the order of (7-61) and (7-62): which list an old picture falls into depends on its new sign.
    let (old, own) = shifted.split_at(from.len());
    let (before, after) = old.split_at_checked(from.before.len()).ok_or(Fault::Truncated)?;
    let kept = |list: &[&Option<Reference>], sign: i32| -> Vec<Reference> {
        list.iter().filter_map(|r| **r).filter(|r| r.distance * sign > 0).collect()
    };
    let downward: Vec<_> = after.iter().rev().chain(own).chain(before).collect();
    let upward: Vec<_> = before.iter().rev().chain(own).chain(after).collect();
    let set = Set { before: kept(&downward, -1), after: kept(&upward, 1) };
    let most = usize::try_from(limits::REFERENCE_PICTURES).unwrap_or(0);
    if set.len() > most { Err(Fault::OutOfRange("a short-term reference set")) } else { Ok(set) }
}
