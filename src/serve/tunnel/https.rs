//! The two halves of RTSP over HTTPS as one byte stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::base64_stream::{Decoder, NotBase64};
use super::decoded::Decoded;
use crate::ops::limits;

/// A GET and a POST. The end of either is the end of both.
#[derive(Debug)]
pub struct Halves<S> {
    /// The GET half: its answer carries our bytes, and the client says nothing more on it.
    pub(super) down: S,
    /// The POST half: its body carries the client's.
    up: S,
    decoder: Decoder,
    decoded: Decoded,
    /// Drops with this: ends the task that holds the POST half's place among the open connections.
    _alive: oneshot::Sender<()>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Halves<S> {
    /// `body` is what came of the body together with the POST's head.
    pub(super) fn new(
        down: S,
        up: S,
        body: &[u8],
        alive: oneshot::Sender<()>,
    ) -> Result<Self, NotBase64> {
        let (mut decoder, mut decoded) = (Decoder::default(), Decoded::default());
        decoder.decode(body, decoded.end())?;
        Ok(Self { down, up, decoder, decoded, _alive: alive })
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(ended) = self.poll_end_of_down(cx) {
            return Poll::Ready(ended);
        }
        loop {
            if self.decoded.take(buf) {
                return Poll::Ready(Ok(()));
            }
            let mut text = [0; limits::TUNNEL_READ_BYTES];
            let mut text = ReadBuf::new(&mut text);
            ready!(Pin::new(&mut self.up).poll_read(cx, &mut text))?;
            if text.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.decoder
                .decode(text.filled(), self.decoded.end())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Ends both halves. The client hears nothing on its POST but this.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.down).poll_shutdown(cx))?;
        Pin::new(&mut self.up).poll_shutdown(cx)
    }

    /// Ready when the client closed the GET half, or says something on it.
    fn poll_end_of_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut byte = [0; 1];
        let mut byte = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.down).poll_read(cx, &mut byte))?;
        Poll::Ready(if byte.filled().is_empty() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the GET of a tunnel"))
        })
    }
}
