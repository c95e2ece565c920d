//! A WebSocket as a byte stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frame::{self, Broken, Control, Decoder};
use crate::ops::limits;
use crate::serve::tunnel::decoded::Decoded;

/// Close code of an ordinary end.
const NORMAL: u16 = 1000;

/// Reads the payloads of the client's messages; writes each buffer that it is given as one message in one
/// frame, from where it is.
#[derive(Debug)]
pub struct Socket<S> {
    stream: S,
    input: BytesMut,
    decoder: Decoder,
    decoded: Decoded,
    /// Control frames since when.
    second: (Instant, u32),
    out: Out,
    /// Nothing more is said: a close frame was, or is about to be.
    closing: bool,
}

/// What is on its way out, in this order: a frame is never interrupted.
#[derive(Debug, Default)]
struct Out {
    /// Bytes left of the head of the data frame that was begun.
    head: Bytes,
    /// Bytes left of its payload.
    payload: usize,
    /// The control frame that was begun.
    control: Bytes,
    /// The next one; a newer one takes its place (RFC 6455 5.5.3).
    next: Option<Bytes>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// `first` is what came behind the handshake.
    pub(in crate::serve::tunnel) fn new(stream: S, first: &[u8]) -> Self {
        Self {
            stream,
            input: BytesMut::from(first),
            decoder: Decoder::default(),
            decoded: Decoded::default(),
            second: (Instant::now(), 0),
            out: Out::default(),
            closing: false,
        }
    }

    fn poll_decoded(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.decoded.take(buf) || self.closing {
                return Poll::Ready(Ok(()));
            }
            match self.decoder.decode(&mut self.input, self.decoded.end()) {
                Ok(Some(control)) => self.on_control(control, cx)?,
                Ok(None) if !self.decoded.is_empty() => {}
                Ok(None) => {
                    let mut some = [0; limits::TUNNEL_READ_BYTES];
                    let mut some = ReadBuf::new(&mut some);
                    ready!(Pin::new(&mut self.stream).poll_read(cx, &mut some))?;
                    if some.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    self.input.extend_from_slice(some.filled());
                }
                Err(broken) => return Poll::Ready(Err(self.refuse(broken, cx))),
            }
        }
    }

    fn on_control(&mut self, control: Control, cx: &mut Context<'_>) -> io::Result<()> {
        let now = Instant::now();
        let (since, count) = &mut self.second;
        if now - *since >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count > limits::WEBSOCKET_CONTROLS_PER_SECOND {
            return Err(self.refuse(Broken::TooMany, cx));
        }
        match control {
            Control::Ping(payload) => self.say(frame::pong(&payload), cx),
            Control::Close => {
                self.say(frame::close(NORMAL), cx);
                self.closing = true;
            }
            Control::Pong | Control::Empty => {}
        }
        Ok(())
    }

    fn refuse(&mut self, broken: Broken, cx: &mut Context<'_>) -> io::Error {
        self.say(frame::close(broken.code()), cx);
        self.closing = true;
        io::Error::new(io::ErrorKind::InvalidData, broken)
    }

    /// Sends a control frame at once if there is room; else what writes next does. A failure shows there too.
    fn say(&mut self, control: Vec<u8>, cx: &mut Context<'_>) {
        self.out.next = Some(control.into());
        if let Poll::Ready(Ok(())) = self.out.poll_controls(&mut self.stream, cx) {
            let _sent = Pin::new(&mut self.stream).poll_flush(cx);
        }
    }
}

impl Out {
    fn is_between_frames(&self) -> bool {
        self.head.is_empty() && self.payload == 0
    }

    /// Writes control frames, if no data frame is in the way.
    fn poll_controls<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        while self.is_between_frames() {
            if self.control.is_empty() {
                match self.next.take() {
                    Some(next) => self.control = next,
                    None => break,
                }
            }
            let taken = ready!(Pin::new(&mut *stream).poll_write(cx, &self.control))?;
            self.control.advance(some(taken)?);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes payload, with the head before it if that is due; the bytes of `payload` that went.
    fn poll_payload<S>(
        &mut self,
        payload: &[u8],
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>>
    where
        S: AsyncWrite + Unpin,
    {
        let payload = payload.get(..payload.len().min(self.payload)).unwrap_or_default();
        loop {
            let stream = Pin::new(&mut *stream);
            let taken = if self.head.is_empty() {
                ready!(stream.poll_write(cx, payload))?
            } else {
                let both = [IoSlice::new(&self.head), IoSlice::new(payload)];
                ready!(stream.poll_write_vectored(cx, &both))?
            };
            let of_head = some(taken)?.min(self.head.len());
            self.head.advance(of_head);
            let of_payload = taken - of_head;
            self.payload -= of_payload;
            if of_payload > 0 {
                return Poll::Ready(Ok(of_payload));
            }
        }
    }
}

fn some(taken: usize) -> io::Result<usize> {
    if taken == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(taken) }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_decoded(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.out.is_between_frames() {
            if this.closing {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            ready!(this.out.poll_controls(&mut this.stream, cx))?;
            this.out.head = frame::head(buf.len()).into();
            this.out.payload = buf.len();
        }
        this.out.poll_payload(buf, &mut this.stream, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.out.poll_controls(&mut this.stream, cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closing {
            this.closing = true;
            this.out.next = Some(frame::close(NORMAL).into());
        }
        ready!(this.out.poll_controls(&mut this.stream, cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
