//! A report before it is told: what a stage knows of something that happened.

use jiff::Timestamp;

use super::Level;

/// What a stage has to tell. Made by [`Report::info`], [`Report::warning`] or [`Report::error`], and told by
/// [`Events::tell`](super::Events::tell).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub(super) level: Level,
    pub(super) code: String,
    pub(super) subject: String,
    pub(super) message: String,
    pub(super) remedy: Option<String>,
    pub(super) doing: Option<String>,
    pub(super) since: Option<Timestamp>,
}

impl Report {
    /// Something went as it should, or changed its state.
    pub fn info(code: &str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(Level::Info, code, subject, message.into())
    }

    /// A fault that the bridge deals with by itself.
    pub fn warning(code: &str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, subject, message.into())
    }

    /// A fault that needs the operator, or that lost something.
    pub fn error(code: &str, subject: &str, message: impl Into<String>) -> Self {
        Self::new(Level::Error, code, subject, message.into())
    }

    fn new(level: Level, code: &str, subject: &str, message: String) -> Self {
        let (code, subject) = (code.to_owned(), subject.to_owned());
        Self { level, code, subject, message, remedy: None, doing: None, since: None }
    }

    /// What the operator can do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What the bridge does about it.
    #[must_use]
    pub fn doing(mut self, doing: impl Into<String>) -> Self {
        self.doing = Some(doing.into());
        self
    }

    /// When this trouble began, in wall time.
    #[must_use]
    pub fn since(mut self, since: Timestamp) -> Self {
        self.since = Some(since);
        self
    }
}
