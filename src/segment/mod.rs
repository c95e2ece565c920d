//! The camera network: which addresses are cameras, the one door to them, and what devices there try.

mod ask;
pub mod bulletin;
mod camera_addr;
pub mod canary;
mod canary_policy;
mod clock;
pub mod confine;
pub mod control;
mod day;
pub mod door;
pub mod feed;
pub mod ledger;
mod listening;
mod mac;
mod namespace;
mod news;
pub mod observe;
mod place;
mod plan;
pub mod render;
pub mod services;
mod sighting;
mod text;
pub mod wire;

pub use ask::{BadAnswer, NoDoor, WrongDescriptor};
pub use camera_addr::{
    BadAddress, CameraAddr, Mode, NotACamera, NotDialled, Segment, Settings, check,
};
pub use canary_policy::{CanaryPolicy, Unproven};
pub use clock::now_ms;
pub use day::{DAY_MS, day_start, utc_day, utc_time};
pub use listening::listen;
pub use mac::{BadMac, MacAddr};
pub use namespace::Namespace;
pub use news::{CanaryResult, DeviceChange, DeviceEvent, News, Pulse, Row, Sum, Sums};
pub use place::{BRIDGE, CANARY_PORT, Place, SINK_PORT};
pub use plan::{BadInterface, Camera, DnsPolicy, InterfaceName, Plan};
pub use sighting::{Attempt, Destination, Protocol, Sighting, Verdict};
pub use text::DeviceText;
