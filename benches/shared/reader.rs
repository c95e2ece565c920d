//! Readers that count what arrives and do not decrypt it: a process with any number of them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::gateway::{PASSWORD, USER};
use super::{Result, child};

/// What readers there shall be; goes over the command line.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub port: u16,
    pub ca: std::path::PathBuf,
    pub readers: usize,
    /// Streams in turn.
    pub streams: u16,
}

impl Wanted {
    /// For [`child::Part::role`].
    pub fn arguments(&self) -> Vec<String> {
        let ca = self.ca.display().to_string();
        vec![self.port.to_string(), ca, self.readers.to_string(), self.streams.to_string()]
    }

    /// The stream of the reader with this number.
    pub fn stream(&self, number: usize) -> String {
        format!("c{}/main", number % usize::from(self.streams).max(1))
    }

    /// Of [`Wanted::arguments`].
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let [port, ca, readers, streams] = arguments else {
            return Err("readers: PORT CA READERS STREAMS".into());
        };
        let (port, readers, streams) = (port.parse()?, readers.parse()?, streams.parse()?);
        Ok(Self { port, ca: ca.into(), readers, streams })
    }
}

/// The role `readers`: says `playing` when all play, then answers each line with all bytes received so far.
pub fn role(arguments: &[String]) -> Result<()> {
    let wanted = Wanted::parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let received = Arc::new(AtomicU64::new(0));
    let to = Arc::clone(&received);
    runtime.block_on(bring(&wanted, move |tls| {
        tokio::spawn(count(tls.into_inner().0, Arc::clone(&to)));
    }))?;
    child::say("playing")?;
    child::answer_lines(|_| received.load(Ordering::Relaxed).to_string())
}

/// Brings all readers that are wanted; each that plays is handed to `begin`.
pub async fn bring<B>(wanted: &Wanted, begin: B) -> Result<()>
where
    B: Fn(TlsStream<TcpStream>) + Clone + Send + 'static,
{
    let connector = connector(&wanted.ca).await?;
    let mut starting = tokio::task::JoinSet::new();
    for number in 0..wanted.readers {
        // No more at once than the gateway has places for one address before login.
        if starting.len() >= 8 {
            starting.join_next().await.ok_or("no reader")???;
        }
        let (connector, begin) = (connector.clone(), begin.clone());
        let (port, stream) = (wanted.port, wanted.stream(number));
        starting.spawn(async move {
            let tls = play_over_tls(&connector, port, &stream).await?;
            begin(tls);
            Result::Ok(())
        });
    }
    while let Some(started) = starting.join_next().await {
        started??;
    }
    Ok(())
}

async fn count(mut socket: TcpStream, received: Arc<AtomicU64>) {
    let mut block = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = socket.read(&mut block).await {
        received.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Reads to the end and forgets it.
pub async fn discard(mut socket: TcpStream) {
    let mut block = vec![0; 64 * 1024];
    while let Ok(1..) = socket.read(&mut block).await {}
}

/// Trusts the CA in the file, once it is there.
pub async fn connector(ca: &Path) -> Result<TlsConnector> {
    let started = Instant::now();
    while !ca.exists() && started.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A handshake; tried again while nobody listens yet.
pub async fn connect(connector: &TlsConnector, port: u16) -> Result<TlsStream<TcpStream>> {
    connect_from(Ipv4Addr::LOCALHOST, connector, port).await
}

/// The same from another loopback address: the gateway gives each some places before login.
pub async fn connect_from(
    source: Ipv4Addr,
    connector: &TlsConnector,
    port: u16,
) -> Result<TlsStream<TcpStream>> {
    let started = Instant::now();
    let socket = loop {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        match socket.connect((Ipv4Addr::LOCALHOST, port).into()).await {
            Err(_) if started.elapsed() < Duration::from_secs(10) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            connected => break connected?,
        }
    };
    socket.set_nodelay(true)?;
    Ok(connector.connect(ServerName::try_from("localhost")?, socket).await?)
}

/// Plays a stream; the socket under the TLS, for what follows the answer to PLAY.
pub async fn play(connector: &TlsConnector, port: u16, stream: &str) -> Result<TcpStream> {
    Ok(play_over_tls(connector, port, stream).await?.into_inner().0)
}

/// Plays a stream up to the answer to PLAY; what follows is media.
pub async fn play_over_tls(
    connector: &TlsConnector,
    port: u16,
    stream: &str,
) -> Result<TlsStream<TcpStream>> {
    play_from(Ipv4Addr::LOCALHOST, connector, port, stream).await
}

/// The same from another loopback address.
pub async fn play_from(
    source: Ipv4Addr,
    connector: &TlsConnector,
    port: u16,
    stream: &str,
) -> Result<TlsStream<TcpStream>> {
    let mut tls = connect_from(source, connector, port).await?;
    let url = url(port, stream);
    let started = Instant::now();
    let described = loop {
        match describe(&mut tls, &url).await {
            // The camera has not been seen yet.
            Err(_) if started.elapsed() < Duration::from_secs(15) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                tls = connect_from(source, connector, port).await?;
            }
            described => break described?,
        }
    };
    set_up_and_play(&mut tls, &url, &described).await?;
    Ok(tls)
}

/// The URL of a stream.
pub fn url(port: u16, stream: &str) -> String {
    format!("rtsps://localhost:{port}/{stream}")
}

/// DESCRIBE; head and body of the answer.
pub async fn describe(tls: &mut TlsStream<TcpStream>, url: &str) -> Result<String> {
    request(tls, "DESCRIBE", url, "Accept: application/sdp\r\n").await
}

/// SETUP of the last track of a description, and PLAY; the session.
pub async fn set_up_and_play(
    tls: &mut TlsStream<TcpStream>,
    url: &str,
    described: &str,
) -> Result<String> {
    let control = described
        .lines()
        .filter_map(|line| line.strip_prefix("a=control:"))
        .next_back()
        .ok_or("no control")?;
    let control =
        if control.starts_with("rtsp") { control.to_owned() } else { format!("{url}/{control}") };
    let transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
    let set_up = request(tls, "SETUP", &control, transport).await?;
    let session =
        set_up.lines().find_map(|line| line.strip_prefix("Session: ")).ok_or("no session")?;
    let session = session.split(';').next().unwrap_or_default().to_owned();
    request(tls, "PLAY", url, &format!("Session: {session}\r\n")).await?;
    Ok(session)
}

/// Plays a stream of a camera that plays, as [`play_over_tls`] does; nothing is tried a second time.
pub async fn join(
    connector: &TlsConnector,
    port: u16,
    stream: &str,
) -> Result<TlsStream<TcpStream>> {
    let mut tls = connect(connector, port).await?;
    let url = url(port, stream);
    let described = describe(&mut tls, &url).await?;
    set_up_and_play(&mut tls, &url, &described).await?;
    Ok(tls)
}

/// One request; head and body of its answer, which must be 200.
async fn request(
    tls: &mut TlsStream<TcpStream>,
    method: &str,
    url: &str,
    headers: &str,
) -> Result<String> {
    let login = base64::prelude::BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let text = format!(
        "{method} {url} RTSP/1.0\r\nCSeq: 1\r\nAuthorization: Basic {login}\r\n{headers}\r\n"
    );
    tls.write_all(text.as_bytes()).await?;
    tls.flush().await?;
    let mut answer = Vec::new();
    let head = loop {
        answer.push(tls.read_u8().await?);
        if answer.ends_with(b"\r\n\r\n") {
            break String::from_utf8(std::mem::take(&mut answer))?;
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(Ok(0), str::parse)?];
    tls.read_exact(&mut body).await?;
    if !head.starts_with("RTSP/1.0 200 ") {
        return Err(format!("{method} {url}: {}", head.lines().next().unwrap_or_default()).into());
    }
    Ok(head + &String::from_utf8(body)?)
}
