//! `spacebridge recordings export`: files to post, with a bar that says how long it takes.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::One;
use crate::alert::Events;
use crate::cli::words::{clean, clock, size, whole};
use crate::cli::{runtime, say, say_json, wiring};
use crate::clock::Clock;
use crate::config::ShowConfig;
use crate::episode::{self, ChapterSource, EpisodeError, ExportRequest, Exported, Format, Progress, Words};
use crate::gst;
use crate::recording::{Limits, Surroundings};

/// Arguments of `recordings export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Which recording, and where it is.
    #[command(flatten)]
    pub one: One,
    /// What to make, one or several: m4a, mp3, opus, flac, wav, mp4, waveform, speakers, captions, stems, chapters
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', required = true)]
    pub format: Vec<Format>,
    /// Folder for the files [default: `export` in the recording]
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// Name of the files up to their ending [default: SHOW-SESSION]
    #[arg(long, value_name = "NAME")]
    pub file_name: Option<String>,
    /// Only this session, by the id of its space; may be given several times
    #[arg(long, value_name = "ID")]
    pub session: Vec<String>,
    /// Overwrite files of the same name
    #[arg(long)]
    pub force: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// For programs: how far it is, as lines of JSON on standard error
    #[arg(long)]
    pub progress_json: bool,
    /// How it shall sound.
    #[command(flatten)]
    pub sound: SoundArgs,
    /// What shall stand in it.
    #[command(flatten)]
    pub words: WordArgs,
}

/// How an export shall sound.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sound")]
pub struct SoundArgs {
    /// Leave out the silence before the first and after the last word
    #[arg(long)]
    pub trim: bool,
    /// Bring it to this loudness in LUFS, such as -16 for a podcast or -14 for a video; the sound is encoded anew
    #[arg(long, value_name = "LUFS", allow_negative_numbers = true)]
    pub loudness: Option<f64>,
    /// Mix down to one channel; the sound is encoded anew
    #[arg(long)]
    pub mono: bool,
    /// Bit rate of what is encoded, in kbit/s
    #[arg(long, value_name = "KBIT/S")]
    pub bitrate: Option<u32>,
}

/// What shall stand in an export.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Words and pictures")]
pub struct WordArgs {
    /// Title [default: the show's or the space's]
    #[arg(long)]
    pub title: Option<String>,
    /// Artist [default: the host]
    #[arg(long)]
    pub artist: Option<String>,
    /// Album [default: the show's name]
    #[arg(long)]
    pub album: Option<String>,
    /// Date as YYYY-MM-DD [default: the day on which it started]
    #[arg(long)]
    pub date: Option<String>,
    /// Comment
    #[arg(long)]
    pub comment: Option<String>,
    /// Front cover, a PNG or JPEG
    #[arg(long, value_name = "FILE")]
    pub cover: Option<PathBuf>,
    /// Chapters: auto, marks, speakers, none, or a file with lines such as `1:02:03 Title`
    #[arg(long, value_name = "SOURCE", default_value = "auto")]
    pub chapters: ChapterSource,
    /// Picture of an mp4 instead of the slate
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    exported: &'a Exported,
    /// Why the journal does not list the files; none where it does.
    not_listed: Option<String>,
}

/// Makes the files and says where they are.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    gst::init()?;
    let request = request(args)?;
    let (exported, not_listed) = runtime()?.block_on(async {
        let exported = make(request.clone(), args).await?;
        let clock = Clock::system();
        let with = Surroundings { events: Events::new(clock.clone()), clock, limits: Limits::default() };
        let listed = episode::note(&request.archive, &exported.files, 0, with).await;
        anyhow::Ok((exported, listed.err().map(|error| error.to_string())))
    })?;
    if args.json {
        say_json(&Answer { exported: &exported, not_listed })?;
        return Ok(ExitCode::SUCCESS);
    }
    for file in &exported.files {
        let (length, bytes) = (clock(whole(file.seconds)), size(file.bytes));
        say(&format!("{length}  {bytes:>8}  {}", clean(&file.file.display().to_string())));
    }
    exported.notes.iter().for_each(|note| say(&format!("note: {}", clean(note))));
    if let Some(reason) = not_listed {
        say(&format!("note: the recording does not list these files: {}", clean(&reason)));
    }
    Ok(ExitCode::SUCCESS)
}

fn request(args: &ExportArgs) -> anyhow::Result<ExportRequest> {
    let archive = args.one.find()?;
    let config = args.one.place.config.as_deref().map(wiring::show_of).transpose()?;
    let mut formats = args.format.clone();
    formats.sort_unstable();
    formats.dedup();
    let (sound, words) = (args.sound.clone(), args.words.clone());
    let mut request = ExportRequest {
        sessions: args.session.clone(),
        folder: args.to.clone(),
        name: args.file_name.clone(),
        trim: sound.trim,
        loudness: sound.loudness,
        mono: sound.mono,
        bitrate: sound.bitrate,
        words: Words {
            title: words.title,
            artist: words.artist,
            album: words.album,
            date: words.date,
            comment: words.comment,
            cover: words.cover,
        },
        chapters: words.chapters,
        picture: words.picture,
        force: args.force,
        timezone: TimeZone::system(),
        ..ExportRequest::new(archive, formats)
    };
    if let Some(config) = config {
        follow(&mut request, &config);
    }
    Ok(request)
}

/// Takes from a show's configuration what the command line left open.
fn follow(request: &mut ExportRequest, config: &ShowConfig) {
    let format = request.slate.format;
    request.slate = config.slate.clone();
    request.slate.format = format;
    let words = &mut request.words;
    words.cover = words.cover.take().or_else(|| config.slate.artwork.clone());
    words.title = words.title.take().or_else(|| config.show.title.clone());
    words.artist = words.artist.take().or_else(|| config.show.host.clone());
    request.timezone = TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC);
    request.min_free = config.recording.min_free_bytes;
}

/// Makes the files on a thread that may block, with a bar; an interrupt stops it and leaves nothing half-made.
async fn make(request: ExportRequest, args: &ExportArgs) -> anyhow::Result<Exported> {
    let progress = Progress::default();
    let shared = progress.clone();
    let work = tokio::task::spawn_blocking(move || episode::export(&request, &shared));
    let bar = !args.json && !args.progress_json && std::io::stderr().is_terminal();
    let bar = if bar { draw_bar() } else { ProgressBar::hidden() };
    let result = watch(work, &progress, &bar, args.progress_json).await;
    bar.finish_and_clear();
    Ok(result??)
}

async fn watch(
    mut work: JoinHandle<Result<Exported, EpisodeError>>,
    progress: &Progress,
    bar: &ProgressBar,
    lines: bool,
) -> anyhow::Result<Result<Exported, EpisodeError>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            done = &mut work => return done.context("the export's thread is gone"),
            _ = interrupt.recv() => progress.cancel(),
            _ = terminate.recv() => progress.cancel(),
            _ = tick.tick() => {
                let (done, total) = progress.now();
                bar.set_length(total);
                bar.set_position(done);
                if lines {
                    // A program that does not read any more is no reason to stop.
                    drop(writeln!(std::io::stderr(), "{}", serde_json::json!({"done": done, "total": total})));
                }
            }
        }
    }
}

fn draw_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
