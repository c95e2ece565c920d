//! A client that others wrote.

use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions, Transport};
use retina::codec::{CodecItem, FrameFormat};
use tokio::net::TcpListener;
use tokio::time::{interval, timeout};
use url::Url;

use super::*;

/// Frames of each kind that are looked at.
const FRAMES: usize = 50;

#[tokio::test]
async fn retina_plays_pictures_and_sound_with_digest() {
    let gateway = Gateway::on_demand(Offer::Plain);
    gateway.publisher.set_tracks(gateway.tracks());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut demand = gateway.publisher.demand();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        gateway.serve(stream).await
    };
    let feed = async {
        demand.wait_for(|readers| *readers == 1).await.unwrap();
        let mut pace = interval(Duration::from_millis(5));
        for n in 0..2_000 {
            pace.tick().await;
            gateway.picture(n * 40, n % 10 == 0, 4000);
            gateway.sound(n * 40);
            gateway.sound(n * 40 + 20);
        }
    };
    let all = async {
        tokio::select! {
            end = serve => panic!("ended early: {end}"),
            () = feed => panic!("the client took too long"),
            () = client(port) => {}
        }
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
}

async fn client(port: u16) {
    let url = Url::parse(&format!("rtsp://127.0.0.1:{port}/door/main")).unwrap();
    let options = SessionOptions::default()
        .creds(Some(Credentials { username: "ann".into(), password: SECRET.into() }))
        .user_agent("retina".into());
    let mut session = Session::describe(url, options).await.unwrap();
    let names: Vec<_> = session
        .streams()
        .iter()
        .map(|s| (s.media().to_owned(), s.encoding_name().to_owned()))
        .collect();
    assert_eq!(names, [("video".into(), "h264".into()), ("audio".into(), "pcma".to_owned())]);
    let setup = || {
        SetupOptions::default()
            .transport(Transport::Tcp(Default::default()))
            .frame_format(FrameFormat::MP4)
    };
    session.setup(0, setup()).await.unwrap();
    session.setup(1, setup()).await.unwrap();
    // The default policies: RTP-Info must be there, whole and right.
    let playing = session.play(PlayOptions::default()).await.unwrap();
    let mut frames = playing.demuxed().unwrap();
    let (mut pictures, mut sounds, mut reports) = (Vec::new(), Vec::new(), 0);
    while pictures.len() < FRAMES || sounds.len() < FRAMES {
        match frames.next().await.unwrap().unwrap() {
            CodecItem::VideoFrame(frame) => {
                assert_eq!(frame.loss(), 0);
                assert!(!pictures.is_empty() || frame.is_random_access_point());
                assert_eq!(frame.data().len(), 4004);
                pictures.push(frame.timestamp().timestamp());
            }
            CodecItem::AudioFrame(frame) => {
                assert_eq!(frame.loss(), 0);
                assert_eq!(frame.data().len(), 160);
                sounds.push(frame.timestamp().timestamp());
            }
            CodecItem::Rtcp(_) => reports += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(reports >= 2, "{reports}");
    assert!(pictures.windows(2).all(|two| two[1] - two[0] == 3600), "{pictures:?}");
    assert!(sounds.windows(2).all(|two| two[1] - two[0] == 160), "{sounds:?}");
}
