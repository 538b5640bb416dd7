//! Brings a recording to completeness: what it lacks, from what the platform still holds of the session.
//!
//! Composes a recording and a source's past. Runs beside a show, after it, or by itself.
