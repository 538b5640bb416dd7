//! Builds a show's sources from its configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::BridgeError;
use super::conductor::SourceSlot;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Known, Seat, Secrets, ShowConfig, SourceConfig, SourceKind, Standby, source_of};
use crate::gst::GstError;
use crate::gst::decode_file::decode_start;
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::net::{HttpClient, HttpSettings};
use crate::source::janus::JanusSource;
use crate::source::janus::client::{Login, POLL_PATIENCE};
use crate::source::tone::ToneSource;
use crate::source::uri::UriSource;
use crate::source::whep::WhepSource;
use crate::source::x_space::XSpaceSource;
use crate::source::x_space::auth::Auth;
use crate::source::x_space::seat::{Rules, SpeakerSeat};
use crate::source::x_space::url::SpaceAddress;
use crate::source::{Past, Source, SourceError};

/// The bed loops: a minute is not heard as a loop, and is 23 MB of samples.
const HOLD_SAMPLES: usize = 60 * SAMPLE_RATE as usize;

/// Largest file of a bed, in bytes.
const HOLD_BYTES: u64 = 100_000_000;

/// Every source of the list, in order.
pub(super) fn build(config: &ShowConfig, secrets: &Secrets, clock: &Clock) -> Result<Vec<SourceSlot>, BridgeError> {
    config.sources.iter().enumerate().map(|(index, own)| slot(index, own, config, secrets, clock)).collect()
}

/// The source behind a link that an operator gives a running show. A Space is asked for as the first Space of the
/// configuration is, with its login and its delay.
///
/// # Errors
/// In words, with what to give instead.
pub(super) fn of_link(
    link: &str,
    config: &ShowConfig,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<SourceSlot, BridgeError> {
    let (index, own) = like_the_first(link, config)?;
    slot(index, &own, config, secrets, clock)
}

/// What the platform still holds of the session `link`: a Space's id or address, or the id of a configured source's
/// session. It is asked as the configuration asks.
///
/// # Errors
/// In words; among others when the source's platform holds nothing of what is past.
pub fn past_of(
    link: &str,
    config: &ShowConfig,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<Arc<dyn Past>, BridgeError> {
    let own =
        config.sources.iter().enumerate().filter_map(|(index, own)| source(index, own, config, secrets, clock).ok());
    let configured = own.into_iter().find(|source| source.session_id().as_deref() == Some(link));
    let source = match configured {
        Some(source) => source,
        None => {
            let (index, own) = like_the_first(link, config)?;
            source(index, &own, config, secrets, clock)?
        }
    };
    let none = || BridgeError::Source("nothing can be had of what is past: only Spaces have a past".to_owned());
    source.past().map(Arc::from).ok_or_else(none)
}

/// The source behind `link`, with the login of the configuration's first Space, and its place in the list for secrets.
fn like_the_first(link: &str, config: &ShowConfig) -> Result<(usize, SourceConfig), BridgeError> {
    let space_link =
        |link: &str| SpaceAddress::parse(link).map(|address| address.session_id()).map_err(|error| error.to_string());
    let known = Known { presets: &[], space_link: &space_link };
    let mut own = SourceConfig {
        kind: source_of(link, known).map_err(BridgeError::Source)?,
        delay: None,
        standby: Standby::default(),
        level_speakers: false,
    };
    let spaces = |source: &SourceConfig| matches!(source.kind, SourceKind::XSpace { .. });
    let first = config.sources.iter().position(spaces);
    if let (SourceKind::XSpace { url, .. }, Some(index)) = (&own.kind, first) {
        let url = url.clone();
        own = config.sources[index].clone();
        if let SourceKind::XSpace { url: old, .. } = &mut own.kind {
            *old = url;
        }
    }
    // Secrets are found by a source's place in the list; one that is not there has none.
    Ok((first.unwrap_or(config.sources.len()), own))
}

fn slot(
    index: usize,
    own: &SourceConfig,
    config: &ShowConfig,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<SourceSlot, BridgeError> {
    let source = source(index, own, config, secrets, clock)?;
    let delay = own.delay.unwrap_or_else(|| source.default_delay());
    let delay = (delay.as_secs_f64() * f64::from(SAMPLE_RATE)) as u64;
    Ok(SourceSlot::new(source, delay).standing_by(own.standby == Standby::Warm).levelled(own.level_speakers))
}

fn source(
    index: usize,
    own: &SourceConfig,
    config: &ShowConfig,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<Box<dyn Source>, BridgeError> {
    match &own.kind {
        SourceKind::Tone { duration } => Ok(Box::new(ToneSource::new(*duration))),
        SourceKind::XSpace { url, cookies_file, seat, .. } => {
            let auth = match cookies_file {
                Some(file) => Auth::from_cookies_file(file, clock.wall()),
                None => {
                    Auth::from_secrets(secrets.source_cookie(index, "auth_token"), secrets.source_cookie(index, "ct0"))
                }
            };
            let auth = auth.map_err(|error| BridgeError::Source(error.to_string()))?;
            space(url, *seat, config, auth, clock).map_err(|error| BridgeError::Source(error.to_string()))
        }
        SourceKind::Uri { uri } => Ok(Box::new(UriSource::new(uri.clone(), client_of(uri, None)?))),
        SourceKind::Janus { url, room, .. } => {
            let secret = |key| secrets.source(index, key).cloned();
            let login = Login { token: secret("token"), api_secret: secret("api_secret"), authorization: None };
            let client = client_of(url, Some(POLL_PATIENCE))?;
            Ok(Box::new(JanusSource::new(url.clone(), room, secret("pin"), login, client)))
        }
        SourceKind::Whep { url, .. } => {
            let token = secrets.source(index, "token").cloned();
            Ok(Box::new(WhepSource::new(url.clone(), token, client_of(url, None)?)))
        }
    }
}

/// A Space, heard from one of its seats.
fn space(
    url: &str,
    seat: Seat,
    config: &ShowConfig,
    auth: Auth,
    clock: &Clock,
) -> Result<Box<dyn Source>, SourceError> {
    Ok(match seat {
        Seat::Listener => Box::new(XSpaceSource::new(url, &config.x, auth, clock)?),
        Seat::Speaker { ask, approval } => {
            let rules = Rules { request_to_speak: ask, timeout: approval, ..Rules::default() };
            Box::new(SpeakerSeat::new(url, &config.x, auth, clock, rules)?)
        }
    })
}

/// A client that trusts the host of the operator's own address, and nothing that this one leads to.
fn client_of(uri: &Url, patience: Option<Duration>) -> Result<HttpClient, BridgeError> {
    let settings = HttpSettings {
        user_agent: concat!("spacebridge/", env!("CARGO_PKG_VERSION")).to_owned(),
        operator_urls: vec![uri.clone()],
        secret_hosts: uri.host_str().map(str::to_owned).into_iter().collect(),
        patience,
        ..HttpSettings::default()
    };
    HttpClient::new(settings).map_err(|error| BridgeError::Source(error.to_string()))
}

/// What sounds while there is no source: the operator's bed, or silence where there is none or it cannot be used.
pub(super) async fn hold_audio(config: &ShowConfig, events: &Events) -> Arc<[StereoSample]> {
    let Some(path) = config.program.hold_audio.clone() else { return Arc::from([]) };
    let read = tokio::task::spawn_blocking(move || read_hold(&path)).await;
    match read.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(samples) => samples.into(),
        Err(reason) => {
            let message = format!("The hold audio cannot be used, silence stands in its place: {reason}");
            let remedy = "Set hold_audio in [program] to a file of audio (MP3, AAC, Opus, Vorbis, FLAC or WAV).";
            events.error("program.hold_audio", "program", message, Some(remedy));
            Arc::from([])
        }
    }
}

fn read_hold(path: &Path) -> Result<Vec<StereoSample>, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !meta.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    if meta.len() > HOLD_BYTES {
        return Err(format!("{} has more than {} MB", path.display(), HOLD_BYTES / 1_000_000));
    }
    match decode_start(path, HOLD_SAMPLES) {
        Ok(samples) if !samples.is_empty() => Ok(samples),
        Ok(_) => Err(format!("{} holds no sound", path.display())),
        Err(error @ GstError::MissingElement { .. }) => Err(error.to_string()),
        Err(_) => Err(format!("{} holds no audio that can be played", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    async fn hold(path: &Path) -> (usize, Vec<String>) {
        crate::gst::init().expect("GStreamer");
        let mut config = show();
        config.program.hold_audio = Some(path.to_owned());
        let events = Events::new(Clock::system());
        let samples = hold_audio(&config, &events).await;
        (samples.len(), events.recent(10).into_iter().map(|event| event.message).collect())
    }

    fn show() -> ShowConfig {
        let known = crate::config::Known { presets: &[], space_link: &|_| Err(String::new()) };
        let text = "[show]\nname = \"night\"\n[[source]]\nkind = \"tone\"\n";
        crate::config::read(text, Path::new("/"), known).expect("a configuration")
    }

    #[test]
    fn a_link_for_a_running_show_is_judged_before_anything_is_given_up_and_keeps_login_and_delay() {
        crate::gst::init().expect("GStreamer");
        let mut config = show();
        let (secrets, clock) = (Secrets::default(), Clock::system());
        let of = |config: &ShowConfig, link: &str| {
            of_link(link, config, &secrets, &clock)
                .map(|slot| (slot.name().to_owned(), slot.delay / 48))
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(&config, "https://x.com/i/spaces/1DXxyRYNejbKM"), Ok(("Space 1DXxyRYNejbKM".to_owned(), 6000)));
        for link in ["", "https://x.com/somebody/status/1", "ftp://host/audio", "not a link"] {
            let words = of(&config, link).expect_err(link);
            assert!(words.len() > 20 && !words.contains('\n'), "{link:?}: {words}");
        }
        let no_file = Some("/nowhere/cookies.txt".into());
        let kind = SourceKind::XSpace {
            url: "1DXxyRYNejbKM".into(),
            auth_token: None,
            ct0: None,
            cookies_file: no_file,
            seat: Seat::Listener,
        };
        config.sources.push(SourceConfig {
            kind,
            delay: Some(std::time::Duration::from_secs(9)),
            standby: Standby::default(),
            level_speakers: false,
        });
        // The login is the configuration's, which cannot be read here.
        assert!(of(&config, "1aaaaaaaaaaaa").expect_err("no login").contains("cookies.txt"));
        config.sources[1].kind = SourceKind::XSpace {
            url: "1DXxyRYNejbKM".into(),
            auth_token: None,
            ct0: None,
            cookies_file: None,
            seat: Seat::Listener,
        };
        assert_eq!(of(&config, "1aaaaaaaaaaaa"), Ok(("Space 1aaaaaaaaaaaa".to_owned(), 9000)));
    }

    #[tokio::test]
    async fn a_bed_is_decoded_and_a_long_one_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        for (seconds, expected) in [(2, 2 * 48_000), (70, HOLD_SAMPLES)] {
            let path = folder.path().join("bed.wav");
            std::fs::write(&path, crate::gst::uri::wav(seconds)).expect("a file");
            assert_eq!(hold(&path).await, (expected, vec![]));
        }
    }

    #[tokio::test]
    async fn a_bed_that_cannot_be_used_is_told_and_silence_stands_in_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text.mp3");
        std::fs::write(&text, "not a sound\n".repeat(1000)).expect("a file");
        for path in [folder.path(), &folder.path().join("none.mp3"), &text] {
            let (samples, events) = hold(path).await;
            assert_eq!((samples, events.len()), (0, 1), "{events:?}");
            assert!(events[0].starts_with("The hold audio cannot be used"), "{events:?}");
        }
    }
}
