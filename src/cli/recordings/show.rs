//! `spacebridge recordings show`: what a recording holds, with its timeline.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::talk::Talk;
use super::{ShowArgs, list, timeline};
use crate::cli::words::{clean, clock, count, fit, size, whole};
use crate::cli::{say, say_json};
use crate::measure::{self, Measurement};
use crate::media::SAMPLE_RATE;
use crate::recording::catalogue::Summary;
use crate::recording::{Archive, Fact, RepairState, SessionArchive, folder_name, scan};

/// Gaps, marks and files that are printed; JSON has them all.
const MOST_LINES: usize = 20;

/// Width where nobody looks.
const WIDTH: usize = 80;

/// Prints what one recording holds.
pub(super) fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let folder = args.one.find()?;
    let archive = Archive::read(&folder)?;
    let summary = Summary::of(&archive);
    let width = width();
    let talks = talks(&archive, timeline::columns(width))?;
    if args.json {
        let sessions: Vec<Value> =
            archive.sessions.iter().zip(&talks).map(|(one, talk)| session_json(one, talk)).collect();
        let files: Vec<_> = archive.episodes.values().collect();
        say_json(&json!({"recording": summary, "sessions": sessions, "files": files, "exports": archive.exports}))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = head(&summary, width);
    for (session, talk) in archive.sessions.iter().zip(&talks) {
        lines.push(String::new());
        lines.extend(session_lines(&folder, session, talk, width));
    }
    lines.extend(files(&archive));
    lines.iter().for_each(|line| say(&clean(line)));
    Ok(ExitCode::SUCCESS)
}

fn width() -> usize {
    if !io::stdout().is_terminal() {
        return WIDTH;
    }
    ratatui::crossterm::terminal::size().map_or(WIDTH, |(columns, _)| usize::from(columns).max(40))
}

/// Who talks in each session: the journal is read once more, since the model leaves these facts out.
fn talks(archive: &Archive, columns: usize) -> anyhow::Result<Vec<Talk>> {
    let new = |session: &SessionArchive| {
        let (start, end) = timeline::extent(session).unwrap_or((0, 1));
        Talk::new(start, end, columns, session.info.host.as_deref())
    };
    let mut talks: Vec<Talk> = archive.sessions.iter().map(new).collect();
    let mut journal = File::open(archive.folder.join("journal.jsonl")).context("the journal cannot be opened")?;
    scan(&mut journal, |entry| {
        if let Fact::Segment(segment) = entry.fact
            && let Some(at) = archive.sessions.iter().position(|session| session.info.session == segment.session)
        {
            talks[at].add(&segment);
        }
    })
    .context("the journal cannot be read")?;
    Ok(talks)
}

fn head(summary: &Summary, width: usize) -> Vec<String> {
    let began = summary
        .started_at
        .map_or_else(String::new, |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z, ").to_string());
    let title = summary.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    let host = summary.host.as_deref().map(|host| format!(" by {host}")).unwrap_or_default();
    let (length, bytes) = (clock(whole(summary.seconds)), size(summary.bytes));
    let mut lines = vec![
        fit(&format!("{}{title}{host}", summary.name), width),
        format!("  {began}{length} of audio, {bytes}, {}", list::state(summary).join(", ")),
        format!("  {}", summary.folder.display()),
    ];
    if let Some(pid) = &summary.written_by {
        lines.push(format!("  process {pid} is writing it"));
    }
    lines
}

fn session_lines(folder: &Path, session: &SessionArchive, talk: &Talk, width: usize) -> Vec<String> {
    let info = &session.info;
    let title = info.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    let host = info.host.as_deref().map(|host| format!(" by {host}")).unwrap_or_default();
    let mut lines = vec![fit(&format!("Session {}{title}{host}", info.session), width)];
    // Derived, so that one that cannot be read is one that is not there.
    let measured = measure::load(&measure::file_of(folder, &folder_name(&info.session))).unwrap_or_default();
    lines.extend(drawn(session, talk, &measured, width));
    lines.extend(gaps(session));
    if let Some(repair) = &session.repair {
        let state = match repair.state {
            RepairState::Pending => "repair pending",
            RepairState::Whole => "repaired: nothing is missing",
            RepairState::GivenUp => "repair given up",
        };
        let looks = count(u64::from(repair.looks), "look", "looks");
        lines.push(fit(&format!("  {state} after {looks}: {}", repair.tried), width));
    }
    let mut marks: Vec<_> = session.marks.iter().collect();
    marks.sort_by_key(|mark| mark.media_time);
    for (at, mark) in marks.iter().enumerate().take(MOST_LINES) {
        lines.push(fit(
            &format!("  mark {}  {}  {}", timeline::sign(at), timeline::time(mark.media_time), mark.title),
            width,
        ));
    }
    lines
}

fn drawn(session: &SessionArchive, talk: &Talk, measured: &Measurement, width: usize) -> Vec<String> {
    let mut lines = timeline::draw(session, talk, measured, width);
    lines.push(timeline::legend().to_owned());
    lines
}

fn gaps(session: &SessionArchive) -> Vec<String> {
    let gaps = session.gap_list();
    let shown = gaps.iter().take(MOST_LINES).map(|gap| {
        let start = timeline::time((gap.start_seconds * f64::from(SAMPLE_RATE)) as i64);
        format!("  missing  {start}  {:.1} s: {}", gap.end_seconds - gap.start_seconds, gap.cause)
    });
    let more = (gaps.len() > MOST_LINES).then(|| format!("  … and {} more gaps", gaps.len() - MOST_LINES));
    let fills = session.fills_in_use();
    let fills = fills.iter().take(MOST_LINES).map(|fill| {
        let seconds = (fill.end - fill.start) as f64 / f64::from(SAMPLE_RATE);
        format!("  filled   {}  {seconds:.1} s: from the session {}", timeline::time(fill.start), fill.from)
    });
    shown.chain(more).chain(fills).collect()
}

fn files(archive: &Archive) -> Vec<String> {
    let episodes = archive.episodes.values().map(|one| {
        let filled = if one.filled_seconds > 0.0 {
            format!(", {:.1} s of it filled", one.filled_seconds)
        } else {
            String::new()
        };
        format!("  {}  {}, {}{filled}", one.file, clock(whole(one.seconds)), size(one.bytes))
    });
    let exports =
        archive.exports.iter().map(|one| format!("  {}  exported as {}, {}", one.file, one.format, size(one.bytes)));
    let files: Vec<String> = episodes.chain(exports).collect();
    let mut lines = Vec::new();
    if !files.is_empty() {
        lines.extend([String::new(), "Files".to_owned()]);
    }
    lines.extend(files.iter().take(MOST_LINES).cloned());
    lines.extend((files.len() > MOST_LINES).then(|| format!("  … and {} more", files.len() - MOST_LINES)));
    lines
}

fn session_json(session: &SessionArchive, talk: &Talk) -> Value {
    let seconds = |samples: i64| samples as f64 / f64::from(SAMPLE_RATE);
    let extent = timeline::extent(session).map(|(start, end)| json!([seconds(start), seconds(end)]));
    let mut repaired: Vec<Value> = Vec::new();
    for segment in session.segments.iter().filter(|segment| !segment.origin.is_live()) {
        repaired.push(json!({"start_seconds": seconds(segment.media_time), "end_seconds": seconds(segment.end()), "origin": segment.origin}));
    }
    let marks = session.marks.iter().map(|mark| json!({"seconds": seconds(mark.media_time), "title": mark.title}));
    let speakers = talk.by_time();
    let speakers = speakers.iter().map(|(name, samples, _)| json!({"name": name, "seconds": seconds(*samples)}));
    json!({
        "session": session.info.session,
        "title": session.info.title,
        "host": session.info.host,
        "extent_seconds": extent,
        "segments": session.segments.len(),
        "gaps": session.gap_list(),
        "repaired": repaired,
        "fills": session.fills_in_use(),
        "repair": session.repair,
        "marks": marks.collect::<Vec<_>>(),
        "speakers": speakers.collect::<Vec<_>>(),
    })
}
