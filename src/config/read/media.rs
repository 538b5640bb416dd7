//! The sections `[program]` and `[slate]`.

use std::path::Path;

use super::Section;
use crate::config::{ProgramConfig, SlateConfig, SlateTexts};
use crate::media::VideoFormat;

pub(super) fn program(mut section: Section<'_>, base: &Path) -> ProgramConfig {
    let mut config = ProgramConfig::default();
    config.gain_db = section.number("gain_db", -30.0..=30.0, "dB").unwrap_or(config.gain_db);
    config.limit_dbtp = match section.says("limit_dbtp", "off") {
        true => None,
        false => section.number("limit_dbtp", -20.0..=0.0, "dBTP").or(config.limit_dbtp),
    };
    config.hold_audio = section.path("hold_audio", base);
    if let Some(rate) = section.integer("sample_rate", 1..=192_000, "Hz") {
        if matches!(rate, 44_100 | 48_000) {
            config.sample_rate = rate;
        } else {
            section.problem("sample_rate", format!("{rate} Hz is not offered"), "Write 48000 or 44100");
        }
    }
    // AAC-LC stereo sounds poor below 64 kbit/s, and platforms cap it at 320.
    config.audio_kbps = section.integer("audio_kbps", 64..=320, "kbit/s").unwrap_or(config.audio_kbps);
    section.finish();
    config
}

/// `consent`: whether there is a sentence to show.
pub(super) fn slate(mut section: Section<'_>, base: &Path, consent: bool) -> SlateConfig {
    let default = SlateConfig::default();
    let template = section.path("template", base);
    let image = section.path("image", base);
    if template.is_some() && image.is_some() {
        section.problem(
            "image",
            "stands beside a template",
            "Keep one: image shows a still, template an SVG with texts",
        );
    }
    let show_consent = section.flag("show_consent").unwrap_or(default.show_consent);
    if show_consent && !consent {
        let remedy = "Write consent = \"…\" in [show], or leave show_consent out";
        section.problem("show_consent", "has nothing to show", remedy);
    }
    let config = SlateConfig {
        template,
        image,
        artwork: section.path("artwork", base),
        format: format(&mut section, default.format),
        video_kbps: video_kbps(&mut section).unwrap_or(default.video_kbps),
        clock: section.flag("clock").unwrap_or(default.clock),
        show_speakers: section.flag("show_speakers").unwrap_or(default.show_speakers),
        flash: section.flag("flash").unwrap_or(default.flash),
        show_consent,
        texts: texts(section.section("texts")),
    };
    section.finish();
    config
}

fn format(section: &mut Section<'_>, default: VideoFormat) -> VideoFormat {
    let mut side = |key: &str, fallback: u32| {
        // From the smallest that ingests take to what one picture's encoding can afford.
        let pixels = section.integer(key, 160..=1920, "pixels").unwrap_or(fallback);
        if pixels % 2 == 1 {
            let remedy = format!("Write {}", pixels + 1);
            section.problem(key, format!("{pixels} is odd, which the encoder cannot take"), remedy);
        }
        pixels
    };
    let (width, height) = (side("width", default.width), side("height", default.height));
    let fps = section.integer("fps", 1..=240, "frames per second").unwrap_or(default.fps);
    if !matches!(fps, 25 | 30) {
        section.problem("fps", format!("{fps} frames per second are not offered"), "Write 30 or 25");
    }
    VideoFormat { width, height, fps }
}

fn video_kbps(section: &mut Section<'_>) -> Option<u32> {
    let kbps = section.integer("video_kbps", 0..=20_000, "kbit/s")?;
    if (1..200).contains(&kbps) {
        let remedy = "Write 0 for no floor, or 200 to 20000";
        section.problem("video_kbps", format!("{kbps} kbit/s are too few for a picture"), remedy);
        return None;
    }
    Some(kbps)
}

fn texts(mut section: Section<'_>) -> SlateTexts {
    let default = SlateTexts::default();
    let mut text = |key: &str, fallback: String| {
        let text = section.text(key).unwrap_or(fallback);
        let unknown = text
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once('}'))
            .find(|(hole, _)| !holes(key).contains(hole));
        if let Some((hole, _)) = unknown {
            let shown: String = hole.chars().take(20).collect();
            let remedy = match holes(key) {
                [] => "Only the texts scheduled, countdown and late have something to fill in".to_owned(),
                holes => format!("Filled in here: {{{}}}", holes.join("}, {")),
            };
            section.problem(key, format!("{{{shown}}} stands for nothing here"), remedy);
        }
        text
    };
    let texts = SlateTexts {
        connecting: text("connecting", default.connecting),
        scheduled: text("scheduled", default.scheduled),
        countdown: text("countdown", default.countdown),
        late: text("late", default.late),
        waiting: text("waiting", default.waiting),
        live: text("live", default.live),
        gap: text("gap", default.gap),
        next: text("next", default.next),
        ended: text("ended", default.ended),
        moment: text("moment", default.moment),
    };
    section.finish();
    texts
}

/// What is filled into a text.
fn holes(key: &str) -> &'static [&'static str] {
    match key {
        "scheduled" => &["time", "zone"],
        "countdown" => &["time", "zone", "left"],
        "late" => &["time", "zone", "late"],
        _ => &[],
    }
}
