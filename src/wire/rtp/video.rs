//! H.264 (RFC 6184, packetization mode 1) and H.265 (RFC 7798, no DONL): single NAL unit packets,
//! fragmentation units, and one aggregation packet with the parameter sets.

use super::{Malformed, Marker, PAYLOAD_BYTES, Sink};

/// Length prefix of a NAL unit in an access unit.
const PREFIX_BYTES: usize = 4;
/// Length prefix of a NAL unit in an aggregation packet.
const AGGREGATE_PREFIX_BYTES: usize = 2;
/// Most parameter sets a codec has.
const SETS: usize = 3;

/// What the two payload formats differ in.
pub(super) trait Format {
    /// NAL unit header bytes.
    const NAL_HEADER_BYTES: usize;
    /// Bytes before a fragment: payload header and FU header.
    const FU_BYTES: usize;

    /// What stands before a fragment of a NAL unit whose header begins with `header`, in the first
    /// [`Self::FU_BYTES`] bytes.
    fn fragment_head(header: [u8; 2], place: FragmentPosition) -> [u8; 3];

    /// The payload header of an aggregation packet of units with these headers, in the first
    /// [`Self::NAL_HEADER_BYTES`] bytes.
    fn aggregate_head(headers: impl Iterator<Item = [u8; 2]>) -> [u8; 2];
}

/// A fragment's place in its NAL unit. A unit that fits is never fragmented, so there are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FragmentPosition {
    First,
    Middle,
    Last,
}

impl FragmentPosition {
    /// S and E bits of an FU header, the same in both formats.
    fn bits(self) -> u8 {
        match self {
            Self::First => 0x80,
            Self::Middle => 0,
            Self::Last => 0x40,
        }
    }
}

/// RFC 6184.
pub(super) struct H264;

impl Format for H264 {
    const NAL_HEADER_BYTES: usize = 1;
    const FU_BYTES: usize = 2;

    /// FU indicator with type 28 (FU-A), FU header (5.8).
    fn fragment_head([header, _]: [u8; 2], place: FragmentPosition) -> [u8; 3] {
        [header & 0xe0 | 28, place.bits() | header & 0x1f, 0]
    }

    /// STAP-A (5.7.1): F is the OR, NRI the maximum of those within.
    fn aggregate_head(headers: impl Iterator<Item = [u8; 2]>) -> [u8; 2] {
        let (forbidden, importance) = headers
            .fold((0, 0), |(f, nri), [header, _]| (f | header & 0x80, nri.max(header & 0x60)));
        [forbidden | importance | 24, 0]
    }
}

/// RFC 7798.
pub(super) struct H265;

impl Format for H265 {
    const NAL_HEADER_BYTES: usize = 2;
    const FU_BYTES: usize = 3;

    /// Payload header with type 49 (FU), FU header (4.4.3).
    fn fragment_head([high, low]: [u8; 2], place: FragmentPosition) -> [u8; 3] {
        [high & 0x81 | 49 << 1, low, place.bits() | high >> 1 & 0x3f]
    }

    /// AP (4.4.2): F is the OR, LayerId and TID the minimum of those within.
    fn aggregate_head(headers: impl Iterator<Item = [u8; 2]>) -> [u8; 2] {
        let (forbidden, layer, temporal) =
            headers.fold((0, 63, 7), |(f, layer, tid), [high, low]| {
                (f | high & 0x80, layer.min((high & 1) << 5 | low >> 3), tid.min(low & 7))
            });
        [forbidden | 48 << 1 | layer >> 5, (layer & 0x1f) << 3 | temporal]
    }
}

/// Walks the packets of a picture. `sets` are sent before a random access point.
pub(super) fn packetise<F: Format>(
    sets: &[&[u8]],
    random_access: bool,
    data: &[u8],
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    let mut rest = data;
    let mut nal = take_nal::<F>(&mut rest)?;
    if random_access {
        parameter_sets::<F>(sets, sink)?;
    }
    loop {
        if rest.is_empty() {
            return single_or_fragments::<F>(nal, Marker::Set, sink);
        }
        single_or_fragments::<F>(nal, Marker::Clear, sink)?;
        nal = take_nal::<F>(&mut rest)?;
    }
}

fn take_nal<'a, F: Format>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (prefix, behind) = rest.split_first_chunk::<PREFIX_BYTES>().ok_or(Malformed)?;
    let length = usize::try_from(u32::from_be_bytes(*prefix)).map_err(|_| Malformed)?;
    let (nal, behind) = behind.split_at_checked(length).ok_or(Malformed)?;
    if nal.len() < F::NAL_HEADER_BYTES {
        return Err(Malformed);
    }
    *rest = behind;
    Ok(nal)
}

/// One aggregation packet, or the units one by one if they are too large for it.
fn parameter_sets<F: Format>(sets: &[&[u8]], sink: &mut impl Sink) -> Result<(), Malformed> {
    if sets.len() > SETS || sets.iter().any(|set| set.len() < F::NAL_HEADER_BYTES) {
        return Err(Malformed);
    }
    let bytes: usize = sets.iter().map(|set| AGGREGATE_PREFIX_BYTES + set.len()).sum();
    if F::NAL_HEADER_BYTES + bytes > PAYLOAD_BYTES {
        return sets.iter().try_for_each(|set| single_or_fragments::<F>(set, Marker::Clear, sink));
    }
    let head = F::aggregate_head(sets.iter().map(|set| header(set)));
    let mut prefixes = [[0; AGGREGATE_PREFIX_BYTES]; SETS];
    for (prefix, set) in prefixes.iter_mut().zip(sets) {
        *prefix = u16::try_from(set.len()).map_err(|_| Malformed)?.to_be_bytes();
    }
    let mut parts: [&[u8]; 1 + 2 * SETS] = [&[]; 1 + 2 * SETS];
    let pairs = prefixes.iter().zip(sets).flat_map(|(prefix, set)| [prefix.as_slice(), set]);
    let all = std::iter::once(front(&head, F::NAL_HEADER_BYTES)).chain(pairs);
    for (part, bytes) in parts.iter_mut().zip(all) {
        *part = bytes;
    }
    sink.packet(&parts, 0, Marker::Clear);
    Ok(())
}

/// One NAL unit; `marker` is for its last packet.
fn single_or_fragments<F: Format>(
    nal: &[u8],
    marker: Marker,
    sink: &mut impl Sink,
) -> Result<(), Malformed> {
    if nal.len() <= PAYLOAD_BYTES {
        sink.packet(&[nal], 0, marker);
        return Ok(());
    }
    let header = header(nal);
    let body = nal.get(F::NAL_HEADER_BYTES..).ok_or(Malformed)?;
    let mut fragments = body.chunks(PAYLOAD_BYTES - F::FU_BYTES).peekable();
    let mut place = FragmentPosition::First;
    while let Some(fragment) = fragments.next() {
        let mut mark = Marker::Clear;
        if fragments.peek().is_none() {
            (place, mark) = (FragmentPosition::Last, marker);
        }
        let head = F::fragment_head(header, place);
        sink.packet(&[front(&head, F::FU_BYTES), fragment], 0, mark);
        place = FragmentPosition::Middle;
    }
    Ok(())
}

/// The first two bytes; of a one-byte unit the second is 0, and its format does not look at it.
fn header(nal: &[u8]) -> [u8; 2] {
    [nal.first().copied().unwrap_or(0), nal.get(1).copied().unwrap_or(0)]
}

fn front(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_h264_header_comes_back_from_its_fragments() {
        for header in 0..=255_u8 {
            let [indicator, fu, _] = H264::fragment_head([header, 0xaa], FragmentPosition::Middle);
            assert_eq!((indicator & 0x1f, fu & 0xe0), (28, 0));
            assert_eq!(indicator & 0xe0 | fu & 0x1f, header);
        }
        assert_eq!(H264::fragment_head([0x65, 0], FragmentPosition::First)[1], 0x85);
        assert_eq!(H264::fragment_head([0x65, 0], FragmentPosition::Last)[1], 0x45);
        assert_eq!(H264::aggregate_head([[0x27, 0], [0x48, 0]].into_iter()), [0x58, 0]);
    }

    #[test]
    fn every_h265_header_comes_back_from_its_fragments() {
        for header in 0..=u16::MAX {
            let [high, low] = header.to_be_bytes();
            let [payload_high, payload_low, fu] =
                H265::fragment_head([high, low], FragmentPosition::Middle);
            assert_eq!((payload_high >> 1 & 0x3f, fu & 0xc0), (49, 0));
            assert_eq!([payload_high & 0x81 | (fu & 0x3f) << 1, payload_low], [high, low]);
        }
        assert_eq!(H265::fragment_head([0x26, 1], FragmentPosition::First)[2], 0x93);
        assert_eq!(H265::fragment_head([0x26, 1], FragmentPosition::Last)[2], 0x53);
        // Layer 33 and 34, temporal id 3 and 2: the smaller of each.
        let headers = [[0x41, 1 << 3 | 3], [0x43, 2 << 3 | 2]];
        assert_eq!(H265::aggregate_head(headers.into_iter()), [48 << 1 | 1, 1 << 3 | 2]);
    }
}
