//! The client with a camera that the test plays, without sockets.

mod bounds;
mod login;
mod mutations;
mod sessions;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use memchr::memmem;

use super::*;
use crate::ingest::camera::airlock::{BasicPolicy, Login};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=cam\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
    m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=control:trackID=2\r\n";

fn request() -> Request {
    Request {
        url: Url::parse("rtsp://192.0.2.7:554/live?channel=1&sub=0").unwrap(),
        login: Some(Login { user: "viewer".into(), password: "secret".to_owned().into() }),
        basic: BasicPolicy::Refuse,
        user_agent: "Camlock".into(),
        kinds: Kinds::ALL,
    }
}

/// A client, and a camera that the test plays.
struct Bench {
    client: Client,
    now: Instant,
    buffer: BytesMut,
    heard: Heard,
}

/// What came out.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) units: Vec<Unit>,
    pub(super) reports: Vec<ReportedTime>,
}

impl Sink for Heard {
    fn unit(&mut self, unit: Unit) {
        self.units.push(unit);
    }
    fn report(&mut self, report: ReportedTime) {
        self.reports.push(report);
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(&request(), LoginMemory::Nothing)
    }

    /// Asked for its description.
    fn with(request: &Request, memory: LoginMemory) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let mut client = Client::new(request, memory, "c".into(), now).unwrap();
        client.start(now);
        Self { client, now, buffer: BytesMut::new(), heard: Heard::default() }
    }

    /// Described, set up and playing on the channels asked for.
    fn playing(sdp: &str) -> Self {
        let mut bench = Self::new();
        bench.described(sdp).unwrap();
        while bench.sets_up() {
            bench.set_up().unwrap();
        }
        assert_eq!(bench.play("").unwrap(), Next::Play);
        bench.says(b"").unwrap();
        bench
    }

    /// Whether the open request is SETUP.
    fn sets_up(&self) -> bool {
        let exchange = self.client.exchange.as_ref();
        exchange.is_some_and(|exchange| matches!(exchange.asked, Asked::Setup { .. }))
    }

    /// The camera says yes to DESCRIBE.
    fn described(&mut self, sdp: &str) -> Result<Next, EndReason> {
        let headers = format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len());
        self.says(format!("RTSP/1.0 200 OK\r\n{headers}").as_bytes())
    }

    /// The camera says yes to SETUP, on the channels asked for.
    fn set_up(&mut self) -> Result<Next, EndReason> {
        let Some(Exchange { asked: Asked::Setup { channels, .. }, .. }) = self.client.exchange
        else {
            panic!("{:?}", self.client.exchange)
        };
        let transport = format!("RTP/AVP/TCP;unicast;interleaved={}-{}", channels.0, channels.1);
        self.answers(200, &format!("Session: 77;timeout=30\r\nTransport: {transport}\r\n"))
    }

    /// The camera says yes to PLAY.
    fn play(&mut self, headers: &str) -> Result<Next, EndReason> {
        assert!(matches!(&self.client.exchange, Some(Exchange { asked: Asked::Play, .. })));
        self.answers(200, headers)
    }

    /// The camera answers the last request on the wire.
    fn answers(&mut self, status: u16, headers: &str) -> Result<Next, EndReason> {
        let cseq = self.client.last_cseq;
        self.says(format!("RTSP/1.0 {status} X\r\nCSeq: {cseq}\r\n{headers}\r\n").as_bytes())
    }

    /// The camera says.
    fn says(&mut self, bytes: &[u8]) -> Result<Next, EndReason> {
        self.buffer.extend_from_slice(bytes);
        self.client.camera_bytes(&mut self.buffer, bytes.len(), self.now, &mut self.heard)
    }

    /// What the camera gets.
    fn wire(&mut self) -> String {
        String::from_utf8(self.client.take_for_camera().to_vec()).unwrap()
    }

    /// The access units since the last time.
    fn hears(&mut self) -> Vec<Unit> {
        std::mem::take(&mut self.heard.units)
    }

    /// Bytes that the depacketisers hold.
    fn held(&self) -> usize {
        let Phase::Playing(player, _) = &self.client.phase else { panic!("not playing") };
        player.held()
    }

    /// Time passes, in steps of a tenth of a second.
    fn wait(&mut self, time: Duration) -> Result<(), EndReason> {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.client.on_time(self.now)?;
        }
        Ok(())
    }
}

/// An interleaved frame.
fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![b'$', channel];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(payload);
    frame
}

/// A media packet in a frame.
fn media(channel: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    frame(channel, &rtp(sequence, timestamp, 9, payload))
}

/// An RTP packet with a marker.
pub(super) fn rtp(sequence: u16, timestamp: u32, source: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0x80 | 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(source.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A sender report, and what may follow it in a compound packet.
pub(super) fn report(source: u32, ntp: u64, timestamp: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 6];
    packet.extend(source.to_be_bytes());
    packet.extend(ntp.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([0; 8]);
    packet.extend(rest);
    packet
}

fn contains(haystack: impl AsRef<[u8]>, needle: &str) -> bool {
    memmem::find(haystack.as_ref(), needle.as_bytes()).is_some()
}
