//! Tests with real parts: servers, sockets, files. One binary, so that media tests can take turns.

mod config;
mod picture;
