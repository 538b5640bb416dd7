//! Judges one connection message by message, as a platform's ingest would.
//!
//! A bad start keeps platforms at "preparing stream" for ever, so the order of the first messages is checked: metadata,
//! both codec headers, then a key frame (seen in reports of users of other restreamers).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::flv::{self, Content};
use super::report::{ConnectionReport, GOP_LIMIT_MS, GOP_WANTED_MS};
use super::track::SkewMeter;
use crate::gst::measure::LumaMeter;
use crate::media::SAMPLE_RATE;
use crate::rehearsal::ear::Ear;
use crate::rehearsal::space::chunk::adts_with;

/// Brighter than the picture before by this much is a flash; slates move by a few steps only.
const FLASH_STEP: u8 = 48;
/// A first picture this bright is one too.
const FLASH_ALONE: u8 = 170;
/// Flashes kept: a day.
const FLASHES_KEPT: usize = 43_200;
/// Different faults kept.
const FAULTS_KEPT: usize = 32;

/// The judge of one connection.
#[derive(Debug)]
pub(super) struct Inspector {
    report: ConnectionReport,
    skew: SkewMeter,
    metadata: bool,
    audio_format: Option<(u8, u8)>,
    video_header: bool,
    last_key_ms: Option<u32>,
    ear: Option<Ear>,
    eye: Option<LumaMeter>,
    flashes: Arc<Mutex<FlashFinder>>,
}

impl Inspector {
    pub(super) fn new(started_ms: i64) -> Self {
        let mut inspector = Self {
            report: ConnectionReport { started_ms, ..ConnectionReport::default() },
            skew: SkewMeter::default(),
            metadata: false,
            audio_format: None,
            video_header: false,
            last_key_ms: None,
            ear: None,
            eye: None,
            flashes: Arc::default(),
        };
        match Ear::start() {
            Ok(ear) => inspector.ear = Some(ear),
            Err(error) => inspector.fault(format!("the ingest cannot listen: {error}")),
        }
        inspector
    }

    /// A data message.
    pub(super) fn data(&mut self, body: &[u8]) {
        const NAME: &[u8] = b"onMetaData";
        self.metadata |= body.windows(NAME.len()).any(|window| window == NAME);
    }

    /// An audio message that came `arrival_ms` after the connection's start.
    pub(super) fn audio(&mut self, timestamp_ms: u32, body: &Bytes, arrival_ms: f64) {
        self.media(body, arrival_ms);
        match flv::audio(body) {
            Content::AudioHeader(config) => self.audio_header(&config),
            Content::Sound(data) => {
                self.report.audio.on(timestamp_ms);
                self.skew.audio(timestamp_ms, arrival_ms);
                let Some((index, channels)) = self.audio_format else {
                    return self.fault("audio came before its AudioSpecificConfig");
                };
                if let Some(ear) = &mut self.ear {
                    let at = i64::from(timestamp_ms) * i64::from(SAMPLE_RATE) / 1000;
                    ear.frame(at, adts_with(&data, index, channels));
                }
            }
            Content::Foreign(what) => self.fault(what),
            _ => {}
        }
        self.both_tracks(timestamp_ms);
    }

    /// A video message that came `arrival_ms` after the connection's start.
    pub(super) fn video(&mut self, timestamp_ms: u32, body: &Bytes, arrival_ms: f64) {
        self.media(body, arrival_ms);
        match flv::video(body) {
            Content::VideoHeader(config) => self.video_header(&config),
            Content::Picture { key_frame, idr, data } => {
                if !self.video_header {
                    self.fault("video came before its AVC configuration");
                }
                if self.report.video.frames == 0 && !idr {
                    self.fault("the first picture is not a key frame");
                }
                if key_frame != idr {
                    self.fault("a picture is marked as a key frame and is none, or the other way round");
                }
                self.report.video.on(timestamp_ms);
                self.skew.video(timestamp_ms, arrival_ms);
                self.key_frames(timestamp_ms, idr);
                if let Some(eye) = &mut self.eye {
                    eye.push(u64::from(timestamp_ms), idr, data);
                }
            }
            Content::Foreign(what) => self.fault(what),
            _ => {}
        }
        self.both_tracks(timestamp_ms);
    }

    /// The report as it is now.
    pub(super) fn so_far(&self) -> ConnectionReport {
        let mut report = self.report.clone();
        report.skew_ms = self.skew.worst_ms();
        report.flashes_ms = self.flashes.lock().unwrap_or_else(PoisonError::into_inner).found.clone();
        if let Some(ear) = &self.ear {
            report.heard = ear.so_far();
        }
        report
    }

    /// The report of a connection that is over. Blocks for a moment.
    pub(super) fn finish(mut self, ended_ms: i64, cleanly: bool) -> ConnectionReport {
        self.last_checks();
        let heard = self.ear.take().map(Ear::finish);
        let mut report = self.so_far();
        report.heard = heard.unwrap_or_default();
        report.ended_ms = Some(ended_ms);
        report.ended_cleanly = cleanly;
        report
    }

    fn last_checks(&mut self) {
        if self.report.audio.frames == 0 {
            self.fault("no audio came");
        }
        if self.report.video.frames == 0 {
            self.fault("no video came");
        }
        for (name, track) in [("audio", self.report.audio.clone()), ("video", self.report.video.clone())] {
            if let Some((from, to)) = track.first_step_back_ms {
                let steps = track.backward_steps;
                self.fault(format!("{steps} timestamps of {name} did not grow, first from {from} to {to} ms"));
            }
        }
    }

    fn media(&mut self, body: &Bytes, arrival_ms: f64) {
        self.report.first_media_ms.get_or_insert(self.report.started_ms + arrival_ms as i64);
        self.report.bytes += body.len() as u64;
        if !self.metadata {
            self.fault("media came before onMetaData");
        }
    }

    fn audio_header(&mut self, config: &[u8]) {
        match flv::aac_parameters(config) {
            Some(format) if self.audio_format.is_some_and(|known| known != format) => {
                self.fault("the audio format changed in the middle of the stream");
            }
            Some(format) => self.audio_format = Some(format),
            None => self.fault("the AudioSpecificConfig is not AAC-LC"),
        }
    }

    fn video_header(&mut self, config: &Bytes) {
        // Configuration version 1 and at least one parameter set.
        if config.len() < 8 || config[0] != 1 {
            return self.fault("the AVC configuration is damaged");
        }
        self.video_header = true;
        if self.eye.is_none() {
            let flashes = self.flashes.clone();
            let look = move |millis, luma| {
                flashes.lock().unwrap_or_else(PoisonError::into_inner).on(millis, luma);
            };
            match LumaMeter::new(config, look) {
                Ok(eye) => self.eye = Some(eye),
                Err(error) => self.fault(format!("the ingest cannot look: {error}")),
            }
        }
    }

    fn key_frames(&mut self, timestamp_ms: u32, idr: bool) {
        let since = timestamp_ms.saturating_sub(self.last_key_ms.unwrap_or(timestamp_ms));
        self.report.longest_gop_ms = self.report.longest_gop_ms.max(since);
        if since > GOP_LIMIT_MS {
            self.fault(format!("more than {GOP_LIMIT_MS} ms without a key frame"));
        } else if since > GOP_WANTED_MS {
            note(&mut self.report.warnings, format!("more than {GOP_WANTED_MS} ms without a key frame"));
        }
        if idr {
            self.last_key_ms = Some(timestamp_ms);
        }
    }

    /// Both tracks must be there within the stream's first second.
    fn both_tracks(&mut self, timestamp_ms: u32) {
        let (audio, video) = (self.report.audio.first_ms, self.report.video.first_ms);
        let missing = match (audio, video) {
            (Some(first), None) if timestamp_ms.saturating_sub(first) > 1000 => "video",
            (None, Some(first)) if timestamp_ms.saturating_sub(first) > 1000 => "audio",
            (Some(audio), Some(video)) if audio.abs_diff(video) > 1000 => {
                return self.fault("audio and video start more than a second apart");
            }
            _ => return,
        };
        self.fault(format!("no {missing} within the first second"));
    }

    fn fault(&mut self, what: impl Into<String>) {
        note(&mut self.report.faults, what.into());
    }
}

fn note(list: &mut Vec<String>, what: String) {
    if list.len() < FAULTS_KEPT && !list.contains(&what) {
        list.push(what);
    }
}

/// Finds bright pictures among darker ones.
#[derive(Debug, Default)]
struct FlashFinder {
    before: Option<u8>,
    bright: bool,
    found: Vec<u64>,
}

impl FlashFinder {
    fn on(&mut self, millis: u64, luma: u8) {
        let bright = match self.before {
            // While bright, the level before the flash stays the measure.
            Some(before) => luma > before.saturating_add(FLASH_STEP),
            None => luma > FLASH_ALONE,
        };
        if bright && !self.bright && self.found.len() < FLASHES_KEPT {
            self.found.push(millis);
        }
        self.bright = bright;
        if !bright {
            self.before = Some(luma);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flashes(lumas: &[u8]) -> Vec<u64> {
        let mut finder = FlashFinder::default();
        for (n, luma) in lumas.iter().enumerate() {
            finder.on(n as u64, *luma);
        }
        finder.found
    }

    #[test]
    fn only_the_start_of_brightness_is_a_flash() {
        assert_eq!(flashes(&[230, 30, 31, 30, 230, 30]), [0, 4]);
        assert_eq!(flashes(&[30, 230, 230, 30, 230]), [1, 4]);
        assert!(flashes(&[30, 40, 50, 60, 70, 80, 60]).is_empty());
    }

    fn sound() -> Bytes {
        Bytes::from_static(&[0xAF, 1, 0x21, 0x10])
    }

    fn faults_of(drive: impl FnOnce(&mut Inspector)) -> Vec<String> {
        let mut inspector = Inspector::new(0);
        drive(&mut inspector);
        inspector.so_far().faults
    }

    #[test]
    fn a_bad_start_is_told_by_name() {
        let slice = Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41]);
        let faults = faults_of(|judge| {
            judge.audio(0, &sound(), 0.0);
            judge.video(0, &slice, 0.0);
        });
        assert_eq!(
            faults,
            [
                "media came before onMetaData",
                "audio came before its AudioSpecificConfig",
                "video came before its AVC configuration",
                "the first picture is not a key frame",
            ]
        );
    }

    #[test]
    fn a_stream_without_a_picture_is_refused_after_a_second() {
        let faults = faults_of(|judge| {
            judge.data(b"\x02\0\x0aonMetaData");
            judge.audio(0, &Bytes::from_static(&[0xAF, 0, 0x11, 0x90]), 0.0);
            for timestamp in (0..1500).step_by(21) {
                judge.audio(timestamp, &sound(), f64::from(timestamp));
            }
        });
        assert_eq!(faults, ["no video within the first second"]);
    }

    #[test]
    fn a_long_group_of_pictures_is_refused() {
        let idr = Bytes::from_static(&[0x17, 1, 0, 0, 0, 0, 0, 0, 1, 0x65]);
        let slice = Bytes::from_static(&[0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41]);
        let faults = faults_of(|judge| {
            judge.data(b"onMetaData");
            judge.video(0, &idr, 0.0);
            for timestamp in (33..4100).step_by(33) {
                judge.video(timestamp, &slice, f64::from(timestamp));
            }
        });
        assert!(faults.contains(&"more than 4000 ms without a key frame".to_owned()), "{faults:?}");
    }
}
