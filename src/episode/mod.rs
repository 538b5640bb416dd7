//! A recording into files to post: cut, levelled, tagged, with chapters.
//!
//! Composes a recording and its measurement; changes neither.
