//! What cameras get on the segment instead of the internet: DNS, the time, and a sink that looks and resets.

pub mod dns;
mod names;
pub mod ntp;
pub mod recognise;
