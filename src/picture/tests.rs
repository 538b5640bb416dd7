//! The slate as a stranger's words and an operator's files make it.

use super::*;

const HD: VideoFormat = VideoFormat { width: 1280, height: 720, fps: 30 };

fn content(title: &str, line: &str, live: bool) -> SlateContent {
    SlateContent {
        title: title.into(),
        host: "Ada Lovelace @ada".into(),
        line: line.into(),
        speaking: String::new(),
        live,
        clock: Some("20:00 UTC".into()),
        consent: "Mirrored with the consent of all who speak".into(),
    }
}

fn config(format: VideoFormat) -> SlateConfig {
    SlateConfig { format, ..SlateConfig::default() }
}

fn write_png(folder: &Path, name: &str, width: u32, height: u32) -> PathBuf {
    let path = folder.join(name);
    let image = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 140])
    });
    image.save(&path).expect("a written image");
    path
}

fn pixel(frame: &[u8], format: VideoFormat, x: u32, y: u32) -> [u8; 4] {
    let at = ((y * format.width + x) * 4) as usize;
    [frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]
}

#[test]
fn the_slate_moves_and_its_loop_closes() {
    let slate = Slate::load(&config(HD)).expect("a slate");
    let frames = slate.frames(&content("Friday night", "Live", true));
    assert_eq!(frames.count(), 60);
    assert_eq!(frames.frame(0), frames.frame(60));
    assert_ne!(frames.rgba(0), frames.rgba(30));
    assert!(frames.rgba(7).chunks_exact(4).all(|pixel| pixel[3] == 255), "a frame is not opaque");
}

#[test]
fn speakers_are_named_over_the_waveform_and_nobody_leaves_no_trace() {
    let slate = Slate::load(&config(HD)).expect("a slate");
    let drawn = |speaking: &str, title: &str| {
        let content = SlateContent { speaking: speaking.into(), ..content(title, "Live", true) };
        let frames = slate.frames(&content);
        if let Some(folder) = std::env::var_os("SLATE_LOOK") {
            let name = format!("{}-{}.png", speaking.len(), title.len());
            std::fs::write(Path::new(&folder).join(name), frames.png().expect("a picture")).expect("a file");
        }
        frames.rgba(0)
    };
    let nobody = drawn("", "Friday night");
    for hostile in ["Ann · Bob · Zoë", "</text><rect width='1280' height='720'/>", &"💥 W\u{202e} ".repeat(80)] {
        let named = drawn(hostile, "Friday night");
        let differs = |y: u32| (0..1280).any(|x| pixel(&named, HD, x, y) != pixel(&nobody, HD, x, y));
        assert!((515..552).any(differs), "{hostile} is there");
        assert!((0..505).all(|y| !differs(y)) && (560..720).all(|y| !differs(y)), "{hostile} is nowhere else");
    }
    assert_ne!(drawn("Ann", &"A long title of a night ".repeat(9)), nobody);
}

#[test]
fn names_of_every_script_and_a_long_consent_stay_in_their_own_places() {
    let slate = Slate::load(&config(HD)).expect("a slate");
    let consent = "The host and all thirteen speakers agreed in writing on 11 August to this mirror, to its recording \
                   and to what is made of it; whoever does not want to be heard leaves the stage. "
        .repeat(3);
    let thirteen: Vec<String> = (1..=13).map(|number| format!("Speaker number {number} of thirteen")).collect();
    let title = "A very long night about everything that there is to be said, and who said it to whom, and why";
    for (index, speaking) in [
        "مريم بنت عبد الله · דוד בן־גוריון · Zoë 🎙\u{fe0f} 👩‍👩‍👧‍👦".to_owned(),
        thirteen.join(" · "),
        "W".repeat(200),
        "日本語の名前がとても長い人 · Владимир Владимирович · Nguyễn Thị Minh Khai".to_owned(),
        "🇩🇪🏳️‍🌈🎉 · 𝕱𝖆𝖓𝖈𝖞 𝖓𝖆𝖒𝖊 · ＷＩＤＥ".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        let all = SlateContent { speaking, consent: consent.trim().to_owned(), ..content(title, "Live", true) };
        let with = slate.frames(&all);
        if let Some(folder) = std::env::var_os("SLATE_LOOK") {
            let path = Path::new(&folder).join(format!("names-{index}.png"));
            std::fs::write(path, with.png().expect("a picture")).expect("a file");
        }
        let without = slate.frames(&SlateContent { speaking: String::new(), ..all }).rgba(0);
        let with = with.rgba(0);
        let differs = |x: u32, y: u32| pixel(&with, HD, x, y) != pixel(&without, HD, x, y);
        let places = || (0..720).flat_map(|y| (0..1280).map(move |x| (x, y))).filter(|(x, y)| differs(*x, *y));
        let own = |(x, y): (u32, u32)| (488..1188).contains(&x) && (512..556).contains(&y);
        assert!(places().count() > 300 && places().all(own), "{index}: {:?}", places().find(|place| !own(*place)));
    }
}

#[test]
fn the_encoder_gets_the_picture_that_people_see() {
    let slate = Slate::load(&config(HD)).expect("a slate");
    let frames = slate.frames(&content("Friday night", "Live", true));
    for index in [0, 17, 44] {
        let size = resvg::tiny_skia::IntSize::from_wh(1280, 720).expect("a size");
        let seen = Pixmap::from_vec(frames.rgba(index), size).expect("a whole frame");
        let (wanted, got) = (yuv::frame(&seen), frames.frame(index));
        let differ = wanted.iter().zip(&got).filter(|(a, b)| a.abs_diff(**b) > 2).count();
        assert_eq!(differ, 0, "frame {index}");
    }
}

#[test]
fn a_sentence_of_consent_stands_at_the_foot_and_touches_nothing_else() {
    let slate = Slate::load(&config(HD)).expect("a slate");
    let content = SlateContent { consent: String::new(), ..content("Friday night", "Live", true) };
    let without = slate.frames(&content).rgba(0);
    let long = "The host and every speaker agreed in writing to this mirror and to its recording. ".repeat(2);
    for consent in ["The host agreed, and announces the recording when the Space opens.", long.trim()] {
        let said = SlateContent { consent: consent.into(), ..content.clone() };
        let with = slate.frames(&said).rgba(0);
        let rows = |y: usize| y * 1280 * 4..(y + 1) * 1280 * 4;
        let differ: Vec<usize> = (0..720).filter(|y| without[rows(*y)] != with[rows(*y)]).collect();
        assert!(differ.len() > 8 && differ.iter().all(|y| (672..718).contains(y)), "{differ:?}");
        let end = (1184..1280).find(|x| (672..718).any(|y| pixel(&without, HD, *x, y) != pixel(&with, HD, *x, y)));
        assert_eq!(end, None, "it runs over the edge");
        if let Some(folder) = std::env::var_os("SLATE_PREVIEW") {
            let path = Path::new(&folder).join(format!("consent-{}.png", consent.len()));
            std::fs::write(path, slate.frames(&said).png().expect("a picture")).expect("a file");
        }
    }
}

#[test]
fn the_rehearsal_flash_is_frame_0_and_no_other() {
    let slate = Slate::load(&SlateConfig { flash: true, ..config(HD) }).expect("a slate");
    let frames = slate.frames(&content("Friday night", "Live", true));
    let mean = |index| frames.rgba(index).iter().map(|byte| u64::from(*byte)).sum::<u64>() / (1280 * 720 * 4);
    assert_eq!(mean(0), 255);
    assert!((1..60).step_by(7).all(|index| mean(index) < 120));
}

#[test]
fn a_missing_broken_or_huge_image_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\nnothing").expect("a file");
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "hello").expect("a file");
    let long = folder.path().join("long.png");
    std::fs::File::create(&long).and_then(|file| file.set_len(21 << 20)).expect("a file");
    let missing = folder.path().join("missing.png");
    // 60 000 x 60 000 pixels in the header of a tiny file.
    let bomb = folder.path().join("bomb.png");
    let mut bytes = std::fs::read(write_png(folder.path(), "small.png", 4, 4)).expect("a file");
    bytes[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&bomb, bytes).expect("a file");
    for (path, words) in [
        (&missing, "cannot be read"),
        (&broken, "not a usable image"),
        (&text, "not a usable image"),
        (&long, "20 MB"),
        (&bomb, "40 million pixels"),
    ] {
        for config in [
            SlateConfig { image: Some(path.clone()), ..config(HD) },
            SlateConfig { artwork: Some(path.clone()), ..config(HD) },
        ] {
            let error = Slate::load(&config).expect_err("an error").to_string();
            assert!(error.contains(words) && error.contains(path.to_str().expect("a path")), "{error}");
            assert_eq!(check_image(path).expect_err("an error").to_string(), error);
            let (slate, error) = Slate::load_or_default(&config);
            assert!(error.is_some() && slate.frames(&content("t", "Live", true)).count() == 60);
        }
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn a_template_shows_no_file_but_the_artwork() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = write_png(folder.path(), "secret.png", 64, 64);
    let data = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
    for href in
        [secret.to_str().expect("a path"), &format!("file://{}", secret.display()), "http://x/a.png", data, "artwork"]
    {
        let path = folder.path().join("template.svg");
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><rect width='64' height='64' fill='#102030'/>\
             <image href='{href}' width='64' height='64'/></svg>"
        );
        std::fs::write(&path, svg).expect("a file");
        let format = VideoFormat { width: 64, height: 64, fps: 30 };
        let settings = SlateConfig { template: Some(path), artwork: Some(secret.clone()), ..config(format) };
        let frame = Slate::load(&settings).expect("a slate").frames(&SlateContent::default()).rgba(0);
        let shown = pixel(&frame, format, 32, 32) != [0x10, 0x20, 0x30, 255];
        assert_eq!(shown, href == "artwork", "{href}");
    }
}

#[test]
fn a_template_that_is_no_svg_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("template.svg");
    for text in [
        "<html></html>",
        "<svg",
        "\u{1}",
        "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    ] {
        std::fs::write(&path, text).expect("a file");
        let settings = SlateConfig { template: Some(path.clone()), ..config(HD) };
        let error = Slate::load(&settings).expect_err("an error").to_string();
        assert!(error.contains("template.svg is not a usable SVG template"), "{error}");
    }
}

#[test]
fn a_still_image_still_moves() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = write_png(folder.path(), "square.png", 300, 300);
    let slate = Slate::load(&SlateConfig { image: Some(image), ..config(HD) }).expect("a slate");
    let frames = slate.frames(&content("t", "Live", true));
    let (first, other) = (frames.rgba(0), frames.rgba(30));
    let changed = first.iter().zip(&other).filter(|(a, b)| a != b).count();
    assert!((50..20_000).contains(&changed), "{changed} bytes change");
    assert_eq!(pixel(&first, HD, 640, 360)[2], 140);
}
