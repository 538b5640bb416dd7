//! A room whose tracks are heard: tells who is in it, what each sends, and the mix of all.
//!
//! Its time counts 48 kHz samples since the room was entered. A room in which nobody speaks is silence, not a stall.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::mix::{DELAY, EASY_DELAY, Mixer};
use super::voice::Voice;
use super::zero::Zero;
use crate::gst::pcm_capture::PcmCapture;
use crate::gst::webrtc::{RtcEvent, RtcListener};
use crate::media::{PcmBlock, SAMPLE_RATE, StereoSample, opus};
use crate::source::{SourceContext, SourceError, SourceEvent, Speaker, StemPacket};

/// How long a jitter buffer waits for a packet that is missing, in ms. It is asked for after some 20 ms, and is there in
/// time where the way to the gateway and back takes less than 60 ms. What waits behind it must still come in time
/// ([`DELAY`]), with a fade and a tick to spare.
const LATENCY_MS: u32 = 80;

/// The same where nobody is in haste: time to ask several times.
const EASY_LATENCY_MS: u32 = 300;

/// How long after it was mixed the sound of a room goes on the air: with the jitter buffer and the encoder less than 0.4 s
/// behind the speaker, and enough for a machine's own hiccups.
pub const WEBRTC_DELAY: Duration = Duration::from_millis(160);

/// A track is talking while its power was above -45 dBFS within the last half second.
const TALKING_POWER: f32 = 3.2e-5;
const TALKING_TIME: u64 = SAMPLE_RATE as u64 / 2;

/// What lies before this is not given out where a connection begins in the midst of talk: 0.2 s. Decoders need 80 ms to
/// find their sound (RFC 7845 §4.6), and not every track comes at once.
const SETTLE: u64 = SAMPLE_RATE as u64 / 5;

/// A capture gives its last bytes within this.
const CAPTURED: Duration = Duration::from_millis(500);

/// How long the jitter buffers wait for what is missing, in ms.
pub fn latency_ms(context: &SourceContext) -> u32 {
    if context.unhurried { EASY_LATENCY_MS } else { LATENCY_MS }
}

/// A room that is being heard.
pub struct Room<'a> {
    context: &'a SourceContext,
    entered: Instant,
    /// Media time of the moment that it was entered.
    base: i64,
    mixer: Mixer,
    capture: PcmCapture,
    captured: mpsc::UnboundedReceiver<Bytes>,
    seats: BTreeMap<u32, Seat>,
    told: Vec<Speaker>,
    /// Whether anything was given out, or is to be from a first packet on.
    begun: bool,
    settled: bool,
}

/// Where what a listener reports lies in a room.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// The listener's zero: before the room's own where the connection was made before the room was entered.
    zero: i64,
    /// Number of its first track in the room.
    first: u32,
}

/// Tracks of one listener that are heard; those of the next one are counted from there on.
const TRACKS: u32 = 64;

impl Axis {
    /// The number in the room of a listener's track; none of one that would be another listener's.
    pub fn track(&self, track: u32) -> Option<u32> {
        (track < TRACKS).then(|| self.first.saturating_add(track))
    }
}

struct Seat {
    speaker: Speaker,
    loud_until: u64,
    /// What decodes the speaker, from the first packet on.
    voice: Option<Voice>,
}

impl<'a> Room<'a> {
    /// Enters the room of the session `id`, whose media time lies as `zero` says.
    ///
    /// # Errors
    /// When the mix cannot be captured.
    pub fn enter(context: &'a SourceContext, id: &str, zero: &Zero) -> Result<Self, SourceError> {
        let (sender, captured) = mpsc::unbounded_channel();
        let capture = PcmCapture::stereo(sender).map_err(|error| SourceError::operator(error.to_string()))?;
        let resume = context.resume.as_ref().filter(|resume| resume.session_id == id);
        let delay = if context.unhurried { EASY_DELAY } else { DELAY };
        // What an earlier process gave out last was held back before, too.
        let goes_on = || resume.map_or(0, |last| last.media_time + (samples(context.began.elapsed()) + delay) as i64);
        let entered = Instant::now();
        Ok(Self {
            context,
            entered,
            base: zero.media_time(entered, goes_on),
            mixer: Mixer::new(0, delay, context.level_speakers),
            capture,
            captured,
            seats: BTreeMap::new(),
            told: Vec::new(),
            begun: false,
            settled: false,
        })
    }

    /// Whom it tells.
    pub fn context(&self) -> &'a SourceContext {
        self.context
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, moment: Instant) -> u64 {
        samples(moment.saturating_duration_since(self.entered))
    }

    /// Where what `listener` reports lies, the one with this number.
    pub fn axis(&self, listener: &RtcListener, number: u32) -> Axis {
        Axis { zero: self.now() as i64 - listener.now() as i64, first: number.saturating_mul(TRACKS) }
    }

    /// Says who speaks on `track`; whoever did before has left it.
    pub fn seat(&mut self, track: u32, speaker: Speaker) {
        match self.seats.get_mut(&track) {
            Some(seat) if seat.speaker.id == speaker.id => seat.speaker = speaker,
            _ => drop(self.seats.insert(track, Seat { speaker, loud_until: 0, voice: None })),
        }
    }

    /// Tracks that somebody sits on.
    pub fn tracks(&self) -> Vec<u32> {
        self.seats.keys().copied().collect()
    }

    /// Nobody speaks on `track` any more.
    pub fn leave(&mut self, track: u32) {
        self.seats.remove(&track);
        self.mixer.leave(track);
    }

    /// Takes what the listener at `axis` reports: packets into the mix, and to whoever keeps them.
    ///
    /// # Errors
    /// When nobody listens to the source.
    pub async fn take(&mut self, axis: Axis, event: RtcEvent) -> Result<(), SourceError> {
        let RtcEvent::Packet { track, at, came, data } = event else { return Ok(()) };
        let Some(track) = axis.track(track).filter(|track| self.seats.contains_key(track)) else { return Ok(()) };
        let at = at.saturating_add_signed(axis.zero);
        if let Some(stem) = self.stem(track, at, &data) {
            self.context.send(SourceEvent::Stem(stem)).await?;
        }
        self.hear_packet(track, at, self.at(came), &data)
    }

    /// The packet as it is kept; none where it is no packet.
    fn stem(&self, track: u32, at: u64, data: &Bytes) -> Option<StemPacket> {
        let speaker = self.seats.get(&track)?.speaker.id.clone();
        let media_time = self.base + self.mixer.place(track, at) as i64;
        Some(StemPacket { speaker, media_time, samples: opus::duration(data)?, data: data.clone() })
    }

    fn hear_packet(&mut self, track: u32, at: u64, now: u64, data: &[u8]) -> Result<(), SourceError> {
        let Some(seat) = self.seats.get_mut(&track) else { return Ok(()) };
        let voice = match &mut seat.voice {
            Some(voice) => voice,
            none => none.insert(Voice::new().map_err(|error| {
                SourceError::operator(format!("no decoder can be had for a speaker ({error:?}): is memory left?"))
            })?),
        };
        if !self.begun && !self.settled {
            self.settled = true;
            self.mixer.skip_to(at + SETTLE);
        }
        voice.take(at, data, |at, samples| {
            if power(samples) > TALKING_POWER {
                seat.loud_until = at + TALKING_TIME;
            }
            self.mixer.push(track, at, now, samples);
        });
        Ok(())
    }

    /// Gives out what is due, and who is there where that changed. To be called some fifty times a second.
    ///
    /// Only where the connection `is_well` silence is what nobody says. Otherwise it is a stall, and shown as one; before
    /// the first sound it is not even that.
    ///
    /// # Errors
    /// When nobody listens to the source.
    pub async fn tick(&mut self, is_well: bool) -> Result<(), SourceError> {
        let now = self.now();
        match (is_well, self.begun) {
            (true, _) => {
                self.begun = true;
                self.give(now).await?;
            }
            (false, true) => self.give_rest().await?,
            (false, false) => self.mixer.skip_to(now.saturating_sub(self.mixer.delay())),
        }
        self.tell_speakers(now).await
    }

    /// Gives out all that was said and is held back still: nothing that it could wait for comes any more.
    async fn give_rest(&mut self) -> Result<(), SourceError> {
        let end = self.mixer.held_until();
        while self.mixer.position() < end {
            self.give(end + self.mixer.delay()).await?;
        }
        Ok(())
    }

    /// Nothing more comes: what was heard to the end is given out, and kept. Where nobody listens there is nobody to give it
    /// to.
    pub async fn end(mut self) {
        drop(self.give_rest().await);
        self.capture.end();
        while let Ok(Some(bytes)) = tokio::time::timeout(CAPTURED, self.captured.recv()).await {
            drop(self.context.send(SourceEvent::Capture(bytes)).await);
        }
    }

    async fn give(&mut self, now: u64) -> Result<(), SourceError> {
        let media_time = self.base + self.mixer.position() as i64;
        let samples = self.mixer.pull(now);
        if !samples.is_empty() {
            self.capture.push_stereo(&samples);
            self.context.send(SourceEvent::Audio(PcmBlock { media_time, samples })).await?;
        }
        while let Ok(bytes) = self.captured.try_recv() {
            self.context.send(SourceEvent::Capture(bytes)).await?;
        }
        Ok(())
    }

    async fn tell_speakers(&mut self, now: u64) -> Result<(), SourceError> {
        let speaker =
            |seat: &Seat| Speaker { talking: seat.loud_until + self.mixer.delay() > now, ..seat.speaker.clone() };
        let speakers: Vec<Speaker> = self.seats.values().map(speaker).collect();
        if speakers != self.told {
            self.told.clone_from(&speakers);
            self.context.send(SourceEvent::Speakers(speakers)).await?;
        }
        Ok(())
    }
}

fn samples(time: Duration) -> u64 {
    (time.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as u64
}

fn power(samples: &[StereoSample]) -> f32 {
    let sum: f32 = samples.iter().map(|sample| f32::midpoint(sample[0].powi(2), sample[1].powi(2))).sum();
    sum / samples.len().max(1) as f32
}
