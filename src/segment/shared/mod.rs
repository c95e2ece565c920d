//! What all rooms of the segment and the gateway's side of it speak of: addresses, the plan, events
//! and their wire format.

mod clock;
mod day;
mod mac;
mod news;
mod place;
pub mod plan;
mod sighting;
mod text;
pub mod wire;

pub use clock::now_ms;
pub use day::{DAY_MS, day_start, utc_day, utc_time};
pub use mac::{BadMac, MacAddr};
pub use news::{CanaryResult, DeviceChange, DeviceEvent, News, Pulse, Row, Sum, Sums};
pub use place::{BRIDGE, CANARY_PORT, Place, SINK_PORT};
pub use plan::{BadInterface, Camera, DnsPolicy, InterfaceName, Plan};
pub use sighting::{Attempt, Destination, Protocol, Sighting, Verdict};
pub use text::DeviceText;
