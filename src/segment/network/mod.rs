//! A plan → what root does to the network: rules, commands, kernel settings, files. Text only; `cli` carries it out.
//!
//! Every name and number comes from a checked type (addresses, Ethernet addresses, ports, interface names, [`Word`]),
//! so no text of the segment file can become part of a rule or command.

mod dnsmasq;
mod guard;
mod links;
mod nft;
mod steps;
mod sysctl;

pub use dnsmasq::{BadWord, Dhcp, Word, dnsmasq_conf, dnsmasq_hosts};
pub use guard::guard;
pub use links::{Link, links};
pub use nft::{KINDS, PORT_KIND, VERDICTS, port_rules, ruleset};
pub use steps::{
    Action, Missing, State, Step, Tool, Where, apply, close, down, guard_step, open, up,
};
pub use sysctl::Sysctl;

/// `elements = { ... }` of a set; nothing if there are none.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        String::new()
    } else {
        format!("\n    elements = {{ {} }}", items.join(", "))
    }
}

#[cfg(test)]
mod tests;
