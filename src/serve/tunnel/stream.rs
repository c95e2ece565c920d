//! The byte stream that RTSP is spoken over.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::https::Halves;
use super::websocket::Socket;

/// A connection's bytes as RTSP sees them.
#[derive(Debug)]
pub enum ByteStream<S> {
    /// No tunnel; with the bytes that were read to see that.
    Direct(Bytes, S),
    /// The two halves of RTSP over HTTPS.
    Https(Box<Halves<S>>),
    /// RTSP over WebSocket.
    WebSocket(Box<Socket<S>>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(first, _) if !first.is_empty() => {
                let taken = first.split_to(first.len().min(buf.remaining()));
                buf.put_slice(&taken);
                if !first.has_remaining() {
                    *first = Bytes::new();
                }
                Poll::Ready(Ok(()))
            }
            Self::Direct(_, stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Https(halves) => halves.poll_read(cx, buf),
            Self::WebSocket(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().down()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().down()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Direct(_, stream) => stream.is_write_vectored(),
            Self::Https(halves) => halves.down.is_write_vectored(),
            Self::WebSocket(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().down()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Https(halves) => halves.poll_shutdown(cx),
            Self::Direct(_, stream) => Pin::new(stream).poll_shutdown(cx),
            Self::WebSocket(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    /// What takes our bytes.
    fn down(&mut self) -> &mut (dyn AsyncWrite + Unpin) {
        match self {
            Self::Direct(_, stream) => stream,
            Self::Https(halves) => &mut halves.down,
            Self::WebSocket(socket) => socket.as_mut(),
        }
    }
}
