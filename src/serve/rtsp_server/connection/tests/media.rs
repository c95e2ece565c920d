//! What readers are sent, and when they are sent no more.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep};

use super::*;
use crate::hub::EndReason;
use crate::ops::limits::{DESCRIBE_WAIT, DESCRIBED_KEPT, SENDER_REPORT};
use crate::wire::rtsp::{RtpInfo, SessionDescription};

const ROOM: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn rtp_info_is_what_comes_first_and_a_report_stands_before_it() {
    let gateway = Gateway::new();
    for n in 0..20 {
        gateway.picture(n * 40, n % 10 == 0, 3000);
        gateway.sound(n * 40 + 20);
    }
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, ""), (1, "")]).await;
    let response = client.play(&session).await;
    let info = RtpInfo::parse_all(response.headers.get("RTP-Info").unwrap());
    assert_eq!(info.len(), 2);
    for (entry, track) in info.iter().zip([0_u8, 1]) {
        assert_eq!(entry.url, format!("{URL}/trackID={track}"));
    }
    let mut firsts = Vec::new();
    let mut reports = Vec::new();
    while firsts.len() < 2 {
        let frame = client.frame().await;
        if frame.channel % 2 == 1 {
            assert!(frame.is_report());
            reports.push(frame);
        } else if !firsts.iter().any(|first: &Frame| first.channel == frame.channel) {
            firsts.push(frame);
        }
    }
    for (track, entry) in info.iter().enumerate() {
        let channel = u8::try_from(2 * track).unwrap();
        let first = firsts.iter().find(|first| first.channel == channel).unwrap();
        assert_eq!((Some(first.seq()), Some(first.rtp_time())), (entry.seq, entry.rtp_time));
        let report = reports.iter().find(|report| report.channel == channel + 1).unwrap();
        // NTP seconds of 1970, and the RTP timestamp of the first packet.
        assert_eq!(&report.packet[8..12], 2_208_988_800_u32.to_be_bytes());
        assert_eq!(&report.packet[16..20], first.rtp_time().to_be_bytes());
    }
    assert!(gateway.has_metric("camlock_rtsp_readers{stream=\"door/main\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn reports_are_never_further_apart_than_they_may_be() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    let mut last = Instant::now();
    let mut reports = 0;
    for n in 0..300 {
        gateway.picture(n * 100, n % 10 == 0, 100);
        sleep(Duration::from_millis(100)).await;
        let mut frame = client.frame().await;
        if frame.is_report() && frame.channel == 1 {
            assert!(last.elapsed() <= SENDER_REPORT, "{:?}", last.elapsed());
            last = Instant::now();
            reports += 1;
            frame = client.frame().await;
        }
        // Parameter sets stand before each random access point, in packets of their own or aggregated.
        while frame.packet[1] & 0x80 == 0 {
            frame = client.frame().await;
        }
        assert_eq!(frame.channel, 0);
    }
    assert!((6..=9).contains(&reports), "{reports} in 30 s");
}

#[tokio::test(start_paused = true)]
async fn reports_go_on_while_no_unit_comes() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100);
    let first = client.frame().await;
    assert!(first.is_report());
    let moment = |report: &Frame| {
        let word = |at: usize| u32::from_be_bytes(report.packet[at..at + 4].try_into().unwrap());
        (word(8), word(16), word(20))
    };
    while client.frame().await.packet[1] & 0x80 == 0 {}
    let sent = Instant::now();
    for n in 1..4_u32 {
        let report = client.frame().await;
        assert!(report.is_report() && report.channel == 1);
        assert_eq!(sent.elapsed().as_secs(), SENDER_REPORT.as_secs() * u64::from(n));
        let ((seconds, time, _), (later_seconds, later_time, packets)) =
            (moment(&first), moment(&report));
        assert_eq!(later_seconds - seconds, 5 * n, "UTC goes on");
        assert_eq!(later_time.wrapping_sub(time), 5 * n * 90_000, "and RTP time with it");
        assert!(packets > 0, "what was sent is counted");
    }
}

#[tokio::test(start_paused = true)]
async fn pause_stops_at_once_and_play_says_where_it_goes_on() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100);
    assert!(client.frame().await.is_report());
    let begin = client.frame().await.rtp_time();
    while !client.is_quiet().await {}
    let headers = [("Session", session.as_str())];
    assert_eq!(client.ask(Method::Pause, URL, &headers).await.status, 200);
    for n in 1..30 {
        gateway.picture(n * 40, n % 10 == 0, 100);
    }
    assert!(client.is_quiet().await, "paused");
    let response = client.play(&session).await;
    let info = RtpInfo::parse_all(response.headers.get("RTP-Info").unwrap());
    let report = client.frame().await;
    assert!(report.is_report());
    let first = client.frame().await;
    assert_eq!((Some(first.seq()), Some(first.rtp_time())), (info[0].seq, info[0].rtp_time));
    assert_eq!(first.rtp_time().wrapping_sub(begin), 20 * 3600, "the newest random access point");

    let mut last = first;
    while let Ok(frame) = timeout(Duration::from_millis(100), client.frame()).await {
        assert_eq!(frame.seq(), last.seq().wrapping_add(1));
        last = frame;
    }
    let again = client.play(&session).await;
    assert_eq!(again.headers.get("RTP-Info"), None, "it plays already");
    gateway.picture(30 * 40, false, 100);
    assert_eq!(client.frame().await.seq(), last.seq().wrapping_add(1), "no gap");
    assert_eq!(client.ask(Method::Teardown, URL, &headers).await.status, 200);
    gateway.picture(31 * 40, true, 100);
    assert!(client.is_quiet().await);
    assert_eq!(*gateway.publisher.demand().borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn sound_alone_waits_for_no_picture() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(1, "")]).await;
    client.play(&session).await;
    gateway.sound(0);
    assert!(client.frame().await.is_report());
    assert_eq!(client.frame().await.channel, 2);
}

#[tokio::test(start_paused = true)]
async fn unusual_channels_carry_the_same_packets() {
    let gateway = Gateway::new();
    let mut usual = gateway.client(ROOM);
    let mut other = gateway.client(ROOM);
    let one = usual.set_up(&[(0, "")]).await;
    let two = other.set_up(&[(0, ";interleaved=200-9")]).await;
    usual.play(&one).await;
    other.play(&two).await;
    gateway.picture(0, true, 5000);
    for _ in 0..6 {
        let (a, b) = (usual.frame().await, other.frame().await);
        assert_eq!(a.packet, b.packet);
        assert_eq!((a.channel, b.channel), if a.is_report() { (1, 9) } else { (0, 200) });
    }
}

/// Counts writes.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test(start_paused = true)]
async fn a_unit_of_many_packets_is_one_write() {
    let gateway = Gateway::new();
    let (ours, theirs) = duplex(ROOM);
    let writes = Arc::new(AtomicUsize::new(0));
    let served = tokio::spawn(gateway.serve(Counted(theirs, Arc::clone(&writes))));
    let mut client = Client::new(ours, served);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 20_000);
    while !client.is_quiet().await {}
    let before = writes.load(Ordering::Relaxed);
    for n in 1..=10 {
        gateway.picture(n * 40, false, 20_000);
        while !client.frame().await.packet[1] & 0x80 != 0 {}
    }
    assert_eq!(writes.load(Ordering::Relaxed) - before, 10);
}

#[tokio::test(start_paused = true)]
async fn an_answer_stands_between_units() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 50_000);
    gateway.picture(40, false, 50_000);
    let request = client.request(Method::Options, "*", &[]);
    // The first unit is half written by now, and the second waits.
    sleep(Duration::from_millis(1)).await;
    client.send(&request).await;
    let response = client.answer().await;
    assert_eq!(response.status, 200);
    let ends =
        |frames: &[Frame]| frames.iter().filter(|f| !f.is_report() && f.packet[1] >= 0x80).count();
    assert_eq!(ends(&client.early), 1, "one whole unit before the answer");
    assert!(client.early.last().unwrap().packet[1] >= 0x80);
}

#[tokio::test(start_paused = true)]
async fn revocation_ends_a_write_in_progress() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100_000);
    sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    gateway.server.authenticator.replace(crate::trust::auth::Settings::default());
    let Client { stream, served, .. } = client;
    assert_eq!(served.await.unwrap(), End::Revoked);
    assert_eq!(begin.elapsed(), Duration::ZERO);
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn revocation_ends_a_session_that_waits() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    client.set_up(&[(0, "")]).await;
    gateway.server.authenticator.replace(crate::trust::auth::Settings::default());
    assert_eq!(client.ends().await, End::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_format_ends_with_its_name() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100);
    gateway.publisher.set_tracks(vec![picture(1280), Arc::clone(&gateway.sound)]);
    assert_eq!(client.ends().await, End::Stream(EndReason::FormatChanged));
    assert!(gateway.has_metric("camlock_rtsp_readers{stream=\"door/main\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_leaves_nothing() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, ""), (1, "")]).await;
    client.play(&session).await;
    let Client { stream, served, .. } = client;
    drop(stream);
    assert_eq!(served.await.unwrap(), End::Closed);
    assert_eq!(*gateway.publisher.demand().borrow(), 0);
    assert!(gateway.has_metric("camlock_rtsp_sessions{listener=\"test\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_lags_is_counted_and_goes_on() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 50_000);
    sleep(Duration::from_millis(1)).await;
    for n in 1..200 {
        gateway.picture(n * 40, n % 25 == 0, 1000);
    }
    let mut last = 0;
    while !client.is_quiet().await {
        last = 1;
    }
    assert_eq!(last, 1);
    assert!(gateway.has_metric("camlock_rtsp_lagged_total{stream=\"door/main\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn describe_waits_for_a_camera_and_keeps_its_demand() {
    let gateway = Gateway::on_demand(Offer::Secure);
    let mut demand = gateway.publisher.demand();
    let mut client = gateway.client(ROOM);
    let request = client.request(Method::Describe, URL, &[]);
    client.send(&request).await;
    demand.wait_for(|readers| *readers == 1).await.unwrap();
    sleep(DESCRIBE_WAIT - Duration::from_secs(1)).await;
    gateway.publisher.set_tracks(gateway.tracks());
    let response = client.answer().await;
    assert_eq!(response.status, 200);
    assert_eq!(SessionDescription::parse(&response.body).unwrap().media.len(), 2);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(*demand.borrow_and_update(), 1, "until SETUP");
    client.set_up(&[(0, "")]).await;
    assert_eq!(*demand.borrow(), 1, "the same one");
    assert!(!demand.has_changed().unwrap(), "and never let go between");
}

#[tokio::test(start_paused = true)]
async fn the_demand_of_a_describe_is_not_kept_for_ever() {
    let gateway = Gateway::new();
    let mut demand = gateway.publisher.demand();
    let mut client = gateway.client(ROOM);
    assert_eq!(client.ask(Method::Describe, URL, &[]).await.status, 200);
    let begin = Instant::now();
    client.login = "";
    for _ in 0..3 {
        sleep(DESCRIBED_KEPT / 4).await;
        assert_eq!(client.ask(Method::Options, "*", &[]).await.status, 200);
        assert_eq!(*demand.borrow_and_update(), 1);
    }
    demand.wait_for(|readers| *readers == 0).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), DESCRIBED_KEPT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_does_not_come_is_503() {
    let gateway = Gateway::on_demand(Offer::Secure);
    let mut client = gateway.client(ROOM);
    let begin = Instant::now();
    let response = client.ask(Method::Describe, URL, &[]).await;
    assert_eq!(begin.elapsed().as_secs(), DESCRIBE_WAIT.as_secs());
    assert_eq!((response.status, response.headers.get("Retry-After")), (503, Some("5")));
    assert_eq!(*gateway.publisher.demand().borrow(), 0);
    // A client that leaves while it waits takes its demand along.
    let request = client.request(Method::Describe, URL, &[]);
    client.send(&request).await;
    gateway.publisher.demand().wait_for(|readers| *readers == 1).await.unwrap();
    let Client { stream, served, .. } = client;
    drop(stream);
    assert_eq!(served.await.unwrap(), End::Closed);
    assert_eq!(*gateway.publisher.demand().borrow(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_and_never_sees() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    client.login = LIS;
    let response = client.ask(Method::Describe, URL, &[]).await;
    let sdp = SessionDescription::parse(&response.body).unwrap();
    assert_eq!(sdp.media.iter().map(|m| m.media.as_str()).collect::<Vec<_>>(), ["audio"]);
    let video = format!("{URL}/trackID=0");
    let transport = [("Transport", "RTP/AVP/TCP;unicast")];
    assert_eq!(client.ask(Method::Setup, &video, &transport).await.status, 404);
    let session = client.set_up(&[(1, "")]).await;
    client.play(&session).await;
    for n in 0..10 {
        gateway.picture(n * 20, true, 100);
        gateway.sound(n * 20);
    }
    let mut channels = Vec::new();
    while let Ok(frame) = timeout(Duration::from_millis(100), client.frame()).await {
        channels.push(frame.channel);
    }
    assert_eq!(channels.iter().filter(|c| **c == 2).count(), 10);
    assert!(channels.iter().all(|c| *c == 2 || *c == 3), "{channels:?}");
    for uri in ["rtsps://gate/yard/main", "rtsps://gate/door/none"] {
        assert_eq!(client.ask(Method::Describe, uri, &[]).await.status, 404, "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_describe_tells_of_the_new_format() {
    let gateway = Gateway::new();
    gateway.publisher.set_tracks(gateway.tracks());
    let mut client = gateway.client(ROOM);
    let first = client.ask(Method::Describe, URL, &[]).await;
    assert_eq!(first.status, 200);
    gateway.publisher.set_tracks(vec![picture(1280)]);
    let second = client.ask(Method::Describe, URL, &[]).await;
    assert_eq!(second.status, 200, "what the first one kept is no hindrance");
    let described = SessionDescription::parse(&second.body).unwrap();
    assert_eq!(described.media.len(), 1);
    assert_eq!(*gateway.publisher.demand().borrow(), 1, "the old demand is gone");
}
