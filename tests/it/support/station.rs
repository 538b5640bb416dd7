//! Stations that play one ruler at the same time, each with a lag of its own, and that freeze, fall silent or go down.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use crate::uri::{ruler_file, serve};

/// One AAC frame.
const FRAME: f64 = 1024.0 / 48_000.0;

/// What a station sends at once to whoever comes, in frames: half a second.
const GREETING: usize = 24;

/// What a station does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Plays the ruler.
    Plays,
    /// Keeps the connection, and sends nothing.
    Freezes,
    /// Sends silence.
    Mutes,
    /// Ends every connection, and refuses new ones.
    IsDown,
}

/// What all stations play: the frames of one file, and when it began.
#[derive(Clone)]
pub(crate) struct Tape {
    frames: Arc<Vec<Bytes>>,
    silence: Bytes,
    began: Instant,
}

impl Tape {
    /// `seconds` of the ruler, from now on.
    pub(crate) fn new(folder: &Path, seconds: u32) -> Self {
        let adts = |file: &Path| frames(Bytes::from(std::fs::read(file).expect("a file")));
        let aac = ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "adts"];
        let ruler = adts(&ruler_file(folder, "tape.aac", seconds, &aac));
        let silent = [&["-af", "volume=0"][..], &aac].concat();
        let silence = adts(&ruler_file(folder, "silence.aac", 2, &silent)).swap_remove(10);
        Self { frames: Arc::new(ruler), silence, began: Instant::now() }
    }
}

/// A station at an address of its own.
pub(crate) struct Station {
    /// Where it is heard.
    pub(crate) url: String,
    does: watch::Sender<Does>,
}

impl Station {
    /// A station that plays `lag` behind the tape's time.
    pub(crate) async fn start(tape: &Tape, lag: Duration) -> Self {
        let (does, watched) = watch::channel(Does::Plays);
        let tape = tape.clone();
        let handler = move || {
            let (tape, does) = (tape.clone(), watched.clone());
            async move { answer(tape, lag, does) }
        };
        let base = serve(Router::new().route("/live", get(handler))).await;
        Self { url: format!("{base}/live"), does }
    }

    /// What it does from now on.
    pub(crate) fn order(&self, does: Does) {
        self.does.send_replace(does);
    }
}

fn answer(tape: Tape, lag: Duration, does: watch::Receiver<Does>) -> Response {
    if *does.borrow() == Does::IsDown {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let at = move |tape: &Tape| (tape.began.elapsed().saturating_sub(lag).as_secs_f64() / FRAME) as usize;
    let first = at(&tape).saturating_sub(GREETING);
    let pieces = futures_util::stream::unfold((first, does), move |(mut next, does)| {
        let tape = tape.clone();
        async move {
            loop {
                let now = at(&tape).min(tape.frames.len());
                let order = *does.borrow();
                match order {
                    Does::IsDown => return None,
                    // What was not sent is not sent later: it is over.
                    Does::Freezes => next = next.max(now),
                    Does::Plays | Does::Mutes if next < now => {
                        let mut bytes = BytesMut::new();
                        for frame in &tape.frames[next..now] {
                            bytes.extend_from_slice(if order == Does::Mutes { &tape.silence } else { frame });
                        }
                        return Some((Ok::<_, std::io::Error>(bytes.freeze()), (now, does)));
                    }
                    _ if next >= tape.frames.len() => return None,
                    _ => {}
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    });
    ([(header::CONTENT_TYPE, "audio/aac")], Body::from_stream(pieces)).into_response()
}

/// The ADTS frames of a file.
fn frames(mut bytes: Bytes) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while bytes.len() > 7 {
        let length = usize::from(bytes[3] & 3) << 11 | usize::from(bytes[4]) << 3 | usize::from(bytes[5] >> 5);
        frames.push(bytes.split_to(length));
    }
    frames
}
