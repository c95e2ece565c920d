//! The consumer's end: retina's items, counted, and never asked again after the end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use retina::client::{Demuxed, Stream};
use retina::codec::CodecItem;

use super::session::{Shared, Verdict};

/// Depacketised media. Each item handed out is counted towards the airlock's bound on bytes that never
/// become one, so take them as they come and never wait between two.
pub struct Items {
    // `None` after the end: retina panics when polled after an error.
    demuxed: Option<Demuxed>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").field("open", &self.demuxed.is_some()).finish_non_exhaustive()
    }
}

impl Items {
    pub(super) fn new(demuxed: Demuxed, shared: Arc<Shared>) -> Self {
        Self { demuxed: Some(demuxed), shared }
    }

    /// The next item; `None` at the end of the session, and ever after: ask [`super::Running::ended`]
    /// why. Cancel-safe.
    pub async fn next(&mut self) -> Option<CodecItem> {
        let demuxed = self.demuxed.as_mut()?;
        let verdict = match AssertUnwindSafe(demuxed.next()).catch_unwind().await {
            Ok(Some(Ok(item))) => {
                self.acknowledge(&item);
                return Some(item);
            }
            // The text quotes the camera's bytes and the token: it goes nowhere.
            Ok(Some(Err(_))) => Verdict::Refused,
            Ok(None) => Verdict::Ended,
            Err(_) => Verdict::Panicked,
        };
        self.shared.judge(verdict);
        self.demuxed = None;
        None
    }

    /// retina's view of a track: `parameters()` has the parameter sets as of the items handed out.
    pub fn stream(&self, index: usize) -> Option<&Stream> {
        self.demuxed.as_ref()?.streams().get(index)
    }

    fn acknowledge(&self, item: &CodecItem) {
        match item {
            CodecItem::VideoFrame(frame) => self.shared.acknowledge(frame.stream_id()),
            CodecItem::AudioFrame(frame) => self.shared.acknowledge(frame.stream_id()),
            // Never set up, and not a unit of media.
            CodecItem::MessageFrame(_) | CodecItem::Rtcp(_) | _ => {}
        }
    }
}
