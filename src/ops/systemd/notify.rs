//! What the service manager is told (sd_notify(3)). That it hears it is not what the process lives by: what
//! cannot be told is logged.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

use super::Watched;

/// The process serves; `status` is a line for the operator.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process reads its configuration anew; [`ready`] ends it.
pub fn reloading() {
    // With the time, as the manager wants it to tell this reload from an earlier one.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The process ends on its own will.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How long the manager waits for a sign of life, if it does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Gives the manager its signs of life: as long as all parts get on, within `timeout`. Never returns.
pub async fn feed(watched: Watched, timeout: Duration) {
    feed_with(watched, timeout, || tell(&[NotifyState::Watchdog])).await;
}

/// Four looks in the manager's patience: one that comes late, or before a slow part's next advance, costs nothing.
async fn feed_with(watched: Watched, timeout: Duration, mut alive: impl FnMut()) {
    let mut look = interval((timeout / 4).max(Duration::from_millis(1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut in_vain = 0_u32;
    loop {
        look.tick().await;
        match watched.all_got_on() {
            Ok(()) => {
                in_vain = 0;
                alive();
            }
            Err(stuck) => {
                in_vain = in_vain.saturating_add(1);
                if in_vain == 3 {
                    tracing::error!(
                        ?stuck,
                        "some tasks make no progress; the service manager will restart it"
                    );
                }
            }
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{sleep, timeout};

    use super::super::Progress;
    use super::*;

    async fn advances(mut progress: Progress) {
        loop {
            progress.asked().await;
            progress.advance();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn life_is_shown_while_all_get_on_and_no_longer() {
        let patience = Duration::from_secs(10);
        let watched = Watched::default();
        let first = tokio::spawn(advances(watched.part("first")));
        let second = tokio::spawn(advances(watched.part("second")));
        let signs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&signs);
        let feeding = tokio::spawn(feed_with(watched, patience, move || {
            let _before = counted.fetch_add(1, Ordering::Relaxed);
        }));
        for _ in 0..6 {
            let before = signs.load(Ordering::Relaxed);
            sleep(patience / 2).await;
            assert!(signs.load(Ordering::Relaxed) > before, "twice in the manager's patience");
        }
        second.abort();
        sleep(patience / 4).await;
        let before = signs.load(Ordering::Relaxed);
        sleep(patience * 6).await;
        assert_eq!(signs.load(Ordering::Relaxed), before, "the other part still gets on");
        assert!(!first.is_finished());
        assert!(timeout(patience, feeding).await.is_err());
    }
}
