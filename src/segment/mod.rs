//! The camera network: which addresses are cameras, what devices there try, and the proof that they
//! cannot leave it. What the gateway uses of it is in `ingest/segment`.

pub mod canary;
pub mod ledger;
pub mod network;
pub mod service;
pub mod shared;

pub use service::Namespace;
pub use shared::{
    Attempt, BRIDGE, BadInterface, BadMac, CANARY_PORT, Camera, CanaryResult, DAY_MS, Destination,
    DeviceChange, DeviceEvent, DeviceText, DnsPolicy, InterfaceName, MacAddr, News, Place, Plan,
    Protocol, Pulse, Row, SINK_PORT, Sighting, Sum, Sums, Verdict, day_start, now_ms, utc_day,
    utc_time,
};
