//! Stream keys and cookies: strings that cannot be printed or serialised by accident.

use std::fmt;

/// A secret string. It has no `Display`, no `Serialize` and no `Deref`; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself. Callers hand it to a header, a property or a file of mode 0600, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` with every occurrence of the secret replaced, for messages of libraries that may quote it.
    pub fn redact(&self, text: &str) -> String {
        if self.0.len() < 4 { text.to_owned() } else { text.replace(&self.0, "[redacted]") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_shows_nothing_of_it() {
        assert!(!format!("{:?}", Some(Secret::new("abcd-efgh"))).contains("abcd"));
    }

    #[test]
    fn a_library_message_that_quotes_the_key_is_redacted() {
        let key = Secret::new("abcd-efgh");
        assert_eq!(key.redact("cannot publish live2/abcd-efgh"), "cannot publish live2/[redacted]");
    }
}
