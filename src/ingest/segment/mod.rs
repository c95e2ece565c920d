//! The gateway's side of the segment: which addresses are cameras, and connections to them through
//! the segment's service.

mod camera_addr;
mod canary_policy;
mod dial_client;
pub mod events_client;

pub use camera_addr::{
    BadAddress, CameraAddr, Mode, NotACamera, NotDialled, Segment, Settings, check,
};
pub use canary_policy::{CanaryPolicy, Unproven};
pub use dial_client::{BadAnswer, NoDoor, WrongDescriptor};
