//! What is read from a camera, and room for more.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::ops::limits::{
    CAMERA_BUFFER_BYTES, CAMERA_BUFFER_LEAST_BYTES, RTSP_BODY_BYTES, RTSP_HEAD_BYTES,
};

/// What was read and not yet taken. It lies in one block: of [`CAMERA_BUFFER_LEAST_BYTES`] first, which is enough
/// where packets come one by one, and of twice as many each time that a read fills it, up to
/// [`CAMERA_BUFFER_BYTES`].
///
/// Once all is taken the block is filled from its front again. So a camera costs the bytes that it sends at once, and
/// not what it has sent so far.
#[derive(Debug)]
pub(super) struct Received {
    bytes: BytesMut,
    size: usize,
}

impl Received {
    pub(super) fn new() -> Self {
        let size = CAMERA_BUFFER_LEAST_BYTES;
        Self { bytes: BytesMut::with_capacity(size), size }
    }

    /// Take from its front.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Reads once. Zero: the camera closed. Cancel-safe.
    pub(super) async fn read(
        &mut self,
        camera: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.make_room();
        let fresh = camera.read_buf(&mut self.bytes).await?;
        if self.bytes.len() == self.bytes.capacity() {
            self.grow();
        }
        Ok(fresh)
    }

    /// Half of the block at least.
    fn make_room(&mut self) {
        while self.bytes.len() > self.size / 2 && self.size < CAMERA_BUFFER_BYTES {
            self.grow();
        }
        let room = if self.bytes.is_empty() { self.size } else { self.size / 2 };
        if !self.bytes.try_reclaim(room) {
            let mut block = BytesMut::with_capacity(self.size);
            block.extend_from_slice(&self.bytes);
            self.bytes = block;
        }
    }

    fn grow(&mut self) {
        self.size = self.size.saturating_mul(2).min(CAMERA_BUFFER_BYTES);
    }
}

const _: () = assert!(
    RTSP_HEAD_BYTES + RTSP_BODY_BYTES <= CAMERA_BUFFER_BYTES / 2
        && 4 + 65_535 <= CAMERA_BUFFER_BYTES / 2,
    "an item that is not whole leaves no room for a read"
);

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;

    /// Reads `piece` once.
    async fn read(received: &mut Received, mut piece: &[u8]) -> usize {
        received.read(&mut piece).await.unwrap()
    }

    #[tokio::test]
    async fn a_camera_that_sends_little_at_once_costs_one_small_block() {
        let mut received = Received::new();
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            assert_eq!(read(&mut received, &[7; 1_404]).await, 1_404);
            places.insert(received.bytes().as_ptr().addr());
            // As the decoder does: a payload shares the block for a moment.
            received.bytes().advance(4);
            drop(received.bytes().split_to(1_400).freeze());
            assert!(received.bytes().is_empty());
        }
        assert_eq!(places.len(), 1, "not filled from its front");
        assert_eq!(received.size, CAMERA_BUFFER_LEAST_BYTES);
    }

    #[tokio::test]
    async fn a_camera_that_sends_much_at_once_is_read_in_large_pieces() {
        let mut received = Received::new();
        let much = vec![7; 4 * CAMERA_BUFFER_BYTES];
        let mut largest = 0;
        for _ in 0..10 {
            largest = largest.max(read(&mut received, &much).await);
            received.bytes().clear();
        }
        assert_eq!(largest, CAMERA_BUFFER_BYTES);
        assert_eq!(received.bytes().capacity(), CAMERA_BUFFER_BYTES);
    }

    #[tokio::test]
    async fn the_largest_item_fits_wherever_it_begins() {
        let item: Vec<_> = (0..=u8::MAX).cycle().take(RTSP_HEAD_BYTES + RTSP_BODY_BYTES).collect();
        for before in [0, 1, 1_404, 16_000, 40_000, 80_000] {
            let mut received = Received::new();
            let all = [&vec![0; before][..], &item].concat();
            let (mut rest, mut is_taken) = (&all[..], false);
            while !rest.is_empty() {
                let least = rest.len().min(CAMERA_BUFFER_LEAST_BYTES / 2);
                let fresh = received.read(&mut rest).await.unwrap();
                assert!(fresh >= least, "{before}: room for {fresh} only");
                assert!(received.bytes().capacity() <= CAMERA_BUFFER_BYTES, "{before}");
                if !is_taken && received.bytes().len() > before {
                    received.bytes().advance(before);
                    is_taken = true;
                }
            }
            assert_eq!(received.bytes()[..], item[..], "{before}");
        }
    }
}
