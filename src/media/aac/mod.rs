//! AAC: the configuration, and the walk through raw frames.

use super::{AacParameters, Refused};

impl AacParameters {
    /// Parses an AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1). Signalled SBR and PS are left off, so
    /// that the result names the AAC-LC core.
    pub fn new(config: &[u8]) -> Result<Self, Refused> {
        let _ = config;
        todo!()
    }
}
