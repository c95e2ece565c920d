//! H.264 and H.265: which NAL units go on, and parameter sets in band.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::nals::{self, Exactness};
use super::{Clean, DropCounts, DropReason};
use crate::media::{Codec, H264Parameters, H265Parameters, Track, h264, h265};

/// State of a video track.
#[derive(Debug)]
pub(super) struct Video {
    codec: VideoCodec,
    gate: Gate,
}

/// Whether units pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Parameters were refused: the units behind cannot be decoded with those that are known.
    UntilRandomAccess,
}

/// The checks of one codec with the parameters now in force.
#[derive(Debug, Clone)]
pub(super) enum VideoCodec {
    H264(h264::SliceRules),
    H265(Box<h265::SliceRules>),
}

/// Whether a unit says that a decoder may start at it though it is no IDR picture (H.264). Encoders with
/// open groups of pictures send no IDR picture but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recovery {
    Unsaid,
    SaidByCamera,
    /// In our words, and before the slices.
    SaidByUs,
}

/// What a NAL unit is to the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nal {
    Slice(Entry),
    Set(SetKind),
    /// Supplemental enhancement information that may say that a decoder can start here.
    Sei,
    Drop(DropReason),
}

/// Whether a decoder may begin at a picture of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    RandomAccess,
    Dependent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SetKind {
    Vps,
    Sps,
    Pps,
}

/// The parameter sets that a unit brought, one of each kind.
#[derive(Debug, Default)]
struct Sets<'a> {
    vps: Option<&'a [u8]>,
    sps: Option<&'a [u8]>,
    pps: Option<&'a [u8]>,
}

/// The NAL units of an access unit.
struct Sorted<'a> {
    slices: Vec<(Range<usize>, Entry)>,
    sets: Vec<(SetKind, &'a [u8])>,
    recovery: Recovery,
    /// Whether the unit can go on byte for byte.
    exact: Exactness,
}

impl Sorted<'_> {
    /// Whether the next NAL unit is our recovery point, where we put it.
    fn is_ours(&self, nal: &[u8]) -> bool {
        nal == h264::RECOVERY_POINT && self.slices.is_empty() && self.recovery == Recovery::Unsaid
    }
}

impl Video {
    pub(super) fn new(codec: VideoCodec) -> Self {
        Self { codec, gate: Gate::Open }
    }

    pub(super) fn clean(
        &mut self,
        track: &mut Arc<Track>,
        data: Bytes,
        counts: &mut DropCounts,
    ) -> Result<Clean, DropReason> {
        let Sorted { slices, sets, recovery, mut exact } = self.sort(&data, counts)?;
        if !sets.is_empty() {
            self.take_sets(track, &sets, counts)?;
        }
        let kept = self.check_slices(&data, slices, counts, &mut exact)?;
        let is_idr = kept.iter().all(|(_, entry)| *entry == Entry::RandomAccess);
        // A recovery point is believed if no slice needs another picture.
        let is_intra = |place: &Range<usize>| data.get(place.clone()).is_some_and(h264::is_intra);
        let recovers = recovery != Recovery::Unsaid
            && !is_idr
            && kept.iter().all(|(place, _)| is_intra(place));
        let random_access = is_idr || recovers;
        if recovery == Recovery::SaidByUs && !recovers {
            counts.add(DropReason::Sei);
            exact = Exactness::Changed;
        }
        match (self.gate, random_access) {
            (Gate::Open, _) => {}
            (Gate::UntilRandomAccess, true) => self.gate = Gate::Open,
            (Gate::UntilRandomAccess, false) => return Err(DropReason::AwaitingRandomAccess),
        }
        let data = match exact {
            Exactness::Exact => data,
            // The camera's words do not go on, ours say the same.
            Exactness::Changed if recovers => reframe(&h264::RECOVERY_POINT, &data, &kept),
            Exactness::Changed => reframe(&[], &data, &kept),
        };
        Ok(Clean { track: Arc::clone(track), random_access, data })
    }

    /// Tells what each NAL unit is, and counts what does not go on.
    fn sort<'a>(&self, data: &'a [u8], counts: &mut DropCounts) -> Result<Sorted<'a>, DropReason> {
        let nals = nals::walk(data)?;
        nals.dropped.iter().for_each(|reason| counts.add(*reason));
        let mut sorted = Sorted {
            slices: Vec::with_capacity(nals.places.len()),
            sets: Vec::new(),
            recovery: Recovery::Unsaid,
            exact: nals.exact,
        };
        for place in nals.places {
            let nal = data.get(place.clone()).unwrap_or_default();
            let dropped = match self.codec.classify(nal) {
                Nal::Slice(entry) => {
                    sorted.slices.push((place, entry));
                    continue;
                }
                Nal::Set(kind) => {
                    sorted.sets.push((kind, nal));
                    None
                }
                Nal::Sei if sorted.is_ours(nal) => {
                    sorted.recovery = Recovery::SaidByUs;
                    continue;
                }
                Nal::Sei => {
                    if sorted.recovery == Recovery::Unsaid && h264::recovers_at_once(nal) {
                        sorted.recovery = Recovery::SaidByCamera;
                    }
                    Some(DropReason::Sei)
                }
                Nal::Drop(reason) => Some(reason),
            };
            dropped.into_iter().for_each(|reason| counts.add(reason));
            sorted.exact = Exactness::Changed;
        }
        Ok(sorted)
    }

    /// Drops the slices whose headers are unlawful.
    fn check_slices(
        &self,
        data: &[u8],
        slices: Vec<(Range<usize>, Entry)>,
        counts: &mut DropCounts,
        exact: &mut Exactness,
    ) -> Result<Vec<(Range<usize>, Entry)>, DropReason> {
        let mut kept = Vec::with_capacity(slices.len());
        let mut previous = None;
        for (place, entry) in slices {
            match self.codec.check(data.get(place.clone()).unwrap_or_default(), previous) {
                Some(at) => {
                    previous = Some(at);
                    kept.push((place, entry));
                }
                None => {
                    counts.add(DropReason::BadSlice);
                    *exact = Exactness::Changed;
                }
            }
        }
        if kept.is_empty() { Err(DropReason::NoPicture) } else { Ok(kept) }
    }

    /// Checks parameter sets in band; puts them in force if they are new, lawful and compatible.
    fn take_sets(
        &mut self,
        track: &mut Arc<Track>,
        sets: &[(SetKind, &[u8])],
        counts: &mut DropCounts,
    ) -> Result<(), DropReason> {
        let chosen = self.codec.choose(sets, counts);
        let taken = match self.codec.with(&track.codec, &chosen) {
            Some((codec, _)) if codec == track.codec => {
                if chosen.differs(&codec) {
                    // Lawful as far as the last element, with something behind it.
                    counts.add(DropReason::TrailingBytes);
                }
                return Ok(());
            }
            Some((codec, checks)) => self.put_in_force(track, codec, checks),
            None => Err(DropReason::UnlawfulParameters),
        };
        taken.inspect_err(|_| self.gate = Gate::UntilRandomAccess)
    }

    pub(super) fn replace(
        &mut self,
        track: &mut Arc<Track>,
        codec: Codec,
    ) -> Result<(), DropReason> {
        if codec == track.codec {
            return Ok(());
        }
        let taken = match VideoCodec::new(&codec) {
            Some(checks) => self.put_in_force(track, codec, checks),
            None => Err(DropReason::UnlawfulParameters),
        };
        taken.inspect_err(|_| self.gate = Gate::UntilRandomAccess)
    }

    fn put_in_force(
        &mut self,
        track: &mut Arc<Track>,
        codec: Codec,
        checks: VideoCodec,
    ) -> Result<(), DropReason> {
        let new = Track { id: track.id, codec, clock_rate: track.clock_rate };
        if !track.is_compatible(&new) {
            return Err(DropReason::IncompatibleParameters);
        }
        *track = Arc::new(new);
        self.codec = checks;
        Ok(())
    }
}

impl VideoCodec {
    /// The checks for `codec`; none if its parameters are unlawful or it is no video.
    pub(super) fn new(codec: &Codec) -> Option<Self> {
        match codec {
            Codec::H264(p) => {
                let (parsed, rules) = H264Parameters::with_rules(&p.sps, &p.pps).ok()?;
                (parsed == *p).then_some(Self::H264(rules))
            }
            Codec::H265(p) => {
                let (parsed, rules) = H265Parameters::with_rules(&p.vps, &p.sps, &p.pps).ok()?;
                (parsed == *p).then(|| Self::H265(Box::new(rules)))
            }
            Codec::Jpeg(_)
            | Codec::Aac(_)
            | Codec::Pcma { .. }
            | Codec::Pcmu { .. }
            | Codec::G726(_)
            | Codec::L16 { .. } => None,
        }
    }

    fn classify(&self, nal: &[u8]) -> Nal {
        match self {
            Self::H264(_) => classify_h264(nal),
            Self::H265(_) => classify_h265(nal),
        }
    }

    fn check(&self, slice: &[u8], previous: Option<u32>) -> Option<u32> {
        match self {
            Self::H264(rules) => rules.check(slice, previous).ok(),
            Self::H265(rules) => rules.check(slice, previous).ok(),
        }
    }

    /// One set of each kind: of several, that with the id in force, or else the last.
    fn choose<'a>(&self, sets: &[(SetKind, &'a [u8])], counts: &mut DropCounts) -> Sets<'a> {
        let mut chosen = Sets::default();
        for (kind, nal) in sets {
            let slot = match kind {
                SetKind::Vps => &mut chosen.vps,
                SetKind::Sps => &mut chosen.sps,
                SetKind::Pps => &mut chosen.pps,
            };
            let in_force = |nal: &[u8]| *kind == SetKind::Pps && self.is_pps_in_force(nal);
            let left_out = match *slot {
                Some(old) if in_force(old) && !in_force(nal) => Some(*nal),
                Some(_) | None => slot.replace(nal),
            };
            if left_out.is_some() && left_out != *slot {
                counts.add(DropReason::OtherParameterSet);
            }
        }
        chosen
    }

    fn is_pps_in_force(&self, nal: &[u8]) -> bool {
        match self {
            Self::H264(rules) => h264::pps_id(nal) == Some(rules.pps_id()),
            Self::H265(rules) => h265::pps_id(nal) == Some(rules.pps_id()),
        }
    }

    /// `codec` with those of `sets` that came, parsed; none if they are unlawful.
    fn with(&self, codec: &Codec, sets: &Sets<'_>) -> Option<(Codec, Self)> {
        match codec {
            Codec::H264(p) => {
                let (sps, pps) = (sets.sps.unwrap_or(&p.sps), sets.pps.unwrap_or(&p.pps));
                if sps == p.sps && pps == p.pps {
                    return Some((codec.clone(), self.clone()));
                }
                let (p, rules) = H264Parameters::with_rules(sps, pps).ok()?;
                Some((Codec::H264(p), Self::H264(rules)))
            }
            Codec::H265(p) => {
                let vps = sets.vps.unwrap_or(&p.vps);
                let (sps, pps) = (sets.sps.unwrap_or(&p.sps), sets.pps.unwrap_or(&p.pps));
                if vps == p.vps && sps == p.sps && pps == p.pps {
                    return Some((codec.clone(), self.clone()));
                }
                let (p, rules) = H265Parameters::with_rules(vps, sps, pps).ok()?;
                Some((Codec::H265(p), Self::H265(Box::new(rules))))
            }
            Codec::Jpeg(_)
            | Codec::Aac(_)
            | Codec::Pcma { .. }
            | Codec::Pcmu { .. }
            | Codec::G726(_)
            | Codec::L16 { .. } => None,
        }
    }
}

impl Sets<'_> {
    /// Whether a set that came is not byte for byte that of `codec`.
    fn differs(&self, codec: &Codec) -> bool {
        let differ = |came: Option<&[u8]>, kept: &[u8]| came.is_some_and(|came| came != kept);
        match codec {
            Codec::H264(p) => differ(self.sps, &p.sps) || differ(self.pps, &p.pps),
            Codec::H265(p) => {
                differ(self.vps, &p.vps) || differ(self.sps, &p.sps) || differ(self.pps, &p.pps)
            }
            Codec::Jpeg(_)
            | Codec::Aac(_)
            | Codec::Pcma { .. }
            | Codec::Pcmu { .. }
            | Codec::G726(_)
            | Codec::L16 { .. } => false,
        }
    }
}

/// nal_unit_type of H.264 table 7-1.
fn classify_h264(nal: &[u8]) -> Nal {
    let header = nal.first().copied().unwrap_or(0x80);
    if header & 0x80 != 0 {
        return Nal::Drop(DropReason::BadNalHeader);
    }
    match header & 0x1f {
        1 => Nal::Slice(Entry::Dependent),
        5 => Nal::Slice(Entry::RandomAccess),
        2..=4 => Nal::Drop(DropReason::DataPartition),
        6 => Nal::Sei,
        7 => Nal::Set(SetKind::Sps),
        8 => Nal::Set(SetKind::Pps),
        9 => Nal::Drop(DropReason::Delimiter),
        10 | 11 => Nal::Drop(DropReason::EndOfSequence),
        12 => Nal::Drop(DropReason::Filler),
        _ => Nal::Drop(DropReason::UnknownNal),
    }
}

/// nal_unit_type of H.265 table 7-1.
fn classify_h265(nal: &[u8]) -> Nal {
    let [first, second, ..] = nal else { return Nal::Drop(DropReason::BadNalHeader) };
    let layer = (first & 1) << 5 | second >> 3;
    let temporal_id_plus1 = second & 7;
    if first & 0x80 != 0 || layer != 0 || temporal_id_plus1 == 0 {
        return Nal::Drop(DropReason::BadNalHeader);
    }
    match first >> 1 {
        0..=9 => Nal::Slice(Entry::Dependent),
        // Random access points are of temporal layer 0.
        16..=21 if temporal_id_plus1 == 1 => Nal::Slice(Entry::RandomAccess),
        16..=21 => Nal::Drop(DropReason::BadNalHeader),
        32 => Nal::Set(SetKind::Vps),
        33 => Nal::Set(SetKind::Sps),
        34 => Nal::Set(SetKind::Pps),
        35 => Nal::Drop(DropReason::Delimiter),
        36 | 37 => Nal::Drop(DropReason::EndOfSequence),
        38 => Nal::Drop(DropReason::Filler),
        39 | 40 => Nal::Drop(DropReason::Sei),
        _ => Nal::Drop(DropReason::UnknownNal),
    }
}

/// `first`, if it is not empty, and the `slices`, each behind its length.
fn reframe(first: &[u8], data: &[u8], slices: &[(Range<usize>, Entry)]) -> Bytes {
    let first = if first.is_empty() { None } else { Some(first) };
    let kept = slices.iter().map(|(place, _)| data.get(place.clone()).unwrap_or_default());
    let nals = || first.into_iter().chain(kept.clone());
    let mut out = BytesMut::with_capacity(nals().map(|nal| 4 + nal.len()).sum());
    for nal in nals() {
        // Access units are far below 4 GiB.
        out.put_u32(u32::try_from(nal.len()).unwrap_or(0));
        out.put_slice(nal);
    }
    out.freeze()
}
