//! AAC: the configuration, and the walk through raw frames.

mod channel;
mod config;
mod huffman;
mod tables;
mod walk;

pub(super) use walk::{Trailing, Walker};
