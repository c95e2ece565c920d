use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::ServerName;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::accept::Pause;
use super::*;
use crate::ops::limits;
use crate::ops::metrics::Metrics;
use crate::trust::auth::{
    Authenticator, Credential, Offer, Presented, Settings, User, hash_password,
};
use crate::trust::pki::tests::{TestDir, client, made};
use crate::trust::tls::ClientCertificates;

/// A listener whose accepted connections come out of a channel. Drop closes all.
struct Open {
    address: SocketAddr,
    accepted: mpsc::Receiver<Accepted>,
    metrics: Arc<Metrics>,
    _run: JoinSet<()>,
}

fn open(encryption: Encryption) -> Open {
    let metrics = Metrics::new();
    let gate = Gate::new(Arc::clone(&metrics));
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind("test", any, encryption, gate).unwrap();
    let address = listener.local_addr().unwrap();
    let (send, accepted) = mpsc::channel(1024);
    let mut run = JoinSet::new();
    run.spawn(listener.run(pending(), move |accepted| {
        let send = send.clone();
        async move { send.send(accepted).await.unwrap_or_default() }
    }));
    Open { address, accepted, metrics, _run: run }
}

fn tls(dir: &TestDir) -> (Encryption, watch::Sender<Arc<ServerConfig>>, String) {
    let (config, ca) = made(dir, ClientCertificates::Ignored);
    let (send, config) = watch::channel(config);
    (Encryption::Tls(config), send, ca)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
}

/// The next accepted connection, or what the test was waiting for in vain. On the real clock.
async fn next(open: &mut Open) -> Accepted {
    tokio::time::timeout(Duration::from_secs(10), open.accepted.recv()).await.unwrap().unwrap()
}

fn metric(metrics: &Metrics, line: &str) -> bool {
    metrics.encode().lines().any(|l| l == line)
}

#[tokio::test]
async fn without_tls_only_loopback_can_be_used() {
    let gate = Gate::new(Metrics::new());
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:554"] {
        let address = address.parse().unwrap();
        let got = Listener::bind("open", address, Encryption::Plain, gate.clone());
        let error = got.unwrap_err().to_string();
        assert!(error.contains("`open`") && error.contains("no TLS"), "{error}");
    }
    let taken =
        Listener::bind("a", "127.0.0.1:0".parse().unwrap(), Encryption::Plain, gate.clone())
            .unwrap();
    let address = taken.local_addr().unwrap();
    let error = Listener::bind("b", address, Encryption::Plain, gate).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_tls_connection_reaches_its_handler_and_new_certificates_need_no_restart() {
    let dir = TestDir::new();
    let (encryption, certificates, ca) = tls(&dir);
    let mut open = open(encryption);
    let other = TestDir::new();
    for round in 0..2 {
        let (ca, name) = match round {
            0 => (ca.clone(), ServerName::try_from("localhost").unwrap()),
            _ => {
                let (config, ca) = made(&other, ClientCertificates::Ignored);
                certificates.send_replace(config);
                (ca, ServerName::try_from("127.0.0.1").unwrap())
            }
        };
        let connector = TlsConnector::from(client(&ca, None));
        let tcp = connect(open.address).await;
        let local = tcp.local_addr().unwrap();
        let mut ours = connector.connect(name, tcp).await.unwrap();
        let mut theirs = next(&mut open).await;
        assert_eq!(theirs.peer, local);
        assert_eq!(theirs.identity, None);
        ours.write_all(b"ping").await.unwrap();
        let mut buf = [0; 4];
        theirs.stream.read_exact(&mut buf).await.unwrap();
        theirs.stream.write_all(&buf).await.unwrap();
        theirs.stream.flush().await.unwrap();
        ours.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"ping");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_or_dripping_peer_is_closed_after_the_handshake_time() {
    let dir = TestDir::new();
    let (encryption, _certificates, _) = tls(&dir);
    let open = open(encryption);
    let start = Instant::now();
    let mut silent = connect(open.address).await;
    let mut dripping = connect(open.address).await;
    let drip = async {
        // A record header that promises much, then a byte a second.
        let mut buf = [0; 64];
        dripping.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
        for _ in 0..60 {
            let wait = tokio::time::timeout(Duration::from_secs(1), dripping.read(&mut buf));
            match wait.await {
                Ok(Ok(0) | Err(_)) => return,
                Ok(Ok(_)) => {}
                Err(_) => {
                    if dripping.write_all(&[1]).await.is_err() {
                        return;
                    }
                }
            }
        }
        panic!("still open after a minute");
    };
    let mut buf = [0; 64];
    let (_, ()) = tokio::join!(silent.read(&mut buf), drip);
    let took = start.elapsed();
    assert!(
        took >= limits::HANDSHAKE && took <= limits::HANDSHAKE + Duration::from_secs(2),
        "{took:?}"
    );
    let line =
        r#"camlock_connections_ended_early_total{listener="test",reason="HandshakeTimeout"} 2"#;
    assert!(metric(&open.metrics, line), "{}", open.metrics.encode());
}

#[tokio::test]
async fn plain_text_on_a_tls_port_ends_the_connection() {
    let dir = TestDir::new();
    let (encryption, _certificates, _) = tls(&dir);
    let open = open(encryption);
    let mut tcp = connect(open.address).await;
    tcp.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    // An alert or a reset: closed either way.
    let ended = tokio::time::timeout(Duration::from_secs(10), tcp.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    let line =
        r#"camlock_connections_ended_early_total{listener="test",reason="HandshakeFailed"} 1"#;
    assert!(metric(&open.metrics, line), "{}", open.metrics.encode());
}

#[tokio::test]
async fn the_ninth_connection_waits_until_one_logs_in() {
    let mut open = open(Encryption::Plain);
    let mut clients = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED_PER_SOURCE + 2 {
        clients.push(connect(open.address).await);
    }
    let mut inside = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED_PER_SOURCE {
        inside.push(next(&mut open).await);
    }
    assert!(open.accepted.try_recv().is_err());
    // Login: the place goes, the connection stays.
    let Accepted { stream, place, .. } = inside.remove(0);
    drop(place);
    let ninth = next(&mut open).await;
    drop(inside.remove(0));
    let tenth = next(&mut open).await;
    assert_eq!(ninth.peer, clients[8].local_addr().unwrap(), "in the order they came");
    assert_eq!(tenth.peer, clients[9].local_addr().unwrap());
    drop(stream);
}

#[tokio::test]
async fn two_hundred_connections_of_one_address_all_come_in() {
    let mut open = open(Encryption::Plain);
    let address = open.address;
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        clients.spawn(connect(address));
    }
    let mut playing = Vec::new();
    while playing.len() < 200 {
        let Accepted { stream, place, .. } = next(&mut open).await;
        playing.push(stream);
        drop(place);
    }
    assert_eq!(clients.join_all().await.len(), 200);
}

#[tokio::test]
async fn five_hundred_clients_at_once_are_not_sent_away_to_try_again() {
    let gate = Gate::new(Metrics::new());
    let any = "127.0.0.1:0".parse().unwrap();
    // Accepts nobody: what is connected waits in the kernel.
    let listener = Listener::bind("test", any, Encryption::Plain, gate).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for number in 0..500 {
        let connected = tokio::time::timeout(Duration::from_millis(900), connect(address)).await;
        waiting.push(connected.unwrap_or_else(|_| panic!("client {number} tries again")));
    }
}

#[tokio::test]
async fn dropping_the_listener_ends_its_connections() {
    let mut open = open(Encryption::Plain);
    let mut outside = connect(open.address).await;
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(connect(open.address).await);
    }
    let inside = next(&mut open).await;
    drop(open);
    drop(inside);
    let mut buf = [0; 1];
    // Reset or end.
    assert!(!matches!(outside.read(&mut buf).await, Ok(1..)));
    for mut tcp in waiting {
        assert!(!matches!(tcp.read(&mut buf).await, Ok(1..)));
    }
}

#[tokio::test]
async fn a_listener_that_stops_takes_nobody_and_waits_for_its_handlers() {
    let any = "127.0.0.1:0".parse().unwrap();
    let listener =
        Listener::bind("test", any, Encryption::Plain, Gate::new(Metrics::new())).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let running = tokio::spawn(listener.run(stopped, async |mut accepted: Accepted| {
        accepted.stream.write_all(b"+").await.unwrap();
        accepted.stop.await;
        accepted.stream.write_all(b"-").await.unwrap();
    }));
    let mut buf = [0; 1];
    let mut clients = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED_PER_SOURCE {
        let mut tcp = connect(address).await;
        tcp.read_exact(&mut buf).await.unwrap();
        clients.push(tcp);
    }
    let mut waits = connect(address).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    for mut tcp in clients {
        tcp.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"-");
    }
    assert!(!matches!(waits.read(&mut buf).await, Ok(1..)));
    assert!(TcpSocket::new_v4().unwrap().connect(address).await.is_err(), "it listens no more");
}

#[tokio::test]
async fn a_handler_that_panics_costs_its_connection_only() {
    let metrics = Metrics::new();
    let gate = Gate::new(Arc::clone(&metrics));
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind("test", any, Encryption::Plain, gate).unwrap();
    let address = listener.local_addr().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut run = JoinSet::new();
    run.spawn(listener.run(pending(), move |mut accepted| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            assert!(!first, "a seeded panic");
            accepted.stream.write_all(b"y").await.unwrap();
        }
    }));
    let mut buf = [0; 1];
    let mut tcp = connect(address).await;
    assert!(!matches!(tcp.read(&mut buf).await, Ok(1..)));
    let mut tcp = connect(address).await;
    tcp.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"y");
    let line = r#"camlock_connections_ended_early_total{listener="test",reason="Panicked"} 1"#;
    assert!(metric(&metrics, line), "{}", metrics.encode());
}

#[tokio::test(start_paused = true)]
async fn accept_pauses_when_descriptors_run_out_and_not_for_a_lost_connection() {
    let mut pause = Pause::default();
    let lost = io::Error::from(io::ErrorKind::ConnectionAborted);
    assert!(!pause.after(&lost));
    assert!(pause.until <= Instant::now());
    let full = io::Error::from_raw_os_error(24);
    let mut pauses = Vec::new();
    for n in 0..9 {
        assert_eq!(pause.after(&full), n == 0, "one log line for the run");
        pauses.push((pause.until - Instant::now()).as_millis());
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
    // Successes between the failures do not make more lines of them.
    pause.over();
    assert!(pause.until <= Instant::now());
    tokio::time::advance(limits::ACCEPT_NEWS - Duration::from_millis(1)).await;
    assert!(!pause.after(&full));
    pause.over();
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(pause.after(&full));
}

/// Counts the writes that reach the socket.
struct Counting<S> {
    inner: S,
    writes: Arc<Mutex<Vec<usize>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(1);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.lock().unwrap().push(bufs.len());
        let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        Pin::new(&mut self.inner).poll_write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_unit_of_100_kib_is_two_system_calls_of_full_records() {
    let dir = TestDir::new();
    let (config, ca) = made(&dir, ClientCertificates::Ignored);
    let (near, far) = tokio::io::duplex(1024 * 1024);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let far = Counting { inner: far, writes: Arc::clone(&writes) };
    let name = ServerName::try_from("localhost").unwrap();
    let acceptor = TlsAcceptor::from(config);
    let connector = TlsConnector::from(client(&ca, None));
    let (served, connected) = tokio::join!(acceptor.accept(far), connector.connect(name, near));
    let (mut tls, _client) = (served.unwrap(), connected.unwrap());
    writes.lock().unwrap().clear();
    tls.write_all(&vec![0; 100 * 1024]).await.unwrap();
    tls.flush().await.unwrap();
    assert_eq!(*writes.lock().unwrap(), [4, 3], "records of each call");
}

/// Speaks one line a request: the `Authorization` value; answers `+` or `-`.
async fn line_login(auth: Arc<Authenticator>, accepted: Accepted) {
    let Accepted { stream, peer, place, .. } = accepted;
    let mut login = auth.connection(peer.ip(), &Offer::Secure, None);
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).await.unwrap();
    let presented =
        Presented { method: "DESCRIBE", uri: "/a/b", authorization: Some(line.trim_end()) };
    let answer = match auth.authenticate(&mut login, presented).await {
        Ok(_) => b"+",
        Err(_) => b"-",
    };
    drop(place);
    lines.write_all(answer).await.unwrap();
    lines.flush().await.unwrap();
    // Plays on until the client goes.
    lines.read_line(&mut line).await.unwrap_or_default();
}

#[tokio::test]
async fn a_recorder_restarts_with_200_connections_and_one_stale_password() {
    let dir = TestDir::new();
    let (encryption, _certificates, ca) = tls(&dir);
    let hash = hash_password(&"right".to_owned().into()).unwrap();
    let nvr = User::new("nvr", Credential::Argon2id(hash), vec![]).unwrap();
    let metrics = Metrics::new();
    let auth = Arc::new(Authenticator::new(Settings { users: vec![nvr] }, Arc::clone(&metrics)));
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind("test", any, encryption, Gate::new(metrics)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut run = JoinSet::new();
    run.spawn(listener.run(pending(), move |accepted| line_login(Arc::clone(&auth), accepted)));

    let start = Instant::now();
    let mut clients = JoinSet::new();
    for n in 0..200 {
        let connector = TlsConnector::from(client(&ca, None));
        clients.spawn(async move {
            let name = ServerName::try_from("localhost").unwrap();
            let mut tls = connector.connect(name, connect(address).await).await.unwrap();
            // nvr:stale and nvr:right
            let login: &[u8] =
                if n == 77 { b"Basic bnZyOnN0YWxl\n" } else { b"Basic bnZyOnJpZ2h0\n" };
            tls.write_all(login).await.unwrap();
            let answer = tls.read_u8().await.unwrap();
            (n, answer, tls)
        });
    }
    let answers = clients.join_all().await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    for (n, answer, _) in &answers {
        assert_eq!(*answer, if *n == 77 { b'-' } else { b'+' }, "{n}");
    }
}
