//! Bytes between a tunnel's decoder and RTSP.

use tokio::io::ReadBuf;

/// What was decoded and not taken yet: at most what one read gives.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    bytes: Vec<u8>,
    taken: usize,
}

impl Decoded {
    /// Where decoders append.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hands bytes on; whether there were any.
    pub(super) fn take(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        let some = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        buf.put_slice(some);
        self.taken += some.len();
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        }
        true
    }
}
