//! Draws every look of a slate into `target/slate-preview`, for whoever designs a template:
//! `cargo run --example slate_preview [TEMPLATE.svg [ARTWORK]]`.

use std::path::{Path, PathBuf};

use spacebridge::config::SlateConfig;
use spacebridge::media::VideoFormat;
use spacebridge::picture::{Slate, SlateContent};

const FOLDER: &str = "target/slate-preview";
const HD: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 30 };
const FULL: VideoFormat = VideoFormat { width: 1920, height: 1080, fps: 30 };

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (template, artwork) = (arguments.next(), arguments.next());
    std::fs::create_dir_all(FOLDER)?;
    let hostile = "</text><script>alert(1)</script> \u{202e}🚀 שלום עולם مرحبا 世界の皆さん AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA and \
                   so on, for ever and ever, and then some more of it";
    let title = "The Friday Night Space: what the new telescope saw";
    let looks = [
        ("waiting", HD, title, "Starts at 20:00 UTC", false),
        ("live", HD, "Open Questions", "Live", true),
        ("live-1080", FULL, title, "Live", true),
        ("gap", HD, "Open Questions", "The space has dropped out, back in a moment", false),
        ("ended", HD, "A conversation about everything", "Ended, thank you", false),
        ("hostile", HD, hostile, hostile, true),
        ("bare", FULL, "", "Connecting to the space", false),
        ("rtl", HD, "مساء الجمعة: حديث طويل عن كل شيء", "Live", true),
    ];
    for (name, format, title, line, live) in looks {
        let config =
            SlateConfig { template: template.clone(), artwork: artwork.clone(), format, ..SlateConfig::default() };
        let content = SlateContent {
            consent: if live { "Mirrored with the consent of all who speak".into() } else { String::new() },
            speaking: if live { "Ada Lovelace, Grace Hopper".into() } else { String::new() },
            title: title.into(),
            host: if title.is_empty() { String::new() } else { "Ada Lovelace @ada".into() },
            line: line.into(),
            live,
            clock: Some("20:00 UTC".into()),
        };
        let frame = Slate::load(&config)?.frames(&content).rgba(4);
        image::save_buffer(
            Path::new(FOLDER).join(name).with_extension("png"),
            &frame,
            format.width,
            format.height,
            image::ColorType::Rgba8,
        )?;
    }
    Ok(())
}
