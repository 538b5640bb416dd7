//! The architecture, enforced: who may import whom, who may name GStreamer, how long a file may be.
//!
//! Reads the source as text, with comments and strings blanked out. It judges names, not meanings: enough to stop a
//! habit before it starts.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines: what a reader holds in mind at once.
const LONGEST_FILE: usize = 400;

/// Modules by layer, lowest first. A module imports from lower layers only; those of the lowest import each other.
const LAYERS: &[&[&str]] = &[
    &["gst", "status", "alert", "config", "secret", "backoff", "clock", "media", "net", "text", "ruler"],
    &["source", "session", "program", "picture", "encode", "output", "recording", "incident", "measure"],
    &["repair", "episode"],
    &["bridge"],
    &["supervisor"],
    &["rehearsal", "daemon"],
    &["cli"],
];

/// Imports within a layer that are right, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    // The session judges what an attempt of a source ended with, so it speaks the source's words; never the other way.
    ("session", "source"),
];

/// A file of the project.
struct File {
    /// Relative to the project's root.
    path: String,
    text: String,
}

impl File {
    /// The text without comments and without what strings hold; line breaks stay.
    fn code(&self) -> String {
        blank(&self.text)
    }

    /// Whether it holds only unit tests, `tests.rs` or `…_tests.rs` beside the code.
    fn only_tests(&self) -> bool {
        self.path.ends_with("tests.rs")
    }

    /// The crate's module that the file belongs to; none for `lib.rs`, `main.rs` and what is not in `src`.
    fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (name != "lib" && name != "main").then_some(name)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path} cannot be read: {error}"))
}

/// Files below `folder` with one of the extensions.
fn files(folder: &str, extensions: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the project's folders can be read") {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| extensions.iter().any(|wanted| ending == *wanted)) {
                let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push(File { text: read(&path), path });
            }
        }
    }
    assert!(!found.is_empty(), "nothing found in {folder}");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_gst_names_gstreamer() {
    let mut faults = Vec::new();
    for file in files("src", &["rs"]).iter().filter(|file| file.module() != Some("gst")) {
        for (at, line) in file.code().lines().enumerate() {
            let named = words(line).find(|word| {
                let media = word.starts_with("gstreamer") || matches!(*word, "glib" | "gio");
                media && (line.contains(&format!("{word}::")) || line.contains(&format!("use {word}")))
            });
            if let Some(word) = named {
                faults.push(format!("{}:{} names {word}: only src/gst may", file.path, at + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn modules_import_from_lower_layers_only() {
    let mut faults = Vec::new();
    for file in files("src", &["rs"]) {
        let Some(module) = file.module() else { continue };
        let Some(own) = layer(module) else {
            faults.push(format!("{}: give the module {module} its layer in tests/it/layout.rs", file.path));
            continue;
        };
        for import in imports(&file) {
            let Some(other) = layer(&import) else { continue };
            let allowed = other < own || (own, other) == (0, 0) || ALLOWED.contains(&(module, import.as_str()));
            if import != module && !allowed {
                faults.push(format!("{} imports {import}: {module} may not", file.path));
            }
        }
    }
    none(&faults);
}

#[test]
fn no_file_outgrows_a_reader() {
    let sources = ["src", "tests", "bench", "packaging", "pipelines"];
    let endings = ["rs", "py", "sh", "launch"];
    let faults: Vec<_> = sources
        .iter()
        .flat_map(|folder| files(folder, &endings))
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{path} has {lines} lines, {LONGEST_FILE} is the most: split it"))
        .collect();
    none(&faults);
}

#[test]
fn only_the_command_line_prints() {
    let printing = ["println", "eprintln", "print", "eprint", "dbg"];
    let mut faults = Vec::new();
    let silent = |file: &&File| !file.only_tests() && !matches!(file.module(), Some("cli") | None);
    for file in files("src", &["rs"]).iter().filter(silent) {
        for (at, line) in file.code().lines().enumerate() {
            if printing.iter().any(|name| line.contains(&format!("{name}!")) && words(line).any(|word| word == *name)) {
                faults.push(format!("{}:{} prints: log it, or return it to cli", file.path, at + 1));
            }
        }
    }
    none(&faults);
}

#[test]
fn every_module_says_what_it_is() {
    let faults: Vec<_> = files("src", &["rs"])
        .iter()
        .filter(|file| !file.only_tests() && !file.text.starts_with("//! "))
        .map(|file| format!("{} does not begin with //! and what it owns", file.path))
        .collect();
    none(&faults);
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = read("Cargo.toml");
    let mut section = "";
    let mut faults = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && line.contains('=') {
            let reason = line.split_once(" # ").map_or("", |(_, reason)| reason.trim());
            if reason.len() < 10 {
                faults.push(format!("Cargo.toml: no reason on the line {line}"));
            }
        }
    }
    none(&faults);
}

#[test]
fn the_image_has_every_package_that_the_program_asks_for() {
    let listed = packages("run");
    let mut faults = Vec::new();
    for file in files("src", &["rs"]) {
        for quoted in file.text.split('"').skip(1).step_by(2) {
            let package = quoted.starts_with("gstreamer1.0-") || quoted == "glib-networking";
            if package && !listed.contains(&quoted.to_owned()) {
                faults.push(format!("{} asks for {quoted}: packaging/debian-run.txt lacks it", file.path));
            }
        }
    }
    let dockerfile = read("Dockerfile");
    for list in ["build", "run"] {
        if !dockerfile.contains(&format!("packaging/debian-{list}.txt")) {
            faults.push(format!("the Dockerfile does not read packaging/debian-{list}.txt"));
        }
    }
    none(&faults);
}

/// Packages of `packaging/debian-LIST.txt`.
fn packages(list: &str) -> Vec<String> {
    let text = read(&format!("packaging/debian-{list}.txt"));
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
        .filter(|package| !package.is_empty())
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Modules of the crate that a file names by `crate::…`, or by `super::…` where that is the crate's root.
fn imports(file: &File) -> Vec<String> {
    let code = file.code();
    let mut found = paths_from("crate", &code);
    // In src/NAME.rs and src/NAME/mod.rs `super` is the root, but in their inline modules it is NAME itself: what is not
    // a module of the crate is dropped by the caller.
    let depth = file.path.matches('/').count();
    if depth == 1 || (depth == 2 && file.path.ends_with("/mod.rs")) {
        found.extend(paths_from("super", &code));
    }
    found
}

/// First names after `start::`, of single paths and of `{groups}`.
fn paths_from(start: &str, code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{start}::")) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
            continue;
        }
        let rest = &code[at + start.len() + 2..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(words(rest).next().map(str::to_owned)),
        }
    }
    found
}

/// First names of the members of a group, which has been opened already.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    let mut member = String::new();
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => heads.push(std::mem::take(&mut member)),
            _ => {
                depth = if c == '{' { depth + 1 } else { depth - usize::from(c == '}') };
                member.push(c);
            }
        }
    }
    heads.push(member);
    heads.iter().filter_map(|member| words(member).next().map(str::to_owned)).collect()
}

/// Replaces comments and the inside of strings and characters by spaces.
fn blank(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| string(rest)).or_else(|| character(rest));
        if let Some(length) = skipped {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[length..];
        } else {
            // A word is taken as a whole, so that the r of a name is not the r of a raw string.
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = word.max(c.len_utf8());
            out.push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    out
}

/// Length of the comment that the text begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while at == 0 || depth > 0 {
        let rest = text.get(at..)?;
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if depth > 0 && rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else if depth > 0 {
            at += rest.chars().next()?.len_utf8();
        } else {
            return None;
        }
    }
    Some(at)
}

/// Length of the string that the text begins with: plain, raw, of bytes.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "b", "r", "c", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"') || (prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"'))
        })
    })?;
    let rest = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let fence = rest.find('"')?;
        let end = format!("\"{}", "#".repeat(fence));
        let inside = fence + 1;
        return Some(prefix.len() + inside + rest[inside..].find(&end)? + end.len());
    }
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix.len() + at + 1),
            _ => {}
        }
    }
    None
}

/// Length of the character that the text begins with; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut chars = rest.char_indices();
    match chars.next()? {
        (_, '\\') => Some(rest[2..].find('\'')? + 4),
        _ => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2),
    }
}

#[test]
fn comments_and_strings_hide_nothing_and_betray_nothing() {
    let code = blank("a /* x /* y */ z */ b // c\nlet d = \"e\\\"f\"; g(r#\"h\"i\"#, b\"j\", '\\'', '\"', 'k) l<'m>");
    assert_eq!(words(&code).collect::<Vec<_>>(), ["a", "b", "let", "d", "g", "k", "l", "m"]);
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::{gst::{self, pipeline}, media}; fn f() { crate::output::go(); my_crate::cli::x() }";
    assert_eq!(paths_from("crate", text), ["gst", "media", "output"]);
}
