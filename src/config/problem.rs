//! What is wrong with a configuration: one entry per fault, gathered in one pass.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

/// One fault of a configuration or of the arguments of `run`. Never holds a value that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path of the key, such as `output[1].key_env` (lists count from 1), or the name of a command-line option.
    pub key: String,
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to write instead, without a full stop.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ": {}. {}.", self.message, self.remedy)
    }
}

/// Gathers problems, and which keys were asked for. Shared by every section of one file, hence the cells.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Byte offset of the start of each line.
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
    syntax_broken: Cell<bool>,
}

impl Report {
    /// A report about `text`.
    pub(super) fn about(text: &str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(starts).collect(), ..Self::default() }
    }

    /// The line of a byte offset, counted from 1.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    /// Adds a problem.
    pub(super) fn add(
        &self,
        key: impl Into<String>,
        line: Option<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem = Problem { key: key.into(), line, message: message.into(), remedy: remedy.into() };
        self.problems.borrow_mut().push(problem);
    }

    /// Adds a fault of the syntax. What is missing is not told any more: it may be there behind the fault.
    pub(super) fn add_syntax(&self, offset: Option<usize>, message: &str) {
        self.syntax_broken.set(true);
        let remedy = "Correct the line; texts stand in double quotes, and a [section] or [[list]] on its own line";
        self.add("file", offset.map(|at| self.line_at(at)), format!("not TOML: {message}"), remedy);
    }

    /// Adds that something required is not there.
    pub(super) fn add_missing(&self, key: impl Into<String>, line: Option<usize>, remedy: impl Into<String>) {
        if !self.syntax_broken.get() {
            self.add(key, line, "missing", remedy);
        }
    }

    /// Remembers that the schema has this key.
    pub(super) fn asked(&self, key: String) {
        self.asked.borrow_mut().insert(key);
    }

    /// Whether anything is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    #[cfg(test)]
    /// Every key that was asked for, lists written as `output[]`.
    pub(super) fn schema(&self) -> BTreeSet<String> {
        self.asked.borrow().clone()
    }

    /// The problems in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_offset_counts_from_one() {
        let report = Report::about("a = 1\nb = 2\n\nc = 3");
        let lines: Vec<usize> = [0, 5, 6, 12, 13, 99].map(|offset| report.line_at(offset)).into();
        assert_eq!(lines, [1, 1, 2, 3, 4, 4]);
    }

    #[test]
    fn a_problem_reads_as_key_line_fault_and_remedy() {
        let problem =
            Problem { key: "slate.fps".into(), line: Some(3), message: "is 24".into(), remedy: "Write 25".into() };
        assert_eq!(problem.to_string(), "slate.fps (line 3): is 24. Write 25.");
    }
}
