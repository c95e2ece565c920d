//! H.264 parameter sets (ITU-T H.264 7.3.2).

use super::{H264Parameters, Refused};

impl H264Parameters {
    /// Parses and checks a pair of NAL units (with header, without start code), and keeps of them
    /// exactly the bytes that the syntax uses.
    pub fn new(sps: &[u8], pps: &[u8]) -> Result<Self, Refused> {
        let _ = (sps, pps);
        todo!()
    }
}
