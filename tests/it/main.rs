//! Integration tests: one binary, one module for each part.

mod config;
mod protocol;
mod supervisor;
