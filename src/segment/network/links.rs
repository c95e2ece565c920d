//! Network interfaces as `ip -json address show` tells them.

use std::net::IpAddr;

use serde::Deserialize;

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name; alternative names do not count, since rules go by this one.
    pub name: String,
    /// Whether it is administratively up.
    pub up: bool,
    /// The bridge it is a port of.
    pub master: Option<String>,
    /// Its addresses, with the length of the prefix.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// The interfaces in the tool's answer.
pub fn links(json: &str) -> Result<Vec<Link>, serde_json::Error> {
    let told: Vec<Told> = serde_json::from_str(json)?;
    Ok(told.into_iter().filter_map(Told::link).collect())
}

/// What we read of an entry; the tool writes more, and `{}` for an interface that went meanwhile.
#[derive(Debug, Deserialize)]
struct Told {
    ifname: Option<String>,
    #[serde(default)]
    flags: Vec<String>,
    master: Option<String>,
    #[serde(default)]
    addr_info: Vec<ToldAddress>,
}

#[derive(Debug, Deserialize)]
struct ToldAddress {
    local: Option<IpAddr>,
    prefixlen: Option<u8>,
}

impl Told {
    fn link(self) -> Option<Link> {
        Some(Link {
            name: self.ifname?,
            up: self.flags.iter().any(|flag| flag == "UP"),
            master: self.master,
            addresses: self
                .addr_info
                .into_iter()
                .filter_map(|address| Some((address.local?, address.prefixlen?)))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_the_tool_writes() {
        let json = r#"[{"ifindex":1,"ifname":"lo","flags":["LOOPBACK"],"mtu":65536,"addr_info":[]},{},
            {"ifindex":2,"link_index":7,"ifname":"eth1","flags":["BROADCAST","UP","LOWER_UP"],"master":"camseg0",
             "link_netnsid":0,"addr_info":[{"family":"inet","local":"10.77.0.1","prefixlen":24,"scope":"global"}]}]"#;
        let links = links(json).unwrap();
        assert_eq!(links.len(), 2);
        assert!(!links[0].up && links[1].up);
        assert_eq!(links[1].master.as_deref(), Some("camseg0"));
        assert_eq!(links[1].addresses, [("10.77.0.1".parse().unwrap(), 24)]);
        assert!(super::links("{").is_err());
        assert!(super::links("[]").unwrap().is_empty());
    }
}
