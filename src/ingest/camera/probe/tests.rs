//! Against simulated cameras, over sockets on loopback, in real time.

use super::*;
use crate::app::simulator::{
    Account, Audio, CameraSettings, ClipName, Login as Asked, ProfileSettings, Simulator, Source,
};
use crate::media::Codec;
use crate::wire::digest::Algorithm;

fn camera(source: ClipName, audio: Audio, login: Asked) -> Simulator {
    let source = Source::Clip(source);
    let profiles = vec![ProfileSettings { path: "/main".to_owned(), source, audio }];
    let camera = CameraSettings { listen: "127.0.0.1:0".parse().unwrap(), login, profiles };
    Simulator::start(crate::app::simulator::Settings { cameras: vec![camera] }).unwrap()
}

fn account(password: &str) -> Account {
    Account { user: "admin".to_owned(), password: password.to_owned().into() }
}

fn settings(simulator: &Simulator, password: Option<&str>) -> Settings {
    Settings {
        name: "camera".to_owned(),
        segment: segment::Mode::Own,
        address: simulator.addresses()[0],
        path: "/main".to_owned(),
        login: password.map(|password| Login {
            user: "admin".to_owned(),
            password: password.to_owned().into(),
        }),
        basic: BasicPolicy::Refuse,
        tls: None,
        watch: Duration::from_millis(2500),
    }
}

fn near(measured: Option<f64>, expected: f64) {
    let measured = measured.unwrap();
    assert!((measured / expected - 1.0).abs() < 0.05, "{measured}, not {expected}");
}

#[tokio::test]
async fn h264_and_aac_behind_digest_are_measured() {
    let digest = Asked::Digest(Algorithm::Sha256, account("planted"));
    let simulator = camera(ClipName::Door, Audio::Aac, digest);
    let probed = probe(&settings(&simulator, Some("planted"))).await.unwrap();
    assert_eq!(probed.login, LoginUsed::Digest(Algorithm::Sha256));
    assert_eq!(probed.ended, None);
    assert!(probed.watched >= Duration::from_millis(2500));
    let [video, audio] = &*probed.tracks else { panic!("{:?}", probed.tracks) };
    let Codec::H264(parameters) = &video.track.as_ref().unwrap().codec else { panic!("{video:?}") };
    assert_eq!((parameters.width, parameters.height), (640, 360));
    near(video.rate, 25.0);
    assert_eq!(video.interval, Some((25, 25)));
    assert!(video.random_access >= 2 && video.units >= 50, "{video:?}");
    assert!(video.bit_rate.is_some_and(|bits| bits > 50_000.0), "{video:?}");
    let Codec::Aac(parameters) = &audio.track.as_ref().unwrap().codec else { panic!("{audio:?}") };
    assert_eq!((parameters.sample_rate, parameters.channels), (48_000, 1));
    near(audio.rate, 48_000.0 / 1024.0);
    assert!(probed.counts.bytes > probed.counts.media_bytes && probed.counts.packets > 100);
    assert!(!format!("{probed:?}").contains("planted"));
    let counts = simulator.cameras()[0].counts();
    assert_eq!((counts.sessions, counts.refused_logins), (1, 0));
}

#[tokio::test]
async fn h265_and_g711_without_a_login_are_measured() {
    let simulator = camera(ClipName::Yard, Audio::Pcma, Asked::None);
    let probed = probe(&settings(&simulator, None)).await.unwrap();
    assert_eq!(probed.login, LoginUsed::None);
    let [video, audio] = &*probed.tracks else { panic!("{:?}", probed.tracks) };
    assert!(matches!(video.track.as_ref().unwrap().codec, Codec::H265(_)), "{video:?}");
    near(video.rate, 25.0);
    assert_eq!(audio.track.as_ref().unwrap().codec, Codec::Pcma { channels: 1 });
    near(audio.bit_rate, 64_000.0);
    assert!(!probed.quirks.contains(&Quirk::LongInterval), "{:?}", probed.quirks);
}

#[tokio::test]
async fn what_fails_is_said_by_the_airlocks_reason() {
    let md5 = || Asked::Digest(Algorithm::Md5, account("planted"));
    for (asked, password, path, label) in [
        (md5(), Some("wrong"), "/main", "login_refused"),
        (md5(), None, "/main", "login_required"),
        (Asked::Basic(account("planted")), Some("planted"), "/main", "basic_refused"),
        (Asked::None, None, "/none", "not_found"),
    ] {
        let simulator = camera(ClipName::Door, Audio::None, asked);
        let path = path.to_owned();
        let failed = probe(&Settings { path, ..settings(&simulator, password) }).await.unwrap_err();
        assert_eq!(failed.label(), label, "{failed}");
        assert!(!failed.to_string().contains("planted"));
    }
    let simulator = camera(ClipName::Door, Audio::None, Asked::None);
    let gone = settings(&simulator, None);
    drop(simulator);
    let failed = probe(&gone).await.unwrap_err();
    assert_eq!(failed.label(), "unreachable", "{failed}");
    let nobody = Settings { address: "224.0.0.1:554".parse().unwrap(), ..gone };
    assert_eq!(probe(&nobody).await.unwrap_err().label(), "bad_request");
}

#[tokio::test]
async fn basic_is_used_only_if_allowed() {
    let simulator = camera(ClipName::Door, Audio::None, Asked::Basic(account("planted")));
    let settings = Settings {
        basic: BasicPolicy::Allow,
        watch: Duration::from_millis(500),
        ..settings(&simulator, Some("planted"))
    };
    let probed = probe(&settings).await.unwrap();
    assert_eq!(probed.login, LoginUsed::Basic);
    assert!(probed.quirks.contains(&Quirk::LongInterval), "{:?}", probed.quirks);
}

#[tokio::test]
async fn a_camera_that_goes_away_meanwhile_is_told_with_what_was_seen() {
    let simulator = camera(ClipName::Door, Audio::None, Asked::None);
    let settings = Settings { watch: Duration::from_secs(20), ..settings(&simulator, None) };
    let probing = tokio::spawn(async move { probe(&settings).await });
    while simulator.cameras()[0].counts().units < 10 {
        tokio::task::yield_now().await;
    }
    drop(simulator);
    let probed = probing.await.unwrap().unwrap();
    assert!(probed.ended.is_some() && probed.tracks[0].units > 0, "{probed:?}");
    assert!(probed.watched < Duration::from_secs(10));
}

#[test]
fn all_that_the_airlock_puts_right_is_told() {
    use crate::ingest::camera::airlock::Oddities;
    let quiet = Counts { sender_reports: 1, ..Counts::default() };
    let told = |odd| {
        quirks(&Counts { odd, ..quiet }, Starts::Announced, Duration::from_secs(6), &[])
            .into_iter()
            .map(Quirk::label)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(Oddities::default()), Vec::<&str>::new());
    let all = Oddities {
        other_host: true,
        base_without_scheme: true,
        no_cseq: true,
        other_channels: true,
        other_payload_type: true,
        other_source: true,
        no_markers: true,
    };
    assert_eq!(
        told(all),
        [
            "other_host",
            "base_without_scheme",
            "no_cseq",
            "other_channels",
            "other_payload_type",
            "other_source",
            "no_markers"
        ]
    );
    assert_eq!(told(Oddities { no_cseq: true, ..Oddities::default() }), ["no_cseq"]);
}

#[test]
fn the_quirks_are_these() {
    let all = every!(Quirk; NoStarts, NoSenderReports, OutOfOrder, ClockDisagrees, ParametersInBand, FormatChanged, LongInterval, VaryingInterval, LargeGroup, LostPackets, OldSession, ForeignChannels, CameraRequests, StrayAnswers, OtherSections, OtherHost, BaseWithoutScheme, NoCseq, OtherChannels, OtherPayloadType, OtherSource, NoMarkers);
    assert_surface!("camera-quirks", all.map(Quirk::label).join("\n"));
}
