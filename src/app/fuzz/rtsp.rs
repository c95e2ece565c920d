//! RTSP messages and session descriptions.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::Input;
use crate::media::{Codec, H264Parameters, Track, TrackId};
use crate::ops::limits;
use crate::wire::rtsp::{
    Decoder, DescribedTrack, Headers, Item, MediaSection, RtpInfo, SessionDescription,
    SessionHeader, Transport, Violation, describe,
};

/// A byte stream gives the same items however it is cut, and what was read can be written and read again.
/// The first byte says how it is cut.
pub fn rtsp_message(data: &[u8]) {
    let mut input = Input::new(data);
    let piece = usize::from(input.byte()).max(1);
    let stream = input.rest();
    let whole = decode(stream, stream.len().max(1));
    assert_eq!(whole, decode(stream, piece), "cut into pieces of {piece}");
    for item in &whole.0 {
        match item {
            Item::Request(request) => {
                assert!(request.uri.len() <= limits::RTSP_URI_BYTES);
                assert!(request.uri.bytes().all(|b| b.is_ascii_graphic()));
                check_headers(&request.headers);
                read_again(item, &request.encode(), request.body.len());
            }
            Item::Response(response) => {
                assert!((100..1000).contains(&response.status));
                check_headers(&response.headers);
                read_again(item, &response.encode(), response.body.len());
            }
            Item::Interleaved { payload, .. } => assert!(payload.len() <= 65_535),
            Item::Blank(count) => assert!(*count > 0),
        }
    }
}

type Decoded = (Vec<Item>, Option<Violation>, usize);

/// The items, the end if there was one, and the bytes left. Blanks in a row are one.
fn decode(stream: &[u8], piece: usize) -> Decoded {
    let (mut decoder, mut buffer, mut items) = (Decoder::new(), BytesMut::new(), Vec::new());
    for piece in stream.chunks(piece) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(None) => break,
                Ok(Some(Item::Blank(more))) if matches!(items.last(), Some(Item::Blank(_))) => {
                    let Some(Item::Blank(count)) = items.last_mut() else { unreachable!() };
                    *count += more;
                }
                Ok(Some(item)) => items.push(item),
                // What is left then depends on how much had come.
                Err(violation) => return (items, Some(violation), 0),
            }
            let longest = limits::RTSP_HEAD_BYTES + limits::RTSP_BODY_BYTES;
            assert!(buffer.len() <= longest + stream.len(), "never waits for more than a message");
        }
    }
    (items, None, buffer.len())
}

fn read_again(item: &Item, bytes: &[u8], body: usize) {
    // Bytes that are no UTF-8 grow by being read, and blanks by being written.
    if bytes.len() - body > limits::RTSP_HEAD_BYTES {
        return;
    }
    let once = one(bytes);
    let (headers, encoded) = match (item, &once) {
        (Item::Request(before), Item::Request(after)) => {
            assert_eq!(
                (before.method, &before.method_text, &before.uri, &before.body),
                (after.method, &after.method_text, &after.uri, &after.body)
            );
            ((&before.headers, &after.headers), after.encode())
        }
        (Item::Response(before), Item::Response(after)) => {
            assert_eq!((before.status, &before.body), (after.status, &after.body));
            ((&before.headers, &after.headers), after.encode())
        }
        _ => panic!("{item:?} became {once:?}"),
    };
    let (before, after) = headers;
    let others = |headers: &Headers| {
        let lines = headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Content-Length"));
        lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(others(before), others(after), "no header is lost, none is made");
    assert_eq!(once, one(&encoded), "what was written once stays as it is");
}

fn one(bytes: &[u8]) -> Item {
    let mut buffer = BytesMut::from(bytes);
    let item = Decoder::new().decode(&mut buffer).unwrap().unwrap();
    assert!(buffer.is_empty(), "one message was written");
    item
}

fn check_headers(headers: &Headers) {
    assert!(headers.iter().count() <= limits::RTSP_HEADERS);
    for (name, value) in headers.iter() {
        assert!(!name.is_empty() && !value.chars().any(char::is_control), "{name}: {value}");
        let transports = Transport::parse_all(value);
        assert!(transports.len() <= limits::TRANSPORTS);
        for transport in transports {
            // A number of at most four digits is written with eight, and then it counts.
            assert_eq!(Transport::parse_all(&transport.encode()), [transport]);
        }
        if let Some(session) = SessionHeader::parse(value) {
            assert_eq!(SessionHeader::parse(&session.encode()), Some(session));
        }
        let infos = RtpInfo::parse_all(value);
        assert!(infos.len() <= limits::SDP_MEDIA);
        assert!(infos.iter().all(|info| info.url.len() <= limits::RTSP_URI_BYTES));
    }
}

/// A description is read within its bounds, and ours of the same pictures is read as it was meant.
pub fn sdp(data: &[u8]) {
    let Ok(description) = SessionDescription::parse(data) else {
        let media = data.split(|b| matches!(b, b'\r' | b'\n')).count();
        assert!(data.len() > limits::SDP_BYTES || media > limits::SDP_MEDIA);
        return;
    };
    assert!(description.media.len() <= limits::SDP_MEDIA);
    assert!(description.control.as_deref().is_none_or(is_printable));
    let mut tracks = Vec::new();
    for section in &description.media {
        check_section(section);
        tracks.extend(h264(section).map(|codec| {
            let id = TrackId(u8::try_from(tracks.len()).unwrap());
            Arc::new(Track { id, codec: Codec::H264(codec), clock_rate: 90_000 })
        }));
    }
    let described: Vec<_> = (96..)
        .zip(&tracks)
        .map(|(payload_type, track)| DescribedTrack { track, payload_type })
        .collect();
    let ours = SessionDescription::parse(describe(1, 1, &described).as_bytes()).unwrap();
    assert_eq!(ours.media.len(), tracks.len());
    for ((section, track), payload_type) in ours.media.iter().zip(&tracks).zip(96..) {
        assert_eq!(section.payload_type, Some(payload_type));
        assert_eq!(h264(section).map(Codec::H264).as_ref(), Some(&track.codec));
    }
}

fn check_section(section: &MediaSection) {
    assert!(section.payload_type.is_none_or(|pt| pt < 128));
    assert!(section.control.as_deref().is_none_or(is_printable));
    let encoding = section.encoding.as_deref().unwrap_or("A");
    assert!((1..=32).contains(&encoding.len()) && encoding.bytes().all(|b| b.is_ascii_graphic()));
    assert_ne!(section.clock_rate, Some(0));
    assert_ne!(section.channels, Some(0));
    assert_ne!(section.frame_rate_milli, Some(0));
    assert!(section.format.len() <= limits::SDP_FORMAT_PARAMETERS);
    assert!(section.format.iter().all(|(key, _)| !key.is_empty()));
}

fn is_printable(text: &str) -> bool {
    (1..=limits::RTSP_URI_BYTES).contains(&text.len())
        && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
}

fn h264(section: &MediaSection) -> Option<H264Parameters> {
    let (sps, pps) = section.format_value("sprop-parameter-sets")?.split_once(',')?;
    H264Parameters::new(&STANDARD.decode(sps).ok()?, &STANDARD.decode(pps).ok()?).ok()
}
