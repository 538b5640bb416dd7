//! One show: its protocol, its socket and its state folder.

pub mod client;
pub mod protocol;
mod routes;
pub mod socket;
mod sse;
pub mod state_folder;
