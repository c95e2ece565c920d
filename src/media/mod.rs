//! The words of the trade: stream names, tracks, parameter sets, access units, NAL units, the policy.
//!
//! Pure: no clock, no socket, no runtime. What does *not* belong here: anything that knows RTP, RTSP or
//! a camera's session.

mod aac;
mod bits;
mod h264;
mod h265;
mod jpeg;
mod name;
mod policy;
mod refused;
mod samples;
mod track;
mod unit;
mod vui;

pub use jpeg::{JpegHead, JpegSampling};
pub use name::{BadName, StreamName, StreamPattern};
pub use policy::{Clean, DropCounts, DropReason, Policy};
pub use refused::{Fault, ParameterSet, Refused};
pub use samples::{G726, G726Packing, G726Rate, SampleGroup};
pub use track::{
    AacParameters, Codec, H264Parameters, H265Parameters, JpegParameters, Kinds, Track, TrackId,
    TrackKind,
};
pub use unit::{AccessUnit, Media, Published, UnitInfo};
