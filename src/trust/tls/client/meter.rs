//! Counts what a camera sends inside of TLS that never becomes a byte of RTSP.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::ops::limits;

/// The socket below TLS. Handshake messages, tickets, key updates and alerts cost the camera nothing and
/// the airlock never sees them; so bytes from the wire are paid from a credit that only application data
/// fills again.
#[derive(Debug)]
pub(super) struct Meter<S> {
    socket: S,
    credit: usize,
    first: Vec<u8>,
}

/// The credit is used up.
#[derive(Debug)]
pub(super) struct Flood;

impl fmt::Display for Flood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many records without data")
    }
}

impl std::error::Error for Flood {}

impl<S> Meter<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, credit: limits::CAMERA_TLS_BYTES, first: Vec::new() }
    }

    /// So many bytes of application data came out.
    pub(super) fn data(&mut self, bytes: usize) {
        let more = bytes.saturating_mul(limits::CAMERA_TLS_FACTOR);
        self.credit = self.credit.saturating_add(more).min(limits::CAMERA_TLS_BYTES);
    }

    /// Whether what came first, if anything did, is the head of a TLS record (RFC 8446 section 5.1).
    pub(super) fn looks_like_tls(&self) -> bool {
        let content = self.first.first().is_none_or(|kind| (20..=23).contains(kind));
        content && self.first.get(1).is_none_or(|major| *major == 3)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Meter<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.credit == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Flood)));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        let fresh = buf.filled().get(before..).unwrap_or_default();
        this.credit = this.credit.saturating_sub(fresh.len());
        if this.first.len() < 2 {
            this.first.extend(fresh.iter().take(2 - this.first.len()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Meter<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
