//! The confined process on the camera network: dials cameras for the gateway, observes devices,
//! answers them instead of the internet, and publishes events.

pub mod confine;
pub mod control;
pub mod dial_server;
pub mod events_server;
mod listening;
pub mod local;
mod namespace;
pub mod observe;

pub use listening::listen;
pub use namespace::Namespace;
