//! One track from frames to clean access units: parameters, then the media policy. What the gateway publishes and what
//! `probe` shows come out of this alike.

use std::sync::Arc;

use bytes::Bytes;

use super::airlock::OpenedTrack;
use super::depacketise::Frame;
use crate::media::{
    Clean, Codec, DropCounts, DropReason, Policy, Refused, Track, TrackId, TrackKind,
};

/// A track's parameters and policy.
#[derive(Debug)]
pub(super) struct TrackFeed {
    opened: OpenedTrack,
    id: TrackId,
    /// The same parameters are the same `Arc`.
    known: Option<Arc<Track>>,
    /// Those of the session description, then those that came last.
    parameters: Option<Result<Codec, Refused>>,
    policy: Option<Policy>,
    refused: Option<Refused>,
    /// Of policies before this one.
    dropped: DropCounts,
    awaits_random_access: bool,
    restarts: u64,
}

/// What is done about parameters that need a new description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnChange {
    /// Readers have the old one: [`Fed::FormatChanged`].
    Refuse,
    /// Nobody has seen the old one.
    Restart,
}

/// What became of a frame.
#[derive(Debug)]
pub(super) enum Fed {
    Clean(Clean),
    /// No parameters came yet that are valid.
    NoParameters,
    /// Media was dropped before it, and it needs what was dropped.
    BeforeRandomAccess,
    /// Dropped, and counted, by the policy.
    Dropped,
    FormatChanged,
}

/// Parameters that need a new description, with [`OnChange::Refuse`].
struct Changed;

impl TrackFeed {
    pub(super) fn new(opened: OpenedTrack, id: TrackId, known: Option<Arc<Track>>) -> Self {
        let mut feed = Self {
            parameters: opened.codec.clone(),
            opened,
            id,
            known,
            policy: None,
            refused: None,
            dropped: DropCounts::default(),
            awaits_random_access: false,
            restarts: 0,
        };
        feed.begin();
        feed
    }

    pub(super) fn opened(&self) -> &OpenedTrack {
        &self.opened
    }

    pub(super) fn kind(&self) -> TrackKind {
        self.opened.encoding.kind()
    }

    /// The track as it now is, once its parameters are known.
    pub(super) fn track(&self) -> Option<&Arc<Track>> {
        self.policy.as_ref().map(Policy::track)
    }

    /// Why parameters were refused last, if they were.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// How often parameters that need a new description took the place of others.
    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// What was dropped so far. Only grows.
    pub(super) fn counts(&self) -> DropCounts {
        let mut counts = self.dropped.clone();
        if let Some(policy) = &self.policy {
            counts.merge(policy.counts());
        }
        counts
    }

    pub(super) fn take(&mut self, frame: Frame, on_change: OnChange) -> Fed {
        self.awaits_random_access |= frame.after_drop;
        if let Some(parameters) = frame.parameters {
            self.parameters = Some(parameters);
            if self.replace(on_change).is_err() {
                return Fed::FormatChanged;
            }
        }
        if self.policy.is_none() {
            self.begin();
        }
        let fed = self.clean(frame.data, on_change);
        let Fed::Clean(clean) = &fed else { return fed };
        if self.awaits_random_access && !clean.random_access {
            return Fed::BeforeRandomAccess;
        }
        self.awaits_random_access = false;
        fed
    }

    fn clean(&mut self, data: Bytes, on_change: OnChange) -> Fed {
        let Some(policy) = &mut self.policy else { return Fed::NoParameters };
        // Sharing the bytes costs nothing, and the unit may be needed again.
        match (policy.clean(data.clone()), on_change) {
            (Ok(clean), _) => Fed::Clean(clean),
            (Err(DropReason::IncompatibleParameters), OnChange::Refuse) => Fed::FormatChanged,
            (Err(DropReason::IncompatibleParameters), OnChange::Restart) => {
                // The session description was out of date.
                self.restart();
                let clean = self.policy.as_mut().and_then(|policy| policy.clean(data).ok());
                clean.map_or(Fed::Dropped, Fed::Clean)
            }
            (Err(_), _) => Fed::Dropped,
        }
    }

    /// New parameters under a policy that stands.
    fn replace(&mut self, on_change: OnChange) -> Result<(), Changed> {
        let (Some(policy), Some(parameters)) = (&mut self.policy, &self.parameters) else {
            return Ok(());
        };
        let codec = match parameters {
            Ok(codec) => codec.clone(),
            Err(refused) => {
                self.refused = Some(*refused);
                return Ok(());
            }
        };
        match (policy.replace(codec), on_change) {
            (Err(DropReason::IncompatibleParameters), OnChange::Refuse) => return Err(Changed),
            (Err(DropReason::IncompatibleParameters), OnChange::Restart) => self.restart(),
            // Counted by the policy, which drops what it cannot vouch for.
            (Ok(()) | Err(_), _) => {}
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
        self.begin();
    }

    /// Makes the policy, once parameters are known and valid.
    fn begin(&mut self) {
        let codec = match &self.parameters {
            None => return,
            Some(Err(refused)) => {
                self.refused = Some(*refused);
                return;
            }
            Some(Ok(codec)) => codec.clone(),
        };
        let track = Track { id: self.id, codec, clock_rate: self.opened.clock_rate };
        let track = match &self.known {
            Some(known) if **known == track => Arc::clone(known),
            Some(_) | None => Arc::new(track),
        };
        self.dropped = self.counts();
        self.policy = Some(Policy::new(track));
    }
}
