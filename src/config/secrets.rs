//! Finds the secrets that a configuration names, and hands them to the bridge.
//!
//! The parent process resolves; the bridge gets the result over its standard input. [`Secrets::to_handover`] is the
//! only place of the program where secrets are serialised: its bytes go into that pipe and nowhere else.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::key_store::{KeyStore, SavedKey};
use super::{AlertAction, AlertConfig, DaemonAlert, OutputConfig, SecretRef, ShowConfig};
use crate::secret::Secret;

/// Longest secret that is read, in bytes: X's longest cookie has 160.
const MAX_SECRET: usize = 4096;

/// Largest handover that is read, in bytes.
const MAX_HANDOVER: usize = 4 << 20;

/// The secrets of one show by purpose: `output.NAME.key`, `source.INDEX.auth_token`, `source.INDEX.ct0`,
/// `alert.INDEX.webhook`, `alert.INDEX.secret`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

/// Why a secret could not be had. Never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{purpose}: {message}. {remedy}.")]
pub struct SecretError {
    /// What it is for, such as `output.youtube.key`.
    pub purpose: String,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, without a full stop.
    pub remedy: String,
}

/// Why a handover could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// More than any configuration needs.
    #[error("the handover is larger than {MAX_HANDOVER} bytes")]
    TooLarge,
    /// Not what [`Secrets::to_handover`] writes. The reason is left out: it could quote a secret.
    #[error("the handover is not understood: parent and bridge are of different versions")]
    Malformed,
}

/// Asks the operator for the key of an output.
pub type Prompt<'a> = &'a mut dyn FnMut(&OutputConfig) -> std::io::Result<Secret>;

/// Where secrets can come from. Everything outside of files is passed in.
pub struct Places<'a> {
    /// Reads an environment variable of this process.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder of systemd's credentials.
    pub credentials: Option<PathBuf>,
    /// Saved keys.
    pub store: Option<&'a KeyStore>,
    /// Asks on the terminal, without echo; none where there is no terminal.
    pub prompt: Option<Prompt<'a>>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The secrets.
    pub secrets: Secrets,
    /// Names of the outputs whose keys were typed just now, and could be saved.
    pub typed: Vec<String>,
    /// What the operator should know, in sentences.
    pub notes: Vec<String>,
}

impl Secrets {
    /// The secret for `purpose`.
    pub fn get(&self, purpose: &str) -> Option<&Secret> {
        self.0.get(purpose)
    }

    /// Adds the secret for `purpose`.
    pub fn insert(&mut self, purpose: impl Into<String>, secret: Secret) {
        self.0.insert(purpose.into(), secret);
    }

    /// The key of an output.
    pub fn output_key(&self, name: &str) -> Option<&Secret> {
        self.get(&format!("output.{name}.key"))
    }

    /// The cookie `auth_token` or `ct0` of the source at `index`, counted from 0.
    pub fn source_cookie(&self, index: usize, cookie: &str) -> Option<&Secret> {
        self.source(index, cookie)
    }

    /// The secret of the source at `index`, counted from 0, that its key names.
    pub fn source(&self, index: usize, key: &str) -> Option<&Secret> {
        self.get(&format!("source.{index}.{key}"))
    }

    /// The webhook's address of an alert at `index`, counted from 0.
    pub fn alert_webhook(&self, index: usize) -> Option<&Secret> {
        self.get(&format!("alert.{index}.webhook"))
    }

    /// What the posts of an alert's webhook are signed with; `index` counts from 0.
    pub fn alert_secret(&self, index: usize) -> Option<&Secret> {
        self.get(&format!("alert.{index}.secret"))
    }

    /// `text` with every secret replaced.
    pub fn redact(&self, text: &str) -> String {
        self.0.values().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }

    /// The bytes for the bridge's standard input: configuration and secrets, as JSON. For that pipe only.
    pub fn to_handover(&self, config: &ShowConfig) -> Vec<u8> {
        let secrets = self.0.iter().map(|(purpose, secret)| (purpose.clone(), secret.expose().to_owned())).collect();
        serde_json::to_vec(&Handover { config: config.clone(), secrets }).expect("plain data with text keys")
    }

    /// Reads what [`Self::to_handover`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn from_handover(bytes: &[u8]) -> Result<(ShowConfig, Self), HandoverError> {
        if bytes.len() > MAX_HANDOVER {
            return Err(HandoverError::TooLarge);
        }
        let handover: Handover = serde_json::from_slice(bytes).map_err(|_| HandoverError::Malformed)?;
        let secrets = handover.secrets.into_iter().map(|(purpose, secret)| (purpose, Secret::new(secret))).collect();
        Ok((handover.config, Self(secrets)))
    }
}

#[derive(Serialize, Deserialize)]
struct Handover {
    config: ShowConfig,
    secrets: BTreeMap<String, String>,
}

/// A [`Prompt`] on the controlling terminal, without echo.
///
/// # Errors
/// When there is no terminal, or it was closed.
pub fn ask_on_terminal(output: &OutputConfig) -> std::io::Result<Secret> {
    let server = output.url.host_str().unwrap_or_default();
    rpassword::prompt_password(format!("Stream key of {} ({server}), not shown: ", output.name)).map(Secret::new)
}

/// Finds every secret that `config` names. An output that does not start with the show may lack its key.
///
/// # Errors
/// Every secret that could not be had.
pub fn resolve(config: &ShowConfig, places: &mut Places<'_>) -> Result<Resolved, Vec<SecretError>> {
    let mut resolver = Resolver { places, seen: HashMap::new(), found: Resolved::default(), errors: Vec::new() };
    for (index, source) in config.sources.iter().enumerate() {
        for (key, reference) in source.kind.secrets() {
            resolver.add(format!("source.{index}.{key}"), reference, None);
        }
    }
    for output in &config.outputs {
        if let Some(reference) = &output.key {
            resolver.add(format!("output.{}.key", output.name), reference, Some(output));
        }
    }
    resolver.add_alerts(config.alerts.iter());
    let Resolver { found, errors, .. } = resolver;
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Finds the secrets of the daemon's own alerts.
///
/// # Errors
/// Every secret that could not be had.
pub fn resolve_alerts(alerts: &[DaemonAlert], places: &mut Places<'_>) -> Result<Resolved, Vec<SecretError>> {
    let mut resolver = Resolver { places, seen: HashMap::new(), found: Resolved::default(), errors: Vec::new() };
    resolver.add_alerts(alerts.iter().map(|one| &one.alert));
    let Resolver { found, errors, .. } = resolver;
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// Finds the key of an output that is added to a live show.
///
/// # Errors
/// What is wrong with the place that was named.
pub fn find_key(reference: &SecretRef, places: &mut Places<'_>) -> Result<Secret, SecretError> {
    let mut resolver = Resolver { places, seen: HashMap::new(), found: Resolved::default(), errors: Vec::new() };
    let found = resolver.find(reference, None).and_then(|secret| usable(secret, reference));
    found.map_err(|(message, remedy)| SecretError { purpose: "key".to_owned(), message, remedy })
}

struct Resolver<'p, 'a> {
    places: &'p mut Places<'a>,
    /// A primary and its backup name the same secret: it is asked for once.
    seen: HashMap<SecretRef, Secret>,
    found: Resolved,
    errors: Vec<SecretError>,
}

impl Resolver<'_, '_> {
    fn add(&mut self, purpose: String, reference: &SecretRef, output: Option<&OutputConfig>) {
        let result = match self.seen.get(reference) {
            Some(secret) => Ok(secret.clone()),
            None => self.find(reference, output),
        };
        let result = result.and_then(|secret| usable(secret, reference));
        match result {
            Ok(secret) => {
                self.seen.insert(reference.clone(), secret.clone());
                self.found.secrets.insert(purpose, secret);
            }
            Err((message, remedy)) => {
                let error = SecretError { purpose, message, remedy };
                if output.is_some_and(|output| !output.enabled) {
                    self.found.notes.push(error.to_string());
                } else {
                    self.errors.push(error);
                }
            }
        }
    }

    fn add_alerts<'c>(&mut self, alerts: impl Iterator<Item = &'c AlertConfig>) {
        for (index, alert) in alerts.enumerate() {
            self.add_webhook(format!("alert.{index}.webhook"), &alert.action);
            if let Some(reference) = &alert.secret {
                self.add(format!("alert.{index}.secret"), reference, None);
            }
        }
    }

    /// A webhook's address is a secret as a whole: many platforms put the right to use it into its path.
    fn add_webhook(&mut self, purpose: String, action: &AlertAction) {
        match action {
            AlertAction::Command(_) => {}
            AlertAction::Webhook(url) => self.found.secrets.insert(purpose, Secret::new(url.expose())),
            AlertAction::WebhookAt(reference) => {
                self.add(purpose.clone(), reference, None);
                let Some(url) = self.found.secrets.get(&purpose) else { return };
                if let Err((message, remedy)) = super::alert::webhook_url(url.expose()) {
                    let message = format!("the address {message} ({})", reference.describe());
                    self.errors.push(SecretError { purpose, message, remedy });
                }
            }
        }
    }

    fn find(&mut self, reference: &SecretRef, output: Option<&OutputConfig>) -> Result<Secret, (String, String)> {
        match reference {
            SecretRef::Env(name) => (self.places.env)(name).map(Secret::new).ok_or_else(|| {
                (
                    format!("the environment variable {name} is not set"),
                    format!("Set it before the start: export {name}=…"),
                )
            }),
            SecretRef::File(path) => self.read_file(path),
            SecretRef::Credential(name) => match &self.places.credentials {
                Some(folder) => read_bounded(&folder.join(name)),
                None => Err((
                    format!("there is no credential {name}: this process was not started by systemd with credentials"),
                    format!("Add LoadCredential={name}:/path to the unit, or use key_file"),
                )),
            },
            SecretRef::Prompt(_) => match output {
                Some(output) => self.saved_or_typed(output),
                None => {
                    Err(("only a stream key can be asked for".into(), "Use an environment variable or a file".into()))
                }
            },
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<Secret, (String, String)> {
        if let Some(note) = check_mode(path)? {
            self.found.notes.push(note);
        }
        read_bounded(path)
    }

    fn saved_or_typed(&mut self, output: &OutputConfig) -> Result<Secret, (String, String)> {
        if let Some(store) = self.places.store {
            match store.load(&output.name, &output.url) {
                Ok(SavedKey::Found(secret)) => return Ok(secret),
                Ok(SavedKey::None) => {}
                Ok(SavedKey::Elsewhere { server }) => self.found.notes.push(format!(
                    "The saved key of output {} belongs to {server} and is not used: the output points elsewhere now.",
                    output.name
                )),
                Err(error) => {
                    self.found.notes.push(format!("The saved key of output {} is not used: {error}.", output.name))
                }
            }
        }
        let Some(prompt) = self.places.prompt.as_mut() else {
            let remedy = "Run it on a terminal once and save the key, or use key_env or key_file";
            return Err((
                format!("no key of output {} is saved, and there is no terminal to ask on", output.name),
                remedy.into(),
            ));
        };
        let secret =
            prompt(output).map_err(|error| (format!("the terminal gave no key: {error}"), "Try again".into()))?;
        self.found.typed.push(output.name.clone());
        Ok(secret)
    }
}

/// Trims the secret; refuses what no key or cookie can be.
fn usable(secret: Secret, reference: &SecretRef) -> Result<Secret, (String, String)> {
    let trimmed = secret.expose().trim();
    let place = reference.describe();
    if trimmed.is_empty() {
        return Err((format!("empty ({place})"), "Put the secret there".into()));
    }
    if trimmed.len() > MAX_SECRET || trimmed.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err((
            format!("no single word ({place})"),
            "Put the bare secret there, without spaces and further lines".into(),
        ));
    }
    Ok(Secret::new(trimmed))
}

/// Refuses a file that others on this machine can read; `chmod` mends it.
///
/// What a container runtime mounts under `/run/secrets` has the mode that the runtime gives it, and is only noted.
///
/// # Errors
/// What is wrong and what to do, both without a full stop.
pub fn check_mode(path: &Path) -> Result<Option<String>, (String, String)> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        return Err((format!("{shown} is no file"), "Write the path of a file that holds the secret".into()));
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(None);
    }
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if path.starts_with("/run/secrets") || !own {
        return Ok(Some(format!("Others on this machine can read {shown}, and it is not ours to change.")));
    }
    Err((format!("others on this machine can read {shown}"), format!("Run chmod 600 {shown}")))
}

/// The first line of a file.
fn read_bounded(path: &Path) -> Result<Secret, (String, String)> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(MAX_SECRET as u64 * 2).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> (String, String) {
    (format!("{} cannot be read: {error}", path.display()), "Check the path and who may read it".into())
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
