//! Grammars and packet forms of RTP, RTSP and Digest, both sides.

pub mod digest;
pub mod rtp;
pub mod rtsp;
