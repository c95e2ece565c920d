//! The gateway stops.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use super::*;
use crate::ops::limits::GOODBYE;

const ROOM: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_reader_has_the_whole_unit_and_then_the_end() {
    let gateway = Gateway::new();
    // Room for a part of the picture only.
    let mut client = gateway.client(4096);
    let session = client.set_up(&[(0, "/TCP;interleaved=0-1")]).await;
    client.play(&session).await;
    gateway.picture(0, true, 20_000);
    sleep(Duration::from_millis(10)).await;
    gateway.stop();
    gateway.picture(40, false, 1000);
    sleep(Duration::from_millis(10)).await;
    let (mut last, mut packets) = (false, 0);
    while !last {
        let frame = client.frame().await;
        last = !frame.is_report() && frame.packet[1] & 0x80 != 0;
        packets += 1;
    }
    assert!(packets > 10, "{packets}");
    assert!(client.buffer.is_empty(), "nothing was begun after it");
    let begin = Instant::now();
    assert_eq!(client.stream.read(&mut [0; 1]).await.unwrap(), 0, "the end, in order");
    assert!(!client.served.is_finished(), "the client may still talk");
    drop(client.stream);
    assert_eq!(client.served.await.unwrap(), End::Stopping);
    assert!(begin.elapsed() < Duration::from_millis(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_or_does_not_close_holds_up_the_stop_only_so_long() {
    let gateway = Gateway::new();
    let mut stuck = gateway.client(4096);
    let session = stuck.set_up(&[(0, "/TCP;interleaved=0-1")]).await;
    stuck.play(&session).await;
    gateway.picture(0, true, 20_000);
    sleep(Duration::from_millis(10)).await;
    let mut talks_on = gateway.client(ROOM);
    assert_eq!(talks_on.ask(Method::Options, "*", &[]).await.status, 200);
    let silent = gateway.client(ROOM);
    sleep(Duration::from_millis(10)).await;
    let begin = Instant::now();
    gateway.stop();
    let (mut stream, served) = (talks_on.stream, talks_on.served);
    let talker = tokio::spawn(async move {
        while stream.write_all(b"\r\n").await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    for served in [stuck.served, served, silent.served] {
        assert_eq!(served.await.unwrap(), End::Stopping);
        assert_eq!(begin.elapsed().as_millis(), GOODBYE.as_millis());
    }
    talker.await.unwrap();
    assert_eq!(gateway.places.count().0, 0);
}
