//! How loud a session is, piece by piece: what loudness, silences at both ends and the waveform are worked out from.
//!
//! Measured while a show is on the air, and from the segments where it was not. Knows samples and files, no recording.
