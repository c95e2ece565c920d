//! The configuration of dnsmasq in the namespace: DHCP with fixed leases and nothing else.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::segment::{BRIDGE, Plan};

/// Where dnsmasq finds its files and who it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dhcp {
    /// Its configuration; written by root.
    pub conf: Word,
    /// The fixed leases; read anew on SIGHUP.
    pub hosts: Word,
    /// What it writes: the leases that were given.
    pub leases: Word,
    /// The user and group it becomes.
    pub user: Word,
    /// See above.
    pub group: Word,
}

/// A path or name of `A-Z a-z 0-9 . _ / -` only: nothing in it can end a line or begin a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word(String);

/// The text holds something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 characters of A-Z a-z 0-9 . _ / - and not begin with -")]
pub struct BadWord;

impl std::str::FromStr for Word {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        let lawful = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
        if (1..=255).contains(&text.len()) && text.bytes().all(lawful) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadWord)
        }
    }
}

impl Word {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text of [`Dhcp::conf`].
pub fn dnsmasq_conf(plan: &Plan, dhcp: &Dhcp) -> String {
    let gateway = plan.address;
    let mut text = format!(
        "# Made from the segment file; changes are lost.
port=0
interface={BRIDGE}
except-interface=lo
bind-interfaces
no-resolv
no-hosts
no-poll
no-ping
pid-file=
user={}
group={}
dhcp-leasefile={}
",
        dhcp.user.0, dhcp.group.0, dhcp.leases.0
    );
    if plan.dhcp {
        _ = write!(
            text,
            "dhcp-authoritative
dhcp-range={},static,{},1h
dhcp-hostsfile={}
dhcp-ignore=tag:!known
dhcp-lease-max={}
dhcp-option=option:router,{gateway}
dhcp-option=option:dns-server,{gateway}
dhcp-option=option:ntp-server,{gateway}
quiet-dhcp
",
            plan.network(),
            netmask(plan.prefix),
            dhcp.hosts.0,
            plan.cameras.len().max(1),
        );
    }
    text
}

/// The text of [`Dhcp::hosts`].
pub fn dnsmasq_hosts(plan: &Plan) -> String {
    let mut text = String::new();
    for camera in plan.cameras.iter().filter(|_| plan.dhcp) {
        _ = writeln!(text, "{},{},1h", camera.mac, camera.address);
    }
    text
}

fn netmask(prefix: u8) -> Ipv4Addr {
    let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    Ipv4Addr::from(!host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_be_smuggled_into_a_line() {
        for bad in ["", "a b", "a\nuser=root", "a#b", "a,b", "-x", "é"] {
            assert_eq!(bad.parse::<Word>(), Err(BadWord), "{bad:?}");
        }
        let most = "a".repeat(255);
        assert!(most.parse::<Word>().is_ok() && format!("{most}a").parse::<Word>().is_err());
    }

    #[test]
    fn the_mask_is_the_prefix_s() {
        assert_eq!(netmask(24), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(netmask(30), Ipv4Addr::new(255, 255, 255, 252));
        assert_eq!(netmask(8), Ipv4Addr::new(255, 0, 0, 0));
    }
}
