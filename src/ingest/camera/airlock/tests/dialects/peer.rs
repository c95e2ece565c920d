//! A camera that says what a transcript says, and plainly what the transcript leaves open.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::{proves, with_length};
use crate::wire::digest::Algorithm;
use crate::wire::rtsp::{
    Decoder, Item, Method, Request, Response, RtpInfo, SessionDescription, Transport,
};

/// What the camera answers: whole messages, whose `CSeq` becomes that of the request.
#[derive(Clone)]
pub(super) struct Script {
    /// To requests without a login.
    pub(super) refusal: Option<String>,
    pub(super) describe: String,
    /// To the n-th SETUP; a plain answer to the others.
    pub(super) setups: Vec<(usize, String)>,
    pub(super) play: String,
    pub(super) options: String,
    /// To GET_PARAMETER and SET_PARAMETER.
    pub(super) parameter: String,
    pub(super) teardown: String,
    /// What is sent after the answer to PLAY.
    pub(super) media: Media,
    pub(super) order: Order,
    pub(super) then: Then,
    /// What becomes of an answer before it is sent.
    pub(super) twist: fn(&Request, String) -> String,
}

/// Writes the media of the tracks that were set up.
pub(super) type Media = Arc<dyn Fn(&mut [Slot]) -> Vec<u8> + Send + Sync>;

/// Whether media waits for the answer to PLAY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    AnswerFirst,
    MediaFirst,
}

/// What comes after the media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The end of what the camera says.
    End,
    /// A unit on each track every time this has passed, until the client leaves.
    Beat(Duration),
}

/// A track that was set up.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) encoding: String,
    pub(super) payload_type: u8,
    pub(super) channel: u8,
    pub(super) source: u32,
    /// Of the next packet.
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
}

pub(super) const PLAIN_SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
    a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z00AKpWoHgCJ+WEAAAMAAQAAAwAyhA==,aO48gA==\r\n";

const PLAIN: &str = "RTSP/1.0 200 OK\r\nCSeq: 0\r\n\r\n";

impl Script {
    /// One H.264 track and nothing odd.
    pub(super) fn plain() -> Self {
        Self {
            refusal: None,
            describe: describes(PLAIN_SDP),
            setups: Vec::new(),
            play: PLAIN.replace("\r\n\r\n", "\r\nSession: 5\r\n\r\n"),
            options: PLAIN.to_owned(),
            parameter: PLAIN.to_owned(),
            teardown: PLAIN.to_owned(),
            media: Arc::new(plain_media),
            order: Order::AnswerFirst,
            then: Then::End,
            twist: |_, answer| answer,
        }
    }

    /// Serves one connection to its end; the requests in order.
    pub(super) async fn serve(self, mut socket: TcpStream) -> Vec<Request> {
        let (mut seen, mut buffer, mut decoder) = (Vec::new(), BytesMut::new(), Decoder::new());
        let (mut slots, mut playing) = (Vec::new(), false);
        // Held back, small writes would come when the test's clock is far ahead.
        socket.set_nodelay(true).unwrap();
        loop {
            while let Some(item) = decoder.decode(&mut buffer).unwrap() {
                let Item::Request(asked) = item else { panic!("{item:?}") };
                let answer = self.answer(&asked, &mut slots);
                let plays = asked.method == Method::Play && is_success(&answer);
                seen.push(asked);
                let mut bytes = answer.into_bytes();
                if plays {
                    playing = true;
                    self.begin(&mut slots);
                    let media = (self.media)(&mut slots);
                    bytes = match self.order {
                        Order::AnswerFirst => [bytes, media].concat(),
                        Order::MediaFirst => [media, bytes].concat(),
                    };
                }
                if socket.write_all(&bytes).await.is_err() {
                    return seen;
                }
                if plays && self.then == Then::End {
                    let _gone = socket.shutdown().await.is_err();
                }
            }
            let beat = match self.then {
                Then::Beat(pause) if playing => pause,
                Then::Beat(_) | Then::End => Duration::from_secs(3600),
            };
            tokio::select! {
                read = socket.read_buf(&mut buffer) => {
                    if read.unwrap_or(0) == 0 {
                        return seen;
                    }
                }
                () = tokio::time::sleep(beat) => {
                    let units: Vec<u8> = slots.iter_mut().flat_map(|slot| slot.unit(1)).collect();
                    let _gone = socket.write_all(&units).await.is_err();
                }
            }
        }
    }

    pub(super) fn answer(&self, asked: &Request, slots: &mut Vec<Slot>) -> String {
        let tracks = slots.len();
        let answer = match (&self.refusal, asked.method) {
            (Some(refusal), _) if !self.is_signed(asked) => refusal.clone(),
            (_, Method::Describe) => self.describe.clone(),
            (_, Method::Setup) => self.set_up(asked, slots),
            (_, Method::Play) => self.play.clone(),
            (_, Method::Options) => self.options.clone(),
            (_, Method::GetParameter | Method::SetParameter) => self.parameter.clone(),
            (_, Method::Teardown) => self.teardown.clone(),
            (_, Method::Announce | Method::Pause | Method::Record)
            | (_, Method::Redirect | Method::Other) => panic!("{asked:?}"),
        };
        let answer = (self.twist)(asked, numbered(&answer, asked.cseq().unwrap()));
        if !is_success(&answer) {
            slots.truncate(tracks);
        }
        answer
    }

    /// Whether the request proves the password as the refusal wants it.
    fn is_signed(&self, asked: &Request) -> bool {
        let refusal = self.refusal.as_deref().unwrap_or_default();
        let sha = refusal.contains("SHA-256")
            && asked.headers.get("Authorization").is_some_and(|a| a.contains("SHA-256"));
        let algorithm = if sha { Algorithm::Sha256 } else { Algorithm::Md5 };
        let realm =
            refusal.split_once("Digest realm=\"").and_then(|(_, rest)| rest.split_once('"'));
        asked.headers.get("Authorization").is_some() && proves(asked, realm.unwrap().0, algorithm)
    }

    fn set_up(&self, asked: &Request, slots: &mut Vec<Slot>) -> String {
        let wanted = asked.headers.get("Transport").unwrap();
        let plain = format!(
            "RTSP/1.0 200 OK\r\nCSeq: 0\r\nTransport: {wanted}\r\nSession: 5;timeout=60\r\n\r\n"
        );
        let scripted = self.setups.iter().find(|(n, _)| *n == slots.len());
        let answer = scripted.map_or(plain, |(_, answer)| answer.clone());
        let transport = response(&answer).headers.get("Transport").map(Transport::parse_all);
        let transport = transport.and_then(|all| all.first().cloned()).unwrap_or_default();
        let (encoding, payload_type) = self.section(&asked.uri);
        let n = u32::try_from(slots.len()).unwrap();
        slots.push(Slot {
            encoding,
            payload_type,
            channel: transport.interleaved.map_or(0, |(rtp, _)| rtp),
            source: transport.ssrc.unwrap_or(0x5eed_0001 + n),
            sequence: 700,
            timestamp: 90_000,
        });
        answer
    }

    /// Encoding and payload type of the track with this URL.
    fn section(&self, uri: &str) -> (String, u8) {
        let description = SessionDescription::parse(&response(&self.describe).body).unwrap();
        let has = |control: &Option<String>| control.as_ref().is_some_and(|c| uri.ends_with(c));
        let section = description.media.into_iter().find(|section| has(&section.control));
        let section = section.unwrap_or_else(|| panic!("no track has {uri}"));
        (section.encoding.unwrap(), section.payload_type.unwrap())
    }

    /// Media begins two packets and 50 ms after what `RTP-Info` says, so that it shows whether that was
    /// taken. Cameras that say 0 or 1 mean nothing by it.
    fn begin(&self, slots: &mut [Slot]) {
        let play = response(&self.play);
        let infos: Vec<_> = play.headers.all("RTP-Info").flat_map(RtpInfo::parse_all).collect();
        for (slot, info) in slots.iter_mut().zip(infos) {
            if let Some(sequence) = info.seq.filter(|seq| *seq > 1) {
                slot.sequence = sequence.wrapping_add(2);
            }
            if let Some(start) = info.rtp_time {
                slot.timestamp = start.wrapping_add(slot.step());
            }
        }
    }
}

impl Slot {
    /// A packet in its interleaved frame, at the current time.
    pub(super) fn packet(&mut self, marker: bool, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len() + 12).unwrap();
        let mut out = vec![b'$', self.channel];
        out.extend(length.to_be_bytes());
        out.extend([0x80, self.payload_type | if marker { 0x80 } else { 0 }]);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.source.to_be_bytes());
        out.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        out
    }

    /// The time of the next access unit.
    pub(super) fn tick(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(self.step());
    }

    /// A plain access unit; number 0 is a random access point.
    pub(super) fn unit(&mut self, number: u8) -> Vec<u8> {
        let body: Vec<u8> = (0..64).map(|i| 0x80 | (i ^ number)).collect();
        let header: &[u8] = match (self.encoding.as_str(), number) {
            ("H264", 0) => b"\x65",
            ("H264", _) => b"\x41",
            ("H265", 0) => b"\x26\x01",
            ("H265", _) => b"\x02\x01",
            ("MPEG4-GENERIC", _) => b"\0\x10\x02\0",
            ("PCMA" | "PCMU", _) => b"",
            (other, _) => panic!("no media for {other}"),
        };
        let out = self.packet(true, &[header, &body].concat());
        self.tick();
        out
    }

    /// A sender report of the track at its current time.
    pub(super) fn report(&self, source: u32) -> Vec<u8> {
        let mut out = vec![b'$', self.channel + 1, 0, 28, 0x80, 200, 0, 6];
        out.extend(source.to_be_bytes());
        out.extend(0xe000_0000_8000_0000_u64.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend([0, 0, 0, 3, 0, 0, 0, 192]);
        out
    }

    fn step(&self) -> u32 {
        match self.encoding.as_str() {
            "H264" | "H265" => 4500,
            "MPEG4-GENERIC" => 1024,
            _ => 64,
        }
    }
}

/// Three units on each track, a sender report after the first.
pub(super) fn plain_media(slots: &mut [Slot]) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..3 {
        for slot in &mut *slots {
            out.extend(slot.unit(number));
            if number == 0 {
                out.extend(slot.report(slot.source));
            }
        }
    }
    out
}

fn is_success(answer: &str) -> bool {
    answer.starts_with("RTSP/1.0 2")
}

/// An answer to DESCRIBE.
pub(super) fn describes(sdp: &str) -> String {
    format!("RTSP/1.0 200 OK\r\nCSeq: 0\r\nContent-Type: application/sdp\r\n{}", with_length(sdp))
}

/// A message as our grammar reads it.
pub(super) fn response(message: &str) -> Response {
    let mut buffer = BytesMut::from(message.as_bytes());
    match Decoder::new().decode(&mut buffer) {
        Ok(Some(Item::Response(response))) => response,
        other => panic!("{message}: {other:?}"),
    }
}

/// The message with the number of the request in place of its own, whatever stands around it.
fn numbered(message: &str, cseq: u32) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let lines = head.split("\r\n").map(|line| match line.split_once(':') {
        Some((name, value)) if name.eq_ignore_ascii_case("cseq") => {
            let digits = value.trim();
            format!("{name}:{}", value.replacen(digits, &cseq.to_string(), 1))
        }
        Some(_) | None => line.to_owned(),
    });
    format!("{}\r\n\r\n{body}", lines.collect::<Vec<_>>().join("\r\n"))
}
