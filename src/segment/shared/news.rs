//! What the segment tells: to its ledger, and one way to the gateway.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::ops::limits;
use crate::segment::{Attempt, DeviceText, MacAddr, Protocol, Verdict};

/// Everything that crosses from the segment to the gateway beside connected sockets. It crosses one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case", deny_unknown_fields)]
pub enum News {
    /// How the segment is: at connect, and every [`crate::ops::limits::SEGMENT_PULSE`].
    Pulse(Pulse),
    /// A row of the ledger, new or grown.
    Row(Row),
    /// Something about a device that a human should look at.
    Device(DeviceEvent),
    /// The canary tried to get out.
    Canary(CanaryResult),
    /// Attempts since the segment process began, by kind.
    Sums(Sums),
}

/// Attempts since the segment process began, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Since when the segment process runs, ms of the UNIX epoch: another value, and all begin at zero.
    pub started_ms: u64,
    /// One entry for each protocol and verdict that there was. At most [`crate::ops::limits::SEGMENT_SUMS`].
    pub sums: Vec<Sum>,
}

/// How often one protocol came to one verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// What was spoken.
    pub protocol: Protocol,
    /// What became of it.
    pub verdict: Verdict,
    /// How often.
    pub count: u64,
}

/// How the segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulse {
    /// Since when the segment process runs, ms of the UNIX epoch.
    pub started_ms: u64,
    /// Devices seen since then.
    pub devices: u32,
    /// Attempts since then, all kinds.
    pub attempts: u64,
    /// Attempts that were only counted, for too many kinds of them came, or faster than they could be read.
    pub aggregated: u64,
    /// News that the gateway missed, for it did not read.
    pub missed: u64,
    /// The ledger's records, and the newest checkpoint's age in ms; `None`: none yet.
    pub ledger_records: u64,
    /// See above.
    pub checkpoint_age_ms: Option<u64>,
    /// Why the ledger cannot be written, in words for the operator.
    pub ledger_fault: Option<String>,
}

/// All attempts of one kind by one device within one UTC day and one run of the segment process. A later row with
/// the same day, run, device and attempt replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// UTC day, `2026-11-29`.
    pub day: String,
    /// The run of the segment process: 16 hexadecimal digits.
    pub run: String,
    /// Who.
    pub device: MacAddr,
    /// Its newest IP address.
    pub ip: Option<IpAddr>,
    /// The camera of the plan with this Ethernet address.
    pub camera: Option<String>,
    /// The vendor, as far as address block or recognised endpoints tell.
    pub vendor: Option<String>,
    /// What.
    pub attempt: Attempt,
    /// How often.
    pub count: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// First and last, ms of the UNIX epoch.
    pub first_ms: u64,
    /// See above.
    pub last_ms: u64,
}

/// Something about a device that a human should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceEvent {
    /// When, ms of the UNIX epoch.
    pub at_ms: u64,
    /// Who.
    pub device: MacAddr,
    /// What.
    pub what: DeviceChange,
}

/// What happened with a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum DeviceChange {
    /// Its Ethernet address is in no camera entry of the plan.
    Unknown {
        /// The address it uses.
        ip: Option<IpAddr>,
        /// Its vendor, if known.
        vendor: Option<String>,
        /// What it calls itself (DHCP host name).
        name: Option<DeviceText>,
    },
    /// It uses an IP address that the plan, or the past, gives to another device.
    AddressTaken {
        /// The address.
        ip: IpAddr,
        /// Whose it is.
        owner: MacAddr,
    },
    /// It uses another IP address than before, or than the plan says.
    AddressChanged {
        /// The address expected.
        expected: IpAddr,
        /// The address it uses.
        ip: IpAddr,
    },
}

/// What the canary found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryResult {
    /// When it began, ms of the UNIX epoch.
    pub at_ms: u64,
    /// Ways that were tried.
    pub tries: u32,
    /// Names of the ways on which something got out. At most 64.
    pub escaped: Vec<String>,
    /// Names of the ways that the ledger does not list. At most 64.
    pub unseen: Vec<String>,
    /// Positive controls that failed, in words; then the run proves nothing. At most 16.
    pub failed_controls: Vec<String>,
}

impl News {
    /// Whether all its lists are within their bounds.
    pub fn is_bounded(&self) -> bool {
        match self {
            Self::Pulse(_) | Self::Row(_) | Self::Device(_) => true,
            Self::Canary(result) => {
                let CanaryResult { escaped, unseen, failed_controls, .. } = result;
                escaped.len() <= limits::CANARY_WAYS
                    && unseen.len() <= limits::CANARY_WAYS
                    && failed_controls.len() <= limits::CANARY_CONTROLS
            }
            Self::Sums(sums) => sums.sums.len() <= limits::SEGMENT_SUMS,
        }
    }
}

impl DeviceChange {
    /// A stable word for it.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for DeviceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { ip, vendor, name } => {
                f.write_str("in no camera entry of the segment file")?;
                if let Some(ip) = ip {
                    write!(f, ", uses {ip}")?;
                }
                if let Some(vendor) = vendor {
                    write!(f, ", made by {vendor}")?;
                }
                match name {
                    Some(name) => write!(f, ", calls itself {name}"),
                    None => Ok(()),
                }
            }
            Self::AddressTaken { ip, owner } => write!(f, "uses {ip}, which is {owner}'s"),
            Self::AddressChanged { expected, ip } => write!(f, "uses {ip} instead of {expected}"),
        }
    }
}

impl CanaryResult {
    /// Whether the segment held, and the run proves it.
    pub fn passed(&self) -> bool {
        self.tries > 0
            && self.escaped.is_empty()
            && self.unseen.is_empty()
            && self.failed_controls.is_empty()
    }

    /// What failed, in words; empty if it passed.
    pub fn faults(&self) -> String {
        let mut faults = Vec::new();
        if self.tries == 0 {
            faults.push("nothing was tried".to_owned());
        }
        for (what, names) in [
            ("got out by", &self.escaped),
            ("not in the ledger", &self.unseen),
            ("proves nothing", &self.failed_controls),
        ] {
            if !names.is_empty() {
                faults.push(format!("{what}: {}", names.join(", ")));
            }
        }
        faults.join("; ")
    }
}
