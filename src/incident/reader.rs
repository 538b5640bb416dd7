//! Reads an incident file: tolerates a torn line, unknown types and fields, and a file that still grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use super::fact::{FORMAT_VERSION, Line};

/// Largest file that is read: what one may grow to, and room for torn ends.
const MAX_FILE: u64 = 32 << 20;

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Its lines, in order.
    pub lines: Vec<Line>,
    /// Lines that are torn or cannot be understood.
    pub damaged: u64,
    /// Lines of a newer format, which this program does not know.
    pub newer: u64,
}

/// Reads the file at `path`.
///
/// # Errors
/// When it cannot be read at all.
pub fn read(path: &Path) -> io::Result<Read> {
    read_lines(BufReader::new(File::open(path)?.take(MAX_FILE)))
}

/// Reads lines.
///
/// # Errors
/// When the bytes cannot be had.
pub fn read_lines(mut bytes: impl BufRead) -> io::Result<Read> {
    let mut read = Read::default();
    let mut buffer = Vec::new();
    while bytes.read_until(b'\n', &mut buffer)? > 0 {
        let line = buffer.trim_ascii();
        if !line.is_empty() {
            match serde_json::from_slice::<Line>(line) {
                Ok(line) if line.v > FORMAT_VERSION => read.newer += 1,
                Ok(line) if line.t.is_finite() => read.lines.push(line),
                _ => read.damaged += 1,
            }
        }
        buffer.clear();
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::incident::fact::Fact;

    #[test]
    fn a_torn_line_an_unknown_type_and_an_unknown_field_stop_no_reader() {
        let text = concat!(
            r#"{"v":1,"at":"2026-08-12T20:00:00Z","t":0.0,"type":"begin","show":"night","later":[1]}"#,
            "\n",
            r#"{"v":1,"at":"2026-08-12T20:00:01Z","t":1.0,"type":"chapter","title":"x"}"#,
            "\n\n",
            r#"{"v":2,"at":"2026-08-12T20:00:02Z","t":2.0,"type":"state","state":"live"}"#,
            "\n",
            r#"{"v":1,"at":"2026-08-12T20:00:02Z","t":2.0,"type":"state","state":"levitating"}"#,
            "\n",
            r#"{"v":1,"at":"2026-08-12T20:0"#,
        );
        let read = read_lines(text.as_bytes()).expect("lines");
        assert_eq!((read.lines.len(), read.damaged, read.newer), (3, 1, 1));
        assert_eq!(read.lines[1].fact, Fact::Unknown);
        assert!(matches!(&read.lines[2].fact, Fact::State { state, .. } if state == "levitating"));
    }

    proptest! {
        #[test]
        fn fuzz_incident_line(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(read_lines(&bytes[..]));
            let text = String::from_utf8_lossy(&bytes);
            let line = format!(r#"{{"v":1,"at":"2026-08-12T20:00:00Z","t":0,"type":{text}"#);
            drop(read_lines(line.as_bytes()));
        }
    }
}
