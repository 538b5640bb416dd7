//! The speakers of the simulated space in a real Janus: the host plays the very ruler that the playlist's tape holds, at
//! the same time of the space; guests hum, each a tone of their own.

use std::collections::BTreeMap;
use std::f32::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{Guest, id_of};
use crate::gst::webrtc::{PublishFormat, RtcEvent, RtcPublisher};
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::net::{HttpClient, HttpSettings};
use crate::rehearsal::space::platform::Platform;
use crate::source::janus::client::{Login, POLL_PATIENCE, Session};

/// How often the stage is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Samples that are spoken at a time.
const BLOCK: u64 = 960;
/// A publisher has its connection within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// How loud guests hum.
const HUM: f32 = 0.05;

/// Who speaks where.
type Place = (String, String);

/// One speaker.
struct Speaking {
    wanted: Wanted,
    silent: Arc<AtomicBool>,
    _work: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Wanted {
    guest: Guest,
    /// The tone that it hums; none for the host, who plays the ruler.
    tone: Option<f32>,
}

/// Keeps everybody on stage speaking for as long as it is polled.
pub(in crate::rehearsal::space) async fn keep(platform: Arc<Platform>) {
    let Some(janus) = platform.args.gateway.clone() else { return std::future::pending().await };
    if let Err(error) = crate::gst::init() {
        tracing::error!(%error, "The speakers of the simulated space have no voice.");
        return std::future::pending().await;
    }
    let mut speaking: BTreeMap<Place, Speaking> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let (wanted, silent, cuts) = platform.stage();
        platform.gateway.tend(cuts).await;
        speaking.retain(|place, one| wanted.get(place) == Some(&one.wanted));
        for (place, wanted) in wanted {
            let start = || {
                let silent = Arc::new(AtomicBool::new(false));
                let work = speak(platform.clone(), janus.clone(), place.clone(), wanted, silent.clone());
                Speaking { wanted, silent, _work: AbortOnDropHandle::new(tokio::spawn(work)) }
            };
            let one = speaking.entry(place.clone()).or_insert_with(start);
            one.silent.store(silent && one.wanted.tone.is_none(), Ordering::Relaxed);
        }
    }
}

impl Platform {
    /// Who is to be on stage where, whether the ruler is silent, and how often connections were cut.
    fn stage(&self) -> (BTreeMap<Place, Wanted>, bool, u32) {
        let now_ms = self.now_ms();
        let mut inner = self.lock();
        for line in inner.seats.news(now_ms) {
            inner.newest.say(line);
        }
        let space = &inner.newest;
        let mut stage = BTreeMap::new();
        if space.script.is_heard() {
            let guest = Guest { channels: 2, dtx: false, camera: false };
            stage.insert((space.id.clone(), space.host.clone()), Wanted { guest, tone: None });
        }
        if space.script.state() == crate::rehearsal::space::script::SpaceState::Running {
            for (n, (who, guest)) in inner.seats.guests.iter().enumerate() {
                let tone = Some(300.0 + 110.0 * n as f32);
                stage.insert((space.id.clone(), who.clone()), Wanted { guest: *guest, tone });
            }
        }
        (stage, inner.newest.script.is_silent(), inner.seats.cuts)
    }
}

/// Speaks until it is dropped; comes back where the connection breaks.
async fn speak(platform: Arc<Platform>, janus: Url, place: Place, wanted: Wanted, silent: Arc<AtomicBool>) {
    loop {
        match tokio::time::timeout(PATIENCE, enter(&janus, &place, wanted.guest)).await {
            Ok(Ok((_session, publisher, mut events))) => {
                let talk = talk(&platform, &publisher, wanted.tone, &silent);
                tokio::select! {
                    () = talk => {}
                    () = broken(&mut events) => tracing::warn!(who = place.1, "A speaker's connection broke."),
                }
            }
            Ok(Err(error)) => tracing::warn!(error, who = place.1, "A speaker did not get into the room."),
            Err(_) => tracing::warn!(who = place.1, "A speaker did not get into the room in time."),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What a speaker holds: its session at the gateway, left when it is dropped.
struct Presence {
    session: Option<Session>,
    _poll: AbortOnDropHandle<()>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move { session.close().await });
    }
}

async fn enter(
    janus: &Url,
    (room, who): &Place,
    guest: Guest,
) -> Result<(Presence, RtcPublisher, mpsc::Receiver<RtcEvent>), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let settings =
        HttpSettings { operator_urls: vec![janus.clone()], patience: Some(POLL_PATIENCE), ..HttpSettings::default() };
    let http = HttpClient::new(settings).map_err(|error| words(&error))?;
    let session = Session::open(http, janus, Login::default()).await.map_err(|error| words(&error))?;
    let handle = session.attach().await.map_err(|error| words(&error))?;
    let (answers, mut answered) = mpsc::channel(4);
    let poll = tokio::spawn(poll(session.clone(), answers));
    let presence = Presence { session: Some(session.clone()), _poll: AbortOnDropHandle::new(poll) };
    // Whoever comes second finds the room made; that refusal comes as an answer as well.
    let make = json!({"request": "create", "room": room, "publishers": 64, "audiocodec": "opus", "permanent": false});
    drop(session.say(handle, make, None).await);
    let join = json!({"request": "join", "ptype": "publisher", "room": room, "display": id_of(who)});
    session.say(handle, join, None).await.map_err(|error| words(&error))?;
    let (sender, mut events) = mpsc::channel(256);
    let format = PublishFormat { channels: guest.channels, bitrate: 64_000, dtx: guest.dtx, camera: guest.camera };
    let publisher = RtcPublisher::new(format, sender).map_err(|error| words(&error))?;
    publisher.play().await.map_err(|error| words(&error))?;
    let offer = loop {
        match events.recv().await {
            Some(RtcEvent::Local { sdp, .. }) => break sdp,
            Some(_) => {}
            None => return Err("its connection made no offer".to_owned()),
        }
    };
    session.offer(handle, json!({"request": "publish"}), &offer).await.map_err(|error| words(&error))?;
    let answer = answered.recv().await.ok_or("the gateway gave no answer")?;
    publisher.accept(&answer).map_err(|error| words(&error))?;
    Ok((presence, publisher, events))
}

/// Keeps the session alive; gives descriptions away.
async fn poll(session: Session, answers: mpsc::Sender<String>) {
    while let Ok(messages) = session.poll().await {
        for (_, sdp) in messages.into_iter().filter_map(|message| message.jsep) {
            drop(answers.try_send(sdp));
        }
    }
}

async fn broken(events: &mut mpsc::Receiver<RtcEvent>) {
    use crate::gst::webrtc::RtcState;
    while let Some(event) = events.recv().await {
        if matches!(event, RtcEvent::Failed(_) | RtcEvent::State(RtcState::Failed | RtcState::Closed)) {
            return;
        }
    }
}

/// Says what sounds at this time of the space, as it sounds.
async fn talk(platform: &Platform, publisher: &RtcPublisher, tone: Option<f32>, silent: &AtomicBool) {
    let rate = u64::from(SAMPLE_RATE);
    let first = platform.now_ms() * rate / 1000 / BLOCK + 1;
    let (mut second, mut ruler) = (u64::MAX, Vec::new());
    for block in first.. {
        // A block is said when its last sample was.
        let end_ms = (block + 1) * BLOCK * 1000 / rate;
        while platform.now_ms() < end_ms {
            tokio::time::sleep(Duration::from_millis(end_ms.saturating_sub(platform.now_ms()).max(1))).await;
        }
        let start = block * BLOCK;
        if tone.is_none() && second != start / rate {
            second = start / rate;
            ruler = crate::ruler::second(u32::try_from(second).unwrap_or(u32::MAX));
        }
        let value = |n: u64| match tone {
            _ if silent.load(Ordering::Relaxed) => 0.0,
            Some(tone) => HUM * (TAU * tone * ((start + n) % rate) as f32 / rate as f32).sin(),
            None => ruler.get(((start + n) % rate) as usize).copied().unwrap_or_default(),
        };
        let samples: Vec<StereoSample> = (0..BLOCK).map(|n| [value(n); 2]).collect();
        publisher.push(&samples, (block - first) * BLOCK);
    }
}
