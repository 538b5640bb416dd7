//! Alerts: who is told of what, and what an address for them may look like.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::SecretRef;
use super::address::Fault;
use crate::alert::Level;

/// One alert: what it is about, and what it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertConfig {
    /// The least level that it is about.
    pub level: Level,
    /// Codes that it is about, each with `*` at its end for all that begin so; all codes where there is none.
    pub codes: Vec<String>,
    /// What it does.
    pub action: AlertAction,
    /// Where the secret is kept that its webhook's posts are signed with.
    #[serde(default)]
    pub secret: Option<SecretRef>,
}

/// An alert of the daemon: about what happens in its shows and in itself.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonAlert {
    /// Its name.
    pub name: String,
    /// The shows that it is about, each with `*` at its end for all that begin so; all, and the daemon itself, where there
    /// is none.
    pub shows: Vec<String>,
    /// What it is about, and what it does.
    pub alert: AlertConfig,
}

impl DaemonAlert {
    /// Whether it is about an event of `show`.
    pub fn is_about(&self, show: &str, level: Level, code: &str) -> bool {
        (self.shows.is_empty() || self.shows.iter().any(|pattern| fits(pattern, show)))
            && self.alert.is_about(level, code)
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    pattern.strip_suffix('*').map_or(text == pattern, |beginning| text.starts_with(beginning))
}

/// What an alert does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertAction {
    /// Runs a program with arguments, without a shell; the event is its standard input.
    Command(Vec<String>),
    /// Posts the event to an address that the configuration holds.
    Webhook(WrittenUrl),
    /// Posts the event to an address that is kept elsewhere, because it is a secret.
    WebhookAt(SecretRef),
}

/// A webhook's address that was written into the configuration. Treated as a secret all the same: its `Debug` shows
/// nothing, and its serialised form goes to the bridge and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrittenUrl(String);

impl WrittenUrl {
    pub(super) fn new(url: &Url) -> Self {
        Self(url.to_string())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WrittenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenUrl([redacted])")
    }
}

impl AlertConfig {
    /// Whether it is about an event of this level and code.
    pub fn is_about(&self, level: Level, code: &str) -> bool {
        level >= self.level && (self.codes.is_empty() || self.codes.iter().any(|pattern| fits(pattern, code)))
    }
}

impl AlertAction {
    /// What it does, for people; nothing of an address but where it is kept.
    pub fn describe(&self) -> String {
        match self {
            Self::Command(command) => format!("runs {}", command.first().map_or("nothing", String::as_str)),
            Self::Webhook(_) => "calls a webhook".to_owned(),
            Self::WebhookAt(secret) => format!("calls a webhook from {}", secret.describe()),
        }
    }

    /// Where its address is kept, if that is elsewhere.
    pub fn secret(&self) -> Option<&SecretRef> {
        if let Self::WebhookAt(secret) = self { Some(secret) } else { None }
    }
}

/// Checks a webhook's address. It is the operator's own and may be of this machine; faults repeat nothing of it.
pub(super) fn webhook_url(text: &str) -> Result<Url, Fault> {
    let example = "Write an address such as \"https://hooks.example.com/show\"";
    let url = Url::parse(text).map_err(|_| ("is not an address".to_owned(), example.to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(("is no http or https address".into(), example.into()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_about_its_levels_and_codes_only() {
        let alert = |level, codes: &[&str]| AlertConfig {
            level,
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            action: AlertAction::Command(vec!["/bin/true".into()]),
            secret: None,
        };
        for (alert, level, code, expected) in [
            (alert(Level::Warning, &[]), Level::Info, "output.live", false),
            (alert(Level::Warning, &[]), Level::Error, "anything", true),
            (alert(Level::Info, &["output.*"]), Level::Info, "output.live", true),
            (alert(Level::Info, &["output.*"]), Level::Error, "source.failed", false),
            (alert(Level::Info, &["output.live"]), Level::Info, "output.live", true),
            (alert(Level::Info, &["output.live"]), Level::Info, "output.lively", false),
            (alert(Level::Info, &["a.b", "*"]), Level::Info, "x", true),
        ] {
            assert_eq!(alert.is_about(level, code), expected, "{alert:?} {code}");
        }
    }
}
