//! spacebridge: a restreaming bridge from a live audio space to RTMP(S) outputs, with a recording.
//!
//! ```text
//! space -> source -> session -> program -> encode -> output, output, ...
//!            |          |
//!            +----------+----> recording -> files to post
//! status <- every stage        commands -> bridge (one protocol for the terminal and every client)
//! ```
//!
//! Modules in the order of the data's way. Stages ([`source`], [`session`], [`program`], [`picture`], [`encode`],
//! [`output`], [`recording`]) never import each other; [`bridge`] joins them. Only [`gst`] names GStreamer.

pub mod encode;
pub mod incident;
pub mod measure;
pub mod output;
pub mod picture;
pub mod program;
pub mod recording;
pub mod session;
pub mod source;

pub mod episode;
pub mod repair;

pub mod bridge;
pub mod cli;
pub mod daemon;
pub mod rehearsal;
pub mod supervisor;

pub mod alert;
pub mod backoff;
pub mod clock;
pub mod config;
pub mod gst;
pub mod media;
pub mod net;
pub mod ruler;
pub mod secret;
pub mod status;
pub mod text;
