//! X Spaces.
pub mod api;
pub mod auth;
mod error;
mod id3;
pub mod metadata;
mod segment;
mod timeline;
pub mod url;

pub use error::ApiError;
