//! X Spaces.
pub mod auth;
mod id3;
mod segment;
mod timeline;
pub mod url;
