//! What crosses between the gateway and the segment's service: the ask for a camera, its answer, and frames of news.
//!
//! An ask is `version, port (2 bytes, big-endian), length of the name, name`; its answer one byte, with the connected
//! descriptor beside it if that byte says so. A frame of news is a length (4 bytes, big-endian) and one [`News`] in JSON.

use strum::{IntoStaticStr, VariantArray};

use crate::ops::limits;
use crate::segment::News;

/// The version of the ask. Gateway and service are one program; a mix of two is told, not guessed at.
const VERSION: u8 = 1;
/// Version, port, length of the name.
const HEAD: usize = 4;
/// The length before a frame of news.
const LENGTH: usize = 4;
/// The longest ask.
pub(crate) const ASK_BYTES: usize = HEAD + limits::SEGMENT_NAME_BYTES;

/// The gateway asks to be connected to a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The camera's name. It may be none that exists.
    pub camera: String,
    /// The TCP port.
    pub port: u16,
}

/// What an ask is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The descriptor beside the answer is connected to the camera.
    Connected,
    /// There is no descriptor.
    Refused(Refusal),
}

/// Why the service does not connect; the number is its code in the answer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray, thiserror::Error,
)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Refusal {
    /// The ask could not be read.
    #[error(
        "the camera segment's service did not understand the request: do both run the same version?"
    )]
    BadAsk = 1,
    /// The segment file has no camera of this name.
    #[error("the segment file has no camera of this name: add it there, and reload the segment")]
    UnknownCamera,
    /// The segment file does not list this port for the camera.
    #[error(
        "the segment file does not list this port for the camera: add it there, and reload the segment"
    )]
    PortNotListed,
    /// The service has no descriptor left.
    #[error(
        "the camera segment's service has no file descriptor left: raise its limit of open files"
    )]
    Busy,
    /// The camera refused the connection.
    #[error("the camera refused the connection: check its port, and that RTSP is on")]
    CameraRefused,
    /// The camera did not answer in time.
    #[error("the camera did not answer in time: check its power and cable")]
    CameraSilent,
    /// There is no way to the camera: its link is down, or nobody has its address.
    #[error(
        "no device on the segment has the camera's address: check its power, cable and address"
    )]
    NoRoute,
    /// The kernel failed in another way.
    #[error("the camera segment's service failed to connect: see its log")]
    Failed,
}

/// What a peer wrote is no ask, no answer or no news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWire {
    /// Another version than ours.
    #[error("another version of the program")]
    Version,
    /// A name that is empty, too long or not written in lower-case letters, digits, `-` and `_`.
    #[error("no name of a camera")]
    Name,
    /// More bytes than belong to it.
    #[error("more bytes than belong to it")]
    Trailing,
    /// An answer with an unknown code.
    #[error("an unknown answer")]
    Code,
    /// A frame of news longer than [`limits::SEGMENT_NEWS_BYTES`], or empty.
    #[error("a length out of bounds")]
    Length,
    /// JSON that is no [`News`].
    #[error("no news of a known form")]
    News,
}

impl Ask {
    /// The bytes of the ask.
    pub fn encode(&self) -> Result<Vec<u8>, BadWire> {
        if !is_name(self.camera.as_bytes()) {
            return Err(BadWire::Name);
        }
        let length = u8::try_from(self.camera.len()).map_err(|_| BadWire::Name)?;
        let [high, low] = self.port.to_be_bytes();
        Ok([&[VERSION, high, low, length], self.camera.as_bytes()].concat())
    }

    /// Reads an ask from all bytes that came so far; `None`: more must come.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, BadWire> {
        let Some(&version) = bytes.first() else { return Ok(None) };
        if version != VERSION {
            return Err(BadWire::Version);
        }
        let Some((&[_, high, low, length], name)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::from(length);
        if !(1..=limits::SEGMENT_NAME_BYTES).contains(&length) {
            return Err(BadWire::Name);
        }
        if name.len() > length {
            return Err(BadWire::Trailing);
        }
        if name.len() < length {
            return Ok(None);
        }
        if !is_name(name) {
            return Err(BadWire::Name);
        }
        let camera = String::from_utf8(name.to_vec()).map_err(|_| BadWire::Name)?;
        Ok(Some(Self { camera, port: u16::from_be_bytes([high, low]) }))
    }
}

impl Answer {
    /// The byte of the answer.
    pub fn encode(self) -> u8 {
        match self {
            Self::Connected => 0,
            Self::Refused(refusal) => refusal as u8,
        }
    }

    /// Reads an answer.
    pub fn decode(code: u8) -> Result<Self, BadWire> {
        if code == Self::Connected.encode() {
            return Ok(Self::Connected);
        }
        let mut known = Refusal::VARIANTS.iter().copied().map(Self::Refused);
        known.find(|answer| answer.encode() == code).ok_or(BadWire::Code)
    }
}

impl Refusal {
    /// A stable word for logs.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One frame of news; news that is longer than a frame may be is not written.
pub fn encode_news(news: &News) -> Result<Vec<u8>, BadWire> {
    let json = serde_json::to_vec(news).map_err(|_| BadWire::News)?;
    if json.len() > limits::SEGMENT_NEWS_BYTES {
        return Err(BadWire::Length);
    }
    let length = u32::try_from(json.len()).map_err(|_| BadWire::Length)?;
    Ok([length.to_be_bytes().as_slice(), &json].concat())
}

/// Cuts a stream of bytes into news. After the first fault nothing more is to be asked of it.
#[derive(Debug, Default)]
pub struct NewsReader {
    buffer: Vec<u8>,
}

impl NewsReader {
    /// How many bytes may be given to it now: never zero after [`Self::next_news`] gave `None`.
    pub fn room(&self) -> usize {
        (LENGTH + limits::SEGMENT_NEWS_BYTES).saturating_sub(self.buffer.len())
    }

    /// Takes bytes, at most [`Self::room`]: more is a fault of the caller and is cut.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes.iter().take(self.room()));
    }

    /// The next news; `None`: more must come.
    pub fn next_news(&mut self) -> Result<Option<News>, BadWire> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BadWire::Length)?;
        if !(1..=limits::SEGMENT_NEWS_BYTES).contains(&length) {
            return Err(BadWire::Length);
        }
        let Some(json) = rest.get(..length) else { return Ok(None) };
        let news: News = serde_json::from_slice(json).map_err(|_| BadWire::News)?;
        if !news.is_bounded() {
            return Err(BadWire::News);
        }
        self.buffer.drain(..LENGTH + length);
        Ok(Some(news))
    }
}

/// As stream names have it: 1 to 64 of `a-z 0-9 - _`.
fn is_name(name: &[u8]) -> bool {
    (1..=limits::SEGMENT_NAME_BYTES).contains(&name.len())
        && name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::segment::{Protocol, Pulse, Sum, Sums, Verdict};

    fn ask(camera: &str) -> Ask {
        Ask { camera: camera.to_owned(), port: 554 }
    }

    fn pulse(missed: u64) -> News {
        News::Pulse(Pulse {
            started_ms: 1,
            devices: 2,
            attempts: 3,
            aggregated: 4,
            missed,
            ledger_records: 6,
            checkpoint_age_ms: Some(7),
            ledger_fault: Some("disk full".to_owned()),
        })
    }

    #[test]
    fn an_ask_has_this_form() {
        let bytes = ask("door").encode().unwrap();
        assert_eq!(bytes, b"\x01\x02\x2a\x04door");
        for end in 0..bytes.len() {
            assert_eq!(Ask::decode(&bytes[..end]), Ok(None), "{end}");
        }
        assert_eq!(Ask::decode(&bytes), Ok(Some(ask("door"))));
        assert_eq!(Ask::decode(b"\x01\x02\x2a\x04door!"), Err(BadWire::Trailing));
        assert_eq!(Ask::decode(b"\x02"), Err(BadWire::Version));
        assert_eq!(Ask::decode(b"\x01\x02\x2a\x00"), Err(BadWire::Name));
    }

    #[test]
    fn names_are_bounded_and_plain() {
        let most = "a".repeat(limits::SEGMENT_NAME_BYTES);
        let bytes = ask(&most).encode().unwrap();
        assert_eq!(bytes.len(), ASK_BYTES);
        assert_eq!(Ask::decode(&bytes), Ok(Some(ask(&most))));
        let over = "a".repeat(limits::SEGMENT_NAME_BYTES + 1);
        for bad in ["", "a/b", "A", "é", "a\0", over.as_str()] {
            assert_eq!(ask(bad).encode(), Err(BadWire::Name), "{bad}");
        }
        assert_eq!(Ask::decode(&[1, 0, 1, 65]), Err(BadWire::Name), "refused before the name came");
        assert_eq!(Ask::decode(b"\x01\x00\x01\x01/"), Err(BadWire::Name));
    }

    #[test]
    fn every_answer_has_a_code_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for answer in
            Refusal::VARIANTS.iter().copied().map(Answer::Refused).chain([Answer::Connected])
        {
            assert!(codes.insert(answer.encode()), "{answer:?}");
            assert_eq!(Answer::decode(answer.encode()), Ok(answer));
        }
        let unknown = (0..=u8::MAX).filter(|code| !codes.contains(code));
        assert!(unknown.into_iter().all(|code| Answer::decode(code) == Err(BadWire::Code)));
    }

    #[test]
    fn news_is_read_whatever_the_pieces() {
        let bytes = [encode_news(&pulse(1)).unwrap(), encode_news(&pulse(2)).unwrap()].concat();
        for piece in [1, 3, 7, bytes.len()] {
            let mut reader = NewsReader::default();
            let mut got = Vec::new();
            for piece in bytes.chunks(piece) {
                reader.push(piece);
                while let Some(news) = reader.next_news().unwrap() {
                    got.push(news);
                }
            }
            assert_eq!(got, [pulse(1), pulse(2)]);
        }
    }

    #[test]
    fn a_frame_of_news_is_bounded() {
        let of = |length: usize| {
            let mut fault = pulse(0);
            if let News::Pulse(pulse) = &mut fault {
                pulse.ledger_fault = Some("x".repeat(length));
            }
            fault
        };
        let most = limits::SEGMENT_NEWS_BYTES - encode_news(&of(0)).unwrap().len() + LENGTH;
        let bytes = encode_news(&of(most)).unwrap();
        assert_eq!(bytes.len(), LENGTH + limits::SEGMENT_NEWS_BYTES);
        assert_eq!(encode_news(&of(most + 1)), Err(BadWire::Length));
        let mut reader = NewsReader::default();
        reader.push(&bytes);
        assert_eq!(reader.room(), 0);
        assert_eq!(reader.next_news(), Ok(Some(of(most))));
        let over = u32::try_from(limits::SEGMENT_NEWS_BYTES + 1).unwrap();
        for length in [0, over, u32::MAX] {
            let mut reader = NewsReader::default();
            reader.push(&length.to_be_bytes());
            assert_eq!(reader.next_news(), Err(BadWire::Length), "{length}");
        }
        let mut reader = NewsReader::default();
        reader.push(b"\0\0\0\x02{}");
        assert_eq!(reader.next_news(), Err(BadWire::News));
    }

    proptest! {
        #[test]
        fn what_is_read_as_an_ask_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(Some(ask)) = Ask::decode(&bytes) {
                prop_assert_eq!(ask.encode().unwrap(), bytes);
            }
        }

        #[test]
        fn whatever_comes_as_news_is_held_within_its_bound(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..16)) {
            let mut reader = NewsReader::default();
            for piece in pieces {
                reader.push(&piece);
                while let Ok(Some(_)) = reader.next_news() {}
                prop_assert!(reader.buffer.len() <= LENGTH + limits::SEGMENT_NEWS_BYTES);
            }
        }
    }

    #[test]
    fn the_answers_are_these() {
        let answers = Refusal::VARIANTS
            .iter()
            .map(|&refusal| format!("{} {}", Answer::Refused(refusal).encode(), refusal.name()));
        let answers: Vec<_> = answers.collect();
        let connected = Answer::Connected.encode();
        assert_surface!(
            "segment-answers",
            format!("{connected} connected\n{}", answers.join("\n"))
        );
    }

    #[test]
    fn the_frames_have_this_form() {
        let sums = Sums {
            started_ms: 1,
            sums: vec![Sum { protocol: Protocol::Dns, verdict: Verdict::Answered, count: 2 }],
        };
        let frame =
            |news: &News| String::from_utf8(encode_news(news).unwrap().split_off(LENGTH)).unwrap();
        let ask = ask("door").encode().unwrap().escape_ascii().to_string();
        let length = encode_news(&News::Sums(sums.clone())).unwrap()[..LENGTH].to_vec();
        let length = length.escape_ascii().to_string();
        let text = [ask, length, frame(&News::Sums(sums)), frame(&pulse(1))].join("\n");
        assert_surface!("segment-frames", text);
    }
}
