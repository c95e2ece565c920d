//! The box's own rules about camera interfaces: nothing in, nothing out, as long as they are in the box's network.
//!
//! They go by name and need no interface to exist, so they hold before the network comes up and when an interface
//! falls back to the box because its namespace is gone.

use super::list;
use crate::segment::InterfaceName;

/// Replaces tables `inet` and `arp camlock_guard` at once; input of `nft -f -` in the box's namespace.
pub fn guard(interfaces: &[InterfaceName]) -> String {
    let names = list(interfaces.iter().map(|interface| format!("\"{interface}\"")));
    let mut text = String::new();
    for table in ["inet", "arp"] {
        text.push_str(&format!(
            "table {table} camlock_guard {{\n}}\ndelete table {table} camlock_guard\n"
        ));
    }
    text.push_str(&format!(
        "table inet camlock_guard {{
  counter guard_in {{
  }}
  counter guard_out {{
  }}
  set cameras {{
    type ifname{names}
  }}
  # Before the box's own rules, connection tracking, and the reassembly of fragments.
  chain prerouting {{
    type filter hook prerouting priority -450; policy accept;
    iifname @cameras counter name guard_in drop
  }}
  chain output {{
    type filter hook output priority -450; policy accept;
    oifname @cameras counter name guard_out drop
  }}
  chain postrouting {{
    type filter hook postrouting priority 450; policy accept;
    oifname @cameras counter name guard_out drop
  }}
}}
table arp camlock_guard {{
  set cameras {{
    type ifname{names}
  }}
  chain input {{
    type filter hook input priority 0; policy accept;
    iifname @cameras drop
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    oifname @cameras drop
  }}
}}
"
    ));
    text
}
