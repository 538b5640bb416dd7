//! The sections `[[source]]`.

use std::path::Path;
use std::time::Duration;

use super::Section;
use super::output::secret;
use crate::config::check::{Place, SpaceLogin, closest, space};
use crate::config::known::Known;
use crate::config::{Seat, SourceConfig, SourceKind, Standby, address};

const KINDS: &[&str] = &["x-space", "uri", "whep", "janus", "tone"];

/// The program holds at most this much ahead: two minutes of samples are 46 MB of memory.
const MAX_DELAY: Duration = Duration::from_secs(120);

pub(super) fn sources(root: &mut Section<'_>, base: &Path, known: Known<'_>) -> Vec<SourceConfig> {
    let sections = root.sections("source");
    if sections.is_empty() && !root.has("source") {
        root.missing("source", "Write [[source]], kind = \"x-space\" and url = \"https://x.com/i/spaces/…\"");
    }
    sections.into_iter().filter_map(|section| source(section, base, known)).collect()
}

fn source(mut section: Section<'_>, base: &Path, known: Known<'_>) -> Option<SourceConfig> {
    let kind = section.text("kind");
    let delay = section.duration("delay", Duration::from_millis(100)..=MAX_DELAY);
    let kind = match kind.as_deref() {
        Some("x-space") => x_space(&mut section, base, known),
        Some("uri") => uri(&mut section),
        Some("whep") => whep(&mut section, base),
        Some("janus") => janus(&mut section, base),
        Some("tone") => {
            let week = Duration::from_secs(7 * 24 * 3600);
            Some(SourceKind::Tone { duration: section.duration("duration", Duration::from_secs(1)..=week) })
        }
        other => {
            unknown_kind(&section, other);
            // Which keys belong here depends on the kind: telling them as unknown would mislead.
            return None;
        }
    };
    let standby = standby(&mut section);
    let is_room = kind.as_ref().is_some_and(SourceKind::is_room);
    let level = is_room.then(|| section.flag("level_speakers")).flatten();
    section.finish();
    Some(SourceConfig { kind: kind?, delay, standby, level_speakers: level.unwrap_or(false) })
}

fn standby(section: &mut Section<'_>) -> Standby {
    match section.text("standby").as_deref() {
        Some("warm") => Standby::Warm,
        Some("cold") | None => Standby::Cold,
        Some(_) => {
            let remedy = "Write \"warm\" (always connected) or \"cold\" (connected when the one that is heard fails)";
            section.problem("standby", "unknown way to stand by", remedy);
            Standby::Cold
        }
    }
}

fn unknown_kind(section: &Section<'_>, kind: Option<&str>) {
    let remedy = kind.and_then(|kind| closest(kind, KINDS)).map_or_else(
        || {
            "Write kind = \"x-space\" (an X Space), \"uri\" (live audio at an address), \"whep\" or \"janus\" (WebRTC), or \
             \"tone\" (a test sound)"
                .into()
        },
        |kind| format!("Did you mean {kind}"),
    );
    match kind {
        Some(_) => section.problem("kind", "unknown kind of source", remedy),
        None if section.has("kind") => {}
        None => section.missing("kind", remedy),
    }
}

fn x_space(section: &mut Section<'_>, base: &Path, known: Known<'_>) -> Option<SourceKind> {
    let login = SpaceLogin {
        auth_token: secret(section, "auth_token", base),
        ct0: secret(section, "ct0", base),
        cookies_file: section.path("cookies_file", base),
    };
    let link = section.text("url");
    if link.is_none() && !section.has("url") {
        section.missing("url", "Write url = \"https://x.com/i/spaces/…\" as the Space's share button gives it");
    }
    let of = |key: &str| {
        // The faults of a login are told at the key that is there.
        let variants = [key.to_owned(), format!("{key}_env"), format!("{key}_file"), format!("{key}_credential")];
        let key = variants.iter().find(|key| section.has(key)).map_or(key, String::as_str);
        (section.path_of(key), section.line_of(key))
    };
    let kind = space(&link?, login, known, Place { report: section.report(), of: &of });
    let sits = seat(section);
    match kind? {
        SourceKind::XSpace { url, auth_token, ct0, cookies_file, .. } => {
            if sits != Seat::Listener && auth_token.is_none() && cookies_file.is_none() {
                section.problem(
                    "seat",
                    "needs a login",
                    "Add cookies_file, or auth_token and ct0, of the account that speaks",
                );
            }
            Some(SourceKind::XSpace { url, auth_token, ct0, cookies_file, seat: sits })
        }
        other => Some(other),
    }
}

/// How we sit in a Space. The keys of the speaker's seat belong to it alone.
fn seat(section: &mut Section<'_>) -> Seat {
    let seat = section.text("seat");
    let ask = section.flag("request_to_speak");
    let minute = Duration::from_secs(60);
    let approval = section.duration("approval_timeout", minute / 6..=60 * minute);
    let speaker = Seat::Speaker { ask: ask.unwrap_or(true), approval: approval.unwrap_or(5 * minute) };
    match seat.as_deref() {
        Some("speaker") => return speaker,
        Some("listener") | None => {}
        Some(_) => {
            let remedy = "Write \"listener\" (the public playlist) or \"speaker\" (on the stage, muted)";
            section.problem("seat", "unknown seat", remedy);
        }
    }
    for key in ["request_to_speak", "approval_timeout"] {
        if section.has(key) && section.has("seat") {
            section.problem(key, "belongs to the seat speaker", "Write seat = \"speaker\", or leave it out");
        }
    }
    Seat::Listener
}

fn whep(section: &mut Section<'_>, base: &Path) -> Option<SourceKind> {
    let token = secret(section, "token", base);
    let url = gateway(section, "https://media.example.com/whep/friday")?;
    Some(SourceKind::Whep { url, token })
}

fn janus(section: &mut Section<'_>, base: &Path) -> Option<SourceKind> {
    let (pin, token) = (secret(section, "pin", base), secret(section, "token", base));
    let api_secret = secret(section, "api_secret", base);
    let room = section.text("room");
    if room.is_none() && !section.has("room") {
        section.missing("room", "Write the room's number or name, such as room = \"1234\"");
    }
    let url = gateway(section, "https://media.example.com/janus")?;
    Some(SourceKind::Janus { url, room: room?, pin, token, api_secret })
}

/// The address of a server that is spoken to over HTTP.
fn gateway(section: &mut Section<'_>, example: &str) -> Option<url::Url> {
    let Some(text) = section.text("url") else {
        if !section.has("url") {
            section.missing("url", format!("Write url = \"{example}\", say"));
        }
        return None;
    };
    match address::source_uri(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
        Ok(url) => {
            section.problem("url", format!("begins with {}:", url.scheme()), format!("Write \"{example}\", say"));
            None
        }
        Err((message, remedy)) => {
            section.problem("url", message, remedy);
            None
        }
    }
}

fn uri(section: &mut Section<'_>) -> Option<SourceKind> {
    let Some(text) = section.text("uri") else {
        if !section.has("uri") {
            section.missing("uri", "Write uri = \"https://radio.example.com/live\", say");
        }
        return None;
    };
    match address::source_uri(&text) {
        Ok(uri) => Some(SourceKind::Uri { uri }),
        Err((message, remedy)) => {
            section.problem("uri", message, remedy);
            None
        }
    }
}
