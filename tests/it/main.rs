//! Tests with real parts: servers, sockets, files. One binary, so that media tests can take turns.

mod alerts;
mod canary;
mod chat;
mod config;
mod continuous;
mod drill;
mod full_disk;
mod kills;
mod layout;
mod output;
mod output_faults;
mod picture;
mod process;
mod protocol;
mod recording;
mod rehearsal_parts;
mod sessions;
mod show;
mod show_faults;
mod simulated_space;
mod soak;
mod source_faults;
mod supervisor;
mod support;
mod uri;
mod x_space;
