//! The sections `[[output]]`, and where secrets are said to be.

use std::path::Path;

use super::Section;
use crate::config::check::{KeyDraft, OutputDraft, Place, outputs as check_outputs};
use crate::config::known::Known;
use crate::config::{OutputConfig, SecretRef, WhenSpent, address};

/// A fan-out beyond this is a slip of the pen: every output is a connection of some Mbit/s.
const MAX_OUTPUTS: usize = 32;

/// More in an hour is no limit: one every six seconds. 0 says that better.
const MAX_BROADCASTS: u32 = 600;

pub(super) fn outputs(root: &mut Section<'_>, base: &Path, known: Known<'_>) -> Vec<OutputConfig> {
    let sections = root.sections("output");
    if sections.len() > MAX_OUTPUTS {
        root.problem("output", format!("there are more than {MAX_OUTPUTS}"), "Carry the rest by a second show");
        return Vec::new();
    }
    let mut taken = Vec::new();
    sections.into_iter().flat_map(|section| output(section, base, known, &mut taken)).collect()
}

fn output(mut section: Section<'_>, base: &Path, known: Known<'_>, taken: &mut Vec<String>) -> Vec<OutputConfig> {
    let draft = OutputDraft {
        name: section.text("name"),
        preset: section.text("preset"),
        url: section.text("url"),
        key: key(&mut section, base),
        backup: section.flag("backup").unwrap_or(false),
        enabled: section.flag("enabled").unwrap_or(true),
        broadcasts_per_hour: section.integer("broadcasts_per_hour", 0..=MAX_BROADCASTS, "broadcasts"),
        when_spent: when_spent(&mut section),
    };
    let of = |key: &str| (section.path_of(key), section.line_of(key));
    let outputs = check_outputs(draft, known, taken, Place { report: section.report(), of: &of });
    section.finish();
    outputs
}

fn when_spent(section: &mut Section<'_>) -> WhenSpent {
    match section.text("when_spent").as_deref() {
        None | Some("slow") => WhenSpent::Slow,
        Some("hold") => WhenSpent::Hold,
        Some(_) => {
            let remedy = "Write \"slow\" (one attempt every 5 minutes) or \"hold\" (none until the hour allows it)";
            section.problem("when_spent", "is neither slow nor hold", remedy);
            WhenSpent::Slow
        }
    }
}

/// Exactly one of `key_env`, `key_file`, `key_credential` and `key_prompt`.
fn key(section: &mut Section<'_>, base: &Path) -> KeyDraft {
    let told = ["key_env", "key_file", "key_credential", "key_prompt"];
    let said: Vec<&str> = told.into_iter().filter(|key| section.has(key)).collect();
    let reference = secret(section, "key", base);
    let prompt = section.flag("key_prompt");
    match said.as_slice() {
        [] => {
            let remedy = "Say where the stream key is: key_env = \"VARIABLE\", key_file = \"PATH\", key_credential = \
                          \"NAME\" (systemd), or key_prompt = true";
            section.missing("key_env", remedy);
            KeyDraft::Faulty
        }
        [_] => match (reference, prompt) {
            (Some(reference), _) => KeyDraft::Ref(reference),
            (None, Some(true)) => KeyDraft::Prompt,
            (None, Some(false)) => {
                section.problem(
                    "key_prompt",
                    "false says no place of the key",
                    "Write true, or key_env or key_file instead",
                );
                KeyDraft::Faulty
            }
            (None, None) => KeyDraft::Faulty,
        },
        [_, second, ..] => {
            section.problem(
                second,
                format!("the key is said {} times: {}", said.len(), said.join(", ")),
                "Keep one of them",
            );
            KeyDraft::Faulty
        }
    }
}

/// One of `STEM_env`, `STEM_file` and `STEM_credential`; the first that is well written.
pub(super) fn secret(section: &mut Section<'_>, stem: &str, base: &Path) -> Option<SecretRef> {
    let (env_key, credential_key) = (format!("{stem}_env"), format!("{stem}_credential"));
    let env = section.text(&env_key).and_then(|name| match address::env_name(&name, &env_key) {
        Ok(name) => Some(SecretRef::Env(name)),
        Err((message, remedy)) => {
            section.problem(&env_key, message, remedy);
            None
        }
    });
    let file_key = format!("{stem}_file");
    let file = section.path(&file_key, base).and_then(|path| {
        let is_key = path.file_name().and_then(|name| name.to_str()).is_some_and(address::looks_like_key);
        if is_key {
            section.problem(
                &file_key,
                "takes a path, not the secret itself",
                "Put the secret into a file of mode 0600, and write its path",
            );
        }
        (!is_key).then_some(SecretRef::File(path))
    });
    let credential = section.text(&credential_key).and_then(|name| match address::plain_name(&name) {
        Ok(name) if !address::looks_like_key(&name) => Some(SecretRef::Credential(name)),
        _ => {
            section.problem(
                &credential_key,
                "is no name of a credential",
                "Write the name that LoadCredential= gives it",
            );
            None
        }
    });
    env.or(file).or(credential)
}
