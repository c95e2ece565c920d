//! Frames and sockets against a client written from RFC 6455 for itself.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

use super::Socket;
use super::frame::{Broken, Control, Decoder};
use crate::ops::limits;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ ..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ MASK[i % 4]));
    frame
}

/// What the bytes stand for: payload, and the controls among it.
fn decode(bytes: &[u8], cut: usize) -> Result<(Vec<u8>, Vec<Control>), Broken> {
    let (mut decoder, mut input) = (Decoder::default(), BytesMut::new());
    let (mut payload, mut controls) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(cut) {
        input.extend_from_slice(piece);
        while let Some(control) = decoder.decode(&mut input, &mut payload)? {
            controls.push(control);
        }
        assert!(input.len() <= 13, "only a head that is not whole stays");
    }
    Ok((payload, controls))
}

proptest! {
    /// Messages of any number of fragments, with pings between, however the network cuts them.
    #[test]
    fn payloads_come_out_joined(
        messages in prop::collection::vec(
            prop::collection::vec((1_usize..200, any::<bool>()), 1..4), 1..4,
        ),
        cut in 1_usize..300,
    ) {
        let (mut wire, mut sent, mut pings) = (Vec::new(), Vec::new(), 0);
        for fragments in &messages {
            for (n, (length, ping)) in fragments.iter().enumerate() {
                let payload: Vec<u8> = (0..*length).map(|i| u8::try_from(i % 251).unwrap()).collect();
                let opcode = if n == 0 { 2 } else { 0 };
                let last = if n + 1 == fragments.len() { 0x80 } else { 0 };
                wire.extend(frame(last | opcode, &payload));
                sent.extend(payload);
                if *ping {
                    wire.extend(frame(0x89, b"hm"));
                    pings += 1;
                }
            }
        }
        let (payload, controls) = decode(&wire, cut).unwrap();
        prop_assert_eq!(payload, sent);
        prop_assert_eq!(controls.len(), pings);
        prop_assert!(controls.iter().all(|control| *control == Control::Ping(b"hm".to_vec())));
    }

    #[test]
    fn any_bytes_are_refused_or_shrink(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cut in 1_usize..20,
    ) {
        if let Ok((payload, _)) = decode(&bytes, cut) {
            prop_assert!(payload.len() <= bytes.len());
        }
    }
}

#[test]
fn what_breaks_the_protocol_is_refused() {
    let text = |first| frame(first, b"a");
    let mut unmasked = text(0x82);
    unmasked[1] &= 0x7f;
    let padded = [&[0x82, 0xfe, 0, 1], MASK.as_slice(), b"a"].concat();
    let padded_more = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 1, 0], MASK.as_slice()].concat();
    let refused = [
        (unmasked, Broken::Unmasked),
        (text(0x81), Broken::Text),
        (text(0xc2), Broken::Unknown),
        (text(0x83), Broken::Unknown),
        (text(0x8b), Broken::Unknown),
        (text(0x80), Broken::Order),
        ([text(0x02), text(0x82)].concat(), Broken::Order),
        (text(0x09), Broken::Control),
        (frame(0x89, &[0; 126]), Broken::Control),
        (padded, Broken::Length),
        (padded_more, Broken::Length),
        ([&[0x82, 0xff], [0xff; 8].as_slice(), &MASK].concat(), Broken::TooLong),
    ];
    for (bytes, reason) in refused {
        assert_eq!(decode(&bytes, 1), Err(reason), "{bytes:?}");
    }
    assert!(decode(&frame(0x89, &[0; 125]), 1).is_ok());
    assert_eq!(decode(&frame(0x82, b""), 1).unwrap().1, [Control::Empty]);
}

#[test]
fn one_byte_over_a_message_is_refused_however_it_is_fragmented() {
    let most = vec![7; limits::WEBSOCKET_MESSAGE_BYTES];
    assert_eq!(decode(&frame(0x82, &most), 4096).unwrap().0, most);
    let over = [most.as_slice(), b"7"].concat();
    assert_eq!(decode(&frame(0x82, &over), 4096), Err(Broken::TooLong));

    let (half, rest) = most.split_at(most.len() / 2);
    let fits = [frame(0x02, half), frame(0x80, rest)].concat();
    assert_eq!(decode(&fits, 4096).unwrap().0, most);
    let over = [frame(0x02, half), frame(0x00, rest), frame(0x80, b"7")].concat();
    assert_eq!(decode(&over, 4096), Err(Broken::TooLong));
    // The next message has the whole room again.
    assert!(decode(&[fits, frame(0x82, &most)].concat(), 4096).is_ok());
}

/// Takes at most so many bytes a write, and counts the writes.
struct Narrow {
    stream: DuplexStream,
    room: usize,
    /// The buffers of each write.
    writes: Arc<Mutex<Vec<usize>>>,
}

impl AsyncRead for Narrow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> =
            bufs.iter().flat_map(|buf| buf.iter().copied()).take(self.room).collect();
        self.writes.lock().unwrap().push(bufs.len());
        Pin::new(&mut self.stream).poll_write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A socket whose pipe holds a MiB, and the client's end.
fn socket(room: usize) -> (Socket<Narrow>, DuplexStream) {
    let (socket, client, _) = counted(room);
    (socket, client)
}

/// And the writes that reach the pipe.
fn counted(room: usize) -> (Socket<Narrow>, DuplexStream, Arc<Mutex<Vec<usize>>>) {
    let (client, stream) = duplex(1024 * 1024);
    let writes = Arc::new(Mutex::new(Vec::new()));
    (Socket::new(Narrow { stream, room, writes: Arc::clone(&writes) }, b""), client, writes)
}

/// Reads one unmasked frame: its first byte and its payload.
async fn heard(client: &mut DuplexStream) -> (u8, Vec<u8>) {
    let first = client.read_u8().await.unwrap();
    let length = match client.read_u8().await.unwrap() {
        126 => usize::from(client.read_u16().await.unwrap()),
        127 => usize::try_from(client.read_u64().await.unwrap()).unwrap(),
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    client.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

#[tokio::test]
async fn a_buffer_is_one_frame_in_one_write_whatever_its_size() {
    for length in [1, 125, 126, 65_535, 65_536, 300_000] {
        let (mut socket, mut client, writes) = counted(usize::MAX);
        let unit = vec![0x24; length];
        socket.write_all(&unit).await.unwrap();
        socket.flush().await.unwrap();
        assert_eq!(*writes.lock().unwrap(), [2], "head and payload, {length}");
        assert_eq!(heard(&mut client).await, (0x82, unit));
    }
}

#[tokio::test]
async fn frames_stay_whole_when_little_is_taken_at_a_time() {
    let (mut socket, mut client) = socket(3);
    client.write_all(&frame(0x89, b"still there?")).await.unwrap();
    client.write_all(&frame(0x82, b"x")).await.unwrap();
    let mut sent = Vec::new();
    for n in 0..5_u8 {
        let unit = vec![n; 200];
        socket.write_all(&unit).await.unwrap();
        sent.push(unit);
        if n == 2 {
            // The pong waits for its turn.
            assert_eq!(socket.read_u8().await.unwrap(), b'x');
        }
    }
    socket.flush().await.unwrap();
    let mut units = Vec::new();
    while units.len() < sent.len() {
        match heard(&mut client).await {
            (0x82, unit) => units.push(unit),
            (0x8a, pong) => {
                assert_eq!((pong.as_slice(), units.len()), (b"still there?".as_slice(), 3));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(units, sent);
}

#[tokio::test]
async fn a_ping_is_answered_when_nothing_is_written() {
    let (mut socket, mut client) = socket(usize::MAX);
    client.write_all(&frame(0x89, b"hm")).await.unwrap();
    client.write_all(&frame(0x02, b"OPT")).await.unwrap();
    client.write_all(&frame(0x80, b"IONS")).await.unwrap();
    let mut text = [0; 7];
    socket.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"OPTIONS");
    assert_eq!(heard(&mut client).await, (0x8a, b"hm".to_vec()));
}

#[tokio::test]
async fn a_close_is_answered_and_ends_it() {
    let (mut socket, mut client) = socket(usize::MAX);
    client.write_all(&frame(0x88, &1000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(heard(&mut client).await, (0x88, 1000_u16.to_be_bytes().to_vec()));
    let error = socket.write_all(b"late").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    // And ours.
    let (mut socket, mut client) = self::socket(usize::MAX);
    socket.shutdown().await.unwrap();
    assert_eq!(heard(&mut client).await, (0x88, 1000_u16.to_be_bytes().to_vec()));
    assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_control_frame_too_many_a_second_ends_it() {
    for (first, payload) in [(0x89, b"".as_slice()), (0x8a, b""), (0x82, b"")] {
        let (mut socket, mut client) = socket(usize::MAX);
        for _ in 0..2 {
            for _ in 0..limits::WEBSOCKET_CONTROLS_PER_SECOND {
                client.write_all(&frame(first, payload)).await.unwrap();
            }
            client.write_all(&frame(0x82, b"x")).await.unwrap();
            assert_eq!(socket.read_u8().await.unwrap(), b'x');
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for _ in 0..=limits::WEBSOCKET_CONTROLS_PER_SECOND {
            client.write_all(&frame(first, payload)).await.unwrap();
        }
        let error = socket.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut last = heard(&mut client).await;
        while last.0 == 0x8a {
            last = heard(&mut client).await;
        }
        assert_eq!(last, (0x88, 1008_u16.to_be_bytes().to_vec()));
    }
}
