//! A show as a client describes it, turned into a configuration as the operator would have written it.
//!
//! A client names no file, variable or command of the machine: whatever of a configuration does is refused. Secrets go
//! into files of their own, bound to what they are for, and never into the configuration.

mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};
use url::Url;
use utoipa::ToSchema;

use super::problem::{Answer, Problem};
use crate::config::key_store::SavedKey;
use crate::config::{self, RecordingConfig, SecretRef, ShowConfig, SourceKind, XApiConfig};
use crate::daemon::folders::{self, Folders};
use crate::daemon::roster::Roster;
use crate::secret::Secret;

/// An output of a new show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OutputDraft {
    /// `youtube`, `rumble`, `twitch`, another platform's preset, or `custom` for any RTMP server.
    preset: Option<String>,
    /// Unique in the show; the preset's name where none is given.
    name: Option<String>,
    /// The server's address without the key: `rtmp` or `rtmps`.
    url: Option<String>,
    /// The stream key. It is never given out again, and belongs to this server alone.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    key: Option<Secret>,
    /// Publishes to the platform's backup server too.
    #[serde(default)]
    backup: bool,
    /// Whether it starts with the show.
    enabled: Option<bool>,
}

/// A new show: a link and outputs, or a whole configuration.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowDraft {
    /// Link or id of a Space, address of a playlist or of other live audio, or `tone` for a test sound.
    link: Option<String>,
    /// A whole configuration instead, as `spacebridge run --config` reads it; its outputs say `key_prompt = true`.
    toml: Option<String>,
    /// Stream keys of the outputs of `toml`, by their names.
    #[serde(default, deserialize_with = "secrets")]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    keys: BTreeMap<String, Secret>,
    /// Name of the show; made from the link where none is given.
    name: Option<String>,
    /// Title on the slate and in the files; the space's own where none is given.
    title: Option<String>,
    /// Host on the slate and in the files; the space's own where none is given.
    host: Option<String>,
    /// Time zone of every time on the slate, such as `Europe/Berlin`.
    timezone: Option<String>,
    /// How long the closing slate stays, such as `30s`.
    closing: Option<String>,
    /// Opens the outputs so long before the announced start, such as `10m`.
    on_air_before: Option<String>,
    /// Waits so long after the end for the host's next Space, such as `30m`.
    follow_host: Option<String>,
    /// Where to publish; without one the show is only recorded.
    #[serde(default)]
    outputs: Vec<OutputDraft>,
    /// Whether it is recorded.
    record: Option<bool>,
    /// Cookie `auth_token` of an X account, with `ct0`; the daemon's own login where none is given.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    auth_token: Option<Secret>,
    /// Cookie `ct0` of the same login.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    ct0: Option<Secret>,
    /// `whep` or `janus`, where `link` is the address of such a server; made out from the link where none is given.
    kind: Option<String>,
    /// Number or name of the room of a Janus gateway.
    room: Option<String>,
    /// The room's pin.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    pin: Option<Secret>,
    /// The token that a WHEP endpoint or a Janus gateway asks for.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    token: Option<Secret>,
    /// A Janus gateway's one secret for all.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    api_secret: Option<Secret>,
    /// How to sit in a Space: `listener`, or `speaker` on the stage, muted.
    seat: Option<String>,
    /// Listens to the Space's public path too, which takes over when the speaker's seat is lost.
    #[serde(default)]
    listen_too: bool,
    /// What counts more when one of the two paths of `listen_too` takes over from the other: `aligned` loses nothing,
    /// `low-latency` is early.
    failover: Option<String>,
    /// How much later than it could be such a show goes out in `aligned`, such as `20s`.
    failover_delay: Option<String>,
    /// On what ground the show is carried on, such as `The host agreed.`
    consent: Option<String>,
    /// Whether it goes on the air at once.
    #[serde(default)]
    pub(super) start: bool,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

fn secrets<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Secret>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(from)?;
    Ok(texts.into_iter().map(|(name, text)| (name, Secret::new(text))).collect())
}

/// A show that can be made.
#[derive(Debug)]
pub(super) struct Drafted {
    /// The configuration.
    pub(super) config: ShowConfig,
    /// The same as text.
    pub(super) text: String,
    keys: Vec<(String, Url, Secret)>,
    /// Secrets of its sources, by the key of the configuration that names their file.
    of_sources: Vec<(&'static str, Secret)>,
}

impl ShowDraft {
    /// A draft that is a configuration and nothing else.
    pub(super) fn of_toml(text: String) -> Self {
        Self { toml: Some(text), ..Self::default() }
    }

    /// Makes a configuration of it. `name` is the show whose place it takes.
    ///
    /// # Errors
    /// Every fault in it.
    pub(super) fn draw(mut self, roster: &Roster, name: Option<&str>) -> Answer<Drafted> {
        if self.name.is_none() {
            self.name = name.map(str::to_owned);
        }
        let mut keys = std::mem::take(&mut self.keys);
        let (text, link_name) = match (self.toml.take(), &self.link) {
            (Some(text), None) => (text, None),
            (None, Some(_)) => {
                let (text, name) = self.write(roster, &mut keys)?;
                (text, Some(name))
            }
            _ => return Err(Problem::new("bad-request", "Send either link or toml.")),
        };
        let of_sources = self.of_sources();
        // They are put there once it is sure that there will be such a show.
        let file = |(key, _): &(&str, Secret)| Some(cookie_file(roster.folders(), link_name.as_deref()?, key));
        let awaited: Vec<PathBuf> = of_sources.iter().filter_map(file).collect();
        let config = roster.read(&text, &awaited).map_err(|faults| Problem::faulty(&faults))?;
        if name.is_some_and(|name| name != config.show.name) {
            return Err(Problem::new("bad-request", "A show keeps its name: make another one for another name."));
        }
        let faults = foreign(&config, roster, &of_sources);
        if !faults.is_empty() {
            return Err(Problem::faulty(&faults));
        }
        let keys = keys_of(&config, keys, roster.folders())?;
        Ok(Drafted { config, text, keys, of_sources })
    }

    /// The secrets of its sources. One cookie alone is no login.
    fn of_sources(self) -> Vec<(&'static str, Secret)> {
        let login = self.auth_token.zip(self.ct0).map(|(token, ct0)| [("auth_token", token), ("ct0", ct0)]);
        let others = [("pin", self.pin), ("token", self.token), ("api_secret", self.api_secret)];
        let others = others.into_iter().filter_map(|(key, secret)| Some((key, secret?)));
        login.into_iter().flatten().chain(others).collect()
    }

    /// Writes the fields as a configuration, and says the show's name; the keys of its outputs are put to `keys`.
    fn write(&self, roster: &Roster, keys: &mut BTreeMap<String, Secret>) -> Answer<(String, String)> {
        let link = self.link.as_deref().unwrap_or_default();
        let (found, kind) = roster.planner().link(link).map_err(|faults| Problem::faulty(&faults))?;
        let name = self.name.clone().unwrap_or(found);
        let mut show = Table::new();
        put(&mut show, "name", Some(&name));
        for (key, value) in [
            ("title", &self.title),
            ("host", &self.host),
            ("timezone", &self.timezone),
            ("closing", &self.closing),
            ("on_air_before", &self.on_air_before),
            ("follow_host", &self.follow_host),
            ("consent", &self.consent),
        ] {
            put(&mut show, key, value.as_ref());
        }
        let cookies = roster.settings().cookies.as_deref();
        let sources = self.sources(&kind, &name, roster.folders(), cookies);
        let sources = sources.map_err(|problem| Problem::faulty(&[problem]))?;
        let mut file =
            Table::from_iter([("show".to_owned(), Value::Table(show)), ("source".to_owned(), Value::Array(sources))]);
        if let Some(failover) = self.failover().map_err(|problem| Problem::faulty(&[problem]))? {
            file.insert("failover".to_owned(), Value::Table(failover));
        }
        let outputs: Vec<Value> = self.outputs.iter().map(|output| Value::Table(output.write(keys))).collect();
        if !outputs.is_empty() {
            file.insert("output".to_owned(), Value::Array(outputs));
        }
        if self.record == Some(false) {
            let off = Table::from_iter([("enabled".to_owned(), Value::Boolean(false))]);
            file.insert("recording".to_owned(), Value::Table(off));
        }
        let text = toml::to_string(&file).map_err(|error| Problem::new("internal", error.to_string()))?;
        Ok((text, name))
    }

    fn source(&self, kind: &SourceKind, name: &str, folders: &Folders, cookies: Option<&Path>) -> Table {
        let mut source = Table::new();
        match kind {
            SourceKind::XSpace { url, .. } => {
                put(&mut source, "kind", Some(&"x-space".to_owned()));
                put(&mut source, "url", Some(url));
                if self.auth_token.is_some() && self.ct0.is_some() {
                    for cookie in ["auth_token", "ct0"] {
                        let path = cookie_file(folders, name, cookie);
                        put(&mut source, &format!("{cookie}_file"), Some(&path.display().to_string()));
                    }
                } else if let Some(cookies) = cookies {
                    put(&mut source, "cookies_file", Some(&cookies.display().to_string()));
                }
            }
            SourceKind::Uri { uri } => {
                put(&mut source, "kind", Some(&"uri".to_owned()));
                put(&mut source, "uri", Some(&uri.to_string()));
            }
            // A link of a draft is never one of these: they need keys of their own.
            SourceKind::Tone { .. } | SourceKind::Whep { .. } | SourceKind::Janus { .. } => {
                put(&mut source, "kind", Some(&"tone".to_owned()));
            }
        }
        source
    }
}

impl OutputDraft {
    fn write(&self, keys: &mut BTreeMap<String, Secret>) -> Table {
        let mut output = Table::new();
        put(&mut output, "preset", self.preset.as_ref());
        put(&mut output, "name", self.name.as_ref());
        put(&mut output, "url", self.url.as_ref());
        output.insert("key_prompt".to_owned(), Value::Boolean(true));
        if self.backup {
            output.insert("backup".to_owned(), Value::Boolean(true));
        }
        if let Some(enabled) = self.enabled {
            output.insert("enabled".to_owned(), Value::Boolean(enabled));
        }
        let name = self.name.as_ref().or(self.preset.as_ref());
        if let (Some(name), Some(key)) = (name, &self.key) {
            keys.insert(name.clone(), key.clone());
        }
        output
    }
}

fn put(table: &mut Table, key: &str, value: Option<&String>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), Value::String(value.clone()));
    }
}

fn cookie_file(folders: &Folders, show: &str, cookie: &str) -> PathBuf {
    // No output's name has a point in it.
    folders.keys_folder(show).join(format!("{cookie}.x"))
}

fn fault(key: impl Into<String>, message: &str, remedy: &str) -> config::Problem {
    config::Problem { key: key.into(), line: None, message: message.to_owned(), remedy: remedy.to_owned() }
}

/// What in a configuration is the operator's alone to write, in a file of the shows' folder.
fn foreign(config: &ShowConfig, roster: &Roster, given: &[(&'static str, Secret)]) -> Vec<config::Problem> {
    let mut faults = Vec::new();
    let mut refuse = |key: &str, named: bool| {
        if named {
            let message = "cannot be set from here: it names something of the machine";
            faults.push(fault(key, message, "Leave it out, or write the show into a file of the operator's folder"));
        }
    };
    let own = |cookie: &str, found: &Option<SecretRef>| match found {
        None => true,
        Some(SecretRef::File(path)) => {
            let is_given = given.iter().any(|(key, _)| *key == cookie);
            is_given && *path == cookie_file(roster.folders(), &config.show.name, cookie)
        }
        Some(_) => false,
    };
    for source in &config.sources {
        match &source.kind {
            SourceKind::XSpace { auth_token, ct0, cookies_file, .. } => {
                refuse("the login of a source", !own("auth_token", auth_token) || !own("ct0", ct0));
                refuse("the cookies of a source", cookies_file.is_some() && *cookies_file != roster.settings().cookies);
            }
            SourceKind::Uri { uri } => refuse("the address of a source", uri.scheme() == "file"),
            SourceKind::Whep { token, .. } => refuse("the secret of a source", !own("token", token)),
            SourceKind::Janus { pin, token, api_secret, .. } => {
                let is_own = own("pin", pin) && own("token", token) && own("api_secret", api_secret);
                refuse("the secret of a source", !is_own);
            }
            SourceKind::Tone { .. } => {}
        }
    }
    let slate = &config.slate;
    refuse("slate.template", slate.template.is_some());
    refuse("slate.image", slate.image.is_some());
    refuse("slate.artwork", slate.artwork.is_some());
    refuse("program.hold_audio", config.program.hold_audio.is_some());
    let folder = roster.settings().data.join(RecordingConfig::default().folder);
    refuse("the folder of the recording", config.recording.folder != folder);
    for output in &config.outputs {
        let is_file = !matches!(&output.key, None | Some(SecretRef::Prompt(_)));
        refuse(&format!("the key of the output {}", output.name), is_file);
    }
    // A command runs on this machine, and a webhook is a request from it to wherever the client says.
    refuse("alert", !config.alerts.is_empty());
    refuse("x", config.x != XApiConfig::default());
    faults
}

/// The key of every output that asks for one: from the client, or kept from before for the very same server.
fn keys_of(
    config: &ShowConfig,
    mut given: BTreeMap<String, Secret>,
    folders: &Folders,
) -> Answer<Vec<(String, Url, Secret)>> {
    let (mut keys, mut faults) = (Vec::new(), Vec::new());
    let store = folders.keys(&config.show.name);
    for output in &config.outputs {
        // A backup goes with its primary's key.
        let is_backup = output.group.as_ref().is_some_and(|group| *group != output.name);
        if is_backup || !matches!(output.key, Some(SecretRef::Prompt(_))) {
            continue;
        }
        let is_kept = || matches!(store.load(&output.name, &output.url), Ok(SavedKey::Found(_)));
        match given.remove(&output.name) {
            Some(key) if key.expose().trim().is_empty() || key.expose().trim().contains(char::is_whitespace) => {
                let key = format!("the key of the output {}", output.name);
                faults.push(fault(key, "is no single word", "Send the bare stream key"));
            }
            Some(key) => keys.push((output.name.clone(), output.url.clone(), Secret::new(key.expose().trim()))),
            None if output.enabled && !is_kept() => {
                let key = format!("the key of the output {}", output.name);
                let remedy = "Send the stream key too; one that was sent for another server is not used";
                faults.push(fault(key, "missing", remedy));
            }
            None => {}
        }
    }
    if let Some(name) = given.keys().next() {
        faults.push(fault(format!("keys.{name}"), "names no output", "Write the output's own name"));
    }
    if faults.is_empty() { Ok(keys) } else { Err(Problem::faulty(&faults)) }
}

impl Drafted {
    /// Puts the secrets where the configuration looks for them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn save_secrets(&self, folders: &Folders) -> Answer<()> {
        let failed = |error: String| Problem::new("internal", format!("A secret could not be kept: {error}."));
        let (show, store) = (&self.config.show.name, folders.keys(&self.config.show.name));
        for (output, url, key) in &self.keys {
            store.save_key(output, url, key).map_err(|error| failed(error.to_string()))?;
        }
        if !self.of_sources.is_empty() {
            use std::os::unix::fs::DirBuilderExt;
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folders.keys_folder(show));
            made.map_err(|error| failed(error.to_string()))?;
        }
        for (key, secret) in &self.of_sources {
            let path = cookie_file(folders, show, key);
            folders::replace(&path, secret.expose().as_bytes()).map_err(|error| failed(error.to_string()))?;
        }
        Ok(())
    }
}
