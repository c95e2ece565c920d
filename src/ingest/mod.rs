//! Cameras: from a connection to checked access units in the hub. Knows no client.

pub mod camera;
pub mod segment;
