//! Encoding: once for all outputs. Downstream of here everything is access units with program time.

pub mod audio;
pub mod picture;
