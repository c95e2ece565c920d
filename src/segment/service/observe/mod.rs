//! What devices on the segment try: frames taken from the camera ports, told apart, and counted within bounds.

mod capture;
mod classify;
mod filter;
mod observer;
mod table;
mod vendors;

pub use capture::{Bridge, Capture, CaptureError, observe};
pub(super) use classify::usual_of_tcp;
pub use classify::{Frame, classify};
pub use observer::Observer;
pub use table::{Device, OTHERS, Table, Totals};
pub use vendors::Vendors;
