//! What stays behind when readers and cameras come and go.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use camlock::app::simulator::{self, Audio, PatternSettings, Simulator, Source};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::shared::child::{self, Part};
use super::shared::figures::setting;
use super::shared::gateway::{Cameras, Stand};
use super::shared::{Result, reader};
use super::{DRIFT, row, steady, verdict};

/// Turns that do not count: the allocator gets what as much coming and going needs at once, and its heaps the holes
/// that units of all sizes leave.
const WARM_UP: usize = 2;
/// Turns that count.
const TURNS: usize = 4;
/// Source addresses, and the connections of each at once: as many as it has places before login.
const SOURCES: u8 = 4;
const AT_ONCE: usize = 8;
/// Cameras of 1 Mbit/s; readers go to these. The others send little, so that what the rings happen to hold does not
/// hide what stays behind.
const WATCHED: usize = 10;

/// How the gateway stood before and after.
#[derive(Debug, serde::Serialize)]
pub(super) struct Churn {
    connects: usize,
    camera_drops: usize,
    before: Standing,
    /// After each turn.
    after: Vec<Standing>,
    drift_kib: f64,
}

#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Standing {
    resident_kib: f64,
    descriptors: usize,
    tasks: f64,
}

pub(super) fn measure() -> Result<Churn> {
    let droppers = setting("MEMORY_DROPPERS", 500);
    let mut cameras = Part::role("droppers", &[droppers.to_string()])?;
    let urls = (0..droppers).map(|_| cameras.line()).collect::<Result<_>>()?;
    let stand = Stand::with(Cameras { part: None, urls })?;
    stand.wait_for(droppers)?;
    let arguments = [stand.port.to_string(), stand.ca().display().to_string()];
    let mut comers = Part::role("comers", &arguments)?;
    comers.line()?;
    let connects = setting::<usize>("MEMORY_CONNECTS", 10_000) / TURNS;
    let mut turn = |before| {
        for (part, question) in
            [(&mut comers, connects.to_string()), (&mut cameras, "drop".to_owned())]
        {
            let answer = part.ask(&question)?;
            if answer != "done" {
                return Err(answer.into());
            }
        }
        stand.wait_for(droppers)?;
        Standing::quiet(&stand, before)
    };
    for _ in 1..WARM_UP {
        turn(None)?;
    }
    let before = turn(None)?;
    let after = (0..TURNS).map(|_| turn(Some(before))).collect::<Result<Vec<_>>>()?;
    let last = after.last().ok_or("no turn")?;
    let drift_kib = last.resident_kib - before.resident_kib;
    Ok(Churn {
        connects: connects * TURNS,
        camera_drops: droppers * TURNS,
        before,
        after,
        drift_kib,
    })
}

impl Churn {
    pub(super) fn print(&self) {
        let what = format!(
            "drift over {} connections and {} camera drops",
            self.connects, self.camera_drops
        );
        row(&what, self.drift_kib, DRIFT);
        let all = || std::iter::once(&self.before).chain(&self.after);
        let told =
            |figure: &dyn Fn(&Standing) -> String| all().map(figure).collect::<Vec<_>>().join(", ");
        println!(
            "| resident before and after each turn | {} | | |",
            told(&|standing| format!("{:.0}", standing.resident_kib))
        );
        println!(
            "| descriptors | {} | equal | {} |",
            told(&|standing| standing.descriptors.to_string()),
            verdict(all().all(|standing| standing.descriptors == self.before.descriptors))
        );
        println!(
            "| tasks | {} | equal | {} |",
            told(&|standing| standing.tasks.to_string()),
            verdict(all().all(|standing| standing.tasks == self.before.tasks))
        );
    }
}

impl Standing {
    /// Once tasks and descriptors are as `before`, or have not changed for five seconds if there is no before; or
    /// after a minute as they are.
    fn quiet(stand: &Stand, before: Option<Self>) -> Result<Self> {
        let count = || -> Result<(usize, f64)> {
            let tasks = stand.metric("camlock_process_tasks")?;
            Ok((stand.gateway.descriptors()?, tasks))
        };
        let (mut last, started) = (count()?, Instant::now());
        let mut since = started;
        while started.elapsed() < Duration::from_secs(60) {
            let is_quiet = match before {
                Some(before) => last == (before.descriptors, before.tasks),
                None => since.elapsed() >= Duration::from_secs(5),
            };
            if is_quiet {
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
            let now = count()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        steady::settle();
        let resident_kib = steady::resident_kib(stand, 5)?;
        Ok(Self { resident_kib, descriptors: last.0, tasks: last.1 })
    }
}

/// The role `droppers`: COUNT cameras, whose URLs it says. Answers `drop` when each has dropped its connections and
/// was dialled again.
pub(super) fn droppers(arguments: &[String]) -> Result<()> {
    let count: usize = arguments.first().ok_or("droppers: COUNT")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _within = runtime.enter();
    let cameras = (0..count).map(camera).collect();
    let simulator = Simulator::start(simulator::Settings { cameras })?;
    for address in simulator.addresses() {
        child::say(&format!("rtsp://{address}/main"))?;
    }
    child::answer_lines(|_| match runtime.block_on(drop_all(&simulator)) {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    })
}

fn camera(number: usize) -> simulator::CameraSettings {
    let pattern = if number < WATCHED {
        PatternSettings { bit_rate: 1_000_000, ..PatternSettings::default() }
    } else {
        let small = PatternSettings { width: 320, height: 176, ..PatternSettings::default() };
        PatternSettings { fps: 5, gop: 5, bit_rate: 100_000, ..small }
    };
    let profile = simulator::ProfileSettings {
        path: "/main".to_owned(),
        source: Source::Pattern(pattern),
        audio: Audio::None,
    };
    simulator::CameraSettings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        login: simulator::Login::None,
        profiles: vec![profile],
    }
}

async fn drop_all(simulator: &Simulator) -> Result<()> {
    let sessions =
        || simulator.cameras().iter().map(|camera| camera.counts().sessions).collect::<Vec<_>>();
    let before = sessions();
    for camera in simulator.cameras() {
        camera.stop().await;
        camera.start()?;
    }
    // The gateway waits longer each time: 1 s, and twice as long with each of six in a row.
    let started = Instant::now();
    while sessions().iter().zip(&before).any(|(now, before)| now <= before) {
        if started.elapsed() > Duration::from_secs(120) {
            return Err("not all cameras were dialled again".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Where comers go.
struct Target {
    connector: TlsConnector,
    config: Arc<rustls::ClientConfig>,
    port: u16,
}

/// The role `comers`: PORT CA. Answers a number when as many have come and gone.
pub(super) fn comers(arguments: &[String]) -> Result<()> {
    let [port, ca] = arguments else { return Err("comers: PORT CA".into()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let connector = runtime.block_on(reader::connector(&PathBuf::from(ca)))?;
    let config = Arc::clone(connector.config());
    let target = Arc::new(Target { connector, config, port: port.parse()? });
    child::say("ready")?;
    child::answer_lines(|count| {
        let Ok(count) = count.parse() else { return "not a number".to_owned() };
        match runtime.block_on(come_and_go(&target, count)) {
            Ok(()) => "done".to_owned(),
            Err(error) => error.to_string(),
        }
    })
}

async fn come_and_go(target: &Arc<Target>, count: usize) -> Result<()> {
    let mut coming = JoinSet::new();
    for number in 0..count {
        if coming.len() >= usize::from(SOURCES) * AT_ONCE {
            coming.join_next().await.ok_or("nobody")???;
        }
        coming.spawn(visit(Arc::clone(target), number));
    }
    while let Some(gone) = coming.join_next().await {
        gone??;
    }
    Ok(())
}

/// One connection. By turns: one that plays and says goodbye; one that ends within the handshake, its first or its
/// second half; one that asks for a description and says goodbye; one that ends in the middle of the media.
async fn visit(target: Arc<Target>, number: usize) -> Result<()> {
    let socket = socket(u8::try_from(number % usize::from(SOURCES))?, target.port).await?;
    let turn = number / usize::from(SOURCES);
    if turn % 4 == 1 {
        return end_in_handshake(&target, socket, turn % 8 == 1).await;
    }
    let name = ServerName::try_from("localhost")?;
    let mut tls = target.connector.connect(name, socket).await?;
    let url = reader::url(target.port, &format!("c{}/main", number % WATCHED));
    let described = reader::describe(&mut tls, &url).await?;
    if turn % 4 == 2 {
        return say_goodbye(tls).await;
    }
    let session = reader::set_up_and_play(&mut tls, &url, &described).await?;
    let mut media = vec![0; 16 * 1024];
    tls.read_exact(&mut media).await?;
    if turn % 4 == 3 {
        // With bytes unread the kernel resets the connection.
        return Ok(());
    }
    let goodbye = format!("TEARDOWN {url} RTSP/1.0\r\nCSeq: 9\r\nSession: {session}\r\n\r\n");
    tls.write_all(goodbye.as_bytes()).await?;
    say_goodbye(tls).await
}

/// Closes and takes what is on its way, so that the end is a clean one for the gateway.
async fn say_goodbye(mut tls: TlsStream<TcpStream>) -> Result<()> {
    tls.shutdown().await?;
    let (mut socket, _) = tls.into_inner();
    tokio::io::copy(&mut socket, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn socket(source: u8, port: u16) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 1, source + 1), 0)))?;
    let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Goes in the middle of the client's first message, or when the server's answer begins.
async fn end_in_handshake(target: &Target, mut socket: TcpStream, is_first: bool) -> Result<()> {
    let name = ServerName::try_from("localhost")?;
    let mut client = rustls::ClientConnection::new(Arc::clone(&target.config), name)?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello)?;
    if is_first {
        hello.truncate(hello.len() / 2);
        return Ok(socket.write_all(&hello).await?);
    }
    socket.write_all(&hello).await?;
    socket.read_exact(&mut [0; 64]).await?;
    Ok(())
}
