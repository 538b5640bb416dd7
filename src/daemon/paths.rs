//! Paths of this machine are nobody's business beyond it: texts for clients name files, and not where they lie.

use std::borrow::Cow;

use serde_json::Value;

use crate::alert::Event;
use crate::status::ShowStatus;

/// What stands in place of the folders of a path.
const HIDDEN: &str = "…/";

/// What may stand before a path; before a slash in an address or a fraction stands something else.
fn begins(before: Option<char>) -> bool {
    before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '(' | '=' | '[' | ',' | ';'))
}

/// What ends a path within a sentence.
fn ends(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ')' | ']' | ',' | ';' | ':')
}

/// `text` with absolute paths cut to their last name. Paths of the interface itself stay.
pub(super) fn without_paths(text: &str) -> Cow<'_, str> {
    if !text.contains('/') {
        return Cow::Borrowed(text);
    }
    let (mut clean, mut rest, mut before) = (String::new(), text, None);
    while let Some(at) = rest.find('/') {
        let (head, tail) = rest.split_at(at);
        clean.push_str(head);
        before = head.chars().next_back().or(before);
        let length = tail.find(ends).unwrap_or(tail.len());
        let (path, next) = tail.split_at(length);
        // The full stop of a sentence is none of the path's.
        let trimmed = path.trim_end_matches('.');
        let is_path = begins(before) && trimmed.len() > 1 && !path.starts_with("/api/") && !path.starts_with("//");
        if is_path {
            clean.push_str(HIDDEN);
            clean.push_str(trimmed.trim_end_matches('/').rsplit('/').next().unwrap_or_default());
            clean.push_str(&path[trimmed.len()..]);
        } else {
            clean.push_str(path);
        }
        before = path.chars().next_back();
        rest = next;
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

fn clean(text: &mut String) {
    if let Cow::Owned(clean) = without_paths(text) {
        *text = clean;
    }
}

/// Takes the paths out of every text of an answer of a child.
pub(super) fn clean_value(value: &mut Value) {
    match value {
        Value::String(text) => clean(text),
        Value::Array(items) => items.iter_mut().for_each(clean_value),
        Value::Object(fields) => fields.values_mut().for_each(clean_value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes the paths out of an event.
pub(super) fn clean_event(event: &mut Event) {
    clean(&mut event.message);
    event.remedy.iter_mut().chain(event.doing.iter_mut()).for_each(clean);
}

/// Takes the paths out of what a bridge says of itself.
pub(super) fn clean_status(status: &mut ShowStatus) {
    status.events.iter_mut().for_each(clean_event);
    clean(&mut status.words);
    status.sources.iter_mut().for_each(|source| clean(&mut source.name));
    status.outputs.iter_mut().filter_map(|output| output.last_error.as_mut()).for_each(clean);
    let recording = &mut status.recording;
    recording.error.iter_mut().chain(recording.folder.iter_mut()).for_each(clean);
    recording.files.iter_mut().for_each(clean);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_names_files_and_not_where_they_lie() {
        for (text, expected) in [
            ("no path", "no path"),
            ("/home/a/state/shows/night/bridge.log", "…/bridge.log"),
            ("See /home/a/bridge.log, then start.", "See …/bridge.log, then start."),
            ("It lies in /srv/rec/night.", "It lies in …/night."),
            ("cannot read \"/srv/a b/c\": no", "cannot read \"…/a b/c\": no"),
            ("/srv/x.toml: is no file", "…/x.toml: is no file"),
            ("GET /api/v1/shows lists them.", "GET /api/v1/shows lists them."),
            ("rtmp://a.example/live/x and http://a/b", "rtmp://a.example/live/x and http://a/b"),
            ("48 / 2 is 24, and 1/2", "48 / 2 is 24, and 1/2"),
            ("key=/etc/x/y", "key=…/y"),
            ("the folder /", "the folder /"),
        ] {
            assert_eq!(without_paths(text), expected);
        }
    }
}
