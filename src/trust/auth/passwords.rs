//! Password checks: few hashes at once, the same question asked once, right answers remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc};
use base64::Engine;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::penalty::Tag;
use super::settings::{GeneratedSecret, PasswordHash};
use crate::ops::limits;

/// Sixteen or more bytes of randomness that an attacker cannot guess.
#[expect(clippy::expect_used, reason = "without the kernel's randomness nothing may be served")]
pub(super) fn random<const N: usize>() -> [u8; N] {
    crate::ops::random::random().expect("the kernel gives randomness")
}

/// Hashes a password that somebody chose, with a fresh salt and the default cost (19 MiB, 2 passes).
pub fn hash_password(password: &SecretString) -> Result<PasswordHash, CannotHash> {
    let hash: phc::PasswordHash = Argon2::default()
        .hash_password_with_salt(password.expose_secret().as_bytes(), &random::<16>())
        .map_err(|_| CannotHash)?;
    PasswordHash::parse(&hash.to_string()).map_err(|_| CannotHash)
}

/// Makes a secret of 128 random bits for a machine, and what is stored of it for `user`.
pub fn generate_secret(user: &str) -> (SecretString, GeneratedSecret) {
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<16>());
    let secret = SecretString::from(text);
    let stored = GeneratedSecret::new(user, &secret);
    (secret, stored)
}

/// The password could not be hashed: out of memory, or it is longer than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password cannot be hashed: not enough memory")]
pub struct CannotHash;

/// A keyed hash for tags.
#[derive(Debug)]
pub(super) struct Tagger(hmac::Key);

impl Tagger {
    pub(super) fn new() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &random::<32>()))
    }

    /// The tag of `parts`, each with its length, so that no two lists of parts look alike.
    pub(super) fn tag(&self, parts: &[&str]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

/// What one table of accounts knows of presented passwords. New accounts come with an empty one, so an
/// old verdict cannot outlive the hash it was made with.
#[derive(Debug)]
pub(super) struct Verdicts {
    tagger: Tagger,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Right credentials, and until when they are remembered.
    good: HashMap<Tag, Instant>,
    in_flight: HashMap<Tag, watch::Receiver<Option<bool>>>,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self { tagger: Tagger::new(), state: Mutex::default() }
    }
}

impl Verdicts {
    /// Stands for this user with this password, among these accounts.
    pub(super) fn tag(&self, user: &str, password: &SecretString) -> Tag {
        self.tagger.tag(&[user, password.expose_secret()])
    }

    /// Stands for a Digest response.
    pub(super) fn tag_text(&self, text: &str) -> Tag {
        self.tagger.tag(&[text])
    }

    /// Whether the credential was right not long ago. Use keeps it.
    pub(super) fn is_known_good(&self, tag: &Tag) -> bool {
        let now = Instant::now();
        self.state().good.get_mut(tag).is_some_and(|until| {
            let holds = now < *until;
            if holds {
                *until = now + limits::KNOWN_GOOD_TIME;
            }
            holds
        })
    }

    fn join(self: &Arc<Self>, tag: Tag) -> Flight {
        let mut state = self.state();
        if let Some(verdict) = state.in_flight.get(&tag) {
            return Flight::Follow(verdict.clone());
        }
        let (send, verdict) = watch::channel(None);
        state.in_flight.insert(tag, verdict);
        Flight::Lead(Leader { verdicts: Arc::clone(self), tag, send })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, tag: Tag) {
        let now = Instant::now();
        if self.good.len() >= limits::KNOWN_GOOD {
            self.good.retain(|_, until| now < *until);
        }
        if self.good.len() >= limits::KNOWN_GOOD
            && let Some(oldest) = self.good.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = *oldest.0;
            self.good.remove(&oldest);
        }
        self.good.insert(tag, now + limits::KNOWN_GOOD_TIME);
    }
}

enum Flight {
    Lead(Leader),
    Follow(watch::Receiver<Option<bool>>),
}

/// Whoever asked first. If it is dropped without a verdict, one of the others asks again.
struct Leader {
    verdicts: Arc<Verdicts>,
    tag: Tag,
    send: watch::Sender<Option<bool>>,
}

impl Leader {
    fn land(self, right: bool) {
        if right {
            self.verdicts.state().remember(self.tag);
        }
        self.send.send_replace(Some(right));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.verdicts.state().in_flight.remove(&self.tag);
    }
}

/// More checks wait than [`limits::PASSWORD_QUEUE`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

/// Computes hashes, [`limits::PASSWORD_HASHES`] at once.
#[derive(Debug)]
pub(super) struct Hasher {
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self {
            running: Arc::new(Semaphore::new(limits::PASSWORD_HASHES)),
            queue: Arc::new(Semaphore::new(limits::PASSWORD_HASHES + limits::PASSWORD_QUEUE)),
        }
    }

    /// Whether `password` is right. Equal questions that come while one is judged share its verdict.
    pub(super) async fn verify(
        &self,
        verdicts: &Arc<Verdicts>,
        tag: Tag,
        hash: &PasswordHash,
        password: &SecretString,
    ) -> Result<bool, QueueFull> {
        loop {
            match verdicts.join(tag) {
                Flight::Lead(leader) => {
                    let right = self.hash(hash, password).await?;
                    leader.land(right);
                    return Ok(right);
                }
                Flight::Follow(mut verdict) => {
                    if let Ok(Some(right)) =
                        verdict.wait_for(Option::is_some).await.map(|right| *right)
                    {
                        return Ok(right);
                    }
                }
            }
        }
    }

    async fn hash(&self, hash: &PasswordHash, password: &SecretString) -> Result<bool, QueueFull> {
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| QueueFull)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| QueueFull)?;
        let (hash, password) = (hash.clone(), password.clone());
        // A hash once begun cannot be stopped; the places it holds bound how many may run on unasked for.
        let job = tokio::task::spawn_blocking(move || {
            let _held = (queued, running);
            Argon2::default()
                .verify_password(password.expose_secret().as_bytes(), hash.phc())
                .is_ok()
        });
        // A panic or shutdown is no proof.
        Ok(job.await.unwrap_or(false))
    }
}

/// A hash that costs little, so that tests are quick.
#[cfg(test)]
pub(crate) fn cheap_hash(password: &str) -> PasswordHash {
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    let hash: phc::PasswordHash =
        Argon2::from(params).hash_password_with_salt(password.as_bytes(), &random::<16>()).unwrap();
    PasswordHash::parse(&hash.to_string()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.to_owned().into()
    }

    #[tokio::test(start_paused = true)]
    async fn one_question_is_hashed_once_and_a_right_answer_is_remembered() {
        let (hasher, verdicts) = (Hasher::new(), Arc::new(Verdicts::default()));
        let hash = cheap_hash("right");
        let (right, wrong) = (secret("right"), secret("wrong"));
        let tag = verdicts.tag("u", &right);
        // No hash can start while its places are taken, so all of these meet in one flight.
        let held = hasher.running.acquire_many(2).await.unwrap();
        let asks =
            (0..limits::PASSWORD_QUEUE * 2).map(|_| hasher.verify(&verdicts, tag, &hash, &right));
        let all = futures_util::future::join_all(asks);
        let release = async {
            tokio::task::yield_now().await;
            assert_eq!(verdicts.state().in_flight.len(), 1);
            drop(held);
        };
        let (answers, ()) = tokio::join!(all, release);
        assert!(answers.iter().all(|answer| *answer == Ok(true)));
        assert!(verdicts.is_known_good(&tag));
        let other = verdicts.tag("u", &wrong);
        assert_eq!(hasher.verify(&verdicts, other, &hash, &wrong).await, Ok(false));
        assert!(!verdicts.is_known_good(&other));
        assert!(verdicts.state().in_flight.is_empty());
        tokio::time::advance(limits::KNOWN_GOOD_TIME).await;
        assert!(!verdicts.is_known_good(&tag), "forgotten");
    }

    #[tokio::test]
    async fn a_leader_that_leaves_hands_the_question_on() {
        let (hasher, verdicts) = (Hasher::new(), Arc::new(Verdicts::default()));
        let (hash, right) = (cheap_hash("right"), secret("right"));
        let tag = verdicts.tag("u", &right);
        let held = hasher.running.acquire_many(2).await.unwrap();
        let mut leader = Box::pin(hasher.verify(&verdicts, tag, &hash, &right));
        let mut follower = Box::pin(hasher.verify(&verdicts, tag, &hash, &right));
        assert!(futures_util::poll!(&mut leader).is_pending());
        assert!(futures_util::poll!(&mut follower).is_pending());
        drop(leader);
        drop(held);
        assert_eq!(follower.await, Ok(true));
    }

    #[tokio::test]
    async fn one_check_over_the_queue_is_refused() {
        let (hasher, verdicts) = (Hasher::new(), Arc::new(Verdicts::default()));
        let hash = cheap_hash("right");
        let held = hasher.queue.acquire_many(258).await.unwrap();
        let right = secret("right");
        let tag = verdicts.tag("u", &right);
        assert_eq!(hasher.verify(&verdicts, tag, &hash, &right).await, Err(QueueFull));
        drop(held);
        assert_eq!(hasher.verify(&verdicts, tag, &hash, &right).await, Ok(true));
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_right_answers_is_bounded() {
        let verdicts = Verdicts::default();
        for n in 0..=limits::KNOWN_GOOD {
            verdicts.state().remember(verdicts.tag_text(&n.to_string()));
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(verdicts.state().good.len(), limits::KNOWN_GOOD);
        assert!(!verdicts.is_known_good(&verdicts.tag_text("0")), "the oldest went");
        assert!(verdicts.is_known_good(&verdicts.tag_text("1024")));
    }

    #[test]
    fn hash_password_makes_what_the_settings_take() {
        let hash = hash_password(&secret("x")).unwrap();
        assert!(hash.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(PasswordHash::parse(&hash.to_string()).unwrap(), hash);
        assert_eq!(format!("{hash:?}"), "PasswordHash(MASKED)");
    }

    #[test]
    fn tags_keep_their_parts_apart() {
        let tagger = Tagger::new();
        assert_ne!(tagger.tag(&["ab", "c"]), tagger.tag(&["a", "bc"]));
        assert_eq!(tagger.tag(&["ab", "c"]), tagger.tag(&["ab", "c"]));
        assert_ne!(tagger.tag(&["ab"]), Tagger::new().tag(&["ab"]));
    }
}
