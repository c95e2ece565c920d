//! Cameras of the simulator, over real sockets on loopback, into a hub and to its readers.

mod tls;

use std::collections::{HashMap, HashSet};

use bytes::{Bytes, BytesMut};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;
use crate::app::simulator::{self, Audio, ClipName, Feed, Simulator, Source};
use crate::hub::status::Health;
use crate::hub::{EndReason, Interrupt, Subscription};
use crate::ingest::segment;
use crate::media::{Kinds, Published, TrackId, TrackKind};
use crate::ops::limits;
use crate::trust::auth::Permit;
use crate::wire::digest::Algorithm;
use crate::wire::rtsp::{Decoder, Item, Method};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// Books that know nothing and are kept nowhere.
fn books() -> Books {
    let certificates = CertificateBook::new(Some(Certificates::new()), |_| Ok(()));
    Books { digest: DigestBook::new(Default::default()), certificates }
}

/// One simulated camera `door`, and a gateway's camera side.
struct World {
    simulator: Simulator,
    hub: Arc<Hub>,
    board: Board,
    metrics: Arc<Metrics>,
    cameras: Cameras,
}

struct Wanted {
    audio: Audio,
    camera_login: simulator::Login,
    login: Option<Login>,
    basic: BasicPolicy,
    start: StartMode,
    profiles: Vec<&'static str>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            audio: Audio::Pcma,
            camera_login: simulator::Login::None,
            login: None,
            basic: BasicPolicy::Refuse,
            start: StartMode::Always,
            profiles: vec!["main"],
        }
    }
}

impl World {
    fn new(wanted: Wanted) -> Self {
        let simulated = |profile: &&str| simulator::ProfileSettings {
            path: format!("/{profile}"),
            source: Source::Clip(ClipName::Door),
            audio: wanted.audio,
        };
        let simulator = Simulator::start(simulator::Settings {
            cameras: vec![simulator::CameraSettings {
                listen: "127.0.0.1:0".parse().unwrap(),
                login: wanted.camera_login.clone(),
                profiles: wanted.profiles.iter().map(simulated).collect(),
            }],
        })
        .unwrap();
        let address = simulator.addresses()[0];
        let segment = Segment::new(segment::Settings {
            cameras: [("door".to_owned(), address)].into(),
            ..segment::Settings::default()
        });
        let metrics = Metrics::new();
        let hub = Hub::with_settings(crate::hub::Settings::default(), Arc::clone(&metrics));
        let board = Board::new();
        let profile = |profile: &&str| ProfileSettings {
            stream: StreamName::parse(&format!("door/{profile}")).unwrap(),
            path: format!("/{profile}"),
            start: wanted.start,
            ring_bytes: None,
        };
        let settings = CameraSettings {
            name: "door".to_owned(),
            login: wanted.login,
            basic: wanted.basic,
            tls: None,
            profiles: wanted.profiles.iter().map(profile).collect(),
        };
        let segment = Arc::new(segment.unwrap());
        let cameras =
            Cameras::start(vec![settings], &segment, &hub, &board, &metrics, &books()).unwrap();
        Self { simulator, hub, board, metrics, cameras }
    }

    fn camera(&self) -> &simulator::Camera {
        &self.simulator.cameras()[0]
    }

    fn reader(&self) -> Reader {
        let mut subscription =
            self.hub.subscribe(Permit::for_test("door/main", Kinds::ALL)).unwrap();
        subscription.start();
        Reader { subscription, last: HashMap::new() }
    }

    async fn health(&self, stream: &str, is_it: impl Fn(&Health) -> bool) -> Health {
        let name = StreamName::parse(stream).unwrap();
        let mut board = self.board.watch();
        let all = timeout(PATIENCE, board.wait_for(|all| all.get(&name).is_some_and(&is_it)));
        all.await.expect("health in time").unwrap().get(&name).unwrap().clone()
    }
}

/// A reader that checks what it reads.
struct Reader {
    subscription: Subscription,
    /// Per track: the sequence number to come, and the last ticks.
    last: HashMap<TrackId, (u16, i64)>,
}

impl Reader {
    async fn next(&mut self) -> Arc<Published> {
        let next = timeout(PATIENCE, self.subscription.next()).await;
        let published = next.expect("a unit in time").expect("no interrupt");
        let id = published.unit.track.id;
        let following = published.first_seq.wrapping_add(u16::try_from(published.packets).unwrap());
        if let Some((seq, ticks)) = self.last.insert(id, (following, published.unit.ticks)) {
            assert_eq!(published.first_seq, seq, "sequence numbers go on");
            assert!(published.unit.ticks > ticks, "{} after {ticks}", published.unit.ticks);
        } else if published.unit.track.kind() == TrackKind::Video {
            assert!(published.unit.random_access, "begins where a decoder may start");
        }
        published
    }

    async fn take(&mut self, n: usize) -> Vec<Arc<Published>> {
        let mut units = Vec::new();
        while units.len() < n {
            units.push(self.next().await);
        }
        units
    }
}

/// Where the pictures and sounds of the camera really lie, told by their bytes: nothing of the gateway's
/// times goes in. Pictures by their number in the clip (40 ms), sounds by their number within a second.
struct Truth {
    pictures: HashMap<Bytes, i64>,
    sounds: HashMap<Bytes, i64>,
}

impl Truth {
    fn new() -> Self {
        let feed = Feed::new(Source::Clip(ClipName::Door), Audio::Pcma, Duration::ZERO).unwrap();
        let (mut pictures, mut sounds) = (HashMap::new(), HashMap::<Bytes, HashSet<i64>>::new());
        for unit in feed.take_while(|unit| unit.due < Duration::from_secs(24)) {
            match unit.track.kind() {
                // What stands before the slice may be dropped on the way.
                TrackKind::Video => {
                    pictures.insert(tail(&unit.data), i64::from(unit.number) * 40);
                }
                TrackKind::Audio => {
                    sounds.entry(unit.data).or_default().insert(i64::from(unit.number) * 20 % 1000);
                }
            }
        }
        // Silence and the middle of the beep are the same in several places: they tell nothing.
        sounds.retain(|_, places| places.len() == 1);
        let sounds = sounds.into_iter().map(|(data, places)| (data, places.into_iter().sum()));
        Self { pictures, sounds: sounds.collect() }
    }

    /// How much later than it should, against the pictures, each sound lies; ms, modulo a second.
    fn skews(&self, units: &[Arc<Published>]) -> Vec<i64> {
        let ms = |p: &Published| p.unit.ticks * 1000 / i64::from(p.unit.track.clock_rate);
        let video = units.iter().filter(|p| p.unit.track.kind() == TrackKind::Video);
        let offsets: Vec<i64> =
            video.map(|p| ms(p) - self.pictures[&tail(&p.media.data().unwrap())]).collect();
        let offset = offsets[0].rem_euclid(24_000);
        assert!(offsets.iter().all(|o| (o.rem_euclid(24_000) - offset).abs() <= 1), "{offsets:?}");
        let audio = units.iter().filter(|p| p.unit.track.kind() == TrackKind::Audio);
        audio
            .filter_map(|p| Some(ms(p) - self.sounds.get(&p.media.data().unwrap())? - offset))
            .map(|skew| (skew + 500).rem_euclid(1000) - 500)
            .collect()
    }
}

fn tail(data: &Bytes) -> Bytes {
    data.slice(data.len().saturating_sub(64)..)
}

#[tokio::test]
async fn a_reader_stays_while_the_camera_is_off_and_lips_stay_in_sync() {
    let world = World::new(Wanted::default());
    let truth = Truth::new();
    let mut reader = world.reader();
    let before = reader.take(150).await;
    let skews = truth.skews(&before);
    assert!(skews.len() >= 2 && skews.iter().all(|skew| skew.abs() <= 40), "{skews:?}");

    world.camera().stop().await;
    let off = tokio::time::Instant::now().into_std();
    world.health("door/main", |health| matches!(health, Health::Waiting { .. })).await;
    world.camera().start().unwrap();
    let after = loop {
        let unit = reader.next().await;
        if unit.unit.received > off {
            break unit;
        }
    };
    // The same session of the same reader: consecutive numbers (the reader checks), the same parameters,
    // and as much media time passed as real time.
    let mut units = vec![after];
    units.extend(reader.take(150).await);
    let first = |units: &[Arc<Published>]| {
        let of = |p: &&Arc<Published>| p.unit.track.kind() == TrackKind::Video;
        Arc::clone(units.iter().find(of).unwrap())
    };
    let (a, b) = (first(&before), first(&units));
    assert!(b.unit.random_access && Arc::ptr_eq(&a.unit.track, &b.unit.track));
    let media = (b.unit.ticks - a.unit.ticks) as f64 / 90_000.0;
    let real = (b.unit.received - a.unit.received).as_secs_f64();
    assert!((media - real).abs() < 0.3, "{media} {real}");
    let skews = truth.skews(&units);
    assert!(skews.len() >= 2 && skews.iter().all(|skew| skew.abs() <= 40), "{skews:?}");
    assert_eq!(world.camera().counts().sessions, 2);
    world.cameras.shutdown().await;
}

#[tokio::test]
async fn aac_keeps_its_1024_ticks_and_shutdown_ends_readers() {
    let world = World::new(Wanted { audio: Audio::Aac, ..Wanted::default() });
    let mut reader = world.reader();
    let units = reader.take(100).await;
    let audio = units.iter().filter(|p| p.unit.track.kind() == TrackKind::Audio);
    let ticks: Vec<i64> = audio.map(|p| p.unit.ticks).collect();
    assert!(ticks.len() > 20 && ticks.windows(2).all(|pair| pair[1] - pair[0] == 1024));
    let text = world.metrics.encode();
    assert!(
        text.contains("camlock_camera_state{stream=\"door/main\",state=\"Playing\"} 1"),
        "{text}"
    );
    world.cameras.shutdown().await;
    assert!(world.board.watch().borrow().is_empty());
    let end = timeout(PATIENCE, async { while reader.subscription.next().await.is_ok() {} });
    end.await.expect("readers end with the cameras");
    assert!(!world.metrics.encode().contains("door/main"));
}

#[tokio::test]
async fn a_stalled_camera_is_dialled_again() {
    let world = World::new(Wanted::default());
    let mut reader = world.reader();
    reader.take(20).await;
    world.camera().pause();
    let health = world.health("door/main", |health| matches!(health, Health::Waiting { .. })).await;
    let Health::Waiting { reason, .. } = health else { unreachable!() };
    assert!(reason.contains("went quiet"), "{reason}");
    world.camera().resume();
    reader.take(400).await;
    assert!(world.camera().counts().sessions >= 2);
}

fn account(password: &str) -> simulator::Account {
    simulator::Account { user: "gw".to_owned(), password: SecretString::from(password.to_owned()) }
}

fn login(password: &str) -> Option<Login> {
    Some(Login { user: "gw".to_owned(), password: SecretString::from(password.to_owned()) })
}

#[tokio::test]
async fn two_profiles_with_a_wrong_password_try_it_once() {
    let world = World::new(Wanted {
        camera_login: simulator::Login::Digest(Algorithm::Sha256, account("right")),
        login: login("wrong"),
        profiles: vec!["main", "sub"],
        ..Wanted::default()
    });
    for stream in ["door/main", "door/sub"] {
        let health = world.health(stream, |health| matches!(health, Health::Waiting { .. })).await;
        let Health::Waiting { reason, retry_in_ms } = health else { unreachable!() };
        assert!(reason.contains("refused"), "{reason}");
        assert!(retry_in_ms > 20_000, "{retry_in_ms}");
    }
    assert_eq!(world.camera().counts().refused_logins, 1);
}

#[tokio::test]
async fn a_right_password_plays_and_basic_needs_leave() {
    for (camera, basic, plays) in [
        (simulator::Login::Digest(Algorithm::Md5, account("right")), BasicPolicy::Refuse, true),
        (simulator::Login::Digest(Algorithm::Sha256, account("right")), BasicPolicy::Allow, true),
        (simulator::Login::Basic(account("right")), BasicPolicy::Allow, true),
        (simulator::Login::Basic(account("right")), BasicPolicy::Refuse, false),
    ] {
        let world = World::new(Wanted {
            camera_login: camera,
            login: login("right"),
            basic,
            ..Wanted::default()
        });
        let done = |health: &Health| matches!(health, Health::Playing | Health::Waiting { .. });
        let health = world.health("door/main", done).await;
        assert_eq!(health == Health::Playing, plays, "{health:?}");
        assert_eq!(world.camera().counts().refused_logins, 0);
    }
}

#[tokio::test]
async fn on_demand_pulls_while_somebody_reads_and_a_little_longer() {
    let linger = Duration::from_millis(200);
    let world = World::new(Wanted { start: StartMode::OnDemand { linger }, ..Wanted::default() });
    world.health("door/main", |health| *health == Health::Idle).await;
    assert_eq!(world.camera().counts().connections, 0);
    let mut reader = world.reader();
    reader.take(10).await;
    world.health("door/main", |health| *health == Health::Playing).await;
    drop(reader);
    // A reader within the lingering finds the same session.
    let mut reader = world.reader();
    reader.take(10).await;
    assert_eq!(world.camera().counts().sessions, 1);
    drop(reader);
    world.health("door/main", |health| *health == Health::Idle).await;
    let mut reader = world.reader();
    reader.take(10).await;
    assert_eq!(world.camera().counts().sessions, 2);
}

#[tokio::test]
async fn an_absent_camera_waits_with_a_reason() {
    let world = World::new(Wanted { start: StartMode::Always, ..Wanted::default() });
    world.health("door/main", |health| *health == Health::Playing).await;
    world.camera().stop().await;
    let refused = |health: &Health| matches!(health, Health::Waiting { reason, .. } if reason.contains("connection refused"));
    world.health("door/main", refused).await;
    let text = world.metrics.encode();
    assert!(text.contains("ends_total{stream=\"door/main\",reason=\"unreachable\"}"), "{text}");
}

#[tokio::test]
async fn a_camera_that_comes_back_with_another_size_ends_its_readers() {
    let mut world = World::new(Wanted::default());
    let mut reader = world.reader();
    let before = reader.next().await;
    let listen = world.camera().address();
    world.camera().stop().await;
    let other = simulator::ProfileSettings {
        path: "/main".to_owned(),
        source: Source::Clip(ClipName::YardSub),
        audio: Audio::Pcma,
    };
    let camera =
        simulator::CameraSettings { listen, login: simulator::Login::None, profiles: vec![other] };
    world.simulator = Simulator::start(simulator::Settings { cameras: vec![camera] }).unwrap();
    let end = timeout(PATIENCE, async {
        loop {
            if let Err(interrupt) = reader.subscription.next().await {
                break interrupt;
            }
        }
    });
    assert_eq!(end.await.unwrap(), Interrupt::Ended(EndReason::FormatChanged));
    let after = world.reader().next().await;
    assert!(!after.unit.track.is_compatible(&before.unit.track));
    assert!(after.unit.ticks > before.unit.ticks);
}

/// Answers a gateway's requests on one connection, then sends a picture a second, without parameter sets
/// and so for nobody to decode.
async fn without_parameter_sets(listener: tokio::net::TcpListener) {
    let (mut socket, _) = listener.accept().await.unwrap();
    // The clock of the test does not wait for the kernel's.
    socket.set_nodelay(true).unwrap();
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::new());
    let sdp = "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n";
    let mut plays = false;
    while !plays {
        assert_ne!(socket.read_buf(&mut buffer).await.unwrap(), 0);
        while let Some(Item::Request(asked)) = decoder.decode(&mut buffer).unwrap() {
            let rest = if asked.method == Method::Describe {
                format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len())
            } else if let Some(transport) = asked.headers.get("Transport") {
                format!("Session: 5\r\nTransport: {transport}\r\n\r\n")
            } else {
                "\r\n".to_owned()
            };
            let head = format!("RTSP/1.0 200 OK\r\nCSeq: {}\r\n", asked.cseq().unwrap());
            socket.write_all((head + &rest).as_bytes()).await.unwrap();
            plays = asked.method == Method::Play;
        }
    }
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for n in 0_u8.. {
        second.tick().await;
        let mut packet = vec![b'$', 0, 0x07, 0xdc, 0x80, 0x80 | 96, 0, n, 0, n, 0, 0, 0, 0, 0, 9];
        packet.push(if n == 0 { 0x65 } else { 0x41 });
        packet.resize(4 + 2012, 0x41);
        if socket.write_all(&packet).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_camera_without_a_picture_to_start_with_is_left_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _camera = tokio::spawn(without_parameter_sets(listener));
    let settings = segment::Settings {
        cameras: [("door".to_owned(), address)].into(),
        ..segment::Settings::default()
    };
    let segment = Arc::new(Segment::new(settings).unwrap());
    let stream = StreamName::parse("door/main").unwrap();
    let profile = ProfileSettings {
        stream: stream.clone(),
        path: "/main".to_owned(),
        start: StartMode::Always,
        ring_bytes: None,
    };
    let settings = CameraSettings {
        name: "door".to_owned(),
        login: None,
        basic: BasicPolicy::Refuse,
        tls: None,
        profiles: vec![profile],
    };
    let (hub, board, metrics) = (Hub::new(), Board::new(), Metrics::new());
    let began = tokio::time::Instant::now();
    let _cameras =
        Cameras::start(vec![settings], &segment, &hub, &board, &metrics, &books()).unwrap();
    let mut board = board.watch();
    let waits = |health: Option<&Health>| matches!(health, Some(Health::Waiting { .. }));
    let most = limits::CAMERA_RANDOM_ACCESS * 2;
    let health = timeout(most, board.wait_for(|all| waits(all.get(&stream)))).await.unwrap();
    let health = health.unwrap().get(&stream).cloned();
    let Some(Health::Waiting { reason, .. }) = health else { unreachable!() };
    assert!(reason.contains("no picture to start with"), "{reason}");
    let took = began.elapsed();
    let after = limits::CAMERA_RANDOM_ACCESS;
    assert!(took >= after && took < after + Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn one_camera_too_many_is_refused() {
    let cameras = |n: usize| -> Vec<CameraSettings> {
        let camera = |i| CameraSettings {
            name: format!("c{i}"),
            login: None,
            basic: BasicPolicy::Refuse,
            tls: None,
            profiles: Vec::new(),
        };
        (0..n).map(camera).collect()
    };
    let address = "127.0.0.1:9".parse().unwrap();
    let all = cameras(limits::CAMERAS + 1).into_iter().map(|camera| (camera.name, address));
    let segment = Arc::new(
        Segment::new(segment::Settings { cameras: all.collect(), ..segment::Settings::default() })
            .unwrap(),
    );
    let start = |n| {
        let metrics = Metrics::new();
        Cameras::start(cameras(n), &segment, &Hub::new(), &Board::new(), &metrics, &books()).err()
    };
    assert_eq!(start(limits::CAMERAS), None);
    assert_eq!(start(limits::CAMERAS + 1), Some(CannotStart::TooMany));
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused() {
    let start = |name: &str, stream: &str, path: &str| {
        let segment = Segment::new(segment::Settings {
            cameras: [("door".to_owned(), "127.0.0.1:9".parse().unwrap())].into(),
            ..segment::Settings::default()
        });
        let profile = ProfileSettings {
            stream: StreamName::parse(stream).unwrap(),
            path: path.to_owned(),
            start: StartMode::OnDemand { linger: Duration::ZERO },
            ring_bytes: None,
        };
        let camera = CameraSettings {
            name: name.to_owned(),
            login: None,
            basic: BasicPolicy::Refuse,
            tls: None,
            profiles: vec![profile; if stream == "door/many" { limits::PROFILES + 1 } else { 1 }],
        };
        let metrics = Metrics::new();
        let segment = Arc::new(segment.unwrap());
        Cameras::start(vec![camera], &segment, &Hub::new(), &Board::new(), &metrics, &books()).err()
    };
    let name = |text| StreamName::parse(text).unwrap();
    assert_eq!(start("door", "door/main", "/a?b=c"), None);
    assert_eq!(start("yard", "yard/main", "/"), Some(CannotStart::NoAddress("yard".to_owned())));
    let misnamed = CannotStart::Misnamed(name("yard/main"), "door".to_owned());
    assert_eq!(start("door", "yard/main", "/"), Some(misnamed));
    assert_eq!(start("door", "door/many", "/"), Some(CannotStart::TooMany));
    for path in ["", "main", "@evil/", "/a b", "/a\r\nX: y", &"/x".repeat(limits::RTSP_URI_BYTES)] {
        assert_eq!(start("door", "door/main", path), Some(CannotStart::BadPath(name("door/main"))));
    }
}

#[tokio::test]
async fn cameras_dropped_without_a_good_bye_leave_no_health_behind() {
    let world = World::new(Wanted::default());
    world.health("door/main", |health| *health == Health::Playing).await;
    drop(world.cameras);
    let mut board = world.board.watch();
    timeout(PATIENCE, board.wait_for(|all| all.is_empty())).await.expect("in time").unwrap();
}
