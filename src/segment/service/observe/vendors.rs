//! Which vendor an address block or an endpoint belongs to, from `config/endpoints.toml`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use crate::segment::{Attempt, Destination, MacAddr, Protocol};

const ENDPOINTS: &str = include_str!("../../../../config/endpoints.toml");

/// What vendors are recognised by. A clone is cheap.
#[derive(Debug, Clone)]
pub struct Vendors(Arc<Signs>);

/// A vendor of [`Vendors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vendor(usize);

#[derive(Debug, Default)]
struct Signs {
    names: Vec<String>,
    blocks: HashMap<[u8; 3], Vendor>,
    domains: HashMap<String, Vendor>,
    addresses: HashMap<IpAddr, Vendor>,
    protocols: HashMap<Protocol, Vendor>,
    /// Whether it is UDP, and the port.
    ports: HashMap<(bool, u16), Vendor>,
}

impl Vendors {
    /// Reads the file that is part of the binary.
    ///
    /// # Errors
    ///
    /// Something is wrong with it, in words: ours to repair.
    pub fn load() -> Result<Self, String> {
        Self::read(ENDPOINTS).map_err(|fault| format!("config/endpoints.toml: {fault}"))
    }

    /// The vendor that IEEE gave the address's block to.
    pub(super) fn of_block(&self, mac: MacAddr) -> Option<Vendor> {
        if mac.is_local() { None } else { self.0.blocks.get(&mac.oui()).copied() }
    }

    /// The vendor whose endpoint this is, by the most exact sign.
    pub(super) fn of_attempt(&self, attempt: &Attempt) -> Option<Vendor> {
        let signs = &self.0;
        let name = attempt.name.as_ref().and_then(|name| self.of_name(name.as_str()));
        let address = || match &attempt.destination {
            Destination::Ip(ip) => signs.addresses.get(&ip.to_canonical()).copied(),
            Destination::Mac(_) | Destination::Many => None,
        };
        let protocol = || signs.protocols.get(&attempt.protocol).copied();
        name.or_else(address).or_else(protocol).or_else(|| self.of_port(attempt))
    }

    /// The vendor's name.
    pub(super) fn name(&self, vendor: Vendor) -> Option<String> {
        self.0.names.get(vendor.0).cloned()
    }

    /// The longest domain that the name is in. A port behind it is no part of it, nor what stands in brackets.
    fn of_name(&self, name: &str) -> Option<Vendor> {
        let name = name.split([':', ' ']).next()?.trim_end_matches('.').to_ascii_lowercase();
        let mut rest = name.as_str();
        loop {
            if let Some(vendor) = self.0.domains.get(rest) {
                return Some(*vendor);
            }
            (_, rest) = rest.split_once('.')?;
        }
    }

    fn of_port(&self, attempt: &Attempt) -> Option<Vendor> {
        let udp = match attempt.protocol {
            Protocol::Udp | Protocol::Stun => true,
            Protocol::Tcp | Protocol::Tls | Protocol::Http | Protocol::Mqtt => false,
            Protocol::Arp
            | Protocol::Lldp
            | Protocol::Ethernet
            | Protocol::Vlan
            | Protocol::Dhcp
            | Protocol::Dns
            | Protocol::DnsOverTls
            | Protocol::Ntp
            | Protocol::Icmp
            | Protocol::Igmp
            | Protocol::Ssdp
            | Protocol::Mdns
            | Protocol::Llmnr
            | Protocol::NetBios
            | Protocol::WsDiscovery
            | Protocol::Sadp
            | Protocol::DhDiscover
            | Protocol::Xmeye
            | Protocol::Quic
            | Protocol::Rtsp
            | Protocol::Ssh
            | Protocol::Smtp
            | Protocol::Ftp
            | Protocol::Sctp
            | Protocol::Gre
            | Protocol::Icmpv6
            | Protocol::Dhcpv6
            | Protocol::Ip
            | Protocol::Fragment
            | Protocol::Malformed => return None,
        };
        self.0.ports.get(&(udp, attempt.port?)).copied()
    }

    fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut signs = Signs::default();
        for entry in file.vendor {
            let vendor = Vendor(signs.names.len());
            signs.add_blocks(&entry, vendor)?;
            for endpoint in &entry.endpoint {
                signs.add(endpoint, vendor)?;
            }
            if signs.names.contains(&entry.name) {
                return Err(twice(&entry.name));
            }
            signs.names.push(entry.name);
        }
        Ok(Self(Arc::new(signs)))
    }
}

impl Signs {
    fn add_blocks(&mut self, entry: &Entry, vendor: Vendor) -> Result<(), String> {
        for block in &entry.blocks {
            let mac: MacAddr = format!("{block}:00:00:00").parse().map_err(|_| {
                format!("{block} is no address block: write three pairs such as \"00:40:8c\"")
            })?;
            unique(self.blocks.insert(mac.oui(), vendor), block)?;
        }
        Ok(())
    }

    fn add(&mut self, endpoint: &Endpoint, vendor: Vendor) -> Result<(), String> {
        let Endpoint { domain, address, protocol, port, source } = endpoint;
        if source.is_empty() {
            return Err(format!("{endpoint:?} has no source"));
        }
        match (domain, address, protocol, port) {
            (Some(domain), None, None, None) => {
                unique(self.domains.insert(checked(domain)?, vendor), domain)
            }
            (None, Some(address), None, None) => {
                unique(self.addresses.insert(*address, vendor), address)
            }
            (None, None, Some(protocol), None) => {
                unique(self.protocols.insert(*protocol, vendor), &protocol.name())
            }
            (None, None, None, Some(port)) => {
                unique(self.ports.insert(read_port(port)?, vendor), port)
            }
            _ => Err(format!("{endpoint:?}: give one of domain, address, protocol, port")),
        }
    }
}

fn checked(domain: &str) -> Result<String, String> {
    let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-');
    let good = domain.contains('.') && domain.bytes().all(lawful);
    if good && !domain.starts_with('.') && !domain.ends_with('.') {
        Ok(domain.to_owned())
    } else {
        Err(format!("{domain} is no domain: write \"example.com\", in small letters"))
    }
}

fn read_port(text: &str) -> Result<(bool, u16), String> {
    let fault = || format!("{text} is no port: write \"tcp/8666\" or \"udp/31007\"");
    let (transport, port) = text.split_once('/').ok_or_else(fault)?;
    let udp = match transport {
        "tcp" => false,
        "udp" => true,
        _ => return Err(fault()),
    };
    Ok((udp, port.parse().map_err(|_| fault())?))
}

fn unique(before: Option<Vendor>, what: &impl ToString) -> Result<(), String> {
    before.map_or(Ok(()), |_| Err(twice(&what.to_string())))
}

fn twice(what: &str) -> String {
    format!("{what} is given twice")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    blocks: Vec<String>,
    #[serde(default)]
    endpoint: Vec<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    domain: Option<String>,
    address: Option<IpAddr>,
    protocol: Option<Protocol>,
    port: Option<String>,
    source: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{DeviceText, Verdict};

    fn attempt(protocol: Protocol, ip: &str, port: u16, name: &str) -> Attempt {
        Attempt {
            protocol,
            destination: Destination::Ip(ip.parse().unwrap()),
            port: Some(port),
            name: (!name.is_empty()).then(|| DeviceText::new(name.as_bytes())),
            verdict: Verdict::Dropped,
        }
    }

    #[test]
    fn the_most_exact_sign_counts() {
        let vendors = Vendors::load().unwrap();
        let vendor = |attempt| vendors.of_attempt(&attempt).and_then(|v| vendors.name(v));
        for (protocol, ip, port, name, expected) in [
            (Protocol::Dns, "9.9.9.9", 53, "Dev.EZVIZlife.com.", Some("Hikvision")),
            (Protocol::Tls, "9.9.9.9", 443, "ezvizlife.com:443", Some("Hikvision")),
            (Protocol::Tls, "9.9.9.9", 443, "a.ezvizlife.com (h2 http/1.1)", Some("Hikvision")),
            (Protocol::Dns, "9.9.9.9", 53, "notezvizlife.com", None),
            (Protocol::Dns, "9.9.9.9", 53, "com", None),
            (Protocol::Tcp, "195.60.68.120", 443, "", Some("Axis")),
            (Protocol::Tls, "195.60.68.120", 443, "m1.iotcplatform.com", Some("ThroughTek")),
            (Protocol::Udp, "::ffff:50.19.254.134", 10001, "", Some("ThroughTek")),
            (Protocol::Sadp, "239.255.255.250", 37020, "", Some("Hikvision")),
            (Protocol::Xmeye, "255.255.255.255", 34569, "", Some("Xiongmai")),
            (Protocol::Tcp, "9.9.9.9", 8666, "", Some("Hikvision")),
            (Protocol::Udp, "9.9.9.9", 8666, "", None),
            (Protocol::Stun, "9.9.9.9", 31007, "", Some("Hikvision")),
            (Protocol::Smtp, "9.9.9.9", 8666, "", None),
        ] {
            let found = vendor(attempt(protocol, ip, port, name));
            assert_eq!(found.as_deref(), expected, "{protocol:?} {ip} {port} {name}");
        }
    }

    #[test]
    fn address_blocks_are_the_makers() {
        let vendors = Vendors::load().unwrap();
        let vendor = |mac: &str| {
            vendors.of_block(mac.parse().unwrap()).and_then(|vendor| vendors.name(vendor))
        };
        assert_eq!(vendor("00:40:8c:01:02:03").as_deref(), Some("Axis"));
        assert_eq!(vendor("44:19:b6:01:02:03").as_deref(), Some("Hikvision"));
        assert_eq!(vendor("ec:71:db:01:02:03").as_deref(), Some("Reolink"));
        // Given by software: says nothing.
        assert_eq!(vendor("46:19:b6:01:02:03"), None);
        for mac in vendors.0.blocks.keys() {
            assert_eq!(mac[0] & 3, 0, "{mac:02x?} is no block of IEEE's");
        }
    }

    #[test]
    fn the_file_says_what_is_wrong_with_it() {
        let entry = |rest: &str| format!("[[vendor]]\nname = \"A\"\n{rest}");
        for (text, fault) in [
            (entry("blocks = [\"00:40\"]"), "no address block"),
            (entry("blocks = [\"00:40:8c\", \"00:40:8C\"]"), "twice"),
            (entry("endpoint = [{ domain = \"a.b\", source = \"\" }]"), "no source"),
            (entry("endpoint = [{ domain = \"A.b\", source = \"x\" }]"), "no domain"),
            (entry("endpoint = [{ domain = \".b\", source = \"x\" }]"), "no domain"),
            (entry("endpoint = [{ port = \"8666\", source = \"x\" }]"), "no port"),
            (entry("endpoint = [{ port = \"sctp/1\", source = \"x\" }]"), "no port"),
            (entry("endpoint = [{ source = \"x\" }]"), "give one of"),
            (
                entry("endpoint = [{ domain = \"a.b\", port = \"tcp/1\", source = \"x\" }]"),
                "give one of",
            ),
            (
                entry(
                    "endpoint = [{ port = \"tcp/1\", source = \"x\" }, { port = \"tcp/1\", source = \"x\" }]",
                ),
                "twice",
            ),
            (entry("") + &entry(""), "twice"),
            (entry("colour = 1"), "colour"),
        ] {
            let found = Vendors::read(&text).unwrap_err();
            assert!(found.contains(fault), "{text}: {found}");
        }
    }
}
