//! One thing that was examined, and how it is printed.

use std::fmt;

use serde::Serialize;

use crate::text::plain;

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// Works, with something to look at.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, because something before it failed or does not apply.
    Skipped,
}

/// One thing that was examined. Texts hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What was examined.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found, without a full stop.
    pub detail: String,
    /// What to do, without a full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Step {
    /// A step without a remedy.
    pub fn new(name: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { name: name.into(), outcome, detail: detail.into(), remedy: None }
    }

    /// A step that went well.
    pub fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(name, Outcome::Ok, detail)
    }

    /// A step that failed, and what to do.
    pub fn failed(name: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, Outcome::Failed, detail) }
    }

    /// A step with something to look at, and what to do.
    pub fn warning(name: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(name, Outcome::Warning, detail) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "look",
            Outcome::Failed => "FAIL",
            Outcome::Skipped => "-",
        };
        // Titles and server words can end up in a detail.
        write!(f, "  {word:<5}{:<18}{}", plain(&self.name, 60), plain(&self.detail, 400))?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n       {:<18}→ {}", "", plain(remedy, 400)),
            None => Ok(()),
        }
    }
}
