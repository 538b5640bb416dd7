//! The timeline of a session as rows of characters: what is kept, what was repaired, what is missing, who talks. Pure.

use unicode_width::UnicodeWidthStr as _;

use super::talk::{Talk, spread};
use crate::cli::words::fit;
use crate::measure::Measurement;
use crate::media::SAMPLE_RATE;
use crate::recording::SessionArchive;

/// Columns of a row's name.
const NAME: usize = 12;

/// Speakers that get a row of their own.
const MOST_ROWS: usize = 6;

/// Loudness from which a measured hop is no silence, in LUFS: far below any voice, above what coders leave of silence.
const AUDIBLE: f64 = -50.0;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Longest session that is drawn, in samples: a month. A broken journal must not keep anybody waiting.
const LONGEST: i64 = 31 * 86_400 * SAMPLE_RATE as i64;

/// Signs of marks, in order; those beyond have `+`.
const SIGNS: &str = "123456789abcdefghijklmnopqrstuvwxyz";

/// Columns of the drawing itself in a terminal of `width`.
pub(super) fn columns(width: usize) -> usize {
    width.saturating_sub(NAME + 3).clamp(20, 180)
}

/// First and last media time of what is kept, missing or marked.
pub(super) fn extent(session: &SessionArchive) -> Option<(i64, i64)> {
    let segments = session.segments.iter().map(|segment| (segment.media_time, segment.end()));
    let missing = session.missing.iter().map(|missing| (missing.media_time, missing.end()));
    let gaps = session.gaps.iter().map(|gap| (gap.start, gap.end));
    let captured: f64 = session.captures.iter().filter_map(|capture| capture.seconds).fold(0.0, |sum, s| sum + s);
    let captured = (captured > 0.0).then_some((0, (captured * f64::from(SAMPLE_RATE)) as i64));
    let spans = segments.chain(missing).chain(gaps).chain(captured);
    let whole = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    let length = whole.1.checked_sub(whole.0)?;
    (1..=LONGEST).contains(&length).then_some(whole)
}

/// The rows for one session.
pub(super) fn draw(session: &SessionArchive, talk: &Talk, measured: &Measurement, width: usize) -> Vec<String> {
    let Some((start, end)) = extent(session) else { return vec!["  nothing was received".to_owned()] };
    let columns = columns(width);
    let mut rows = vec![row("", &axis(start, end, columns))];
    if let Some(speech) = speech(talk, measured, start, end, columns) {
        rows.push(row("speech", &speech));
    }
    rows.push(row("audio", &audio(session, start, end, columns)));
    let speakers = talk.by_time();
    rows.extend(speakers.iter().take(MOST_ROWS).map(|(name, _, samples)| {
        let width = ((end - start) / columns as i64).max(1);
        row(
            name,
            &samples
                .iter()
                .map(|talked| {
                    if *talked * 2 > width {
                        '█'
                    } else if *talked > 0 {
                        '▄'
                    } else {
                        ' '
                    }
                })
                .collect::<String>(),
        )
    }));
    if speakers.len() > MOST_ROWS {
        rows.push(row("", &format!("and {} more speakers", speakers.len() - MOST_ROWS)));
    }
    if !session.marks.is_empty() {
        rows.push(row("marks", &marks(session, start, end, columns)));
    }
    rows
}

/// What the signs mean.
pub(super) fn legend() -> &'static str {
    "  █ live  ▒ from a snapshot or the replay  ! something missing  · all missing"
}

/// The sign of the mark with this place in order of time.
pub(super) fn sign(at: usize) -> char {
    SIGNS.chars().nth(at).unwrap_or('+')
}

/// `1:02:03.4`, with a minus for what was before the place where the recording joined.
pub(super) fn time(samples: i64) -> String {
    let tenths = (samples.unsigned_abs() * 10).div_euclid(u64::from(SAMPLE_RATE));
    let sign = if samples < 0 { "-" } else { "" };
    let (hours, minutes, seconds) = (tenths / 36_000, tenths / 600 % 60, tenths / 10 % 60);
    format!("{sign}{hours}:{minutes:02}:{seconds:02}.{}", tenths % 10)
}

fn row(name: &str, drawing: &str) -> String {
    let name = fit(name, NAME);
    let space = " ".repeat(NAME - name.width().min(NAME));
    format!("  {name}{space} {drawing}").trim_end().to_owned()
}

/// Times at round places.
fn axis(start: i64, end: i64, columns: usize) -> String {
    let seconds = (end - start) as f64 / f64::from(SAMPLE_RATE);
    let room = (columns / 9).max(1) as f64;
    let steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];
    let step = steps.into_iter().find(|step| seconds / *step as f64 <= room).unwrap_or(604_800);
    let step = step * i64::from(SAMPLE_RATE);
    let mut axis = String::new();
    let mut at = start.div_euclid(step) * step;
    while at < end {
        if at >= start {
            let column = ((at - start) as i128 * columns as i128 / i128::from(end - start)) as usize;
            let words = time(at);
            let words = words.strip_suffix(".0").unwrap_or(&words);
            if column >= axis.len() + usize::from(!axis.is_empty()) && column + words.len() <= columns {
                axis.push_str(&" ".repeat(column - axis.len()));
                axis.push_str(words);
            }
        }
        at += step;
    }
    axis
}

fn audio(session: &SessionArchive, start: i64, end: i64, columns: usize) -> String {
    let (mut kept, mut repaired, mut lost) = (vec![0; columns], vec![0; columns], vec![0; columns]);
    for segment in &session.segments {
        let row = if segment.origin.is_live() { &mut kept } else { &mut repaired };
        spread(row, start, end, segment.media_time, segment.end());
    }
    for gap in session.gap_list() {
        let samples = |seconds: f64| (seconds * f64::from(SAMPLE_RATE)) as i64;
        spread(&mut lost, start, end, samples(gap.start_seconds), samples(gap.end_seconds));
    }
    let streams = !session.captures.is_empty();
    (0..columns)
        .map(|at| match (kept[at], repaired[at], lost[at]) {
            (0, 0, 1..) if !streams => '·',
            (_, _, 1..) => '!',
            (_, 1.., _) => '▒',
            (0, 0, _) if !streams => '·',
            _ => '█',
        })
        .collect()
}

/// How much of each column is speech, by what was measured or, where nothing was, by what the space says of its speakers.
fn speech(talk: &Talk, measured: &Measurement, start: i64, end: i64, columns: usize) -> Option<String> {
    let (mut told, mut spoken) = (talk.told.clone(), talk.anybody.clone());
    if !measured.is_empty() {
        (told, spoken) = (vec![0; columns], vec![0; columns]);
        let hop = crate::measure::HOP_SAMPLES;
        for number in start.div_euclid(hop)..=end.div_euclid(hop) {
            let Some(one) = measured.hop(number) else { continue };
            let (from, until) = (number * hop, (number + 1) * hop);
            spread(&mut told, start, end, from, until);
            if one.lufs() > AUDIBLE {
                spread(&mut spoken, start, end, from, until);
            }
        }
    }
    let level = |(told, spoken): (&i64, &i64)| match *told {
        0 => '·',
        told => BLOCKS[usize::try_from((spoken * 8 + told - 1) / told).unwrap_or(0).min(8)],
    };
    told.iter().any(|told| *told > 0).then(|| told.iter().zip(&spoken).map(level).collect())
}

fn marks(session: &SessionArchive, start: i64, end: i64, columns: usize) -> String {
    let mut row = vec![' '; columns];
    let mut places: Vec<i64> = session.marks.iter().map(|mark| mark.media_time).collect();
    places.sort_unstable();
    for (at, place) in places.into_iter().enumerate().filter(|(_, place)| (start..=end).contains(place)) {
        let column = ((place - start) as i128 * columns as i128 / i128::from(end - start)) as usize;
        row[column.min(columns - 1)] = sign(at);
    }
    row.into_iter().collect()
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
