use super::*;

fn aim(lufs: f64) -> Aim {
    Aim { lufs, mono: false }
}

/// A limiter that takes a share of every decibel above a threshold of gain.
fn limiter(threshold: f64, share: f64) -> impl Fn(f64) -> Result<f64, EpisodeError> {
    move |gain| Ok((gain - threshold).max(0.0) * share)
}

#[test]
fn the_gain_makes_up_for_what_the_limiter_takes() {
    for (heard, threshold, share) in [(-26.0, 4.0, 0.3), (-20.0, 1.0, 0.2), (-30.0, 15.0, 0.1), (-14.0, -4.0, 0.4)] {
        let loss = limiter(threshold, share);
        let made = settle(aim(-16.0), heard, &loss).expect("a gain");
        let reached = heard + made.dsp.gain_db - loss(made.dsp.gain_db).expect("a loss");
        assert!((reached + 16.0).abs() < 0.1, "{heard} LUFS comes to {reached} with {made:?}");
        assert!(made.notes.is_empty(), "{made:?}");
    }
}

#[test]
fn voices_are_not_crushed_to_reach_a_number() {
    let loss = limiter(-2.0, 0.7);
    let made = settle(aim(-14.0), -24.0, &loss).expect("a gain");
    assert!((loss(made.dsp.gain_db).expect("a loss") - MOST_LOSS).abs() < 0.2, "{made:?}");
    assert!(made.notes.len() == 1 && made.notes[0].contains("not to -14.0"), "{made:?}");
}

#[test]
fn what_is_nearly_silent_is_not_raised_without_end() {
    let made = settle(aim(-16.0), -65.0, |_| Ok(0.0)).expect("a gain");
    assert_eq!(made.dsp.gain_db, MOST_GAIN);
    assert!(made.notes[0].contains("-35.0 LUFS"), "{made:?}");
}

#[test]
fn the_sound_is_neither_moved_nor_cut_by_being_limited() {
    let sound: Vec<StereoSample> = (0..9_999).map(|n| [(n as f32 * 0.05).sin() * 0.2, 0.1]).collect();
    for block in [1, 100, 4096, 20_000] {
        let mut chain = Chain::new(Dsp { gain_db: 0.0, limit_dbtp: Some(CEILING_DBTP) }, false);
        let mut out = Vec::new();
        for part in sound.chunks(block) {
            let mut part = part.to_vec();
            chain.process(&mut part);
            out.extend(part);
        }
        out.extend(chain.finish());
        assert_eq!(out, sound, "in blocks of {block}");
    }
}

#[test]
fn nothing_shorter_than_the_look_ahead_is_lost() {
    let mut chain = Chain::new(Dsp { gain_db: 0.0, limit_dbtp: Some(CEILING_DBTP) }, true);
    let mut out = vec![[0.25, 0.75]; 10];
    chain.process(&mut out);
    out.extend(chain.finish());
    assert_eq!(out, [[0.5; 2]; 10]);
}
