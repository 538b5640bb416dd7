//! `spacebridge archive`: a finished space with a replay into a recording's folder, as fast as the server allows. The same
//! command goes on where it was stopped.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::args::ArchiveArgs;
use super::mending::{Mended, Mending, finish};
use super::words::clean;
use super::{runtime, say, say_json, wiring};
use crate::alert::Events;
use crate::bridge;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig};
use crate::recording::catalogue;
use crate::recording::{Archive, Closing, Limits, Recording, SessionFact, ShowFact, Surroundings};
use crate::source::past::PastQuery;
use crate::source::x_space::url::SpaceAddress;
use crate::source::{Past, SessionInfo, SessionPhase};

/// How long a replay that is not complete yet is waited for.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

#[derive(Serialize)]
struct Answer<'a> {
    folder: String,
    #[serde(flatten)]
    mended: &'a Mended,
    files: &'a [String],
}

/// Archives a space.
pub(super) fn run(args: &ArchiveArgs) -> anyhow::Result<ExitCode> {
    let session = SpaceAddress::parse(&args.link)?.session_id();
    let (config, secrets) = wiring::asking(&args.link, args.config.as_deref(), &args.sign_in)?;
    runtime()?.block_on(archive(args, &session, config, secrets))
}

async fn archive(
    args: &ArchiveArgs,
    session: &str,
    mut config: ShowConfig,
    secrets: Secrets,
) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let past = bridge::past_of(&args.link, &config, &secrets, &clock)?;
    let info = finished_space(past.as_ref(), session, &args.link).await?;
    if let Some(folder) = &args.folder {
        config.recording.folder.clone_from(folder);
    }
    let recording = Arc::new(open(args, session, &config, &clock)?);
    if let Some(info) = info {
        recording.session(session_fact(session, info));
    }
    let damaged = Default::default();
    let (recording_of, session) = (recording.clone(), session.to_owned());
    let mending = Mending { recording: recording_of, past, session, damaged, patience: PATIENCE, bar: !args.json };
    let mended = mending.run().await?;
    let over = mended.state != "pending";
    let files = if over { finish(&recording, &config).await? } else { Vec::new() };
    recording.close(if over { Closing::Ended } else { Closing::Edited }).await?;
    let folder = recording.folder().display().to_string();
    if args.json {
        say_json(&Answer { folder, mended: &mended, files: &files })?;
    } else {
        mended.lines("the same command").iter().for_each(|line| say(line));
        say(&format!("Recording: {}", clean(&folder)));
        files.iter().for_each(|file| say(&format!("Ready to post: {}", clean(file))));
    }
    Ok(if over { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is known of the space, if it is over and there is a replay.
async fn finished_space(past: &dyn Past, session: &str, link: &str) -> anyhow::Result<Option<SessionInfo>> {
    let query = PastQuery { session: session.to_owned(), playlist_url: None };
    let list = past.list(&query).await.map_err(|error| anyhow::anyhow!("{}", error.message))?;
    let phase = list.info.as_ref().map(|info| info.phase);
    anyhow::ensure!(
        phase.is_none_or(|phase| phase == SessionPhase::Ended) && list.is_replay,
        "the space is still running: record it with `spacebridge run {}`, or archive it when it is over",
        clean(link)
    );
    Ok(list.info)
}

fn session_fact(session: &str, info: SessionInfo) -> SessionFact {
    SessionFact {
        session: session.to_owned(),
        title: info.title,
        host: info.host,
        platform_state: info.platform_state,
        scheduled_start: info.scheduled_start,
        started_at: info.started_at,
        ended_at: info.ended_at,
        ended: true,
    }
}

/// The recording that holds a part of the space already, or a new one.
fn open(args: &ArchiveArgs, session: &str, config: &ShowConfig, clock: &Clock) -> anyhow::Result<Recording> {
    let with = Surroundings { events: Events::new(clock.clone()), clock: clock.clone(), limits: Limits::default() };
    let settings = &config.recording;
    let of_session = |folder: &Path| Archive::read(folder).is_ok_and(|archive| archive.session(session).is_some());
    if let Some(folder) = catalogue::find(&settings.folder, session).ok().filter(|folder| of_session(folder)) {
        return Ok(Recording::edit(&folder, settings.min_free_bytes, with)?);
    }
    let name = args.name.clone().unwrap_or_else(|| match &args.config {
        Some(_) => config.show.name.clone(),
        None => session.to_owned(),
    });
    let show = ShowFact {
        show: name,
        title: config.show.title.clone(),
        host: config.show.host.clone(),
        ..ShowFact::default()
    };
    Ok(Recording::create(settings, show, with)?)
}
