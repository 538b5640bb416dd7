//! `spacebridge check FILE`: every fault in a configuration at once, or what the show will be and what it needs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::config::secrets::check_mode;
use crate::config::units::format_size;
use crate::config::{Known, OutputConfig, Problem, Seat, SecretRef, ShowConfig, SourceKind, load};

/// Exit code of a bad configuration, as in `sysexits.h` (a command line that was used wrongly).
pub const EXIT_BAD_CONFIG: u8 = 64;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageUse {
    /// An SVG template.
    Template,
    /// A still image instead of a template.
    Still,
    /// Artwork on the template.
    Artwork,
}

/// Whether the picture stage can use an image; if not, why, in words without a full stop.
pub type ImageCheck<'a> = &'a dyn Fn(&Path, ImageUse) -> Result<(), String>;

/// What `check` asks of the rest of the program.
#[derive(Clone, Copy)]
pub struct Checks<'a> {
    /// Presets and the reader of Space links.
    pub known: Known<'a>,
    /// The picture stage's judgement.
    pub image: ImageCheck<'a>,
    /// Whether an environment variable is set.
    pub env_is_set: &'a dyn Fn(&str) -> bool,
}

/// Checks the configuration in `file` and writes the result.
///
/// # Errors
/// Only when the result cannot be written.
pub fn run(file: &Path, checks: Checks<'_>, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = load(file, checks.known);
    let faults = match &config {
        Ok(config) => file_problems(config, checks.image, &[]),
        Err(problems) => problems.clone(),
    };
    let text = match &config {
        Ok(config) if faults.is_empty() => summary(file, config, checks),
        _ => problem_list(&file.display().to_string(), &faults),
    };
    out.write_all(text.as_bytes()).context("the result could not be written")?;
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_BAD_CONFIG) })
}

/// The faults as text, one each line, with a heading. `subject` is the file, or `the command line`.
pub fn problem_list(subject: &str, problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "one fault".to_owned(),
        count => format!("{count} faults"),
    };
    let lines: String = problems.iter().map(|problem| format!("  {problem}\n")).collect();
    format!("{subject} has {count}:\n{lines}")
}

/// What is wrong with the files that a configuration names. Files of secrets that are `awaited` need not be there yet.
pub fn file_problems(config: &ShowConfig, image: ImageCheck<'_>, awaited: &[PathBuf]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |key: String, message: String, remedy: &str| {
        problems.push(Problem { key, line: None, message, remedy: remedy.to_owned() });
    };
    let slate = &config.slate;
    let images = [
        ("slate.template", &slate.template, ImageUse::Template),
        ("slate.image", &slate.image, ImageUse::Still),
        ("slate.artwork", &slate.artwork, ImageUse::Artwork),
    ];
    for (key, path, purpose) in images {
        if let Some(path) = path {
            let checked = is_file(path).and_then(|()| image(path, purpose));
            if let Err(message) = checked {
                add(key.into(), message, "Give another file, or leave the key out for the built-in picture");
            }
        }
    }
    if let Some(Err(message)) = config.program.hold_audio.as_deref().map(is_file) {
        add("program.hold_audio".into(), message, "Give another file, or leave the key out for silence");
    }
    for (key, path) in secret_files(config).into_iter().filter(|(_, path)| !awaited.contains(path)) {
        if let Err((message, remedy)) = check_mode(&path) {
            add(key, message, &remedy);
        }
    }
    problems
}

fn is_file(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if metadata.is_file() { Ok(()) } else { Err(format!("{} is no file", path.display())) }
}

/// Every file that holds a secret, with its key. A backup output names its primary's file: that is told once.
fn secret_files(config: &ShowConfig) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    for (index, source) in config.sources.iter().enumerate() {
        let number = index + 1;
        if let SourceKind::XSpace { cookies_file: Some(path), .. } = &source.kind {
            files.push((format!("source[{number}].cookies_file"), path.clone()));
        }
        for (key, secret) in source.kind.secrets() {
            if let SecretRef::File(path) = secret {
                files.push((format!("source[{number}].{key}_file"), path.clone()));
            }
        }
    }
    for output in config.outputs.iter().filter(|output| !is_backup(output)) {
        if let Some(SecretRef::File(path)) = &output.key {
            files.push((format!("key_file of the output {}", output.name), path.clone()));
        }
    }
    for (index, alert) in config.alerts.iter().enumerate() {
        if let Some(SecretRef::File(path)) = alert.action.secret() {
            files.push((format!("alert[{}].webhook_file", index + 1), path.clone()));
        }
    }
    files
}

fn is_backup(output: &OutputConfig) -> bool {
    output.group.as_ref().is_some_and(|group| *group != output.name)
}

/// The upload of all outputs that start with the show, in kbit/s, with 5 % for RTMP, TCP and TLS around the media.
pub fn upload_kbps(config: &ShowConfig) -> u64 {
    let outputs = config.outputs.iter().filter(|output| output.enabled).count() as u64;
    outputs * u64::from(config.slate.video_kbps + config.program.audio_kbps) * 105 / 100
}

fn summary(file: &Path, config: &ShowConfig, checks: Checks<'_>) -> String {
    let mut lines = vec![format!("{} is in order.", file.display()), String::new()];
    let mut row = |name: &str, text: String| lines.push(format!("{name:<11}{text}"));
    row("Show", format!("{}, times in {}", config.show.name, config.show.timezone));
    for (index, source) in config.sources.iter().enumerate() {
        row(&format!("Source {}", index + 1), describe_source(&source.kind));
    }
    for output in &config.outputs {
        row("Output", describe_output(output, checks));
    }
    let slate = &config.slate;
    let rate = if slate.video_kbps == 0 { "no floor".to_owned() } else { format!("{} kbit/s", slate.video_kbps) };
    row("Picture", format!("{}x{} at {} fps, {rate}", slate.format.width, slate.format.height, slate.format.fps));
    let program = &config.program;
    row("Sound", format!("AAC {} kbit/s, {} Hz, stereo", program.audio_kbps, program.sample_rate));
    row("Recording", describe_recording(config));
    if let Some(consent) = &config.show.consent {
        row("Consent", consent.clone());
    }
    row("Upload", describe_upload(config));
    let notes = notes(config, checks);
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes.into_iter().map(|note| format!("Note: {note}")));
    }
    lines.join("\n") + "\n"
}

fn describe_source(kind: &SourceKind) -> String {
    match kind {
        SourceKind::XSpace { url, auth_token, cookies_file, seat, .. } => {
            let login = match (cookies_file, auth_token) {
                (Some(path), _) => format!("login from {}", path.display()),
                (None, Some(secret)) => format!("login from {}", secret.describe()),
                (None, None) => "as a guest".to_owned(),
            };
            let seat = if *seat == Seat::Listener { "" } else { ", as a muted speaker" };
            format!("X Space {url}, {login}{seat}")
        }
        SourceKind::Uri { uri } => format!("live audio at {}://{}", uri.scheme(), uri.host_str().unwrap_or(uri.path())),
        SourceKind::Whep { url, .. } => format!("WHEP endpoint at {}", url.host_str().unwrap_or_default()),
        SourceKind::Janus { url, room, .. } => format!("room {room} at {}", url.host_str().unwrap_or_default()),
        SourceKind::Tone { duration: None } => "test tone".into(),
        SourceKind::Tone { duration: Some(duration) } => format!("test tone for {} s", duration.as_secs()),
    }
}

fn describe_output(output: &OutputConfig, checks: Checks<'_>) -> String {
    let key = match &output.key {
        Some(secret @ SecretRef::Env(name)) => {
            format!("{} ({})", secret.describe(), if (checks.env_is_set)(name) { "set" } else { "not set now" })
        }
        Some(secret) => secret.describe(),
        None => "none".into(),
    };
    let off = if output.enabled { "" } else { ", does not start by itself" };
    format!("{} ({}) {}, key: {key}{off}", output.name, output.preset, output.url)
}

fn describe_recording(config: &ShowConfig) -> String {
    if !config.recording.enabled {
        return "none".into();
    }
    let folder = &config.recording.folder;
    let free = free_bytes(folder).map(|bytes| format!(", {} free", format_size(bytes))).unwrap_or_default();
    format!("{}{free}", folder.display())
}

fn describe_upload(config: &ShowConfig) -> String {
    let count = config.outputs.iter().filter(|output| output.enabled).count();
    let floor = if config.slate.video_kbps == 0 { "at least " } else { "" };
    match count {
        0 => "none: the show is only recorded".into(),
        _ => format!("{floor}{:.1} Mbit/s for {count} outputs", upload_kbps(config) as f64 / 1000.0),
    }
}

fn notes(config: &ShowConfig, checks: Checks<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for output in config.outputs.iter().filter(|output| !is_backup(output)) {
        let Some(preset) = checks.known.preset(&output.preset) else { continue };
        let name = &output.name;
        if !preset.verified {
            notes.push(format!("the preset of {name} was not verified against the platform's documentation."));
        }
        if output.url.scheme() == "rtmp" && !is_loopback(output) {
            notes.push(format!(
                "{name} is plain RTMP: its key travels unencrypted. Use rtmps where the platform has it."
            ));
        }
        if let Some(most) = preset.max_video_kbps.filter(|most| config.slate.video_kbps > *most) {
            let now = config.slate.video_kbps;
            notes.push(format!("{name} takes at most {most} kbit/s of video, and slate.video_kbps is {now}."));
        }
    }
    if !config.recording.enabled && config.outputs.is_empty() {
        notes.push("nothing is published and nothing is recorded.".into());
    }
    notes
}

fn is_loopback(output: &OutputConfig) -> bool {
    matches!(output.url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Bytes free for us on the disk of `folder`, or of the nearest folder above it that exists.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|path| path.exists())?;
    let stat = rustix::fs::statvfs(existing).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
