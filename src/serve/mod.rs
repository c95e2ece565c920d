//! Listeners, tunnels, the RTSP server, admin HTTP, overload. Knows no camera.

pub mod http;
pub mod listen;
pub mod overload;
pub mod rtsp_server;
pub mod tunnel;
