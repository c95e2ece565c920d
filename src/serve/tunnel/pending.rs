//! GET halves that wait for their POST.

use std::collections::HashMap;
use std::net::IpAddr;

use super::head::Cookie;
use crate::ops::limits;
use crate::trust::auth::Source;
use crate::trust::tls::Fingerprint;

/// Who a half belongs to. Both halves must say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The listener's name.
    pub(super) listener: String,
    /// The address, whatever the port.
    pub(super) address: IpAddr,
    /// SHA-256 of the client certificate, if there is one.
    pub(super) certificate: Option<Fingerprint>,
}

/// The table. `T` is where the POST half goes.
#[derive(Debug)]
pub(super) struct Pending<T> {
    halves: HashMap<Cookie, Half<T>>,
    next_number: u64,
}

#[derive(Debug)]
struct Half<T> {
    owner: Owner,
    /// Counts up: tells the halves of one cookie apart, and the newer from the older.
    number: u64,
    to: T,
}

/// What takes a half back out.
#[derive(Debug)]
pub(super) struct Ticket {
    cookie: Cookie,
    number: u64,
}

/// Why a half cannot wait, or finds no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("x-sessioncookie that is in use")]
    InUse,
    #[error("too many half-open tunnels")]
    Full,
    #[error("POST without its GET")]
    Unknown,
    #[error("x-sessioncookie of another peer")]
    Foreign,
}

impl Refused {
    /// The HTTP status that says so. A guesser cannot tell whether the cookie is somebody's.
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::InUse => "409 Conflict",
            Self::Full => "503 Service Unavailable",
            Self::Unknown | Self::Foreign => "404 Not Found",
        }
    }
}

impl<T> Pending<T> {
    pub(super) fn new() -> Self {
        Self { halves: HashMap::new(), next_number: 0 }
    }

    /// Puts a GET half in. If the table is full the source that has most of it loses its newest half, and
    /// that source may be this one. What is lost is dropped.
    pub(super) fn insert(
        &mut self,
        cookie: Cookie,
        owner: Owner,
        to: T,
    ) -> Result<Ticket, Refused> {
        if self.halves.contains_key(&cookie) {
            return Err(Refused::InUse);
        }
        let source = Source::from(owner.address);
        let same = self.halves.values().filter(|half| half.source() == source).count();
        if same >= limits::TUNNELS_PENDING_PER_SOURCE {
            return Err(Refused::Full);
        }
        if self.halves.len() >= limits::TUNNELS_PENDING {
            self.make_room(same).ok_or(Refused::Full)?;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.halves.insert(cookie.clone(), Half { owner, number, to });
        Ok(Ticket { cookie, number })
    }

    /// Takes the half out that a POST of this cookie belongs to.
    pub(super) fn join(&mut self, cookie: &Cookie, owner: &Owner) -> Result<T, Refused> {
        let half = self.halves.get(cookie).ok_or(Refused::Unknown)?;
        if half.owner != *owner {
            return Err(Refused::Foreign);
        }
        self.halves.remove(cookie).map(|half| half.to).ok_or(Refused::Unknown)
    }

    /// Takes a half out that waits no longer, if it is still there.
    pub(super) fn leave(&mut self, ticket: &Ticket) {
        if self.halves.get(&ticket.cookie).is_some_and(|half| half.number == ticket.number) {
            self.halves.remove(&ticket.cookie);
        }
    }

    fn make_room(&mut self, same: usize) -> Option<()> {
        let most = Source::to_make_room(self.halves.values().map(Half::source), same)?;
        let of_most = self.halves.iter().filter(|(_, half)| half.source() == most);
        let (newest, _) = of_most.max_by_key(|(_, half)| half.number)?;
        let newest = newest.clone();
        self.halves.remove(&newest).map(drop)
    }
}

impl<T> Half<T> {
    fn source(&self) -> Source {
        Source::from(self.owner.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(n: usize) -> Cookie {
        Cookie::parse(format!("cookie{n}").as_bytes()).unwrap()
    }

    fn owner(address: &str) -> Owner {
        let listener = "rtsps-0".to_owned();
        Owner { listener, address: address.parse().unwrap(), certificate: None }
    }

    #[test]
    fn only_the_same_peer_finds_the_half_and_only_once() {
        let mut pending = Pending::new();
        let ours = Owner { certificate: Some(Fingerprint::of(&[1])), ..owner("192.0.2.1") };
        pending.insert(cookie(0), ours.clone(), "get").unwrap();
        let others = [
            owner("192.0.2.1"),
            Owner { certificate: Some(Fingerprint::of(&[2])), ..ours.clone() },
            Owner { address: "192.0.2.2".parse().unwrap(), ..ours.clone() },
            Owner { listener: "rtsp-1".to_owned(), ..ours.clone() },
        ];
        for other in others {
            assert_eq!(pending.join(&cookie(0), &other), Err(Refused::Foreign));
        }
        assert_eq!(pending.join(&cookie(1), &ours), Err(Refused::Unknown));
        assert_eq!(pending.join(&cookie(0), &ours), Ok("get"));
        assert_eq!(pending.join(&cookie(0), &ours), Err(Refused::Unknown));
        assert_eq!(Refused::Foreign.status(), Refused::Unknown.status());
    }

    #[test]
    fn the_second_of_one_cookie_is_refused_and_a_late_ticket_takes_nobody_out() {
        let mut pending = Pending::new();
        let ticket = pending.insert(cookie(0), owner("192.0.2.1"), 1).unwrap();
        for address in ["192.0.2.1", "192.0.2.2"] {
            let second = pending.insert(cookie(0), owner(address), 2);
            assert_eq!(second.unwrap_err(), Refused::InUse);
        }
        assert_eq!(pending.join(&cookie(0), &owner("192.0.2.1")), Ok(1));
        let second = pending.insert(cookie(0), owner("192.0.2.1"), 3).unwrap();
        pending.leave(&ticket);
        assert_eq!(pending.halves.len(), 1);
        pending.leave(&second);
        assert_eq!(pending.halves.len(), 0);
    }

    #[test]
    fn one_over_the_share_of_a_source_is_refused_and_others_still_come() {
        let mut pending = Pending::new();
        for n in 0..limits::TUNNELS_PENDING_PER_SOURCE {
            pending.insert(cookie(n), owner("192.0.2.1"), n).unwrap();
        }
        let over = pending.insert(cookie(9999), owner("192.0.2.1"), 0);
        assert_eq!(over.unwrap_err(), Refused::Full);
        assert!(pending.insert(cookie(9999), owner("192.0.2.2"), 0).is_ok());
    }

    #[test]
    fn one_over_all_costs_the_source_that_has_most_its_newest() {
        let mut pending = Pending::new();
        let of = |n: usize| owner(if n.is_multiple_of(2) { "192.0.2.1" } else { "2001:db8::1" });
        for n in 0..limits::TUNNELS_PENDING {
            pending.insert(cookie(n), of(n), n).unwrap();
        }
        // Their own next ones displace nobody.
        for n in [0, 1] {
            let over = pending.insert(cookie(9000), of(n), 0);
            assert_eq!(over.unwrap_err(), Refused::Full);
        }
        pending.insert(cookie(9000), owner("192.0.2.9"), 9000).unwrap();
        assert_eq!(pending.halves.len(), limits::TUNNELS_PENDING);
        let last = limits::TUNNELS_PENDING - 1;
        let lost = [last - 1, last].map(|n| pending.join(&cookie(n), &of(n)).is_err());
        assert_eq!(lost.iter().filter(|lost| **lost).count(), 1, "the newest of one of them");
        assert_eq!(pending.join(&cookie(0), &of(0)), Ok(0));
    }
}
