//! The way from a Space's link to sound, walked by the very parts that the source uses.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;
use url::Url;

use super::{ChainProbe, Step};
use crate::clock::Clock;
use crate::config::XApiConfig;
use crate::gst::decode::{AacDecoder, DecoderOutput};
use crate::source::hls::{Fetched, HlsEvent, HlsReader};
use crate::source::x_space::auth::Auth;
use crate::source::x_space::metadata::{Metadata, SpaceState};
use crate::source::x_space::url::{SpaceAddress, SpaceId};
use crate::source::x_space::{XSpaceSource, segment};

/// How long a playlist may take to list something, and a segment to arrive.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long one segment may take to be decoded.
const DECODING: Duration = Duration::from_secs(5);

type Tell<'a> = &'a mut (dyn FnMut(Step) + Send);

/// Walks the chain with the operator's login, or as a guest.
pub struct SpaceChain {
    /// How to reach the API.
    pub config: XApiConfig,
    /// Who asks, or why the cookies cannot be used.
    pub auth: Result<Auth, String>,
    /// Time.
    pub clock: Clock,
}

impl ChainProbe for SpaceChain {
    fn probe<'a>(&'a mut self, link: &'a str, tell: Tell<'a>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if self.walk(link, tell).await.is_none() {
                tracing::debug!("The way to the space was not walked to its end.");
            }
        })
    }
}

impl SpaceChain {
    async fn walk(&self, link: &str, tell: Tell<'_>) -> Option<()> {
        let address = told(tell, "link", SpaceAddress::parse(link), |address| address.session_id())?;
        let auth = told(tell, "sign-in", self.auth.clone(), |auth| match auth {
            Auth::LoggedIn { .. } => "both cookies are there; the next step shows whether X takes them".to_owned(),
            Auth::Guest => "as a guest, which X does not always allow; --cookies FILE signs in".to_owned(),
        })?;
        let source = told_only(tell, "sign-in", XSpaceSource::new(link, &self.config, auth, &self.clock))?;
        let playlist = match &address {
            SpaceAddress::Playlist(url) => url.clone(),
            SpaceAddress::Space { id, .. } => self.look_up(&source, id, tell).await?,
        };
        let fetched = self.read(source.reader(playlist, &self.clock), tell).await?;
        decode(&fetched, tell).await
    }

    async fn look_up(&self, source: &XSpaceSource, id: &SpaceId, tell: Tell<'_>) -> Option<Url> {
        let found = told(tell, "metadata", source.api().space(id).await, |metadata| {
            let title = metadata.title.as_deref().unwrap_or("without a title");
            format!("{title}, by {}", metadata.host.as_deref().unwrap_or("an unknown host"))
        })?;
        tell(state(&found));
        if found.state != SpaceState::Running {
            return None;
        }
        let Some(key) = &found.media_key else {
            tell(Step::failed("stream location", "X names no stream for it", "Try again in a minute"));
            return None;
        };
        told(tell, "stream location", source.api().stream(key).await, |url| {
            format!("on {}", url.host_str().unwrap_or("an unknown host"))
        })
    }

    async fn read(&self, mut reader: HlsReader, tell: Tell<'_>) -> Option<Fetched> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut listed = false;
        loop {
            let step = if listed { "segment" } else { "playlist" };
            let Ok(event) = tokio::time::timeout_at(deadline, reader.next()).await else {
                tell(Step::failed(step, format!("nothing within {} s", PATIENCE.as_secs()), "Try again, or later"));
                return None;
            };
            match event {
                HlsEvent::Listed(entries) if !listed => {
                    listed = true;
                    tell(Step::ok("playlist", format!("lists {} segments", entries.len())));
                }
                HlsEvent::Segment(fetched) => {
                    tell(Step::ok("segment", format!("{} bytes", fetched.bytes.len())));
                    return Some(fetched);
                }
                HlsEvent::Missing(hole) => {
                    tell(Step::failed("segment", hole.cause, "Try again: one of them may lack for a moment"));
                    return None;
                }
                HlsEvent::Trouble(trouble) => {
                    tell(Step::failed(step, trouble.to_string(), "Is the Space live at this moment?"));
                    return None;
                }
                HlsEvent::Listed(_) | HlsEvent::Late(_) | HlsEvent::Moved(_) | HlsEvent::Ended => {}
            }
        }
    }
}

async fn decode(fetched: &Fetched, tell: Tell<'_>) -> Option<()> {
    let split = segment::split(&fetched.bytes);
    let (sender, mut outputs) = mpsc::unbounded_channel();
    let mut decoder = told_only(tell, "decoding", AacDecoder::new(sender))?;
    let frames = split.frames.len();
    for frame in split.frames {
        decoder.push(frame.offset as i64, frame.bytes);
    }
    decoder.finish();
    let wanted = split.duration as usize;
    let mut samples = 0;
    while samples < wanted {
        match tokio::time::timeout(DECODING, outputs.recv()).await {
            Ok(Some(DecoderOutput::Audio(block))) => samples += block.samples.len(),
            Ok(Some(DecoderOutput::Errors { .. })) => {}
            _ => break,
        }
    }
    let seconds = samples as f64 / f64::from(crate::media::SAMPLE_RATE);
    tell(match samples {
        0 => Step::failed("decoding", format!("none of {frames} frames gives sound"), "Report this with --save"),
        _ => Step::ok("decoding", format!("{frames} frames, {seconds:.1} s of sound")),
    });
    Some(())
}

fn state(found: &Metadata) -> Step {
    let word = found.state_word.clone();
    match found.state {
        SpaceState::Running => Step::ok("state", word),
        state if state.is_over() => Step::failed("state", format!("{word}: it is over"), "Give the link of a live one"),
        _ => Step::warning("state", format!("{word}: no sound yet"), "Try again when it has started; run waits for it"),
    }
}

/// Tells how a step went, and gives what it brought.
fn told<T, E: ToString>(
    tell: Tell<'_>,
    name: &str,
    result: Result<T, E>,
    words: impl FnOnce(&T) -> String,
) -> Option<T> {
    let value = told_only(tell, name, result)?;
    tell(Step::ok(name, words(&value)));
    Some(value)
}

/// Tells only a failure.
fn told_only<T, E: ToString>(tell: Tell<'_>, name: &str, result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let words = error.to_string();
            // Our errors say what happened, and behind a colon or semicolon what to do.
            let (what, remedy) = words.split_once("; ").unwrap_or((&words, "See the message"));
            tell(Step::failed(name, what, remedy));
            None
        }
    }
}
