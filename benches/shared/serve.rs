//! What the gateway is compared with: loops that push the same units, at the same pace, through rustls, and do
//! nothing else. No RTSP, no login, no ring, no lag policy, no packetisation while they run.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use camlock::app::simulator::{Audio, Feed, PatternSettings, Source};
use camlock::media::Published;
use camlock::wire::rtp;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::gateway::Load;
use super::pace::{self, Publisher};
use super::{Result, child};

/// Units that a reader of the loop may be behind before it loses some.
const BEHIND: usize = 64;
/// Groups of pictures that the loop repeats.
const GROUPS: u32 = 4;

/// How a unit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// All of a unit in one write: the limit.
    Unit,
    /// Each RTP packet in a write of its own, as the field does.
    Packet,
}

/// The role `serve`: CA-FILE unit|packet KBIT FPS GOP. Says its port, then is a [`pace::publish`]er.
pub fn role(arguments: &[String]) -> Result<()> {
    let [ca, writes, kbit, fps, gop] = arguments else {
        return Err("serve: CA unit|packet KBIT FPS GOP".into());
    };
    let writes = if writes == "unit" { Writes::Unit } else { Writes::Packet };
    let load = Load { cameras: 1, kbit: kbit.parse()?, fps: fps.parse()?, gop: gop.parse()? };
    let forms = forms(load)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let acceptor = acceptor(Path::new(ca))?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    child::say(&listener.local_addr()?.port().to_string())?;
    let (units, _) = broadcast::channel(BEHIND);
    runtime.spawn(accept(listener, acceptor, units.clone(), writes));
    pace::publish(&runtime, load.fps, Looping { forms: forms.into(), units })
}

/// The same groups of pictures again and again.
struct Looping {
    forms: VecDeque<Bytes>,
    units: broadcast::Sender<Bytes>,
}

impl Publisher for Looping {
    async fn push(&mut self) -> Result<u64> {
        self.forms.rotate_left(1);
        let form = self.forms.back().ok_or("no units")?;
        // Nobody may listen yet.
        let _readers = self.units.send(form.clone());
        Ok(form.len() as u64)
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    units: broadcast::Sender<Bytes>,
    writes: Writes,
) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(acceptor.clone(), socket, units.clone(), writes));
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    socket: TcpStream,
    units: broadcast::Sender<Bytes>,
    writes: Writes,
) -> Result<()> {
    let mut tls = acceptor.accept(socket).await?;
    let mut units = units.subscribe();
    loop {
        let unit = match units.recv().await {
            Ok(unit) => unit,
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        match writes {
            Writes::Unit => write(&mut tls, &unit).await?,
            Writes::Packet => {
                for packet in packets(unit) {
                    write(&mut tls, &packet).await?;
                }
            }
        }
    }
}

async fn write(tls: &mut TlsStream<TcpStream>, bytes: &[u8]) -> Result<()> {
    tls.write_all(bytes).await?;
    Ok(tls.flush().await?)
}

/// The interleaved frames of a unit (RFC 2326 10.12).
fn packets(mut unit: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let length = u16::from_be_bytes([*unit.get(2)?, *unit.get(3)?]);
        Some(unit.split_to((4 + usize::from(length)).min(unit.len())))
    })
}

/// The interleaved forms of some groups of pictures, as the gateway packetises them.
fn forms(load: Load) -> Result<Vec<Bytes>> {
    let settings = PatternSettings {
        fps: load.fps,
        gop: load.gop,
        bit_rate: load.kbit * 1000,
        ..Default::default()
    };
    let feed = Feed::new(Source::Pattern(settings), Audio::None, Duration::ZERO)?;
    let count = usize::try_from(load.gop * GROUPS)?;
    Ok(feed
        .take(count)
        .map(|unit| form(unit.into_access_unit(Instant::now(), SystemTime::now())))
        .collect())
}

fn form(unit: camlock::media::AccessUnit) -> Bytes {
    let plan = rtp::plan(&unit).unwrap_or_default();
    let (unit, media) = unit.split();
    rtp::interleaved(&Published {
        unit,
        index: 0,
        first_seq: 0,
        packets: plan.packets,
        octets: plan.octets,
        rtp_time: 0,
        ssrc: 1,
        payload_type: 96,
        packets_before: 0,
        octets_before: 0,
        media,
    })
}

/// A certificate of its own, of the kind the gateway makes (ECDSA P-256), written where readers look.
pub fn acceptor(ca: &Path) -> Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(ca, made.cert.pem())?;
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
