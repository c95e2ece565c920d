//! What one connection knows of its login.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::offer::Offer;
use super::passwords::random;
use super::penalty::Tag;
use super::permit::Principal;
use super::source::Source;
use crate::ops::limits;
use crate::trust::tls::PeerIdentity;
use crate::wire::digest::DigestResponse;

/// What one connection knows of its login: peer address, client certificate, nonce, the credential
/// verified last (so that a client that repeats Basic on each request costs one password hash).
#[derive(Debug)]
pub struct ConnectionLogin {
    pub(super) address: IpAddr,
    pub(super) source: Source,
    pub(super) offer: Offer,
    pub(super) certificate: Option<Certificate>,
    pub(super) verified: Option<(Tag, Arc<Principal>)>,
    /// A Digest response was wrong, or of an account that cannot do Digest: the next challenge is Basic.
    pub(super) digest_failed: bool,
    nonce: Option<Nonce>,
}

/// A verified client certificate, and when it ends on this process's clock.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) identity: PeerIdentity,
    pub(super) ends: Instant,
}

/// A nonce of ours: known to this connection alone.
#[derive(Debug)]
struct Nonce {
    text: String,
    made: Instant,
    /// Highest `nc` taken.
    count: u32,
}

/// How a response's nonce stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NonceUse {
    /// Ours, in time, and this count is new.
    Fresh,
    /// Not ours, too old, or the count was used: a right response earns a new nonce, no more.
    Stale,
}

impl ConnectionLogin {
    pub(super) fn new(address: IpAddr, offer: &Offer, certificate: Option<&PeerIdentity>) -> Self {
        Self {
            address,
            source: address.into(),
            offer: offer.clone(),
            certificate: certificate.map(|identity| Certificate {
                identity: identity.clone(),
                ends: Instant::now() + time_left(identity.not_after),
            }),
            verified: None,
            digest_failed: false,
            nonce: None,
        }
    }

    /// A new nonce; the one before is stale from now on. New at each challenge, because clients count
    /// from one again after each.
    pub(super) fn new_nonce(&mut self) -> &str {
        let mut text = String::with_capacity(32);
        for byte in random::<16>() {
            // Writing into a String does not fail.
            write!(text, "{byte:02x}").unwrap_or_default();
        }
        &self.nonce.insert(Nonce { text, made: Instant::now(), count: 0 }).text
    }

    /// Judges the nonce of a response that was found right, and uses up its count. Responses without
    /// `qop` (RFC 2069: GStreamer, older libraries) carry no count.
    pub(super) fn use_nonce(&mut self, response: &DigestResponse) -> NonceUse {
        let Some(nonce) = &mut self.nonce else { return NonceUse::Stale };
        if nonce.text != response.nonce || nonce.made.elapsed() >= limits::NONCE_TIME {
            return NonceUse::Stale;
        }
        match &response.qop {
            Some(qop) if qop.count <= nonce.count => NonceUse::Stale,
            Some(qop) => {
                nonce.count = qop.count;
                NonceUse::Fresh
            }
            None => NonceUse::Fresh,
        }
    }
}

/// Time until `not_after` (seconds since the Unix epoch), at most ten years.
fn time_left(not_after: i64) -> Duration {
    const MOST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(not_after).unwrap_or(0)));
    // Beyond what the clock can say is far away.
    end.map_or(MOST, |end| end.duration_since(SystemTime::now()).unwrap_or_default().min(MOST))
}

/// Whether a response's `uri` means the request-URI: equal, or equal in path and query where one of
/// them is written without scheme and host, or differs in a slash at the end.
pub(super) fn same_uri(a: &str, b: &str) -> bool {
    fn path(uri: &str) -> &str {
        let after = uri.split_once("://").map_or(uri, |(_, after)| {
            after.find('/').and_then(|slash| after.get(slash..)).unwrap_or_default()
        });
        after.strip_suffix('/').unwrap_or(after)
    }
    let both_absolute = a.contains("://") && b.contains("://");
    if both_absolute {
        let trim = |uri: &str| uri.strip_suffix('/').unwrap_or(uri).len();
        a.get(..trim(a)) == b.get(..trim(b))
    } else {
        path(a) == path(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_compared_by_meaning() {
        let absolute = "rtsp://host:554/door/main";
        for same in [absolute, "rtsp://host:554/door/main/", "/door/main", "/door/main/"] {
            assert!(same_uri(absolute, same) && same_uri(same, absolute), "{same}");
        }
        for other in ["rtsp://other/door/main", "/door/sub", "", "/", "/door/main?x", "door/main"] {
            assert!(!same_uri(absolute, other), "{other}");
        }
        assert!(same_uri("*", "*"));
        assert!(same_uri("rtsp://host", "/"));
    }

    #[test]
    fn a_certificate_far_ahead_or_long_over_does_no_harm() {
        assert_eq!(time_left(0), Duration::ZERO);
        assert_eq!(time_left(i64::MIN), Duration::ZERO);
        assert_eq!(time_left(i64::MAX).as_secs(), 10 * 366 * 24 * 3600);
    }
}
