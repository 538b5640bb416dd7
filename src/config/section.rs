//! Reads one table of a file key by key: types, ranges and unknown keys, each fault told with its path and line.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Report;
use super::units::{format_duration, parse_duration};

/// Longest text that any key takes, in characters: more than any title, less than what would fill a slate's memory.
const MAX_TEXT: usize = 1000;

/// One table of the file with its place. Every key that is asked for becomes a known key of it.
pub(super) struct Section<'a> {
    /// For people: `output[1]`; empty for the file itself.
    path: String,
    /// For the schema: `output[]`.
    schema: String,
    line: Option<usize>,
    table: Option<&'a DeTable<'a>>,
    known: Vec<String>,
    report: &'a Report,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: &'a DeTable<'a>, report: &'a Report) -> Self {
        Self { path: String::new(), schema: String::new(), line: None, table: Some(table), known: Vec::new(), report }
    }

    /// Where problems go.
    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// The path of `key` for people.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The line of `key`, or of the section where the key is not there.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        self.table.and_then(|table| table.get(key)).map_or(self.line, |value| Some(self.line_at(value)))
    }

    /// Tells what is wrong with `key`.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.report.add(self.path_of(key), self.line_of(key), message, remedy);
    }

    /// Tells that `key` must be there.
    pub(super) fn missing(&self, key: &str, remedy: impl Into<String>) {
        self.report.add_missing(self.path_of(key), self.line, remedy);
    }

    /// The section `[key]`, empty where the file has none.
    pub(super) fn section(&mut self, key: &str) -> Section<'a> {
        let value = self.find(key);
        let table = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.problem(key, "is not a section", format!("Write [{}] on its own line", self.path_of(key)));
                None
            }
        });
        self.child(key, "", table, value)
    }

    /// The sections `[[key]]`, in order.
    pub(super) fn sections(&mut self, key: &str) -> Vec<Section<'a>> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let remedy = format!("Write [[{key}]], with two brackets, before each of them");
        let DeValue::Array(items) = value.get_ref() else {
            self.problem(key, "is a list", remedy);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    sections.push(self.child(key, &format!("[{}]", index + 1), Some(table), Some(item)));
                }
                _ => self.problem(key, "is a list of sections", remedy.clone()),
            }
        }
        sections
    }

    /// A text; leading and trailing spaces are cut.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.find(key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(key, value, "a text in double quotes");
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            self.problem(key, "is empty", "Write a value, or leave the key out");
        } else if text.chars().count() > MAX_TEXT {
            self.problem(key, format!("is longer than {MAX_TEXT} characters"), "Shorten it");
        } else if text.chars().any(char::is_control) {
            self.problem(key, "holds line breaks or control characters", "Write one line of plain text");
        } else {
            return Some(text.to_owned());
        }
        None
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let value = self.find(key)?;
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        if items.is_none() {
            self.wrong_type(key, value, "a list of texts, such as [\"one\", \"two\"]");
        }
        items
    }

    /// A switch.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.find(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true or false, without quotes");
        }
        flag
    }

    /// A whole number within `range`; `what` names it for people, such as `kbit/s`.
    pub(super) fn integer(&mut self, key: &str, range: RangeInclusive<u32>, what: &str) -> Option<u32> {
        let value = self.find(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(key, value, "a whole number, without quotes");
            return None;
        };
        let digits = number.as_str().replace('_', "");
        let number = i128::from_str_radix(&digits, number.radix()).ok().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let remedy = format!("Write a number from {} to {}", range.start(), range.end());
                self.problem(key, format!("{digits} {what} is out of range"), remedy);
                None
            }
        }
    }

    /// A number within `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<f64>, what: &str) -> Option<f64> {
        let value = self.find(key)?;
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => {
                self.wrong_type(key, value, "a number, without quotes");
                return None;
            }
        };
        let number = text.replace('_', "").parse::<f64>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let remedy = format!("Write a number from {} to {}", range.start(), range.end());
            self.problem(key, format!("{text} {what} is out of range"), remedy);
        }
        number
    }

    /// Whether `key` is there and says `word`, for keys that take a number or a word.
    pub(super) fn says(&mut self, key: &str, word: &str) -> bool {
        self.find(key).and_then(|value| value.get_ref().as_str()).is_some_and(|text| text.trim() == word)
    }

    /// A time with its unit within `range`.
    pub(super) fn duration(&mut self, key: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.find(key)?;
        let limits = format!("from {} to {}", format_duration(*range.start()), format_duration(*range.end()));
        let remedy = format!("Write a time {limits} with its unit in double quotes, such as \"6s\" or \"2m\"");
        match value.get_ref().as_str().map(parse_duration) {
            None => self.problem(key, "is not a time in double quotes", remedy),
            Some(Err(fault)) => self.problem(key, fault, remedy),
            Some(Ok(duration)) if !range.contains(&duration) => self.problem(key, "is out of range", remedy),
            Some(Ok(duration)) => return Some(duration),
        }
        None
    }

    /// A path; relative ones belong to `base`.
    pub(super) fn path(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        let text = self.text(key)?;
        if text.starts_with('~') {
            self.problem(key, "begins with ~, which only a shell replaces", "Write the whole path");
            return None;
        }
        Some(base.join(text))
    }

    /// Whether the file has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Tells every key that nobody asked for. Consumes the section: nothing can be asked for afterwards.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        for (key, value) in table {
            let name: &str = key.get_ref();
            if !self.known.iter().any(|known| known == name) {
                let line = self.report.line_at(key.span().start.min(value.span().start));
                let remedy = remedy_for_unknown(name, &self.known);
                let shown: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
                self.report.add(self.path_of(&shown), Some(line), "unknown key", remedy);
            }
        }
    }

    fn find(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let schema = if self.schema.is_empty() { key.to_owned() } else { format!("{}.{key}", self.schema) };
        self.report.asked(schema);
        self.known.push(key.to_owned());
        self.table.and_then(|table| table.get(key))
    }

    fn child(
        &self,
        key: &str,
        index: &str,
        table: Option<&'a DeTable<'a>>,
        value: Option<&Spanned<DeValue<'a>>>,
    ) -> Section<'a> {
        let list = if index.is_empty() { "" } else { "[]" };
        let schema = if self.schema.is_empty() { key.to_owned() } else { format!("{}.{key}", self.schema) };
        Section {
            path: format!("{}{index}", self.path_of(key)),
            schema: format!("{schema}{list}"),
            line: value.map(|value| self.line_at(value)),
            table,
            known: Vec::new(),
            report: self.report,
        }
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        self.problem(key, format!("is of the type {}", value.get_ref().type_str()), format!("Write {wanted}"));
    }

    fn line_at(&self, value: &Spanned<DeValue<'_>>) -> usize {
        self.report.line_at(value.span().start)
    }
}

/// What to do about an unknown key: secrets that were written down get an explanation, misspellings a suggestion.
fn remedy_for_unknown(name: &str, known: &[String]) -> String {
    let secrets = [("key", "key"), ("stream_key", "key"), ("auth_token", "auth_token"), ("ct0", "ct0")];
    let stem = secrets.iter().find(|(secret, _)| *secret == name).map(|(_, stem)| stem);
    if let Some(stem) = stem.filter(|stem| known.contains(&format!("{stem}_env"))) {
        return format!(
            "A secret is never written into the configuration: put it into an environment variable and write {stem}_env \
             = \"ITS_NAME\", or into a file of mode 0600 and write {stem}_file = \"PATH\""
        );
    }
    let similar = known
        .iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match similar {
        Some((_, known)) => format!("Did you mean {known}"),
        None => format!("Known here: {}", known.join(", ")),
    }
}
