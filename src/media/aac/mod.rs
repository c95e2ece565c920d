//! AAC: the configuration, and the walk through raw frames.

mod config;
