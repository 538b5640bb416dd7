//! Not yet built.

pub mod check;
pub mod doctor;
