use super::*;
use crate::episode::scene::ScenePlace;
use crate::episode::speakers::Turn;
use crate::measure::{Hop, Measurement, Second};

/// A measured talk of so many seconds, with pauses.
fn talk(seconds: i64) -> Measurement {
    let mut measurement = Measurement::default();
    let mut random = fastrand::Rng::with_seed(7);
    for number in 0..seconds {
        let mut second = Second { true_peak: 0.5, ..Second::default() };
        let level = if number / 20 % 7 == 3 { 0.004 } else { random.f32() * 0.5 };
        for hop in &mut second.hops {
            let peak = level * (0.3 + 0.7 * random.f32());
            *hop = Some(Hop::new(-20.0, -peak, peak * 0.9));
        }
        measurement.add(number, second);
    }
    measurement
}

fn scene(measurement: &Measurement, seconds: i64) -> Scene<'_> {
    let whole = seconds as f64;
    let span = |start: f64, end: f64, cause: &str| Span { start: start * whole, end: end * whole, cause: cause.into() };
    let place = |at: f64, title: &str| ScenePlace { start: at * whole, title: title.into() };
    let names =
        ["somebody", "ann", "bob", "a_name_as_long_as_they_come_and_longer_than_any_room", "eve", "kim", "lee", "zoe"];
    let turns = (0..400_usize).map(|n| {
        let handle = names[(n * n + n / 9) % names.len()];
        let start = whole * n as f64 / 400.0;
        Turn { start, end: start + whole / 500.0, handle: handle.into(), host: handle == "somebody" }
    });
    Scene {
        measurement,
        range: 0..seconds * 48_000,
        title: "Night talk </text><rect width=\"9999\" height=\"9999\"/> & \u{202e}more: ".repeat(9) + "夜の話",
        gaps: vec![span(0.31, 0.33, "404"), span(0.7, 0.7001, "404")],
        repairs: vec![span(0.0, 0.12, "snapshot"), span(0.5, 0.52, "replay")],
        chapters: vec![
            place(0.0, "Start"),
            place(0.2, "Climate & <change>, and a title that goes on for much longer than there is room for it here"),
            place(0.45, "気候について話しましょう、とても長い題名ですから切られます、とても長い題名ですから切られます"),
            place(0.46, "Too near"),
            place(0.8, "Questions"),
        ],
        turns: turns.collect(),
    }
}

#[test]
fn a_short_and_a_long_file_become_pictures_of_the_same_size_however_hostile_the_words() {
    for seconds in [45, 3 * 3600] {
        let measurement = talk(seconds);
        let scene = scene(&measurement, seconds);
        let text = svg(&scene, WIDTH);
        assert!(text.len() < 400_000, "{} bytes", text.len());
        assert!(!text.contains("9999\" height"), "markup of a title got through");
        let png = png(&scene, WIDTH).expect("a picture");
        let image = image::load_from_memory(&png).expect("a PNG");
        assert_eq!((image.width(), image.height()), (1800, 372));
        if let Some(folder) = std::env::var_os("SPACEBRIDGE_PICTURES") {
            std::fs::write(std::path::Path::new(&folder).join(format!("waveform-{seconds}.png")), &png)
                .expect("a file");
        }
    }
}

#[test]
fn an_empty_recording_and_an_endless_one_are_drawn_too() {
    let measurement = Measurement::default();
    for range in [0..0, 0..1, -48_000..48_000 * 3600 * 24 * 30] {
        let scene = Scene {
            measurement: &measurement,
            range,
            title: String::new(),
            gaps: vec![],
            repairs: vec![],
            chapters: vec![],
            turns: vec![],
        };
        assert!(png(&scene, 600).expect("a picture").len() > 100);
    }
}

#[test]
fn what_is_smaller_than_a_pixel_is_seen_and_ten_thousand_of_it_are_not_drawn_one_by_one() {
    assert_eq!(covered(vec![(5.0, 5.001)]), [(5.0, 6.0)]);
    let many = (0..10_000).map(|n| (f64::from(n) / 10.0, f64::from(n) / 10.0 + 0.01)).collect();
    assert_eq!(covered(many).len(), 1);
    assert_eq!(covered(vec![(30.0, 40.0), (1.0, 3.0)]), [(1.0, 3.0), (30.0, 40.0)]);
}

#[test]
fn times_and_lengths_by_table() {
    for (seconds, pixels, wanted) in
        [(45.0, 1768.0, 5.0), (10_800.0, 1768.0, 600.0), (90_000_000.0, 568.0, 14_263_200.0)]
    {
        assert!((step(seconds, pixels) - wanted).abs() < 7200.0, "{}", step(seconds, pixels));
    }
    assert_eq!((clock(65.4, 100.0), clock(65.4, 3600.0)), ("1:05".into(), "0:01:05".into()));
    let told = [0.04, 0.0, 12.0, 200.0, 3900.0].map(text::length);
    assert_eq!(told, ["0.0 s", "0 s", "12 s", "3 min 20 s", "1 h 5 min"]);
    assert!(fitted("日本語の題名", 40.0, 13.0).ends_with('…'));
}
