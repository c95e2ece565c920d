//! Deliberately wrong behaviours, switched on by one test to prove that the properties can fail.

use std::cell::Cell;
use std::sync::Arc;

use crate::media::{Published, SharedForm};

/// Each must make the property in `tests.rs` fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    /// A unit gets its sequence number from whoever reads it first.
    NumberedAtRead,
    /// A unit's packets are counted wrongly.
    PacketCountedTwice,
    /// Sequence numbers start over when the camera comes back.
    NumbersRestart,
    /// Readers start at any picture.
    NoRandomAccess,
    /// A camera that comes back is published from any picture on.
    NoRandomAccessAfterPause,
    /// Sound starts before the picture.
    SoundBeforePicture,
    /// A reader that fell behind is moved and not told.
    SilentLag,
    /// Nobody looks how far readers are behind.
    NoLagLimit,
    /// A reader that fell behind gets the newest random access point again.
    RedeliversAfterLag,
    /// Every start goes back to the newest random access point.
    RedeliversAtStart,
    /// Each reader gets a form of its own.
    FormNotShared,
    /// The ring takes no account of forms.
    FormsNotCounted,
    /// The ring has no bound on units.
    NoUnitBound,
    /// Nobody asks the budget of the process.
    NoBudget,
    /// The ring keeps old groups of pictures.
    KeepsOldGroups,
    /// The permit's kinds are not looked at.
    KindsIgnored,
    /// A unit is lost when the ring is trimmed.
    UnitLost,
    /// Readers go on over a change of format.
    FormatChangeMissed,
}

impl Bug {
    pub(super) const ALL: [Self; 18] = [
        Self::NumberedAtRead,
        Self::PacketCountedTwice,
        Self::NumbersRestart,
        Self::NoRandomAccess,
        Self::NoRandomAccessAfterPause,
        Self::SoundBeforePicture,
        Self::SilentLag,
        Self::NoLagLimit,
        Self::RedeliversAfterLag,
        Self::RedeliversAtStart,
        Self::FormNotShared,
        Self::FormsNotCounted,
        Self::NoUnitBound,
        Self::NoBudget,
        Self::KeepsOldGroups,
        Self::KindsIgnored,
        Self::UnitLost,
        Self::FormatChangeMissed,
    ];
}

thread_local! {
    static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    static SEQ: Cell<u16> = const { Cell::new(0) };
}

pub(super) fn on(bug: Bug) -> bool {
    ON.get() == Some(bug)
}

/// Runs `f` on this thread with a bug in the code.
pub(super) fn with<T>(bug: Bug, f: impl FnOnce() -> T) -> T {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.set(None);
        }
    }
    let _off = Off;
    ON.set(Some(bug));
    f()
}

/// What a reader is handed under the bugs that are about the unit itself.
pub(super) fn spoil(published: Arc<Published>) -> Arc<Published> {
    let first_seq = if on(Bug::NumberedAtRead) {
        let seq = SEQ.get();
        SEQ.set(seq.wrapping_add(u16::try_from(published.packets % 65_536).unwrap()));
        seq
    } else if on(Bug::FormNotShared) {
        published.first_seq
    } else {
        return published;
    };
    Arc::new(Published {
        unit: published.unit.clone(),
        first_seq,
        interleaved: SharedForm::default(),
        ..*published
    })
}
