//! Connections over in-memory pipes with paused time, and one foreign client.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test fails on whatever it does not expect")]

mod foreign;
mod limits;
mod media;
mod overload;
mod stop;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::hub::{Hub, Publisher};
use crate::media::{
    AccessUnit, Codec, H264Parameters, Kinds, StreamName, StreamPattern, Track, TrackId,
};
use crate::ops::metrics::Metrics;
use crate::serve::overload::Load;
use crate::serve::rtsp_server::{End, Peer, Server, Settings, serve};
use crate::trust::auth::{
    Authenticator, Credential, GeneratedSecret, Grant, Offer, Places, PreAuthPlace, User,
};
use crate::wire::rtsp::{Decoder, Item, Method, Request, Response};

pub(super) const URL: &str = "rtsps://gate/door/main";
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// `ann:SECRET`.
const ANN: &str = "Basic YW5uOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm";
/// `lis:SECRET`.
pub(super) const LIS: &str = "Basic bGlzOjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm";

/// The memory budget, bytes.
pub(super) const MEMORY: u64 = 100 << 20;

/// A gateway whose stream `door/main` has a picture (0) and a sound (1) track.
pub(super) struct Gateway {
    pub(super) server: Arc<Server>,
    pub(super) publisher: Publisher,
    pub(super) picture: Arc<Track>,
    pub(super) sound: Arc<Track>,
    pub(super) places: Places,
    stop: watch::Sender<bool>,
    epoch: Instant,
}

impl Gateway {
    pub(super) fn new() -> Self {
        let gateway = Self::on_demand(Offer::Secure);
        gateway.publisher.set_tracks(gateway.tracks());
        gateway
    }

    /// Its tracks are not known yet.
    pub(super) fn on_demand(offer: Offer) -> Self {
        let metrics = Metrics::new();
        let hub = Hub::with_settings(crate::hub::Settings::default(), Arc::clone(&metrics));
        let publisher = hub.declare(StreamName::parse("door/main").unwrap()).unwrap();
        let authenticator = Arc::new(Authenticator::new(accounts(), Arc::clone(&metrics)));
        let settings = Settings::default();
        let listener = "test".to_owned();
        let load = Load::new(Some(MEMORY), Arc::clone(&metrics));
        Self {
            server: Arc::new(Server {
                listener,
                hub,
                authenticator,
                offer,
                load,
                metrics,
                settings,
            }),
            publisher,
            picture: picture(640),
            sound: Arc::new(Track {
                id: TrackId(1),
                codec: Codec::Pcma { channels: 1 },
                clock_rate: 8_000,
            }),
            places: Places::new(),
            stop: watch::Sender::new(false),
            epoch: tokio::time::Instant::now().into_std(),
        }
    }

    pub(super) fn tracks(&self) -> Vec<Arc<Track>> {
        vec![Arc::clone(&self.picture), Arc::clone(&self.sound)]
    }

    /// A client whose pipe holds `room` bytes in each direction.
    pub(super) fn client(&self, room: usize) -> Client {
        let (ours, theirs) = duplex(room);
        Client::new(ours, tokio::spawn(self.serve(theirs)))
    }

    pub(super) fn serve<S>(&self, stream: S) -> impl Future<Output = End> + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let since = tokio::time::Instant::now();
        let peer = Peer { address: ([127, 0, 0, 1], 9).into(), identity: None, since };
        let mut stop = self.stop.subscribe();
        let stop = async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        serve(stream, peer, self.place(), Arc::clone(&self.server), stop)
    }

    /// Tells all connections to end.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn place(&self) -> PreAuthPlace {
        match self.places.arrive([127, 0, 0, 1].into()) {
            crate::trust::auth::Arrival::Enters(place) => place,
            other => panic!("{other:?}"),
        }
    }

    /// Publishes a picture of `bytes` at `at` ms of the stream's time.
    pub(super) fn picture(&self, at: u64, random_access: bool, bytes: usize) {
        let mut data = BytesMut::new();
        data.put_u32(u32::try_from(bytes).unwrap());
        data.put_u8(if random_access { 0x65 } else { 0x41 });
        data.put_bytes(0x55, bytes - 1);
        self.push(&self.picture, at, random_access, data.freeze());
    }

    /// Publishes 20 ms of sound.
    pub(super) fn sound(&self, at: u64) {
        self.push(&self.sound, at, true, Bytes::from_static(&[0xd5; 160]));
    }

    fn push(&self, track: &Arc<Track>, at: u64, random_access: bool, data: Bytes) {
        let at = Duration::from_millis(at);
        let ticks = at.as_micros() * u128::from(track.clock_rate) / 1_000_000;
        self.publisher.push(AccessUnit {
            track: Arc::clone(track),
            ticks: i64::try_from(ticks).unwrap(),
            received: self.epoch + at,
            wallclock: SystemTime::UNIX_EPOCH + at,
            random_access,
            data,
        });
    }

    pub(super) fn has_metric(&self, line: &str) -> bool {
        self.server.metrics.encode().lines().any(|other| other == line)
    }
}

pub(super) fn picture(width: u16) -> Arc<Track> {
    let codec = Codec::H264(H264Parameters {
        // High profile, 640 x 360, 25 pictures a second, as x264 writes it.
        sps: Bytes::from_static(&[
            0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x70, 0x11, 0x00, 0x00,
            0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x0f, 0x16, 0x2d, 0x96,
        ]),
        pps: Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0]),
        profile: 100,
        constraints: 0,
        level: 30,
        width,
        height: 360,
        bit_depth: 8,
        chroma_format_idc: 1,
    });
    Arc::new(Track { id: TrackId(0), codec, clock_rate: 90_000 })
}

/// `ann` may see and hear, `lis` may only hear.
fn accounts() -> crate::trust::auth::Settings {
    let user = |name: &str, kinds| {
        let secret = GeneratedSecret::new(name, &SecretString::from(SECRET));
        let grant = Grant { streams: StreamPattern::parse("door/*").unwrap(), kinds };
        User::new(name, Credential::Generated(secret), vec![grant]).unwrap()
    };
    let users = vec![user("ann", Kinds::ALL), user("lis", Kinds { video: false, audio: true })];
    crate::trust::auth::Settings { users }
}

/// An interleaved frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) channel: u8,
    pub(super) packet: Bytes,
}

impl Frame {
    pub(super) fn seq(&self) -> u16 {
        u16::from_be_bytes(self.packet[2..4].try_into().unwrap())
    }

    pub(super) fn rtp_time(&self) -> u32 {
        u32::from_be_bytes(self.packet[4..8].try_into().unwrap())
    }

    pub(super) fn is_report(&self) -> bool {
        self.packet[1] == 200
    }
}

/// A small client of its own: no part of the server but the grammar.
pub(super) struct Client {
    pub(super) stream: DuplexStream,
    pub(super) buffer: BytesMut,
    pub(super) served: JoinHandle<End>,
    decoder: Decoder,
    cseq: u32,
    pub(super) login: &'static str,
    /// Frames that came before the answer waited for.
    pub(super) early: Vec<Frame>,
}

impl Client {
    fn new(stream: DuplexStream, served: JoinHandle<End>) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            served,
            decoder: Decoder::new(),
            cseq: 0,
            login: ANN,
            early: Vec::new(),
        }
    }

    pub(super) fn request(&mut self, method: Method, uri: &str, headers: &[(&str, &str)]) -> Bytes {
        self.cseq += 1;
        let mut request = Request::new(method, uri);
        request.headers.push("CSeq", self.cseq.to_string());
        if !self.login.is_empty() {
            request.headers.push("Authorization", self.login);
        }
        for (name, value) in headers {
            request.headers.push(name, *value);
        }
        request.encode()
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(super) async fn ask(
        &mut self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let request = self.request(method, uri, headers);
        self.send(&request).await;
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> Response {
        loop {
            match self.item().await {
                Item::Response(response) => {
                    assert_eq!(response.cseq().unwrap_or(self.cseq), self.cseq);
                    return response;
                }
                Item::Interleaved { channel, payload } => {
                    self.early.push(Frame { channel, packet: payload });
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn frame(&mut self) -> Frame {
        match self.item().await {
            Item::Interleaved { channel, payload } => Frame { channel, packet: payload },
            other => panic!("{other:?}"),
        }
    }

    /// Nothing comes for a while.
    pub(super) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(100), self.item()).await.is_err()
    }

    pub(super) async fn item(&mut self) -> Item {
        loop {
            if let Some(item) = self.decoder.decode(&mut self.buffer).unwrap() {
                return item;
            }
            let read = self.stream.read_buf(&mut self.buffer);
            let n = timeout(Duration::from_secs(60), read).await.expect("nothing came").unwrap();
            assert_ne!(n, 0, "closed");
        }
    }

    /// Sets tracks up on the channels of `transport`; the session id.
    pub(super) async fn set_up(&mut self, tracks: &[(u8, &str)]) -> String {
        let mut session = String::new();
        for (track, channels) in tracks {
            let uri = format!("{URL}/trackID={track}");
            let transport = format!("RTP/AVP/TCP;unicast{channels}");
            let mut headers = vec![("Transport", transport.as_str())];
            if !session.is_empty() {
                headers.push(("Session", &session));
            }
            let response = self.ask(Method::Setup, &uri, &headers).await;
            assert_eq!(response.status, 200, "{uri}");
            let header = response.headers.get("Session").unwrap();
            session = header.split(';').next().unwrap().to_owned();
        }
        session
    }

    pub(super) async fn play(&mut self, session: &str) -> Response {
        let response = self.ask(Method::Play, URL, &[("Session", session)]).await;
        assert_eq!(response.status, 200);
        response
    }

    pub(super) async fn ends(self) -> End {
        self.served.await.unwrap()
    }
}
