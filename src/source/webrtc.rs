//! What sources that hear by WebRTC share: the mixer of tracks and the room that the tracks sit in.
//!
//! Knows no signalling: who is asked for what, and over which protocol, is the source's.

mod envelope;
mod level;
pub mod mix;
mod place;
pub mod room;
