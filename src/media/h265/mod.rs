//! H.265 parameter sets (ITU-T H.265 7.3.2).

use super::{H265Parameters, Refused};

impl H265Parameters {
    /// Parses and checks three NAL units (with header, without start code), and keeps of them
    /// exactly the bytes that the syntax uses.
    pub fn new(vps: &[u8], sps: &[u8], pps: &[u8]) -> Result<Self, Refused> {
        let _ = (vps, sps, pps);
        todo!()
    }
}
