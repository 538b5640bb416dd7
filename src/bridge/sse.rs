//! Reads server-sent events from chunks of bytes, bounded.
//!
//! Only what our own protocol uses of the format: `event`, `data`, `id` and comments.

/// Largest message: a status with a long night of gaps in it is far smaller.
const MESSAGE_MAX: usize = 4 << 20;

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Name; empty means `message`.
    pub(super) event: String,
    /// Lines of data, joined.
    pub(super) data: String,
    /// Id, if one was sent with it.
    pub(super) id: Option<String>,
}

/// The sender does not keep to the bound.
#[derive(Debug, thiserror::Error)]
#[error("a message of the bridge is longer than {MESSAGE_MAX} bytes")]
pub(super) struct TooLong;

/// Collects bytes until they make messages.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    message: Message,
}

impl Parser {
    /// Takes the next bytes and gives the messages that they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut complete = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.message.data.len() > MESSAGE_MAX {
                return Err(TooLong);
            }
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                complete.extend(self.end_line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n'])));
            }
        }
        Ok(complete)
    }

    fn end_line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.message);
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.message.event),
            "id" => self.message.id = Some(value.to_owned()),
            "data" => {
                if !self.message.data.is_empty() {
                    self.message.data.push('\n');
                }
                self.message.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] =
        b": hello\n\nevent: event\nid: 7-1\ndata: {\"a\":1}\n\nevent: status\r\ndata: one\r\ndata: two\r\n\r\ndata: cut";

    fn expected() -> Vec<Message> {
        vec![
            Message { event: "event".into(), data: "{\"a\":1}".into(), id: Some("7-1".into()) },
            Message { event: "status".into(), data: "one\ntwo".into(), id: None },
        ]
    }

    #[test]
    fn an_endless_message_is_refused_instead_of_kept() {
        let mut parser = Parser::default();
        let flood = vec![b'x'; MESSAGE_MAX];
        assert!(parser.push(b"data: ").and_then(|_| parser.push(&flood)).is_err());
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_the_bytes_are_cut(cut in 0..STREAM.len()) {
            let mut parser = Parser::default();
            let mut messages = parser.push(&STREAM[..cut]).unwrap();
            messages.extend(parser.push(&STREAM[cut..]).unwrap());
            prop_assert_eq!(messages, expected());
        }

        #[test]
        fn fuzz_event_stream(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            drop(Parser::default().push(&bytes));
        }
    }
}
