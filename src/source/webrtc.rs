//! What sources that hear by WebRTC share: what decodes a speaker, the mixer of tracks, the room that the tracks sit in and
//! its time, and whether the connection lives.
//!
//! Knows no signalling: who is asked for what, and over which protocol, is the source's.

mod envelope;
mod level;
pub mod line;
pub mod mix;
mod place;
pub mod room;
mod voice;
pub mod zero;
