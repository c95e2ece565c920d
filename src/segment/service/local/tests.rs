//! The services on loopback, where nothing is redirected: where a connection was going is told by the test.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::segment::shared::plan::tests::plan;
use crate::segment::{Destination, DnsPolicy, Protocol, Verdict};

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
const CLOUD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 7), 8883);
/// `a.example`, type A.
const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";

struct RunningServices {
    dns: SocketAddr,
    dns_tcp: SocketAddr,
    ntp: SocketAddr,
    sink: SocketAddr,
    plan: watch::Sender<Arc<Plan>>,
    watched: Watched,
    counts: Arc<Counts>,
    noted: mpsc::Receiver<Sighting>,
    _tasks: JoinSet<()>,
}

fn run() -> RunningServices {
    let sockets = Sockets::open_at(Ipv4Addr::LOCALHOST, [0; 4]).unwrap();
    let (plan, newest) = watch::channel(Arc::new(plan()));
    let watched = Watched::default();
    let counts = Arc::new(Counts::default());
    let (send, noted) = mpsc::channel(16);
    let mut running = RunningServices {
        dns: sockets.dns.local_addr().unwrap(),
        dns_tcp: sockets.dns_tcp.local_addr().unwrap(),
        ntp: sockets.ntp.local_addr().unwrap(),
        sink: sockets.sink.local_addr().unwrap(),
        plan,
        watched: watched.clone(),
        counts: Arc::clone(&counts),
        noted,
        _tasks: JoinSet::new(),
    };
    running._tasks.spawn(async move {
        let note = move |sighting| send.try_send(sighting).unwrap();
        let mac_of = |ip| (ip == IpAddr::from(Ipv4Addr::LOCALHOST)).then_some(MAC);
        let teller = Teller { note, mac_of, original: |_| Ok(CLOUD) };
        serve_with(sockets, newest, &watched, counts, teller).await.unwrap();
    });
    running
}

async fn ask(server: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(question, server).await.unwrap();
    let mut answer = vec![0; 1024];
    let (length, from) = socket.recv_from(&mut answer).await.unwrap();
    assert_eq!(from, server);
    answer.truncate(length);
    answer
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpSocket::new_v4().unwrap().connect(address).await.unwrap()
}

/// Whether the other side reset the connection, and sent nothing before.
async fn is_reset(stream: &mut TcpStream) -> bool {
    let end = stream.read(&mut [0; 1]).await;
    end.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn dns_answers_by_the_newest_plan() {
    let running = run();
    assert_eq!(ask(running.dns, QUESTION).await[3] & 15, 3, "no such name");
    let sink = Plan { dns: DnsPolicy::Sink, ..plan() };
    running.plan.send(Arc::new(sink)).unwrap();
    assert!(ask(running.dns, QUESTION).await.ends_with(&dns::SINK_ADDRESS.octets()));
    assert_eq!(running.counts.dns_answered.get(), 2);
}

#[tokio::test]
async fn dns_over_tcp_has_a_bound_of_questions() {
    let mut running = run();
    let mut stream = connect(running.dns_tcp).await;
    let framed = [&[0, u8::try_from(QUESTION.len()).unwrap()], QUESTION].concat();
    for _ in 0..limits::DNS_CONNECTION_QUESTIONS {
        stream.write_all(&framed).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer[..2], QUESTION[..2]);
        let attempt = running.noted.recv().await.unwrap().attempt;
        assert_eq!((attempt.protocol, attempt.verdict), (Protocol::Dns, Verdict::Answered));
        assert_eq!(attempt.name.unwrap().as_str(), "a.example");
    }
    drop(stream.write_all(&framed).await);
    assert!(stream.read_u16().await.is_err());
}

#[tokio::test]
async fn a_dns_question_over_tcp_that_is_too_long_ends_the_connection() {
    let running = run();
    let mut stream = connect(running.dns_tcp).await;
    let length = u16::try_from(limits::DNS_QUESTION_BYTES + 1).unwrap();
    stream.write_u16(length).await.unwrap();
    let ended = timeout(limits::DNS_CONNECTION / 2, stream.read_u16()).await;
    assert!(ended.expect("at once").is_err());
    let mut longest = QUESTION.to_vec();
    longest.resize(limits::DNS_QUESTION_BYTES, 0);
    let mut stream = connect(running.dns_tcp).await;
    stream.write_u16(length - 1).await.unwrap();
    stream.write_all(&longest).await.unwrap();
    assert!(stream.read_u16().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dns_connection_that_says_nothing_ends_in_time() {
    let running = run();
    let began = Instant::now();
    let mut stream = connect(running.dns_tcp).await;
    assert!(stream.read_u16().await.is_err());
    assert_eq!(began.elapsed().as_secs(), limits::DNS_CONNECTION.as_secs());
}

#[tokio::test]
async fn one_dns_connection_too_many_is_reset() {
    let running = run();
    let mut open = Vec::new();
    for _ in 0..limits::DNS_CONNECTIONS_PER_SOURCE {
        open.push(connect(running.dns_tcp).await);
    }
    assert!(is_reset(&mut connect(running.dns_tcp).await).await);
    assert_eq!(running.counts.no_place.get(), 1);
}

#[tokio::test]
async fn one_ntp_request_too_many_gets_no_answer() {
    let running = run();
    let mut request = [0; ntp::PACKET_BYTES];
    request[0] = 0x23;
    let burst = 4 * limits::NTP_PER_SECOND;
    let begin = Instant::now();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..2 * burst {
        socket.send_to(&request, running.ntp).await.unwrap();
    }
    let counts = &running.counts;
    while counts.ntp_answered.get() + counts.ntp_over_pace.get() < u64::from(2 * burst) {
        tokio::task::yield_now().await;
    }
    let passed = u64::from(limits::NTP_PER_SECOND) * (begin.elapsed().as_secs() + 1);
    let answered = counts.ntp_answered.get();
    assert!((u64::from(burst)..=u64::from(burst) + passed).contains(&answered), "{answered}");
    let mut answer = [0; 64];
    assert_eq!(socket.recv(&mut answer).await.unwrap(), ntp::PACKET_BYTES);
    assert_eq!(answer[0], 0x24);
}

#[tokio::test]
async fn the_sink_notes_what_a_connection_said_and_resets_it() {
    let mut running = run();
    let mut stream = connect(running.sink).await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    stream.write_all(b"Host: cloud.example\r\n").await.unwrap();
    assert!(is_reset(&mut stream).await);
    let sighting = running.noted.recv().await.unwrap();
    assert_eq!((sighting.device, sighting.bytes), (MAC, 0));
    assert_eq!(sighting.ip, Some(Ipv4Addr::LOCALHOST.into()));
    let attempt = sighting.attempt;
    assert_eq!((attempt.protocol, attempt.verdict), (Protocol::Http, Verdict::Sunk));
    assert_eq!(attempt.destination, Destination::Ip(IpAddr::V4(*CLOUD.ip())));
    assert_eq!(attempt.port, Some(CLOUD.port()));
    assert_eq!(attempt.name.unwrap().as_str(), "cloud.example");
}

#[tokio::test]
async fn what_the_port_tells_already_is_not_counted_again() {
    let mut running = run();
    assert_eq!(CLOUD.port(), 8883, "MQTT's");
    let mut nameless = connect(running.sink).await;
    nameless.write_all(b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0").await.unwrap();
    assert!(is_reset(&mut nameless).await);
    let mut other = connect(running.sink).await;
    other.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(is_reset(&mut other).await);
    assert_eq!(running.noted.recv().await.unwrap().attempt.protocol, Protocol::Http);
    assert_eq!(running.counts.sink_recognised.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_reset_in_time_and_adds_nothing() {
    let mut running = run();
    let began = Instant::now();
    let mut stream = connect(running.sink).await;
    assert!(is_reset(&mut stream).await);
    assert_eq!(began.elapsed().as_secs(), limits::SINK_TIME.as_secs());
    assert_eq!(running.counts.sink_unrecognised.get(), 1);
    assert!(running.noted.try_recv().is_err());
}

#[tokio::test]
async fn the_sink_reads_no_more_than_its_bytes() {
    let mut running = run();
    // A hello that says it is longer than anyone reads.
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];
    hello.resize(limits::SINK_BYTES - 1, 0);
    let mut stream = connect(running.sink).await;
    stream.write_all(&hello).await.unwrap();
    let quiet = timeout(Duration::from_millis(200), stream.read(&mut [0; 1])).await;
    assert!(quiet.is_err(), "it waits for more");
    stream.write_all(&[0]).await.unwrap();
    assert!(is_reset(&mut stream).await);
    let attempt = running.noted.recv().await.unwrap().attempt;
    assert_eq!((attempt.protocol, attempt.name), (Protocol::Tls, None));
}

#[tokio::test]
async fn one_connection_too_many_of_a_device_is_reset_at_once() {
    let running = run();
    let mut open = Vec::new();
    for _ in 0..limits::SINK_CONNECTIONS_PER_SOURCE {
        open.push(connect(running.sink).await);
    }
    assert!(is_reset(&mut connect(running.sink).await).await);
    assert_eq!(running.counts.no_place.get(), 1);
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(running.sink).await.unwrap();
    other.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert!(is_reset(&mut other).await);
    assert_eq!(running.counts.sink_recognised.get(), 1, "another device has its own places");
}

#[tokio::test(start_paused = true)]
async fn all_four_beat_every_second() {
    let running = run();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1001)).await;
        assert_eq!(running.watched.all_got_on(), Ok(()));
    }
}
