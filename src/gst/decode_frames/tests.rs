use super::*;
use crate::gst::aac_encode::AacEncoder;
use crate::ruler;

fn encode(rate: u32, channels: u8, seconds: u32) -> (DecodeConfig, Vec<(u64, Bytes)>) {
    let (sender, frames) = std::sync::mpsc::channel();
    let send = move |frame: crate::media::AudioFrame| drop(sender.send((frame.at.samples(), frame.data)));
    let mut encoder = AacEncoder::with_channels(rate, channels, 96, send).expect("an encoder");
    let config = DecodeConfig { sample_rate: rate, channels: channels.into(), asc: encoder.format().config.clone() };
    let start = encoder.position().samples();
    for index in 0..seconds {
        let second: Vec<StereoSample> = ruler::second(index).into_iter().map(|value| [value, value]).collect();
        encoder.push(&second).expect("a push");
    }
    encoder.push(&vec![[0.0; 2]; 4096]).expect("a push");
    encoder.finish().expect("an end");
    (config, frames.iter().filter(|(at, _)| *at + 1024 > start).collect())
}

fn decode(config: &DecodeConfig, frames: impl Iterator<Item = Bytes>) -> (Vec<StereoSample>, u64) {
    let mut decoder = FrameDecoder::start(config).expect("a decoder");
    let mut samples = Vec::new();
    for frame in frames {
        decoder.push(frame).expect("a push");
        decoder.pull(&mut samples).expect("samples");
    }
    decoder.finish().expect("an end");
    while decoder.pull(&mut samples).expect("samples") {}
    (samples, decoder.lost())
}

fn samples_of(frames: usize, rate: u32) -> usize {
    frames * 1024 * 48_000 / rate as usize
}

#[test]
fn decoded_samples_lie_where_the_encoder_says_whatever_the_rate_and_channels() {
    for (rate, channels) in [(48_000, 2), (44_100, 2), (44_100, 1)] {
        let (config, frames) = encode(rate, channels, 4);
        let first = frames[0].0 as f64;
        let (samples, lost) = decode(&config, frames.iter().map(|(_, data)| data.clone()));
        assert_eq!((samples.len(), lost), (samples_of(frames.len(), rate), 0), "{rate} Hz");
        let marks = ruler::decode(&ruler::mono(&samples));
        assert_eq!(marks.iter().map(|mark| mark.index).collect::<Vec<_>>(), [0, 1, 2, 3], "{rate} Hz");
        for (n, mark) in marks.iter().enumerate() {
            let error = mark.at_samples + first - (3072 + n * 48_000) as f64;
            assert!(error.abs() < 24.0, "second {n} is {error} samples from its place at {rate} Hz");
        }
    }
}

#[test]
fn silence_of_the_same_length_stands_in_the_place_of_undecodable_frames() {
    for rate in [48_000, 44_100] {
        let (config, mut frames) = encode(rate, 2, 6);
        // Somewhere in the middle, and at both ends.
        let count = frames.len();
        for (n, (_, data)) in frames.iter_mut().enumerate() {
            if n < 3 || (100..110).contains(&n) || n >= count - 5 {
                *data = Bytes::from(vec![0xA5; data.len()]);
            }
        }
        let first = frames[0].0 as f64;
        let (samples, lost) = decode(&config, frames.iter().map(|(_, data)| data.clone()));
        assert_eq!(samples.len(), samples_of(count, rate), "{rate} Hz");
        assert!((10..=20).contains(&lost), "{lost} lost at {rate} Hz");
        let marks = ruler::decode(&ruler::mono(&samples));
        assert!(marks.len() >= 4, "{marks:?}");
        for mark in marks {
            let error = mark.at_samples + first - f64::from(3072 + mark.index * 48_000);
            assert!(error.abs() < 24.0, "second {} is {error} samples from its place at {rate} Hz", mark.index);
        }
    }
}

#[test]
fn nothing_that_can_be_decoded_is_silence() {
    let (config, frames) = encode(48_000, 2, 1);
    let junk = vec![Bytes::from_static(&[0xA5; 40]); 30];
    let (samples, lost) = decode(&config, junk.into_iter());
    assert_eq!((samples.len(), lost), (30 * 1024, 30));
    assert!(decode(&config, std::iter::empty()).0.is_empty());
    assert_eq!(decode(&config, frames.into_iter().take(1).map(|(_, data)| data)).0.len(), 1024);
}
