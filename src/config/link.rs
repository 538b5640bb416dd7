//! `spacebridge run LINK` without a file: plain options into a [`ShowConfig`], by the same rules as a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::check::{KeyDraft, OutputDraft, Place, SpaceLogin, outputs as check_outputs, space};
use super::known::Known;
use super::problem::{Problem, Report};
use super::read::{check_timezone, system_timezone};
use super::units::parse_duration;
use super::{
    FailoverConfig, ProgramConfig, RecordingConfig, SecretRef, ShowConfig, ShowSettings, SlateConfig, SourceConfig,
    SourceKind, Standby, WhenSpent, XApiConfig, address,
};

/// The options of `run` when it is given a link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// A Space's link or id, the address of a playlist or of other live audio, or `tone`.
    pub link: String,
    /// Names the state folder; the Space's id where none is given.
    pub name: Option<String>,
    /// How long before the announced start the outputs open, such as `10m`; at once where none is given.
    pub on_air_before: Option<String>,
    /// How long after the end the host's next space is waited for, such as `30m`; not at all where none is given.
    pub follow_host: Option<String>,
    /// Title on the slate and in the files.
    pub title: Option<String>,
    /// Host on the slate and in the files.
    pub host: Option<String>,
    /// IANA time zone; the machine's where none is given.
    pub timezone: Option<String>,
    /// Artwork on the slate.
    pub artwork: Option<PathBuf>,
    /// Parent folder of the archives.
    pub recordings: Option<PathBuf>,
    /// Whether nothing is kept.
    pub no_recording: bool,
    /// A browser's `cookies.txt`.
    pub cookies: Option<PathBuf>,
    /// Variable with the cookie `auth_token`.
    pub auth_token_env: Option<String>,
    /// Variable with the cookie `ct0`.
    pub ct0_env: Option<String>,
    /// Publishes to YouTube; implied by the other YouTube options.
    pub youtube: bool,
    /// Variable with YouTube's key.
    pub youtube_key_env: Option<String>,
    /// File with YouTube's key.
    pub youtube_key_file: Option<PathBuf>,
    /// Publishes to YouTube's backup server too.
    pub youtube_backup: bool,
    /// Rumble's server address.
    pub rumble_url: Option<String>,
    /// Variable with Rumble's key.
    pub rumble_key_env: Option<String>,
    /// File with Rumble's key.
    pub rumble_key_file: Option<PathBuf>,
    /// Publishes to Twitch; implied by the other Twitch options.
    pub twitch: bool,
    /// Variable with Twitch's key.
    pub twitch_key_env: Option<String>,
    /// File with Twitch's key.
    pub twitch_key_file: Option<PathBuf>,
    /// Further outputs, each `NAME=URL`.
    pub outputs: Vec<String>,
    /// Variables with the keys of further outputs, each `NAME=VARIABLE`.
    pub key_envs: Vec<String>,
    /// Whether a missing key can be asked for.
    pub on_terminal: bool,
}

/// Builds the configuration of a show from the options of `run`. Relative paths belong to `base_dir`.
///
/// # Errors
/// Every fault at once; its key is the option's name.
pub fn from_link(options: &RunOptions, base_dir: &Path, known: Known<'_>) -> Result<ShowConfig, Vec<Problem>> {
    let report = Report::default();
    let source = source(options, base_dir, known, &report);
    let show = show(options, source.as_ref().map(|(_, name)| name.as_str()), &report);
    let outputs = outputs(options, base_dir, known, &report);
    let mut recording = RecordingConfig { enabled: !options.no_recording, ..Default::default() };
    recording.folder = base_dir.join(options.recordings.as_ref().unwrap_or(&recording.folder));
    let slate = SlateConfig { artwork: options.artwork.as_ref().map(|path| base_dir.join(path)), ..Default::default() };
    match source {
        Some((kind, _)) if report.is_clean() => Ok(ShowConfig {
            show,
            sources: vec![SourceConfig { kind, delay: None, standby: Standby::default(), level_speakers: false }],
            failover: FailoverConfig::default(),
            program: ProgramConfig::default(),
            slate,
            outputs,
            recording,
            x: XApiConfig::default(),
            alerts: Vec::new(),
            pace: None,
        }),
        _ => Err(report.into_problems()),
    }
}

/// The source that a link names, as `source set` takes it: without a login, which belongs to the show.
///
/// # Errors
/// In words, with what to give instead.
pub fn source_of(link: &str, known: Known<'_>) -> Result<SourceKind, String> {
    let report = Report::default();
    let options = RunOptions { link: link.to_owned(), ..RunOptions::default() };
    match source(&options, Path::new("/"), known, &report) {
        Some((kind, _)) if report.is_clean() => Ok(kind),
        _ => {
            let words: Vec<String> = report.into_problems().iter().map(ToString::to_string).collect();
            Err(words.join("; "))
        }
    }
}

fn show(options: &RunOptions, found_name: Option<&str>, report: &Report) -> ShowSettings {
    let name = options.name.as_deref().or(found_name).unwrap_or("show");
    if let Err((message, remedy)) = address::plain_name(name) {
        report.add("--name", None, message, remedy);
    }
    if let Some(Err((message, remedy))) = options.timezone.as_deref().map(check_timezone) {
        report.add("--timezone", None, message, remedy);
    }
    ShowSettings {
        name: name.to_owned(),
        title: options.title.clone(),
        host: options.host.clone(),
        timezone: options.timezone.clone().unwrap_or_else(system_timezone),
        closing: super::CLOSING,
        give_up_after: None,
        on_air_before: time("--on-air-before", options.on_air_before.as_deref(), report),
        start: None,
        follow_host: time("--follow-host", options.follow_host.as_deref(), report),
        public_delay: Duration::ZERO,
        consent: None,
    }
}

/// A length of time that an option names, up to a day.
fn time(option: &str, text: Option<&str>, report: &Report) -> Option<Duration> {
    let remedy = "Give a time with its unit, such as 30m or 2h, of at most a day";
    match parse_duration(text?) {
        Ok(time) if time > Duration::ZERO && time <= Duration::from_secs(24 * 3600) => Some(time),
        Ok(_) => {
            report.add(option, None, "is not between nothing and a day", remedy);
            None
        }
        Err(message) => {
            report.add(option, None, message, remedy);
            None
        }
    }
}

/// The source and a name for the show.
fn source(options: &RunOptions, base: &Path, known: Known<'_>, report: &Report) -> Option<(SourceKind, String)> {
    let link = options.link.trim();
    if link == "tone" {
        return Some((SourceKind::Tone { duration: None }, "tone".into()));
    }
    if let Some(url) = other_audio(link) {
        return match address::source_uri(link) {
            Ok(uri) => Some((SourceKind::Uri { uri }, folder_name(url.host_str().unwrap_or("file")))),
            Err((message, remedy)) => {
                report.add("the link", None, message, remedy);
                None
            }
        };
    }
    let env = |option: &str, name: &Option<String>| env_option(option, name.as_deref(), report);
    let login = SpaceLogin {
        auth_token: env("--auth-token-env", &options.auth_token_env),
        ct0: env("--ct0-env", &options.ct0_env),
        cookies_file: options.cookies.as_ref().map(|path| base.join(path)),
    };
    let of = |key: &str| {
        let option = match key {
            "auth_token" => "--auth-token-env",
            "ct0" => "--ct0-env",
            "cookies_file" => "--cookies",
            _ => "the link",
        };
        (option.to_owned(), None)
    };
    let kind = space(link, login, known, Place { report, of: &of })?;
    let name = (known.space_link)(link).map(|id| folder_name(&id)).unwrap_or_else(|_| "show".into());
    Some((kind, name))
}

/// The address, if the link is certainly no Space: everything else is judged by the Space's reader, which knows best
/// what to say about it.
fn other_audio(link: &str) -> Option<url::Url> {
    let url = url::Url::parse(link).ok()?;
    let host = url.host_str().unwrap_or_default();
    let family = ["x.com", "twitter.com", "pscp.tv", "periscope.tv"];
    let of_x = family.iter().any(|name| host == *name || host.ends_with(&format!(".{name}")))
        || host.ends_with(".onion")
        || url.path().ends_with("/dynamic_playlist.m3u8");
    // `x.com:443/…` without a scheme parses as the scheme `x.com`.
    (!of_x && !url.scheme().contains('.')).then_some(url)
}

fn folder_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = text.chars().take(64).map(plain).collect();
    let name = name.trim_start_matches('-');
    if name.is_empty() { "show".into() } else { name.to_owned() }
}

fn env_option(option: &str, name: Option<&str>, report: &Report) -> Option<SecretRef> {
    match address::env_name(name?, option) {
        Ok(name) => Some(SecretRef::Env(name)),
        Err((message, _)) => {
            let remedy =
                format!("Write {option} YT_KEY, say, and set the variable YT_KEY to the secret before the start");
            report.add(option, None, message, remedy);
            None
        }
    }
}

/// The options of one platform.
struct Platform<'a> {
    name: &'static str,
    wanted: bool,
    url: Option<&'a String>,
    key_env: Option<&'a String>,
    key_file: Option<&'a PathBuf>,
    backup: bool,
}

fn outputs(options: &RunOptions, base: &Path, known: Known<'_>, report: &Report) -> Vec<super::OutputConfig> {
    let (yt_env, yt_file) = (options.youtube_key_env.as_ref(), options.youtube_key_file.as_ref());
    let (ru_env, ru_file) = (options.rumble_key_env.as_ref(), options.rumble_key_file.as_ref());
    let (tw_env, tw_file) = (options.twitch_key_env.as_ref(), options.twitch_key_file.as_ref());
    let none = Platform { name: "", wanted: false, url: None, key_env: None, key_file: None, backup: false };
    let youtube = Platform {
        name: "youtube",
        wanted: options.youtube,
        key_env: yt_env,
        key_file: yt_file,
        backup: options.youtube_backup,
        ..none
    };
    let rumble =
        Platform { name: "rumble", url: options.rumble_url.as_ref(), key_env: ru_env, key_file: ru_file, ..none };
    let twitch = Platform { name: "twitch", wanted: options.twitch, key_env: tw_env, key_file: tw_file, ..none };
    let mut taken = Vec::new();
    let mut outputs = Vec::new();
    for platform in [youtube, rumble, twitch] {
        let said =
            platform.url.is_some() || platform.key_env.is_some() || platform.key_file.is_some() || platform.backup;
        if said || platform.wanted {
            outputs.extend(platform_output(&platform, options.on_terminal, base, known, &mut taken, report));
        }
    }
    outputs.extend(further_outputs(options, known, &mut taken, report));
    outputs
}

fn platform_output(
    platform: &Platform<'_>,
    on_terminal: bool,
    base: &Path,
    known: Known<'_>,
    taken: &mut Vec<String>,
    report: &Report,
) -> Vec<super::OutputConfig> {
    let name = platform.name;
    let env_key = format!("--{name}-key-env");
    let key = match (platform.key_env, platform.key_file) {
        (Some(_), Some(_)) => {
            report.add(&env_key, None, "the key is said twice", format!("Keep {env_key} or --{name}-key-file"));
            KeyDraft::Faulty
        }
        (Some(env), None) => env_option(&env_key, Some(env), report).map_or(KeyDraft::Faulty, KeyDraft::Ref),
        (None, Some(file)) => KeyDraft::Ref(SecretRef::File(base.join(file))),
        (None, None) if on_terminal => KeyDraft::Prompt,
        (None, None) => {
            report.add(
                &env_key,
                None,
                "missing, and there is no terminal to ask on",
                format!("Add {env_key} or --{name}-key-file"),
            );
            KeyDraft::Faulty
        }
    };
    let draft = OutputDraft {
        name: Some(name.into()),
        preset: Some(name.into()),
        url: platform.url.cloned(),
        key,
        backup: platform.backup,
        enabled: true,
        broadcasts_per_hour: None,
        when_spent: WhenSpent::default(),
    };
    let of = |key: &str| (if key == "preset" { format!("--{name}") } else { format!("--{name}-{key}") }, None);
    check_outputs(draft, known, taken, Place { report, of: &of })
}

fn further_outputs(
    options: &RunOptions,
    known: Known<'_>,
    taken: &mut Vec<String>,
    report: &Report,
) -> Vec<super::OutputConfig> {
    let mut key_envs: Vec<(&str, &str)> = pairs(&options.key_envs, "--key-env", "NAME=VARIABLE", report);
    let mut outputs = Vec::new();
    for (name, url) in pairs(&options.outputs, "--output", "NAME=rtmp://host/app", report) {
        let env = key_envs.iter().position(|(of, _)| *of == name).map(|at| key_envs.remove(at).1);
        let key = match env {
            Some(env) => env_option("--key-env", Some(env), report).map_or(KeyDraft::Faulty, KeyDraft::Ref),
            None if options.on_terminal => KeyDraft::Prompt,
            None => {
                let remedy = "Add --key-env NAME=VARIABLE with the output's name";
                report.add("--key-env", None, "missing for an output, and there is no terminal to ask on", remedy);
                KeyDraft::Faulty
            }
        };
        let (name, url) = (Some(name.to_owned()), Some(url.to_owned()));
        let when_spent = WhenSpent::default();
        let draft = OutputDraft {
            name,
            preset: None,
            url,
            key,
            backup: false,
            enabled: true,
            broadcasts_per_hour: None,
            when_spent,
        };
        outputs.extend(check_outputs(draft, known, taken, Place { report, of: &|_| ("--output".into(), None) }));
    }
    if !key_envs.is_empty() {
        report.add("--key-env", None, "names no output", "Write the name that stands before = in --output");
    }
    outputs
}

fn pairs<'a>(texts: &'a [String], option: &str, form: &str, report: &Report) -> Vec<(&'a str, &'a str)> {
    let mut pairs = Vec::new();
    for text in texts {
        match text.split_once('=') {
            Some((name, value)) if !name.contains("://") => pairs.push((name, value)),
            _ => report.add(option, None, "has no name before =", format!("Write {option} {form}")),
        }
    }
    pairs
}
