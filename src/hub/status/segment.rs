//! How the camera segment is, as the gateway knows it.

use std::sync::Arc;

use tokio::sync::watch;

/// How the camera segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentState {
    /// `none` or `namespace`.
    pub mode: &'static str,
    /// Whether the segment's service tells its news; `None`: there is no segment.
    pub link: Option<LinkState>,
    /// Devices seen since the service began.
    pub devices: u32,
    /// Attempts since then.
    pub attempts: u64,
    /// Records of the ledger.
    pub ledger_records: u64,
    /// Why the ledger cannot be written, escaped.
    pub ledger_fault: Option<String>,
    /// What the canary found last.
    pub canary: Option<CanaryState>,
    /// Why nobody is served.
    pub not_served: Option<String>,
}

/// Whether the segment's service can be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// It tells its news.
    Up,
    /// It does not.
    Down {
        /// Why, in words that an operator can act on.
        reason: String,
    },
}

/// What the canary found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryState {
    /// When it began, ms of the UNIX epoch.
    pub at_ms: u64,
    /// Whether the segment held, and the run proves it.
    pub passed: bool,
    /// What failed, escaped; empty if it passed.
    pub faults: String,
}

/// The state of the segment, watched by many. Clones share it.
#[derive(Debug, Clone)]
pub struct SegmentBoard(Arc<watch::Sender<SegmentState>>);

impl SegmentBoard {
    /// Without a segment, or with one that was not heard yet.
    pub fn new(mode: &'static str, link: Option<LinkState>) -> Self {
        Self(Arc::new(watch::Sender::new(SegmentState {
            mode,
            link,
            devices: 0,
            attempts: 0,
            ledger_records: 0,
            ledger_fault: None,
            canary: None,
            not_served: None,
        })))
    }

    /// Changes the state.
    pub fn update(&self, change: impl FnOnce(&mut SegmentState)) {
        self.0.send_modify(change);
    }

    /// The state now.
    pub fn now(&self) -> SegmentState {
        self.0.borrow().clone()
    }

    /// Watches it.
    pub fn watch(&self) -> watch::Receiver<SegmentState> {
        self.0.subscribe()
    }
}
