//! Pictures of RFC 2435.

use std::sync::Arc;

use bytes::Bytes;

use super::oracle::{framed, through_retina, through_retina_with};
use super::*;
use crate::media::{JpegHead, JpegParameters, Policy};

pub(super) const JPEG_420: &[u8] = include_bytes!("../../../../tests/fixtures/media/jpeg_420.jpg");
const JPEG_422: &[u8] = include_bytes!("../../../../tests/fixtures/media/jpeg_422.jpg");
const JPEG_RESTARTS: &[u8] = include_bytes!("../../../../tests/fixtures/media/jpeg_restarts.jpg");

pub(super) fn jpeg() -> Codec {
    Codec::Jpeg(JpegParameters { width: 64, height: 48 })
}

/// A foreign picture as the policy lets it through.
fn jpeg_unit(picture: &'static [u8]) -> AccessUnit {
    let track = Arc::new(Track { id: TrackId(0), codec: jpeg(), clock_rate: 90_000 });
    let clean = Policy::new(track).clean(Bytes::from_static(picture)).unwrap();
    unit(jpeg(), true, clean.data)
}

/// A picture with so much coded data, the end marker counted in, and no marker within.
pub(super) fn jpeg_of(coded: usize) -> AccessUnit {
    let whole = jpeg_unit(JPEG_420).data;
    let (_, old) = JpegHead::split(&whole).unwrap();
    let mut data = whole[..whole.len() - old.len()].to_vec();
    data.extend((0..coded - 2).map(|i| u8::try_from(i % 251).unwrap()));
    data.extend([0xff, 0xd9]);
    unit(jpeg(), true, data.into())
}

#[test]
fn jpeg_packets_read_as_rfc_2435_says() {
    for (picture, kind, restart) in
        [(JPEG_422, 0, &[][..]), (JPEG_420, 1, &[]), (JPEG_RESTARTS, 65, &[0, 4, 0xff, 0xff])]
    {
        let unit = jpeg_unit(picture);
        let (head, coded) = JpegHead::split(&unit.data).unwrap();
        let form = checked_form(&unit).unwrap();
        let main = [kind, 255, 8, 6];
        let tables = [&[0, 0, 0, 128], &head.tables[0][..], &head.tables[1]].concat();
        let (mut seen, mut behind) = (Vec::<u8>::new(), tables.as_slice());
        for packet in packets(&form) {
            let offset = u32::try_from(seen.len()).unwrap().to_be_bytes();
            let expected = [&offset, &main, restart, behind].concat();
            assert_eq!(&packet[12..12 + expected.len()], expected);
            seen.extend(&packet[12 + expected.len()..]);
            behind = &[];
        }
        assert_eq!(seen, coded);
    }
}

#[tokio::test]
async fn retina_reads_back_jpeg_pictures() {
    let mut units: Vec<_> = [JPEG_420, JPEG_422, JPEG_RESTARTS].map(jpeg_unit).into();
    units.extend([3, 1248, 1249, 1248 + 1380, 1248 + 1381, 60_000, 1_500_000].map(jpeg_of));
    let got = through_retina(&jpeg(), &units, 3600).await;
    for (n, (unit, (time, data))) in units.iter().zip(got).enumerate() {
        assert_eq!(time, 3600 * i64::try_from(n).unwrap());
        assert!(unit.data == data, "picture {n} differs");
    }
}

/// A fault of a packetiser, in the packets of one picture.
type Spoil = fn(&mut Vec<Vec<u8>>);

#[tokio::test]
async fn retina_tells_wrong_jpeg_packets() {
    let bugs: [(&str, Spoil); 14] = [
        ("packet left out", |packets| drop(packets.remove(1))),
        ("packets swapped", |packets| packets.swap(0, 1)),
        ("number skipped", |packets| packets[1][3] ^= 0x80),
        ("timestamp off", |packets| packets.iter_mut().for_each(|packet| packet[7] ^= 1)),
        ("coded byte changed", |packets| *packets[1].last_mut().unwrap() ^= 1),
        ("coded byte left out", |packets| packets[0].truncate(1000)),
        ("no marker", |packets| packets.iter_mut().for_each(|packet| packet[1] &= 0x7f)),
        ("first has an offset", |packets| packets[0][12 + 3] = 1),
        ("second has none", |packets| packets[1][12 + 1..12 + 4].fill(0)),
        ("another type", |packets| packets[0][12 + 4] = 64),
        ("tables not said", |packets| packets[0][12 + 5] = 80),
        ("another width", |packets| packets[0][12 + 6] += 1),
        ("another restart interval", |packets| packets[0][12 + 9] += 1),
        ("a table changed", |packets| packets[0][12 + 8 + 4 + 4 + 70] ^= 1),
    ];
    let right = jpeg_unit(JPEG_RESTARTS);
    assert_eq!(plan(&right).unwrap().packets, 2);
    let units = vec![right.clone(); 4];
    for (name, bug) in bugs {
        let spoil = |n, form: Bytes| {
            let mut packets: Vec<_> = packets(&form).into_iter().map(<[u8]>::to_vec).collect();
            if n == 1 {
                bug(&mut packets);
            }
            packets.into_iter().flat_map(framed).collect()
        };
        let got = through_retina_with(&jpeg(), &units, 3600, spoil).await;
        let same = got.is_ok_and(|got| {
            got.iter().zip(0_i64..).all(|((time, data), n)| *time == 3600 * n && right.data == data)
        });
        assert!(!same, "{name}: unnoticed");
    }
}
