//! Rules for sources and outputs that hold for a file and for the command line alike.

use url::Url;

use super::address;
use super::known::{CUSTOM, Known, PresetDefaults};
use super::problem::Report;
use super::{BudgetConfig, OutputConfig, Seat, SecretRef, SourceKind, WhenSpent};

/// Turns a key such as `url` into its path and line in a file, or into the name of a command-line option.
pub(super) type PlaceOf<'a> = &'a dyn Fn(&str) -> (String, Option<usize>);

/// Where faults of one source or output are told.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) report: &'a Report,
    pub(super) of: PlaceOf<'a>,
}

impl Place<'_> {
    pub(super) fn problem(&self, key: &str, message: impl Into<String>, remedy: impl Into<String>) {
        let (path, line) = (self.of)(key);
        self.report.add(path, line, message, remedy);
    }

    pub(super) fn missing(&self, key: &str, remedy: impl Into<String>) {
        let (path, line) = (self.of)(key);
        self.report.add_missing(path, line, remedy);
    }

    fn fault<T>(&self, key: &str, checked: Result<T, address::Fault>) -> Option<T> {
        checked.map_err(|(message, remedy)| self.problem(key, message, remedy)).ok()
    }
}

/// Where an output's key is said to be.
pub(super) enum KeyDraft {
    /// Said.
    Ref(SecretRef),
    /// To be asked for by the output's name.
    Prompt,
    /// Not said, or said wrongly; the fault has been told.
    Faulty,
}

/// An output as written, before the preset's values and the rules.
pub(super) struct OutputDraft {
    pub(super) name: Option<String>,
    pub(super) preset: Option<String>,
    pub(super) url: Option<String>,
    pub(super) key: KeyDraft,
    pub(super) backup: bool,
    pub(super) enabled: bool,
    pub(super) broadcasts_per_hour: Option<u32>,
    pub(super) when_spent: WhenSpent,
}

/// Applies preset and rules. A platform's backup becomes a second output in the same group. Empty where a fault was told.
pub(super) fn outputs(
    draft: OutputDraft,
    known: Known<'_>,
    taken: &mut Vec<String>,
    at: Place<'_>,
) -> Vec<OutputConfig> {
    let preset_name = draft.preset.unwrap_or_else(|| CUSTOM.to_owned());
    let preset = known.preset(&preset_name);
    if preset.is_none() {
        let names = known.preset_names();
        let remedy = closest(&preset_name, &names).map_or_else(
            || format!("Known presets: {}; custom takes any server", names.join(", ")),
            |name| format!("Did you mean {name}"),
        );
        at.problem("preset", "unknown preset", remedy);
    }
    let name = output_name(draft.name, &preset_name, taken, at);
    // Without its preset an output's address cannot be judged; what can be judged still is.
    let url = match &preset {
        Some(preset) => server_url(draft.url.as_deref(), preset, at),
        None => draft.url.and_then(|text| at.fault("url", address::output_url(&text, None))),
    };
    let backup_url = match &preset {
        Some(preset) if draft.backup => backup_url(preset, at),
        _ => None,
    };
    let key = match draft.key {
        KeyDraft::Ref(secret) => Some(secret),
        KeyDraft::Prompt => name.clone().map(SecretRef::Prompt),
        KeyDraft::Faulty => None,
    };
    let (Some(name), Some(url), Some(preset)) = (name, url, preset) else { return Vec::new() };
    let group = backup_url.is_some().then(|| name.clone());
    let per_hour = draft.broadcasts_per_hour.or(preset.broadcasts_per_hour);
    let budget =
        BudgetConfig { per_hour: per_hour.unwrap_or(BudgetConfig::default().per_hour), when_spent: draft.when_spent };
    let primary = OutputConfig { name, preset: preset.name, url, key, group, enabled: draft.enabled, budget };
    let backup = backup_url.and_then(|url| backup_of(&primary, url, taken, at));
    std::iter::once(primary).chain(backup).collect()
}

fn output_name(name: Option<String>, preset: &str, taken: &mut Vec<String>, at: Place<'_>) -> Option<String> {
    let given = name.is_some();
    let name = at.fault("name", address::plain_name(name.as_deref().unwrap_or(preset)))?;
    if taken.contains(&name) {
        let message = if given { "is the name of two outputs" } else { "is needed: two outputs have this preset" };
        at.problem("name", message, format!("Give this one another name, such as \"{name}-2\""));
        return None;
    }
    taken.push(name.clone());
    Some(name)
}

fn server_url(given: Option<&str>, preset: &PresetDefaults, at: Place<'_>) -> Option<Url> {
    if let Some(text) = given {
        return at.fault("url", address::output_url(text, preset.url.as_deref()));
    }
    match (&preset.url, preset.requires_url) {
        (Some(text), false) => match Url::parse(text) {
            Ok(url) => Some(url),
            Err(_) => {
                at.problem("preset", "has no usable address", "Write url = \"…\" as the platform shows it");
                None
            }
        },
        _ => {
            let page = preset.key_page.as_ref().map(|page| format!(" ({page})")).unwrap_or_default();
            let remedy = match preset.name.as_str() {
                CUSTOM => {
                    "Write the server's address without the key, such as \"rtmps://live.example.com:443/app\"".into()
                }
                name => format!(
                    "Copy the server's address, without the key, from the page where {name} shows the key{page}"
                ),
            };
            at.missing("url", remedy);
            None
        }
    }
}

fn backup_url(preset: &PresetDefaults, at: Place<'_>) -> Option<Url> {
    let url = preset.backup_url.as_deref().and_then(|text| Url::parse(text).ok());
    if url.is_none() {
        let message = format!("the preset {} has no backup server", preset.name);
        at.problem("backup", message, "Leave backup out, or add a second output with its own url");
    }
    url
}

fn backup_of(primary: &OutputConfig, url: Url, taken: &mut Vec<String>, at: Place<'_>) -> Option<OutputConfig> {
    let name = format!("{}-backup", primary.name);
    if name.len() > 64 || taken.contains(&name) {
        at.problem(
            "backup",
            format!("its output would be named {name}, which is taken or too long"),
            "Rename this output",
        );
        return None;
    }
    taken.push(name.clone());
    Some(OutputConfig { name, url, ..primary.clone() })
}

/// The cookies of an x-space source as written.
#[derive(Default)]
pub(super) struct SpaceLogin {
    pub(super) auth_token: Option<SecretRef>,
    pub(super) ct0: Option<SecretRef>,
    pub(super) cookies_file: Option<std::path::PathBuf>,
}

/// Checks an x-space source.
pub(super) fn space(link: &str, login: SpaceLogin, known: Known<'_>, at: Place<'_>) -> Option<SourceKind> {
    if login.cookies_file.is_some() && (login.auth_token.is_some() || login.ct0.is_some()) {
        let remedy = "Keep either cookies_file, or auth_token and ct0";
        at.problem("cookies_file", "the login is said twice", remedy);
    } else if login.auth_token.is_some() != login.ct0.is_some() {
        let (there, missing) = if login.ct0.is_none() { ("auth_token", "ct0") } else { ("ct0", "auth_token") };
        let remedy = format!("Add where the cookie {missing} of the same login is found");
        at.problem(there, format!("the cookie {missing} is missing: both are needed"), remedy);
    }
    if let Err(words) = (known.space_link)(link) {
        let words = words.trim_end_matches('.');
        let remedy = "Paste the Space's link, such as \"https://x.com/i/spaces/1YpKkWmbnQaGj\", its id, or the address \
                      of its dynamic_playlist.m3u8";
        at.problem("url", words, remedy);
        return None;
    }
    let SpaceLogin { auth_token, ct0, cookies_file } = login;
    Some(SourceKind::XSpace { url: link.to_owned(), auth_token, ct0, cookies_file, seat: Seat::Listener })
}

/// The name among `names` that `text` was probably meant to be.
pub(super) fn closest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &&str| strsim::jaro_winkler(name, text);
    names.iter().copied().filter(|name| likeness(name) > 0.8).max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
