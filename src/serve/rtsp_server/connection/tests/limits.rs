//! Deadlines and bounds, one over each.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::ops::limits::{
    CLIENT_BUFFER_BYTES, CLIENT_QUEUE, CLIENT_SESSION_TIMEOUT, FIRST_BYTE, LOGIN, REQUEST,
    REQUESTS_PER_SECOND, WRITE_STALL, WRITE_WHOLE,
};
use crate::serve::rtsp_server::machine::CloseReason;
use crate::wire::rtsp::Violation;

const ROOM: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed_and_its_place_is_free() {
    let gateway = Gateway::new();
    let begin = Instant::now();
    let client = gateway.client(ROOM);
    assert_eq!(gateway.places.count().0, 1);
    assert_eq!(client.ends().await, End::Silent);
    assert_eq!(begin.elapsed().as_secs(), FIRST_BYTE.as_secs());
    assert_eq!(gateway.places.count().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_must_be_whole_in_time() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    client.send(b"OPTIONS * RTSP/1.0\r\n").await;
    let begin = Instant::now();
    // Each byte in time does not help the whole.
    let mut header = b"CSeq: 1".iter().cycle();
    while timeout(Duration::from_secs(1), &mut client.served).await.is_err() {
        client.stream.write_all(&[*header.next().unwrap()]).await.ok();
    }
    assert_eq!(begin.elapsed().as_secs(), REQUEST.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_login_must_come_in_time() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    client.login = "";
    let begin = Instant::now();
    assert_eq!(client.ask(Method::Options, "*", &[]).await.status, 200);
    let response = client.ask(Method::Describe, URL, &[]).await;
    assert_eq!(response.status, 401);
    assert!(response.headers.get("WWW-Authenticate").unwrap().starts_with("Basic"));
    assert_eq!(gateway.places.count().0, 1, "asking is no login");
    assert_eq!(client.ends().await, End::NoLogin);
    assert_eq!(begin.elapsed().as_secs(), LOGIN.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_the_place_back() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    assert_eq!(client.ask(Method::Describe, URL, &[]).await.status, 200);
    assert_eq!(gateway.places.count().0, 0);
    sleep(LOGIN * 2).await;
    assert_eq!(client.ask(Method::Options, "*", &[]).await.status, 200);
    assert!(gateway.has_metric("camlock_rtsp_connections{listener=\"test\"} 1"));
    let begin = Instant::now();
    assert_eq!(client.ends().await, End::Rules(CloseReason::Idle));
    assert_eq!(begin.elapsed().as_secs(), CLIENT_SESSION_TIMEOUT.as_secs());
    assert!(gateway.has_metric("camlock_rtsp_connections{listener=\"test\"} 0"));
}

#[tokio::test(start_paused = true)]
async fn garbage_is_answered_once_and_closed() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    client.send(b"GET / HTTP/1.1\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").await;
    let mut text = String::new();
    client.stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("RTSP/1.0 400 "), "{text}");
    assert_eq!(text.matches("RTSP/1.0").count(), 1, "nothing behind it is looked at");
    assert_eq!(client.ends().await, End::Violation(Violation::NotRtsp));
}

#[tokio::test(start_paused = true)]
async fn too_many_requests_close() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let mut last = 200;
    for _ in 0..=REQUESTS_PER_SECOND {
        assert_eq!(last, 200);
        last = client.ask(Method::Options, "*", &[]).await.status;
    }
    assert_eq!(last, 503);
    assert_eq!(client.ends().await, End::Rules(CloseReason::TooManyRequests));
}

#[tokio::test(start_paused = true)]
async fn requests_are_looked_at_only_while_answers_are_taken() {
    let gateway = Gateway::new();
    let count = usize::try_from(REQUESTS_PER_SECOND).unwrap() + CLIENT_QUEUE;
    let requests = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n".repeat(count);
    // One who takes the answers is too fast.
    let mut quick = gateway.client(ROOM);
    quick.send(&requests).await;
    assert_eq!(quick.ends().await, End::Rules(CloseReason::TooManyRequests));
    // Of one who does not, a queue full is looked at, and the others only when it is empty.
    let mut slow = gateway.client(16);
    slow.send(&requests).await;
    sleep(Duration::from_secs(1)).await;
    let mut text = String::new();
    while text.matches("RTSP/1.0 200").count() < count {
        let mut bytes = [0; 16];
        let read = slow.stream.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_and_does_not_read_is_bounded_and_cut_off() {
    let gateway = Gateway::new();
    let mut client = gateway.client(1024);
    let request = client.request(Method::Options, "*", &[]);
    let mut taken = 0;
    let begin = Instant::now();
    while let Ok(written) = timeout(WRITE_STALL / 2, client.stream.write_all(&request)).await {
        written.unwrap();
        taken += request.len();
        assert!(taken < CLIENT_BUFFER_BYTES + 8192, "{taken} bytes were taken");
    }
    assert!(taken > 8192, "requests may be pipelined");
    assert_eq!(client.ends().await, End::Stalled, "those that wait do not count as asked");
    assert_eq!(begin.elapsed().as_secs(), WRITE_STALL.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100_000);
    sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    assert_eq!(client.ends().await, End::Stalled);
    assert_eq!(begin.elapsed().as_secs(), WRITE_STALL.as_secs() - 1, "just under, by the 1 ms");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_a_stalled_one() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    for number in 0..4 {
        gateway.picture(number * 40, true, 100_000);
        // Each within its time, if only just.
        for _ in 0..3 {
            sleep(WRITE_STALL - Duration::from_secs(1)).await;
            let mut third = [0; 34_000];
            client.stream.read_exact(&mut third).await.unwrap();
        }
        let mut rest = [0; 100_000];
        while timeout(Duration::from_millis(1), client.stream.read(&mut rest)).await.is_ok() {}
    }
    assert!(!client.served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_a_byte_a_second_is_cut_off() {
    let gateway = Gateway::new();
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 100_000);
    sleep(Duration::from_millis(1)).await;
    let begin = Instant::now();
    while timeout(Duration::from_secs(1), &mut client.served).await.is_err() {
        assert!(begin.elapsed() <= WRITE_WHOLE, "it holds the picture for ever");
        client.stream.read_u8().await.unwrap();
    }
    assert_eq!(begin.elapsed().as_secs(), WRITE_WHOLE.as_secs() - 1, "just under, by the 1 ms");
}

#[tokio::test(start_paused = true)]
async fn a_playing_session_needs_no_keep_alive_a_waiting_one_does() {
    let gateway = Gateway::new();
    let mut client = gateway.client(ROOM);
    let session = client.set_up(&[(0, "")]).await;
    client.play(&session).await;
    for n in 0..20 {
        sleep(CLIENT_SESSION_TIMEOUT / 2).await;
        gateway.picture(n * 30_000, true, 100);
        client.frame().await;
    }
    // The camera is away: no data, no requests, and the session stays.
    gateway.publisher.pause();
    sleep(CLIENT_SESSION_TIMEOUT * 10).await;
    let headers = [("Session", session.as_str())];
    while !client.is_quiet().await {}
    assert_eq!(client.ask(Method::Pause, URL, &headers).await.status, 200);

    sleep(CLIENT_SESSION_TIMEOUT - Duration::from_secs(1)).await;
    // A receiver report on the session's RTCP channel.
    client.send(&[b'$', 1, 0, 8, 0x80, 201, 0, 1, 0, 0, 0, 9]).await;
    sleep(CLIENT_SESSION_TIMEOUT - Duration::from_secs(1)).await;
    assert_eq!(client.ask(Method::GetParameter, URL, &headers).await.status, 200);
    assert!(gateway.has_metric("camlock_rtsp_sessions{listener=\"test\"} 1"));
    sleep(CLIENT_SESSION_TIMEOUT + Duration::from_secs(1)).await;
    assert_eq!(*gateway.publisher.demand().borrow(), 0, "the subscription is gone");
    assert!(gateway.has_metric("camlock_rtsp_sessions{listener=\"test\"} 0"));
    assert_eq!(client.ask(Method::Play, URL, &headers).await.status, 454);
}
