//! Tables: each status code, each state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::hub::Position;
use crate::media::{Codec, H264Parameters, StreamName, Track, TrackId};
use crate::ops::limits::{CLIENT_STRAYS_PER_SECOND, REQUESTS_PER_SECOND, SESSIONS_PER_CONNECTION};
use crate::serve::overload::Resource;
use crate::wire::rtsp::{Request, Response, RtpInfo, SessionDescription, Transport};

const URL: &str = "rtsps://gate:322/door/main";
const TCP: (&str, &str) = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
const TIMEOUT: Duration = Duration::from_secs(60);

/// A picture and a sound track.
pub(super) fn tracks() -> Vec<Arc<Track>> {
    let h264 = H264Parameters {
        sps: Bytes::from_static(&[0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50]),
        pps: Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb]),
        profile: 100,
        constraints: 0,
        level: 31,
        width: 640,
        height: 360,
        bit_depth: 8,
        chroma_format_idc: 1,
    };
    vec![
        Arc::new(Track { id: TrackId(0), codec: Codec::H264(h264), clock_rate: 90_000 }),
        Arc::new(Track { id: TrackId(1), codec: Codec::Pcma { channels: 1 }, clock_rate: 8_000 }),
    ]
}

pub(super) fn offer() -> Vec<Offered> {
    tracks().into_iter().map(|track| Offered { track, ssrc: Some(0x1234_5678) }).collect()
}

pub(super) fn begins(tracks: &[TrackId]) -> Vec<Begin> {
    let position = |track: TrackId| Position {
        ssrc: 7,
        payload_type: 96,
        seq: 65_535 - u16::from(track.0),
        rtp_time: 4_294_967_295,
    };
    tracks.iter().map(|track| Begin { track: *track, position: Some(position(*track)) }).collect()
}

/// Any instant will do as a beginning.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A connection whose shell grants `door/*` and `yard/main` to whoever is logged in.
struct Kit {
    machine: Machine,
    now: Instant,
    cseq: u32,
    who: Result<Arc<Principal>, Denial>,
    shell: Result<(), Refused>,
    offered: Vec<Offered>,
    next_id: u8,
}

impl Kit {
    fn new() -> Self {
        let now = now();
        Self {
            machine: Machine::new(TIMEOUT, now),
            now,
            cseq: 0,
            who: Ok(Principal::for_test("ann")),
            shell: Ok(()),
            offered: offer(),
            next_id: 1,
        }
    }

    fn send(&mut self, method: Method, uri: &str, headers: &[(&str, &str)]) -> (Response, Effect) {
        self.cseq += 1;
        let mut request = Request::new(method, uri);
        request.headers.push("CSeq", self.cseq.to_string());
        for (name, value) in headers {
            request.headers.push(name, *value);
        }
        let (response, effect) = self.request(request);
        assert_eq!(response.cseq(), Some(self.cseq), "CSeq is echoed");
        assert_eq!(response.headers.get("Server"), Some("Camlock"));
        (response, effect)
    }

    fn request(&mut self, request: Request) -> (Response, Effect) {
        let mut step = self.machine.receive(request, self.now);
        loop {
            step = match step {
                Step::Answer(answer) => return (answer.response, answer.effect),
                Step::Login(arrived) => {
                    let who = self.who.clone().map_err(|denial| Refusal {
                        denial,
                        challenges: vec!["Digest x".into(), "Basic y".into()],
                    });
                    self.machine.login(arrived, who)
                }
                Step::Open(open) => {
                    let outcome = self.shell.and_then(|()| granted(open.stream()));
                    let id = SessionId::from_random([self.next_id; 16]);
                    self.next_id += 1;
                    let outcome = outcome.map(|()| self.offered.clone());
                    self.machine.opened(open, outcome, id, self.now)
                }
                Step::Join(join) => self.machine.joined(&join, self.shell),
                Step::Play(play) => {
                    let outcome = self.shell.map(|()| match play.action() {
                        PlayAction::Start => begins(play.tracks()),
                        PlayAction::GoOn => Vec::new(),
                    });
                    self.machine.played(&play, outcome)
                }
            }
        }
    }

    fn status(&mut self, method: Method, uri: &str, headers: &[(&str, &str)]) -> u16 {
        self.send(method, uri, headers).0.status
    }

    /// A session with `door/main`'s first track on channels 0-1.
    fn ready(&mut self) -> String {
        let (response, effect) = self.send(Method::Setup, &format!("{URL}/trackID=0"), &[TCP]);
        assert_eq!(response.status, 200);
        let id = session_of(&response);
        assert!(matches!(effect, Effect::Attach(attached) if attached.to_string() == id));
        id
    }

    fn playing(&mut self) -> String {
        let id = self.ready();
        assert_eq!(self.status(Method::Play, URL, &[("Session", &id)]), 200);
        id
    }
}

fn granted(stream: &StreamName) -> Result<(), Refused> {
    let is_granted = stream.camera() == "door" || stream.as_str() == "yard/main";
    if is_granted { Ok(()) } else { Err(Refused::NoStream) }
}

fn session_of(response: &Response) -> String {
    response.headers.get("Session").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn options_lists_the_methods_without_a_login() {
    let mut kit = Kit::new();
    kit.who = Err(Denial::LoginNeeded);
    for uri in ["*", URL, "rtsp://gate", "rtsp://gate/nothing/here/at/all"] {
        let (response, _) = kit.send(Method::Options, uri, &[]);
        assert_eq!(response.status, 200, "{uri}");
        assert_eq!(
            response.headers.get("Public"),
            Some("OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN")
        );
    }
}

#[test]
fn all_else_needs_a_login() {
    for method in [
        Method::Describe,
        Method::Setup,
        Method::Play,
        Method::Pause,
        Method::GetParameter,
        Method::SetParameter,
        Method::Teardown,
    ] {
        for (denial, status) in [
            (Denial::LoginNeeded, 401),
            (Denial::WrongCredential, 401),
            (Denial::StaleNonce, 401),
            (Denial::Throttled, 503),
        ] {
            let mut kit = Kit::new();
            kit.who = Err(denial);
            // A stream that cannot exist is not told from one that may.
            for uri in [URL, "rtsps://gate:322/No/Such"] {
                let (response, effect) = kit.send(method, uri, &[TCP]);
                assert_eq!(
                    (response.status, effect),
                    (status, Effect::None),
                    "{method:?} {denial}"
                );
                let challenges: Vec<_> = response.headers.all("WWW-Authenticate").collect();
                let expected: &[&str] = if status == 401 { &["Digest x", "Basic y"] } else { &[] };
                assert_eq!(challenges, expected);
            }
        }
    }
}

#[test]
fn a_session_is_tended_without_a_fresh_credential_but_not_with_a_wrong_one() {
    for denial in [Denial::LoginNeeded, Denial::StaleNonce, Denial::Throttled] {
        let mut kit = Kit::new();
        let id = kit.playing();
        kit.who = Err(denial);
        let session = [("Session", id.as_str())];
        assert_eq!(kit.status(Method::GetParameter, URL, &session), 200);
        assert_eq!(kit.status(Method::SetParameter, URL, &session), 200);
        assert_eq!(kit.status(Method::Pause, URL, &session), 200);
        assert_ne!(kit.status(Method::Play, URL, &session), 200, "PLAY is media: {denial}");
        assert_ne!(kit.status(Method::Describe, URL, &session), 200);
        assert_ne!(kit.status(Method::GetParameter, URL, &[]), 200, "no session named");
        assert_eq!(kit.status(Method::Teardown, URL, &session), 200);
    }
    let mut kit = Kit::new();
    let id = kit.playing();
    kit.who = Err(Denial::WrongCredential);
    assert_eq!(kit.status(Method::GetParameter, URL, &[("Session", &id)]), 401);
}

#[test]
fn a_session_belongs_to_its_connection_and_principal() {
    let mut kit = Kit::new();
    let id = kit.playing();
    let all = [
        Method::Describe,
        Method::Setup,
        Method::Play,
        Method::Pause,
        Method::GetParameter,
        Method::SetParameter,
        Method::Teardown,
    ];
    let mut other = Kit::new();
    for method in all.into_iter().chain([Method::Options]) {
        assert_eq!(other.status(method, URL, &[("Session", &id), TCP]), 454, "{method:?}");
    }
    kit.who = Ok(Principal::for_test("bob"));
    for method in all {
        assert_eq!(kit.status(method, URL, &[("Session", &id), TCP]), 454, "{method:?}");
    }
    kit.who = Ok(Principal::for_test("ann"));
    assert_eq!(kit.status(Method::Teardown, URL, &[("Session", &id)]), 200);
    assert_eq!(kit.status(Method::Teardown, URL, &[("Session", &id)]), 454, "gone");
}

#[test]
fn describe_presents_what_the_permit_covers() {
    let mut kit = Kit::new();
    let uri = "rtsps://ann:secret@gate:322/door/main?x=1";
    let (response, effect) = kit.send(Method::Describe, uri, &[("Accept", "application/sdp")]);
    assert_eq!((response.status, effect), (200, Effect::Keep));
    assert_eq!(response.headers.get("Content-Type"), Some("application/sdp"));
    assert_eq!(response.headers.get("Content-Base"), Some("rtsps://gate:322/door/main/"));
    let sdp = SessionDescription::parse(&response.body).unwrap();
    let seen: Vec<_> = sdp
        .media
        .iter()
        .map(|m| (m.media.as_str(), m.payload_type, m.control.as_deref()))
        .collect();
    assert_eq!(
        seen,
        [("video", Some(96), Some("trackID=0")), ("audio", Some(8), Some("trackID=1"))]
    );

    kit.offered.remove(0);
    let (response, _) = kit.send(Method::Describe, uri, &[]);
    let sdp = SessionDescription::parse(&response.body).unwrap();
    assert_eq!(sdp.media.len(), 1, "a listener sees no picture track");
    kit.offered.clear();
    assert_eq!(kit.status(Method::Describe, uri, &[]), 404);
}

#[test]
fn describe_is_refused_with_the_right_status() {
    let mut kit = Kit::new();
    for (uri, headers, status) in [
        (URL, vec![("Accept", "text/html")], 406),
        (URL, vec![("Require", "www.onvif.org/ver20/backchannel")], 551),
        ("rtsps://gate/yard/secret", vec![], 404),
        ("rtsps://gate/yard/Bad%2FName", vec![], 404),
        ("http://gate/door/main", vec![], 400),
        ("*", vec![], 405),
        ("rtsps://gate:322/", vec![], 405),
        ("rtsps://gate:322/door/main/trackID=0", vec![], 405),
    ] {
        assert_eq!(kit.status(Method::Describe, uri, &headers), status, "{uri} {headers:?}");
    }
    for (refused, status, reason) in [
        (Refused::NoStream, 404, "Not Found"),
        (Refused::NotReady, 503, "Service Unavailable"),
        (Refused::Full, 453, "Too many readers of this stream"),
        (Refused::Unproven, 503, "Service unavailable: camera isolation not verified"),
        (Refused::Overloaded(Resource::Cpu), 503, "Gateway is short of CPU, try again in 10 s"),
        (
            Refused::Overloaded(Resource::Memory),
            503,
            "Gateway is short of memory, try again in 10 s",
        ),
    ] {
        kit.shell = Err(refused);
        let (response, effect) = kit.send(Method::Describe, URL, &[]);
        assert_eq!((response.status, effect), (status, Effect::None));
        assert_eq!(response.reason, reason);
        assert_eq!(response.headers.get("Retry-After").is_some(), status == 503);
    }
    let (response, _) =
        kit.send(Method::Options, "*", &[("Require", "a.b"), ("Proxy-Require", "c")]);
    assert_eq!((response.status, response.headers.get("Unsupported")), (551, Some("a.b, c")));
}

#[test]
fn methods_the_server_does_not_have_are_501() {
    let mut kit = Kit::new();
    for method in [Method::Announce, Method::Record, Method::Redirect, Method::Other] {
        let (response, _) = kit.send(method, URL, &[]);
        assert_eq!(response.status, 501);
        assert!(response.headers.get("Public").unwrap().contains("DESCRIBE"));
    }
}

#[test]
fn a_request_without_cseq_is_400() {
    let mut kit = Kit::new();
    for cseq in [None, Some("x"), Some("-1"), Some("99999999999")] {
        let mut request = Request::new(Method::Options, "*");
        if let Some(cseq) = cseq {
            request.headers.push("CSeq", cseq);
        }
        let (response, _) = kit.request(request);
        assert_eq!((response.status, response.headers.get("CSeq")), (400, None));
    }
}

#[test]
fn setup_negotiates_interleaved_channels() {
    let mut kit = Kit::new();
    let (response, _) = kit.send(Method::Setup, &format!("{URL}/trackID=0"), &[TCP]);
    let id = session_of(&response);
    assert_eq!(response.headers.get("Session"), Some(format!("{id};timeout=60").as_str()));
    let transport = &Transport::parse_all(response.headers.get("Transport").unwrap())[0];
    assert_eq!(transport.interleaved, Some((0, 1)));
    assert_eq!(transport.ssrc, Some(0x1234_5678));

    let track1 = format!("{URL}/trackID=1");
    let mut setup = |session: &str, wanted: &str| {
        let transport = format!("RTP/AVP/TCP;unicast{wanted}");
        let headers = [("Session", session), ("Transport", transport.as_str())];
        let (response, _) = kit.send(Method::Setup, &track1, &headers);
        let channels = response
            .headers
            .get("Transport")
            .and_then(|value| Transport::parse_all(value)[0].interleaved);
        (response.status, channels)
    };
    assert_eq!(setup(&id, ";interleaved=1-2"), (400, None), "channel 1 is the first track's");
    assert_eq!(setup(&id, ";interleaved=4-4"), (400, None));
    assert_eq!(setup(&id, ""), (200, Some((2, 3))));
    assert_eq!(setup(&id, ";interleaved=8-9"), (200, Some((8, 9))), "moved");
    assert_eq!(setup(&id, ";interleaved=9-8"), (200, Some((9, 8))), "its own are free for itself");
}

#[test]
fn setup_is_refused_with_the_right_status() {
    let mut kit = Kit::new();
    let track = format!("{URL}/trackID=0");
    for (uri, transport, status) in [
        (track.as_str(), "RTP/AVP;unicast;client_port=5000-5001", 461),
        (&track, "RTP/AVP;multicast", 461),
        (&track, "RTP/SAVP/TCP;unicast;interleaved=0-1", 461),
        (&track, "RTP/AVP/TCP;unicast;mode=record", 461),
        (&track, "RTP/AVP/TCP;unicast;interleaved=5-5", 400),
        (URL, TCP.1, 459),
        ("rtsps://gate:322/door/main/trackID=2", TCP.1, 404),
        ("rtsps://gate:322/yard/secret/trackID=0", TCP.1, 404),
    ] {
        let (response, effect) = kit.send(Method::Setup, uri, &[("Transport", transport)]);
        assert_eq!((response.status, effect), (status, Effect::None), "{uri} {transport}");
    }
    assert_eq!(kit.status(Method::Setup, &track, &[]), 400);
    assert_eq!(kit.machine.sessions.len(), 0, "a refused SETUP leaves no session");

    let id = kit.ready();
    let session = ("Session", id.as_str());
    let other = "rtsps://gate:322/yard/main/trackID=0";
    let free = ("Transport", "RTP/AVP/TCP;interleaved=2-3");
    assert_eq!(kit.status(Method::Setup, other, &[session, free]), 459);
    assert_eq!(kit.status(Method::Setup, &track, &[TCP]), 400, "another session's channels");
    assert_eq!(kit.status(Method::Play, URL, &[session]), 200);
    assert_eq!(kit.status(Method::Setup, &track, &[session, free]), 455, "it plays");
}

#[test]
fn one_track_needs_no_track_url() {
    let mut kit = Kit::new();
    kit.offered.remove(0);
    let (response, _) = kit.send(Method::Setup, URL, &[("Transport", "RTP/AVP/TCP;unicast")]);
    assert_eq!(response.status, 200);
    let transport = &Transport::parse_all(response.headers.get("Transport").unwrap())[0];
    assert_eq!(transport.interleaved, Some((2, 3)), "the usual channels of track 1");
}

#[test]
fn sessions_of_a_connection_are_bounded() {
    let mut kit = Kit::new();
    let any = ("Transport", "RTP/AVP/TCP;unicast");
    let track = format!("{URL}/trackID=0");
    for _ in 0..SESSIONS_PER_CONNECTION {
        assert_eq!(kit.status(Method::Setup, &track, &[any]), 200);
    }
    assert_eq!(kit.status(Method::Setup, &track, &[any]), 503);
}

#[test]
fn play_says_where_it_begins() {
    let mut kit = Kit::new();
    let id = kit.ready();
    let session = ("Session", id.as_str());
    let second = ("Transport", "RTP/AVP/TCP;unicast;interleaved=6-7");
    assert_eq!(kit.status(Method::Setup, &format!("{URL}/trackID=1"), &[session, second]), 200);

    let (response, effect) =
        kit.send(Method::Play, &format!("{URL}/"), &[session, ("Range", "npt=0.000-")]);
    assert_eq!(response.status, 200);
    assert_eq!(response.headers.get("Range"), Some("npt=0-"));
    assert_eq!(session_of(&response), id);
    let info = RtpInfo::parse_all(response.headers.get("RTP-Info").unwrap());
    let expected = |track: u8| RtpInfo {
        url: format!("{URL}/trackID={track}"),
        seq: Some(65_535 - u16::from(track)),
        rtp_time: Some(4_294_967_295),
    };
    assert_eq!(info, [expected(0), expected(1)]);
    let Effect::Start { channels, .. } = effect else { panic!("{effect:?}") };
    let seen: Vec<_> = channels.iter().map(|c| (c.track.0, c.rtp, c.rtcp)).collect();
    assert_eq!(seen, [(0, 0, 1), (1, 6, 7)]);

    let (response, effect) = kit.send(Method::Play, URL, &[session]);
    assert_eq!((response.status, effect), (200, Effect::None), "it plays already");
    assert_eq!(response.headers.get("Range"), Some("npt=now-"));
    assert_eq!(response.headers.get("RTP-Info"), None);
}

#[test]
fn play_pause_and_teardown_in_each_state() {
    let mut kit = Kit::new();
    for method in [Method::Play, Method::Pause, Method::Teardown] {
        assert_eq!(kit.status(method, URL, &[]), 454, "no session");
        assert_eq!(kit.status(method, URL, &[("Session", "abc;timeout=60")]), 454);
        assert_eq!(kit.status(method, URL, &[("Session", "")]), 454);
        assert_eq!(kit.status(method, "*", &[]), 405);
        assert_eq!(kit.status(method, "rtsps://gate/no-such", &[]), 404);
    }
    let id = kit.ready();
    let session = ("Session", id.as_str());
    let other = "rtsps://gate:322/yard/main";
    assert_eq!(kit.status(Method::Pause, URL, &[session]), 455, "it does not play");
    for range in ["npt=5-", "npt=0-10", "clock=20260101T000000Z-", "smpte=0-"] {
        assert_eq!(kit.status(Method::Play, URL, &[session, ("Range", range)]), 457, "{range}");
    }
    for method in [Method::Play, Method::Pause, Method::Teardown] {
        assert_eq!(kit.status(method, other, &[session]), 454, "another stream's URL");
        assert_eq!(kit.status(method, &format!("{URL}/trackID=1"), &[session]), 404);
    }
    assert_eq!(kit.status(Method::Play, &format!("{URL}/trackID=0"), &[session]), 200, "its one");
    let (response, effect) = kit.send(Method::Pause, URL, &[session]);
    assert_eq!(response.status, 200);
    assert!(matches!(effect, Effect::Stop(_)));
    assert_eq!(kit.status(Method::Pause, URL, &[session]), 455);
    let second = ("Transport", "RTP/AVP/TCP;unicast");
    assert_eq!(kit.status(Method::Setup, &format!("{URL}/trackID=1"), &[session, second]), 200);
    for method in [Method::Play, Method::Pause, Method::Teardown] {
        assert_eq!(kit.status(method, &format!("{URL}/trackID=0"), &[session]), 460);
    }
    let (response, effect) = kit.send(Method::Play, URL, &[session]);
    assert!(matches!((response.status, effect), (200, Effect::Start { .. })), "plays again");
    let (response, effect) = kit.send(Method::Teardown, URL, &[session]);
    assert!(matches!((response.status, effect), (200, Effect::End(_))));
    assert_eq!(kit.status(Method::Play, URL, &[session]), 454);
}

#[test]
fn a_permit_that_went_ends_the_session() {
    let mut kit = Kit::new();
    let id = kit.ready();
    let session = ("Session", id.as_str());
    kit.shell = Err(Refused::NoStream);
    let (response, effect) = kit.send(Method::Play, URL, &[session]);
    assert!(matches!((response.status, effect), (404, Effect::End(_))));
    assert_eq!(kit.status(Method::Play, URL, &[session]), 454);

    let mut kit = Kit::new();
    let id = kit.ready();
    kit.shell = Err(Refused::NoStream);
    let uri = format!("{URL}/trackID=1");
    let (response, effect) =
        kit.send(Method::Setup, &uri, &[("Session", &id), ("Transport", "RTP/AVP/TCP")]);
    assert!(matches!((response.status, effect), (404, Effect::End(_))));
}

#[test]
fn parameters_are_keep_alives_only() {
    let mut kit = Kit::new();
    let id = kit.ready();
    for method in [Method::GetParameter, Method::SetParameter] {
        for uri in ["*", URL, "rtsps://gate:322/"] {
            let (response, _) = kit.send(method, uri, &[("Session", &id)]);
            assert_eq!((response.status, session_of(&response)), (200, id.clone()));
            assert!(response.body.is_empty());
        }
        assert_eq!(kit.status(method, URL, &[]), 200, "a ping of a connection");
        for (content_type, status) in
            [(Some("text/parameters"), 451), (None, 451), (Some("application/xml"), 415)]
        {
            let mut request = Request::new(method, URL);
            request.headers.push("CSeq", "9");
            if let Some(content_type) = content_type {
                request.headers.push("Content-Type", content_type);
            }
            request.body = Bytes::from_static(b"position: 1\r\n");
            assert_eq!(kit.request(request).0.status, status);
        }
    }
}

#[test]
fn a_session_that_nobody_tends_expires_but_never_while_it_plays() {
    let second = Duration::from_secs(1);
    let mut kit = Kit::new();
    let id = kit.ready();
    assert_eq!(kit.machine.deadline(), Some(kit.now + TIMEOUT));
    kit.now += TIMEOUT - second;
    assert_eq!(kit.machine.expire(kit.now), Ok(vec![]));
    kit.machine.interleaved(9, kit.now).unwrap();
    assert_eq!(kit.machine.deadline(), Some(kit.now + second), "channel 9 is nobody's");
    kit.machine.interleaved(1, kit.now).unwrap();
    assert_eq!(kit.machine.deadline(), Some(kit.now + TIMEOUT), "a receiver report");
    kit.now += TIMEOUT - second;
    assert_eq!(kit.status(Method::Options, "*", &[]), 200);
    assert_eq!(kit.machine.deadline(), Some(kit.now + TIMEOUT), "any request");

    assert_eq!(kit.status(Method::Play, URL, &[("Session", &id)]), 200);
    assert_eq!(kit.machine.deadline(), None);
    kit.now += TIMEOUT * 100;
    assert_eq!(kit.machine.expire(kit.now), Ok(vec![]));
    assert_eq!(kit.status(Method::Pause, URL, &[("Session", &id)]), 200);
    kit.now += TIMEOUT;
    let expired = kit.machine.expire(kit.now).unwrap();
    assert_eq!(
        expired.iter().map(ToString::to_string).collect::<Vec<_>>(),
        std::slice::from_ref(&id)
    );
    assert_eq!(kit.status(Method::Play, URL, &[("Session", &id)]), 454);

    kit.now += TIMEOUT;
    assert_eq!(kit.machine.expire(kit.now), Err(CloseReason::Idle));
}

#[test]
fn requests_and_strays_are_bounded() {
    let mut kit = Kit::new();
    for _ in 0..REQUESTS_PER_SECOND {
        assert_eq!(kit.status(Method::Options, "*", &[]), 200);
    }
    let (response, effect) = kit.send(Method::Options, "*", &[]);
    assert_eq!((response.status, effect), (503, Effect::Close(CloseReason::TooManyRequests)));
    kit.now += Duration::from_secs(1);
    assert_eq!(kit.status(Method::Options, "*", &[]), 200);

    for _ in 0..CLIENT_STRAYS_PER_SECOND {
        kit.machine.interleaved(0, kit.now).unwrap();
    }
    assert_eq!(kit.machine.stray(kit.now), Err(CloseReason::TooManyStrays));
}
