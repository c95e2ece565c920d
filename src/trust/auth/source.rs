//! Where a client comes from, as limits and penalties count it.

use std::collections::HashMap;
use std::net::IpAddr;

/// One IPv4 address, or one IPv6 /64: a single host has all of its /64 to choose addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(v4) => v4.into(),
            IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }
}

impl Source {
    /// The source that must lose its newest so that a newcomer, whose source has `same` already, can come in:
    /// the one with most of what fills a place, if that is more than the newcomer's source would then have.
    /// Whoever fills a place fills it for himself.
    pub fn to_make_room(holders: impl Iterator<Item = Self>, same: usize) -> Option<Self> {
        let mut counts: HashMap<Self, usize> = HashMap::new();
        for source in holders {
            *counts.entry(source).or_default() += 1;
        }
        let (most, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (count > same.saturating_add(1)).then_some(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn ipv6_counts_by_64_and_mapped_ipv4_as_ipv4() {
        assert_eq!(source("2001:db8:1:2:3::4"), source("2001:db8:1:2:ffff::"));
        assert_ne!(source("2001:db8:1:2::"), source("2001:db8:1:3::"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
    }
}
