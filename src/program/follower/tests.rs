//! Twelve hours in a second: arrivals as the network makes them, the law, and the delay that comes of it.

use crate::media::SAMPLE_RATE;
use crate::program::stretch::{MAX_CORRECTION, SLEW_PER_SECOND};
use crate::program::{Edge, Move, Placement};

const RATE: f64 = SAMPLE_RATE as f64;

/// How audio arrives.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Pieces of 3 s, listed up to `jitter` seconds late, looked for every 2.0 to 2.2 s.
    Hls { jitter: f64 },
    /// Pieces of 20 to 100 ms, up to `jitter` seconds late.
    Continuous { jitter: f64 },
}

#[derive(Debug, Clone, Copy)]
struct Night {
    kind: Kind,
    /// The source is slower than the program by this share.
    drift: f64,
    hours: f64,
    seed: u64,
    /// 10 s without an answer, every so many seconds; none if 0.
    outage_every: f64,
    /// The source's media time stands still for 20 s here (its host was away).
    standstill_at: f64,
}

/// What a night was like.
#[derive(Debug, Default)]
struct Told {
    /// Error of the program delay in seconds, by program second.
    errors: Vec<(f64, f64)>,
    /// Largest correction asked for.
    largest: f64,
    /// Program second from which on it was corrected.
    corrected_from: Option<f64>,
    moves: Vec<(f64, Move)>,
}

impl Told {
    fn worst(&self, from: f64) -> f64 {
        self.errors.iter().filter(|(at, _)| *at >= from).map(|(_, error)| error.abs()).fold(0.0, f64::max)
    }
}

/// Arrivals in order: program second seen, media second of the end, piece.
fn arrivals(night: &Night) -> Vec<(f64, f64, f64)> {
    let mut random = fastrand::Rng::with_seed(night.seed);
    let (mut media, mut seen_until, mut list) = (0.0_f64, 0.0_f64, Vec::new());
    let length = night.hours * 3_600.0;
    let mut look = random.f64() * 2.0;
    let mut newest = 0.0;
    loop {
        let (piece, jitter) = match night.kind {
            Kind::Hls { jitter } => (3.0, jitter),
            Kind::Continuous { jitter } => (0.02 + 0.08 * random.f64(), jitter),
        };
        media += piece;
        let away = if night.standstill_at > 0.0 && media > night.standstill_at { 20.0 } else { 0.0 };
        let made = media * (1.0 + night.drift) + away;
        if made > length {
            return list;
        }
        let mut seen = made + jitter * random.f64();
        if night.outage_every > 0.0 && seen % night.outage_every < 10.0 && seen > night.outage_every {
            seen += 10.0 - seen % night.outage_every;
        }
        seen_until = seen.max(seen_until);
        if let Kind::Hls { .. } = night.kind {
            // All that is listed up to a look is seen at once: only the newest end counts.
            while look < seen_until {
                if newest > 0.0 {
                    list.push((look, newest, piece));
                    newest = 0.0;
                }
                look += 2.0 + 0.2 * random.f64();
            }
            newest = media;
        } else {
            list.push((seen_until, media, piece));
        }
    }
}

/// Carries the night: the error is how far the anchor is from where the first arrivals and the true clock want it.
fn carry(night: &Night) -> Told {
    let delay = match night.kind {
        Kind::Hls { .. } => 7.0,
        Kind::Continuous { .. } => 1.0,
    };
    let mut placement = Placement::new((delay * RATE) as u64);
    let (mut told, mut pace, mut rest, mut heard, mut zero) = (Told::default(), 0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for (now, end, piece) in arrivals(night) {
        let in_hand = matches!(night.kind, Kind::Continuous { .. });
        let edge = Edge { end: (end * RATE) as i64, piece: (piece * RATE) as u64, in_hand };
        // The program hands on eight frames at a time: that is how well it knows the time.
        let at = (now * RATE) as u64 / 8_192 * 8_192;
        let moved = placement.on_edge(edge, at);
        let anchor = |placement: &Placement| placement.anchor().expect("an anchor") as f64 / RATE;
        let away = if night.standstill_at > 0.0 && end > night.standstill_at { 20.0 } else { 0.0 };
        let drifted = end * night.drift + away;
        match moved {
            Move::None => {}
            Move::Later(samples) if zero != 0.0 && (samples as f64) < 5.0 * RATE => zero += samples as f64 / RATE,
            _ => zero = anchor(&placement) - drifted,
        }
        if moved != Move::None {
            told.moves.push((now, moved));
        }
        let wanted = placement.correction(at);
        told.largest = told.largest.max(wanted.abs());
        if wanted != 0.0 {
            told.corrected_from.get_or_insert(now);
        }
        let length = end - heard;
        heard = end;
        // The pace changes as slowly as the stretcher lets it.
        let before = pace;
        pace += (wanted - pace).clamp(-SLEW_PER_SECOND * length, SLEW_PER_SECOND * length);
        rest += 0.5 * (before + pace) * length * RATE;
        placement.stretched(rest as i64);
        rest -= rest.trunc();
        told.errors.push((now, anchor(&placement) - drifted - zero));
    }
    assert!(told.largest <= MAX_CORRECTION);
    told
}

const HLS: Night = Night {
    kind: Kind::Hls { jitter: 1.0 },
    drift: 0.0,
    hours: 12.0,
    seed: 1,
    outage_every: 0.0,
    standstill_at: 0.0,
};

const CONTINUOUS: Night = Night { kind: Kind::Continuous { jitter: 0.05 }, ..HLS };

fn print(what: &str, night: &Night, told: &Told) {
    let ms = |from: f64| told.worst(from * 3_600.0) * 1e3;
    println!(
        "{what} {:+.0} ppm seed {}: worst error {:.0} ms in all, {:.0} after 1 h, {:.0} after 2 h, {:.0} after 3 h, {:.0} after 4 h; \
         corrected from minute {:?}, at most {:.0} ppm, {} moves",
        night.drift * 1e6,
        night.seed,
        ms(0.0),
        ms(1.0),
        ms(2.0),
        ms(3.0),
        ms(4.0),
        told.corrected_from.map(|at| (at / 60.0) as u32),
        told.largest * 1e6,
        told.moves.len()
    );
}

#[test]
fn spread() {
    for drift in [100e-6, -100e-6, 0.0, 20e-6] {
        for seed in 1..=20 {
            let night = Night { drift, seed, ..HLS };
            print("hls", &night, &carry(&night));
        }
        for seed in 1..=3 {
            let night = Night { drift, seed, ..CONTINUOUS };
            print("continuous", &night, &carry(&night));
        }
    }
}
