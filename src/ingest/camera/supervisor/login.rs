//! One camera's login, shared by its profiles: what it asked for before, and the pause after a refusal.
//!
//! Cameras lock accounts after a handful of wrong passwords. So until a login was accepted, and after one
//! was refused, only one profile tries at a time, and the others learn from it.

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{BackOff, Ladder};
use crate::ingest::camera::airlock::LoginMemory;
use crate::ingest::camera::digest_book::DigestBook;

/// What the profiles of one camera share.
#[derive(Debug)]
pub(in crate::ingest::camera) struct CameraLogin {
    gate: tokio::sync::Mutex<Gate>,
    camera: String,
    book: DigestBook,
}

#[derive(Debug)]
struct Gate {
    standing: Standing,
    back_off: BackOff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Untried,
    Accepted,
    Refused { until: Instant },
}

/// The right to try the login. While it is not known to be good, there is one at a time.
#[derive(Debug)]
pub(in crate::ingest::camera) struct Pass<'a>(Option<tokio::sync::MutexGuard<'a, Gate>>);

impl CameraLogin {
    pub(in crate::ingest::camera) fn new(camera: &str, book: &DigestBook) -> Self {
        let gate = Gate { standing: Standing::Untried, back_off: BackOff::default() };
        Self { gate: tokio::sync::Mutex::new(gate), camera: camera.to_owned(), book: book.clone() }
    }

    /// Waits until the login may be tried. `on_pause` hears of each pause before it begins.
    pub(in crate::ingest::camera) async fn enter(
        &self,
        mut on_pause: impl FnMut(Duration),
    ) -> Pass<'_> {
        loop {
            let gate = self.gate.lock().await;
            let until = match gate.standing {
                Standing::Accepted => return Pass(None),
                Standing::Untried => return Pass(Some(gate)),
                Standing::Refused { until } if until <= Instant::now() => return Pass(Some(gate)),
                Standing::Refused { until } => until,
            };
            drop(gate);
            on_pause(until.saturating_duration_since(Instant::now()));
            tokio::time::sleep_until(until).await;
        }
    }

    /// The camera took the login, or wanted none.
    pub(in crate::ingest::camera) fn accepted(&self, pass: Pass<'_>) {
        if let Pass(Some(mut gate)) = pass {
            *gate = Gate { standing: Standing::Accepted, back_off: BackOff::default() };
        }
    }

    /// The camera refused it: the pause until any profile may try again.
    pub(in crate::ingest::camera) async fn refused(&self, pass: Pass<'_>, random: u32) -> Duration {
        let mut gate = match pass {
            Pass(Some(gate)) => gate,
            Pass(None) => self.gate.lock().await,
        };
        let now = Instant::now();
        match gate.standing {
            // Another profile was refused at the same moment: one refusal is enough.
            Standing::Refused { until } if until > now => until - now,
            Standing::Refused { .. } | Standing::Accepted | Standing::Untried => {
                let pause = gate.back_off.failed(Ladder::Login, random);
                gate.standing = Standing::Refused { until: now + pause };
                pause
            }
        }
    }

    /// A pass for an end that came while playing.
    pub(in crate::ingest::camera) fn pass_while_playing() -> Pass<'static> {
        Pass(None)
    }

    /// What is known from all sessions so far.
    pub(in crate::ingest::camera) fn memory(&self) -> LoginMemory {
        self.book.memory(&self.camera)
    }

    /// Adds what a session learnt.
    pub(in crate::ingest::camera) fn remember(&self, learnt: LoginMemory) {
        self.book.remember(&self.camera, learnt);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn book() -> DigestBook {
        DigestBook::new(Default::default())
    }

    #[tokio::test(start_paused = true)]
    async fn profiles_of_a_camera_do_not_multiply_refused_logins() {
        let login = Arc::new(CameraLogin::new("door", &book()));
        let tries = Arc::new(AtomicUsize::new(0));
        let mut profiles = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (login, tries) = (Arc::clone(&login), Arc::clone(&tries));
            profiles.spawn(async move {
                loop {
                    let pass = login.enter(|_| ()).await;
                    tries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let pause = login.refused(pass, 0).await;
                    tokio::time::sleep(pause).await;
                }
            });
        }
        let mut seen = Vec::new();
        for seconds in [1, 29, 2, 57, 2, 118, 2] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seen.push(tries.load(Ordering::Relaxed));
        }
        assert_eq!(seen, [1, 1, 2, 2, 3, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_accepted_login_opens_the_gate_and_two_late_refusals_are_one() {
        let login = CameraLogin::new("door", &book());
        let first = login.enter(|_| ()).await;
        login.accepted(first);
        let (a, b) = (login.enter(|_| ()).await, login.enter(|_| ()).await);
        assert_eq!(login.refused(a, 0).await, Duration::from_secs(30));
        assert_eq!(login.refused(b, 0).await, Duration::from_secs(30));
        let mut told = None;
        let pass = login.enter(|pause| told = Some(pause)).await;
        assert_eq!(told, Some(Duration::from_secs(30)));
        assert_eq!(login.refused(pass, 0).await, Duration::from_secs(60));
    }

    #[test]
    fn digest_once_seen_is_never_forgotten() {
        let login = CameraLogin::new("door", &book());
        login.remember(LoginMemory::DigestSeen);
        login.remember(LoginMemory::Nothing);
        assert_eq!(login.memory(), LoginMemory::DigestSeen);
    }
}
