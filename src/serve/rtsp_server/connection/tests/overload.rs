//! Who is refused, and who goes on, when the gateway is short of something.

use tokio::time::Instant;

use super::*;
use crate::ops::limits::{MEMORY_SHED_AFTER, READER_LAG, SHED_PAUSE};
use crate::serve::overload::Resource;

const ROOM: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_new_reader_is_refused_and_those_who_came_before_go_on() {
    let gateway = Gateway::new();
    let now = || Instant::now().into_std();
    gateway.picture(0, true, 100);
    let mut plays = gateway.client(ROOM);
    let session = plays.set_up(&[(0, "")]).await;
    assert_eq!(plays.ask(Method::Play, URL, &[("Session", &session)]).await.status, 200);
    let mut described = gateway.client(ROOM);
    assert_eq!(described.ask(Method::Describe, URL, &[]).await.status, 200);
    gateway.server.load.judge(Some(MEMORY), now());

    let mut late = gateway.client(ROOM);
    for (method, uri) in
        [(Method::Describe, URL.to_owned()), (Method::Setup, format!("{URL}/trackID=0"))]
    {
        let response = late.ask(method, &uri, &[("Transport", "RTP/AVP/TCP;unicast")]).await;
        assert_eq!((response.status, response.headers.get("Retry-After")), (503, Some("10")));
        assert!(response.reason.contains("short of memory"), "{}", response.reason);
    }
    assert_eq!(*gateway.publisher.demand().borrow(), 2, "who is refused wakes no camera");
    assert!(gateway.has_metric("camlock_overload{resource=\"memory\"} 1"));
    assert!(gateway.has_metric("camlock_overload_refused_readers_total{resource=\"memory\"} 2"));
    assert_eq!(late.ask(Method::Options, "*", &[]).await.status, 200, "its connection stays");

    // Who was told of the stream is served it; who plays may set up, pause and play.
    described.set_up(&[(0, ""), (1, "")]).await;
    assert_eq!(plays.ask(Method::Pause, URL, &[("Session", &session)]).await.status, 200);
    assert_eq!(plays.ask(Method::Play, URL, &[("Session", &session)]).await.status, 200);

    gateway.server.load.set_budget(Some(2 * MEMORY), now());
    assert_eq!(late.ask(Method::Describe, URL, &[]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_goes_and_one_that_keeps_up_stays() {
    let gateway = Gateway::new();
    let load = &gateway.server.load;
    let mut slow = gateway.client(4096);
    let mut keeps_up = gateway.client(ROOM);
    for client in [&mut slow, &mut keeps_up] {
        let session = client.set_up(&[(0, "")]).await;
        assert_eq!(client.ask(Method::Play, URL, &[("Session", &session)]).await.status, 200);
    }
    gateway.picture(0, true, 100_000);
    while keeps_up.frame().await.packet[1] & 0x80 == 0 {}
    tokio::time::sleep(READER_LAG).await;
    load.judge(Some(MEMORY), Instant::now().into_std());
    tokio::time::sleep(MEMORY_SHED_AFTER).await;
    load.judge(Some(MEMORY), Instant::now().into_std());
    assert_eq!(slow.served.await.unwrap(), End::Overloaded(Resource::Memory));
    load.judge(Some(MEMORY), Instant::now().into_std() + SHED_PAUSE);
    gateway.picture(40, false, 100);
    assert!(!keeps_up.frame().await.packet.is_empty());
    assert!(gateway.has_metric("camlock_overload_shed_readers_total{resource=\"memory\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn without_proof_that_cameras_are_kept_in_nobody_is_served() {
    let gateway = Gateway::new();
    gateway.picture(0, true, 100);
    let mut plays = gateway.client(ROOM);
    let session = plays.set_up(&[(0, "")]).await;
    assert_eq!(plays.ask(Method::Play, URL, &[("Session", &session)]).await.status, 200);
    let mut waits = gateway.client(ROOM);
    let waiting = waits.set_up(&[(0, "")]).await;
    gateway.server.load.set_serves(false);
    assert_eq!(plays.served.await.unwrap(), End::Unproven);
    let mut late = gateway.client(ROOM);
    let response = late.ask(Method::Describe, URL, &[]).await;
    assert_eq!(response.status, 503);
    assert!(response.reason.contains("isolation not verified"), "{}", response.reason);
    // One that was let in before, and plays now.
    let play = waits.request(Method::Play, URL, &[("Session", &waiting)]);
    waits.send(&play).await;
    assert_eq!(waits.served.await.unwrap(), End::Unproven);
    gateway.server.load.set_serves(true);
    assert_eq!(late.ask(Method::Describe, URL, &[]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_not_told() {
    let gateway = Gateway::new();
    gateway.server.load.judge(Some(MEMORY), Instant::now().into_std());
    let mut stranger = gateway.client(ROOM);
    stranger.login = "";
    assert_eq!(stranger.ask(Method::Describe, URL, &[]).await.status, 401);
    let mut ungranted = gateway.client(ROOM);
    assert_eq!(ungranted.ask(Method::Describe, "rtsps://gate/yard/main", &[]).await.status, 404);
}
