//! What a record of the ledger says.

use serde::{Deserialize, Serialize};

use crate::segment::{CanaryResult, DeviceEvent, Pulse, Row};

/// The body of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The segment process began.
    Start(Start),
    /// It ended as it was told to.
    Stop {
        /// Its run: 16 hexadecimal digits.
        run: String,
    },
    /// What a device tried; see [`Row`].
    Row(Row),
    /// Something about a device.
    Device(DeviceEvent),
    /// What the canary found.
    Canary(CanaryResult),
    /// The heartbeat: the process ran and looked.
    Pulse(Pulse),
    /// The process had died while it wrote: the end of a file that is no whole line was moved aside.
    Torn {
        /// The file that holds it now, in the ledger's directory.
        file: String,
        /// How many bytes.
        bytes: u64,
        /// Their SHA-256, hexadecimal.
        sha256: String,
    },
    /// At its start the process found a checkpoint that vouches for more lines than there were: somebody cut the chain,
    /// or the disk lost what it had promised to keep. That checkpoint is kept as `checkpoint-VOUCHED.json`.
    Cut {
        /// The lines that there had been.
        vouched: u64,
        /// The lines that were found.
        found: u64,
    },
    /// Records that were given up, for the disk did not take them.
    Lost {
        /// How many.
        records: u64,
    },
}

/// The segment process began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The run, as its rows name it.
    pub run: String,
    /// The program's version.
    pub version: String,
    /// The kernel's boot id.
    pub boot: String,
    /// Cameras of the plan.
    pub cameras: u32,
}
