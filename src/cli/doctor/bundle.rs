//! The bundle for a bug report: one JSON file, every text in it redacted.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Secrets, ShowConfig, XApiConfig, looks_like_key};
use crate::gst::elements;

use super::step::Step;

/// Everything a reader of a bug report wants to know, before redaction.
#[derive(Debug, Serialize)]
pub(super) struct Bundle {
    spacebridge: &'static str,
    at: Timestamp,
    system: Value,
    steps: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Value>,
}

impl Bundle {
    pub(super) fn new(at: Timestamp, steps: &[Step], config: Option<&ShowConfig>) -> Self {
        Self {
            spacebridge: env!("CARGO_PKG_VERSION"),
            at,
            system: system(),
            steps: steps.to_vec(),
            config: config.map(described),
        }
    }

    /// Writes the bundle, redacted, readable only by its owner.
    pub(super) fn save(&self, path: &Path, secrets: &Secrets, home: Option<&Path>) -> std::io::Result<()> {
        let mut value = serde_json::to_value(self).map_err(std::io::Error::other)?;
        redact_all(&mut value, secrets, home);
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(format!("{value:#}\n").as_bytes())?;
        file.sync_all()
    }
}

fn system() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let release = read("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    json!({
        "os": name.trim_matches('"'),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "architecture": std::env::consts::ARCH,
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "gstreamer": crate::gst::init().map_or_else(|error| error.to_string(), |()| elements::version()),
    })
}

/// The configuration; of the section `x` only which values were changed: its ids look like keys and would be cut.
fn described(config: &ShowConfig) -> Value {
    let to_value = |x: &XApiConfig| serde_json::to_value(x).unwrap_or_default();
    let (now, default) = (to_value(&config.x), to_value(&XApiConfig::default()));
    let changed: Vec<&String> = now
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| default[*key] != **value)
        .map(|(key, _)| key)
        .collect();
    let mut value = serde_json::to_value(config).unwrap_or_default();
    value["x"] = json!({ "changed": changed });
    // A webhook's address can be a secret as a whole.
    value["alerts"] = json!(config.alerts.iter().map(|alert| alert.action.describe()).collect::<Vec<_>>());
    value
}

fn redact_all(value: &mut Value, secrets: &Secrets, home: Option<&Path>) {
    match value {
        Value::String(text) => *text = redact(text, secrets, home),
        Value::Array(items) => items.iter_mut().for_each(|item| redact_all(item, secrets, home)),
        Value::Object(fields) => fields.values_mut().for_each(|field| redact_all(field, secrets, home)),
        _ => {}
    }
}

/// `text` without secrets: those that are known, everything that looks like a key, cookie or token, queries of addresses,
/// and the operator's home.
pub fn redact(text: &str, secrets: &Secrets, home: Option<&Path>) -> String {
    let mut text = secrets.redact(text);
    if let Some(home) = home.and_then(Path::to_str).filter(|home| home.len() > 1) {
        text = text.replace(home, "~");
    }
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        out.push_str(&redact_word(word));
    }
    out
}

fn redact_word(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(scheme_end) = word.find("://") {
        let (authority, end) = (scheme_end + 3, word.trim_end().len());
        // A question mark before the scheme is no query.
        if let Some(query) = word[authority..end].find('?') {
            word.replace_range(authority + query + 1..end, "[redacted]");
        }
        let host_end = word[authority..].find('/').map_or(word.len(), |at| authority + at);
        if let Some(at) = word[authority..host_end].rfind('@') {
            word.replace_range(authority..authority + at, "[redacted]");
        }
    }
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut out = String::new();
    let mut rest = word.as_str();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_token(c) != is_token(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        out.push_str(if is_token(first) && is_secret_token(part) { "[redacted]" } else { part });
        rest = after;
    }
    out
}

fn is_secret_token(token: &str) -> bool {
    // A JSON Web Token's parts, and a playlist's key of 86 characters, have capitals and hyphens anywhere.
    looks_like_key(token)
        || token.starts_with("eyJ")
        || token.len() >= 32 && token.bytes().any(|byte| byte.is_ascii_digit())
}
