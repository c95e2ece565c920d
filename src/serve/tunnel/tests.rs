//! Tunnels over in-memory pipes with paused time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::trust::auth::{Arrival, Places, PreAuthPlace};
use crate::trust::tls::{Fingerprint, PeerIdentity};

const OURS: &str = "192.0.2.1:1000";

/// Tunnels of a gateway with the places before login.
struct Gate {
    tunnels: Arc<Tunnels<DuplexStream>>,
    places: Places,
    metrics: Arc<Metrics>,
}

/// A client's end of a connection, and what becomes of the other.
struct Client {
    stream: DuplexStream,
    entered: JoinHandle<Option<Entered<DuplexStream>>>,
}

impl Gate {
    fn new(settings: Settings) -> Self {
        let metrics = Metrics::new();
        let tunnels = Arc::new(Tunnels::new(settings, Arc::clone(&metrics)));
        Self { tunnels, places: Places::new(), metrics }
    }

    async fn place(&self, peer: SocketAddr) -> PreAuthPlace {
        match self.places.arrive(peer.ip()) {
            Arrival::Enters(place) => place,
            Arrival::Waits(waiting) => waiting.turn().await.unwrap(),
            Arrival::Refused => panic!("refused"),
        }
    }

    async fn connect(&self, peer: &str, certificate: Option<u8>) -> Client {
        let (stream, theirs) = duplex(64 * 1024);
        let peer = peer.parse().unwrap();
        let identity = certificate.map(|byte| PeerIdentity {
            common_name: None,
            fingerprint: Fingerprint::of(&[byte]),
            not_after: 0,
        });
        let listener = "test".to_owned();
        let place = self.place(peer).await;
        let arrived = NewConnection { listener, stream: theirs, peer, identity, place };
        let tunnels = Arc::clone(&self.tunnels);
        let entered = tokio::spawn(async move { tunnels.enter(arrived).await });
        Client { stream, entered }
    }

    /// A connection that says this much.
    async fn says(&self, peer: &str, text: &str) -> Client {
        let mut client = self.connect(peer, None).await;
        client.stream.write_all(text.as_bytes()).await.unwrap();
        client
    }

    /// A GET that was answered.
    async fn get(&self, peer: &str, cookie: &str) -> Client {
        let mut get = self.says(peer, &head("GET", cookie)).await;
        get.hears("HTTP/1.0 200 OK\r\n").await;
        get
    }

    /// Both halves of one client.
    async fn pair(&self, cookie: &str) -> (Client, Client, Entered<DuplexStream>) {
        let mut get = self.get(OURS, cookie).await;
        let post = self.says(OURS, &head("POST", cookie)).await;
        let entered = (&mut get.entered).await.unwrap().unwrap();
        (get, post, entered)
    }

    fn has_metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|other| other == line)
    }
}

impl Client {
    /// Reads a whole head that begins so.
    async fn hears(&mut self, beginning: &str) {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            let byte = timeout(Duration::from_secs(60), self.stream.read_u8()).await.unwrap();
            text.push(char::from(byte.unwrap()));
        }
        assert!(text.starts_with(beginning), "{text}");
    }

    /// No byte stream came of it, and the client sees the end.
    async fn comes_to_nothing(mut self) {
        assert!(self.entered.await.unwrap().is_none());
        assert!(matches!(self.stream.read(&mut [0; 1]).await, Ok(0)));
    }
}

fn head(method: &str, cookie: &str) -> String {
    format!(
        "{method} /door/main HTTP/1.1\r\nx-sessioncookie: {cookie}\r\n\
         Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n\r\n"
    )
}

async fn read(stream: &mut ByteStream<DuplexStream>, bytes: usize) -> Vec<u8> {
    let mut buf = vec![0; bytes];
    timeout(Duration::from_secs(60), stream.read_exact(&mut buf)).await.unwrap().unwrap();
    buf
}

#[tokio::test(start_paused = true)]
async fn rtsp_goes_on_as_it_came_however_it_is_cut() {
    let gate = Gate::new(Settings::default());
    let text = b"GET_PARAMETER rtsp://a/b/c RTSP/1.0\r\n\r\n";
    for cut in [1, 3, 4, text.len()] {
        let mut client = gate.connect(OURS, None).await;
        for piece in text.chunks(cut) {
            client.stream.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        let Entered { mut stream, .. } = client.entered.await.unwrap().unwrap();
        assert_eq!(read(&mut stream, text.len()).await, text, "{cut}");
        stream.write_all(b"answer").await.unwrap();
        client.stream.read_exact(&mut [0; 6]).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_get_and_its_post_are_one_byte_stream() {
    let gate = Gate::new(Settings::default());
    let mut get = gate.get(OURS, "abc").await;
    assert_eq!(gate.places.count(), (0, 0), "a half that waits holds no place");
    assert!(gate.has_metric("camlock_tunnels_pending 1"));
    // Another port of the same client, and the first message together with the head.
    let first = BASE64_STANDARD.encode("OPTIONS ");
    let mut post = gate.says("192.0.2.1:1001", &(head("POST", "abc") + &first)).await;
    let Entered { mut stream, place: _place, .. } = (&mut get.entered).await.unwrap().unwrap();
    assert_eq!(gate.places.count(), (1, 0));
    assert!(gate.has_metric(r#"camlock_tunnels_opened_total{listener="test",kind="Https"} 1"#));
    for piece in ["*", " RTSP/1.0\r\n", "\r\n"] {
        post.stream.write_all(BASE64_STANDARD.encode(piece).as_bytes()).await.unwrap();
    }
    assert_eq!(read(&mut stream, 22).await, b"OPTIONS * RTSP/1.0\r\n\r\n");
    stream.write_all(b"RTSP/1.0 200 OK").await.unwrap();
    let mut answer = [0; 15];
    get.stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"RTSP/1.0 200 OK", "as it is, on the GET half");

    // The POST half counts as an open connection as long as the session lives.
    assert!(!post.entered.is_finished());
    drop(stream);
    assert!(post.entered.await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_either_half_is_the_end() {
    let gate = Gate::new(Settings::default());
    let (get, _post, Entered { mut stream, .. }) = gate.pair("abc").await;
    drop(get);
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);

    let (_get, mut post, Entered { mut stream, .. }) = gate.pair("abc").await;
    post.stream.write_all(b"QUJD").await.unwrap();
    drop(post);
    assert_eq!(read(&mut stream, 3).await, b"ABC");
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_tunnel_within_a_session_is_an_error() {
    let gate = Gate::new(Settings::default());
    let (_get, mut post, Entered { mut stream, .. }) = gate.pair("abc").await;
    post.stream.write_all(b"QUJD$").await.unwrap();
    let error = stream.read(&mut [0; 9]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);

    let (mut get, _post, Entered { mut stream, .. }) = gate.pair("abc").await;
    get.stream.write_all(b"G").await.unwrap();
    let error = stream.read(&mut [0; 9]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);

    let _get = gate.get(OURS, "abc").await;
    let post = gate.says(OURS, &(head("POST", "abc") + "$")).await;
    assert!(post.entered.await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn only_the_same_peer_can_bring_the_other_half() {
    let gate = Gate::new(Settings::default());
    let get = gate.get(OURS, "abc").await;
    for (peer, certificate) in [("192.0.2.2:1000", None), (OURS, Some(1))] {
        let mut thief = gate.connect(peer, certificate).await;
        thief.stream.write_all(head("POST", "abc").as_bytes()).await.unwrap();
        thief.hears("HTTP/1.0 404 Not Found\r\n").await;
        thief.comes_to_nothing().await;
    }
    // Neither can one wait for it under the same cookie.
    for peer in ["192.0.2.2:1000", OURS] {
        let mut second = gate.says(peer, &head("GET", "abc")).await;
        second.hears("HTTP/1.0 409 Conflict\r\n").await;
        second.comes_to_nothing().await;
    }
    let mut other = gate.says(OURS, &head("POST", "abd")).await;
    other.hears("HTTP/1.0 404 Not Found\r\n").await;
    assert!(gate.has_metric(r#"camlock_tunnels_refused_total{listener="test"} 5"#));
    // And the owner has lost nothing by it.
    let _post = gate.says(OURS, &head("POST", "abc")).await;
    assert!(get.entered.await.unwrap().is_some());

    let mut get = gate.connect(OURS, Some(1)).await;
    get.stream.write_all(head("GET", "abc").as_bytes()).await.unwrap();
    get.hears("HTTP/1.0 200 OK\r\n").await;
    let mut without = gate.says(OURS, &head("POST", "abc")).await;
    without.hears("HTTP/1.0 404 Not Found\r\n").await;
    let mut same = gate.connect("192.0.2.1:1001", Some(1)).await;
    same.stream.write_all(head("POST", "abc").as_bytes()).await.unwrap();
    assert!(get.entered.await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_half_waits_only_so_long() {
    let gate = Gate::new(Settings::default());
    let began = Instant::now();
    gate.get(OURS, "abc").await.comes_to_nothing().await;
    assert_eq!(began.elapsed(), limits::TUNNEL_JOIN);
    assert!(gate.has_metric("camlock_tunnels_pending 0"));
    let mut late = gate.says(OURS, &head("POST", "abc")).await;
    late.hears("HTTP/1.0 404 Not Found\r\n").await;

    // Nor when it goes, or says more.
    drop(gate.get(OURS, "abc").await);
    let mut get = gate.get(OURS, "abc").await;
    get.stream.write_all(b"G").await.unwrap();
    get.comes_to_nothing().await;
    gate.says(OURS, &(head("GET", "abc") + "G")).await.comes_to_nothing().await;
    assert!(gate.get(OURS, "abc").await.stream.write_all(b"G").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn silent_and_dripping_heads_are_cut_in_time() {
    let gate = Gate::new(Settings::default());
    let began = Instant::now();
    gate.connect(OURS, None).await.comes_to_nothing().await;
    assert_eq!(began.elapsed(), limits::FIRST_BYTE);

    for text in [head("GET", &"c".repeat(100)), "GET".to_owned()] {
        let began = Instant::now();
        let mut client = gate.connect(OURS, None).await;
        for byte in text.as_bytes() {
            if client.stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        client.comes_to_nothing().await;
        let took = began.elapsed() - limits::REQUEST;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    let mut endless =
        gate.says(OURS, &head("GET", "abc").replace("/door", &"/d".repeat(5000))).await;
    endless.hears("HTTP/1.1 431 ").await;
    endless.comes_to_nothing().await;
}

/// A recorder restarts: more first halves at once than there are places, and each second half has to
/// come in behind all of them.
#[tokio::test(start_paused = true)]
async fn two_hundred_tunnels_of_one_source_all_come_in() {
    let gate = Arc::new(Gate::new(Settings::default()));
    let client = |n: usize| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            let (_get, _post, entered) = gate.pair(&format!("cookie{n}")).await;
            // Login.
            sleep(Duration::from_millis(20)).await;
            drop(entered.place);
        })
    };
    let clients: Vec<_> = (0..200).map(client).collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(gate.places.count(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_tunnels_http_is_what_rtsp_makes_of_it() {
    let gate = Gate::new(Settings::CLOSED);
    let client = gate.says(OURS, &head("GET", "abc")).await;
    let Entered { mut stream, .. } = client.entered.await.unwrap().unwrap();
    assert_eq!(read(&mut stream, 4).await, b"GET ");
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_a_byte_stream_and_each_kind_of_tunnel_can_be_closed() {
    const OPEN: &str = "GET /rtspoverwebsocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Protocol: rtsp.onvif.org\r\n\r\n";
    let gate = Gate::new(Settings { https: false, websocket: true });
    // A masked frame right behind the head, which no client should send but the stream takes.
    let mut client = gate.connect(OURS, None).await;
    let text = [OPEN.as_bytes(), &[0x82, 0x83, 0, 0, 0, 0], b"OPT"].concat();
    client.stream.write_all(&text).await.unwrap();
    client.hears("HTTP/1.1 101 ").await;
    let Entered { mut stream, place, .. } = client.entered.await.unwrap().unwrap();
    assert_eq!(gate.places.count(), (1, 0));
    assert_eq!(read(&mut stream, 3).await, b"OPT");
    stream.write_all(b"RTSP").await.unwrap();
    stream.flush().await.unwrap();
    let mut frame = [0; 6];
    client.stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x82\x04RTSP");
    drop(place);
    let metric = r#"camlock_tunnels_opened_total{listener="test",kind="WebSocket"} 1"#;
    assert!(gate.has_metric(metric));

    let mut get = gate.says(OURS, &head("GET", "abc")).await;
    get.hears("HTTP/1.1 404 ").await;
    get.comes_to_nothing().await;
    let gate = Gate::new(Settings { https: true, websocket: false });
    let mut client = gate.says(OURS, OPEN).await;
    client.hears("HTTP/1.1 404 ").await;
    client.comes_to_nothing().await;
}
