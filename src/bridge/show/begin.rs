//! How a show begins: its stages built and joined, or taken up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{RING_SECONDS, SPACE_DELAY, Show, live};
use crate::alert::Events;
use crate::bridge::archive::Archive;
use crate::bridge::board::Board;
use crate::bridge::conductor::{Conductor, Handles, SessionView, SourceSlot};
use crate::bridge::desk::SlateDesk;
use crate::bridge::keeper::Keeper;
use crate::bridge::listen::Heard;
use crate::bridge::mender::Mender;
use crate::bridge::outputs::{Feeds, Outputs};
use crate::bridge::protocol::BridgeService;
use crate::bridge::protocol::live::KEY_LOST;
use crate::bridge::state_folder::{ShowRecord, StateError, StateFolder, fingerprint};
use crate::bridge::telling::Telling;
use crate::bridge::watchdog::{Progress, Watchdog};
use crate::bridge::{BridgeError, housekeeping, obituary, socket, sources};
use crate::clock::Clock;
use crate::config::{FailoverMode, Secrets, ShowConfig};
use crate::encode::audio::{AudioEncode, AudioFeed};
use crate::gst;
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::program::{BLOCK_FRAMES, EARLY_BLOCK_FRAMES, Program, ProgramSettings};

/// A process that died so soon after a cut is followed by one that hears nothing again: more than the segments which would
/// be heard again are long.
const CUT_AGAIN: jiff::SignedDuration = jiff::SignedDuration::from_secs(90);

impl Show {
    /// Builds the stages and joins them.
    pub(super) async fn begin(
        mut config: ShowConfig,
        secrets: Secrets,
        folder: StateFolder,
        clock: Clock,
    ) -> Result<Self, BridgeError> {
        let lock = folder.lock()?;
        gst::init()?;
        check_machine(&config)?;
        let events = Events::new(clock.clone());
        obituary::tell(&folder, &events);
        let record = take_up(&folder, &config, &clock)?;
        if record.repairing {
            config.outputs.clear();
        }
        let archive = Archive::open(&config, record.archive.as_deref(), &clock, &events)?;
        housekeeping::tidy(&config.recording, &events, &clock);
        let disk = archive
            .folder()
            .map(|folder| housekeeping::watch_disk(folder, &config.recording, archive.status(), &events));
        let (mut config, lost) = as_changed(config, &record, &events);
        if record.repairing {
            config.outputs.clear();
        }
        if let Some(consent) = &config.show.consent {
            archive.state("consent", consent);
        }
        let (slots, link) = take_sources(&config, &secrets, &record, &clock, &events)?;
        let (encode, feed) = AudioEncode::start(config.program.sample_rate, config.program.audio_kbps)?;
        let (program, desk) = start_media(&config, encode, (&slots, &record, &folder), &clock, &events).await?;
        let watchdog = watch(&program, &feed, &folder, &events).map_err(BridgeError::Thread)?;
        let (gate, opened) = Gate::of(&config, record.on_air, clock.now());
        let feeds =
            Feeds { audio: feed.clone(), pictures: desk.timeline(), clock: clock.clone(), events: events.clone() };
        let outputs = Outputs::start(&opened, &secrets, feeds, &record.publishes, &lost);
        let (view_sender, view) = watch::channel(SessionView::default());
        let mender = Mender::of(&config, &secrets, &archive, &clock, &events);
        let mending = mender.as_ref().filter(|_| !record.repairing).map(|mender| mender.beside(view.clone()));
        let board = Board::new(&config, &clock, &record, (program.clone(), desk.clone()), &outputs, &archive, view);
        let (status_sender, status) = watch::channel(Arc::new(board.status(&events)));
        let (still_sender, slate) = watch::channel(desk.still());
        let (command_sender, commands) = mpsc::channel(16);
        let told_of = (&folder, &record, archive.folder());
        let telling = Telling::start((&config, &secrets), told_of, (&events, &clock), status.clone());
        let service = BridgeService {
            status,
            events: events.clone(),
            commands: command_sender,
            heard: Heard { levels: program.levels(), audio: feed, slate },
        };
        let (socket, socket_token) = start_socket(&folder, service);
        let board = board.publish_to(status_sender, still_sender);
        let on_the_air = Arc::new(AtomicBool::new(record.resumes > 0));
        let handles = Handles {
            clock: clock.clone(),
            events: events.clone(),
            program: program.clone(),
            archive: archive.clone(),
            desk: desk.clone(),
            texts: config.slate.texts.clone(),
            failover: config.failover.clone(),
            zone: TimeZone::get(&config.show.timezone).unwrap_or(TimeZone::UTC),
            view: view_sender,
            start: config.show.start,
            follow: config.show.follow_host,
            on_the_air: on_the_air.clone(),
        };
        let (orders, other_sources) = mpsc::channel(4);
        // What was cut was heard, and stays unheard.
        let again = record.live.cut_at.is_none_or(|cut_at| record.alive_at.duration_since(cut_at) >= CUT_AGAIN);
        let resume = archive.resume_point(record.playlist_url.clone(), again);
        let mut conductor = Conductor::new(handles, slots, link, resume, other_sources);
        if record.live.pinned.is_some() {
            conductor.pin(record.live.pinned.as_deref());
        }
        let conductor_token = CancellationToken::new();
        let conductor = tokio::spawn(conductor.run(conductor_token.clone()));
        let keeper = Keeper::start(folder, events.clone()).map_err(BridgeError::Thread)?;
        let mut show = Self {
            config,
            secrets,
            clock,
            events,
            keeper,
            record,
            archive,
            program,
            outputs,
            board,
            commands,
            pictures: mpsc::unbounded_channel(),
            orders,
            following: None,
            gate,
            mender,
            is_hurried: false,
            mending,
            on_the_air,
            conductor,
            conductor_token,
            socket_token,
            socket,
            desk,
            telling,
            watchdog,
            suspend: CancellationToken::new(),
            _disk: disk,
            _lock: lock,
        };
        show.save_record();
        // Nothing is told of a show before it could be resumed: killed sooner, on a slow disk it would be another one.
        show.keeper.flush().await;
        Ok(show)
    }
}

/// A source that is heard this soon, in samples, is there for its being early.
const EARLY: u64 = SAMPLE_RATE as u64 / 2;

/// Room of the ring for a path that stands by and has its sound that long before its turn, in seconds.
const RESERVE_SECONDS: u32 = 45;

/// The machine has what this show needs, or the error names every missing package.
fn check_machine(config: &ShowConfig) -> Result<(), BridgeError> {
    let missing = gst::elements::missing(config.sources.iter().any(|source| source.kind.is_webrtc()));
    if !missing.is_empty() {
        return Err(BridgeError::MissingElements(missing));
    }
    if config.outputs.iter().any(|output| output.url.scheme() == "rtmps") && !gst::elements::tls_available() {
        return Err(BridgeError::NoTls);
    }
    Ok(())
}

/// The record of an earlier run that this one goes on with, or a new one.
fn take_up(folder: &StateFolder, config: &ShowConfig, clock: &Clock) -> Result<ShowRecord, StateError> {
    let now = clock.wall();
    // What makes it the same show: its name and where its audio comes from.
    let identity = serde_json::to_vec(&(&config.show.name, &config.sources)).unwrap_or_default();
    let print = fingerprint(&identity);
    match folder.load()? {
        Some(mut record) if record.is_resumable(now, clock.boot().as_ref(), &print) => {
            record.resumes += 1;
            record.suspended_at = None;
            Ok(record)
        }
        _ => Ok(ShowRecord::new(&config.show.name, print, now)),
    }
}

/// The configuration as the operator has changed it since the show began, and the outputs whose keys are lost.
fn as_changed(config: ShowConfig, record: &ShowRecord, events: &Events) -> (ShowConfig, Vec<String>) {
    let config = record.live.apply(&config, live::output_of);
    let added = record.live.added.iter().filter(|added| added.has_key).map(|added| added.name.clone());
    let lost: Vec<String> = added.filter(|name| config.outputs.iter().any(|output| output.name == *name)).collect();
    for name in &lost {
        let message = format!("The output {name} was added while the show was on the air; its key is gone");
        let remedy = "Add it again with its key: spacebridge output add.";
        events.error(KEY_LOST, &format!("output {name}"), message, Some(remedy));
    }
    (config, lost)
}

/// The sources that the show goes on with: those of the configuration, or the one that took their place before a restart.
fn take_sources(
    config: &ShowConfig,
    secrets: &Secrets,
    record: &ShowRecord,
    clock: &Clock,
    events: &Events,
) -> Result<(Vec<SourceSlot>, Option<String>), BridgeError> {
    if let Some(link) = &record.source {
        match sources::of_link(link, config, secrets, clock) {
            Ok(slot) => return Ok((vec![slot], Some(link.clone()))),
            Err(error) => {
                let message = format!("The show goes on with the configuration's sources: {error}");
                events.warning("source.lost", "source", message, Some("Use spacebridge source set LINK."));
            }
        }
    }
    Ok((sources::build(config, secrets, clock)?, None))
}

/// The program and the slate that stands on it from its first moment.
async fn start_media(
    config: &ShowConfig,
    mut encode: AudioEncode,
    (slots, record, folder): (&[SourceSlot], &ShowRecord, &StateFolder),
    clock: &Clock,
    events: &Events,
) -> Result<(Arc<Program>, SlateDesk), BridgeError> {
    let delay = slots.iter().map(|slot| slot.delay).max().unwrap_or(0).max(SPACE_DELAY);
    let aligned = config.failover.mode == FailoverMode::Aligned;
    let early = !aligned && slots.iter().any(|slot| slot.delay <= EARLY);
    // A path that stands by may have everything that long before the one on the air.
    let beside = if aligned { RESERVE_SECONDS } else { 0 };
    let settings = ProgramSettings {
        gain_db: config.program.gain_db,
        limit_dbtp: config.program.limit_dbtp,
        hold: sources::hold_audio(config, events).await,
        capacity_seconds: RING_SECONDS + beside + (delay / u64::from(SAMPLE_RATE)) as u32,
        public_delay: config.show.public_delay,
        block_frames: if early { EARLY_BLOCK_FRAMES } else { BLOCK_FRAMES },
    };
    let first = encode.position();
    let consumer = Box::new(move |block: &[StereoSample]| encode.push(block).map_err(|error| error.to_string()));
    let program = Arc::new(Program::start(&settings, first, consumer).map_err(BridgeError::Thread)?);
    let desk =
        SlateDesk::start(config, program.clone(), (folder.path(), record.live.slate.as_ref()), clock, events).await?;
    Ok((program, desk))
}

/// Watches the program, for as long as there is one.
fn watch(program: &Arc<Program>, feed: &AudioFeed, folder: &StateFolder, events: &Events) -> std::io::Result<Watchdog> {
    let (program, encoded) = (Arc::downgrade(program), feed.encoded.clone());
    let progress = move || {
        let handed_on = program.upgrade()?.now().samples();
        Some(Progress { handed_on, encoded: encoded.load(Ordering::Relaxed) })
    };
    Watchdog::start(progress, folder.clone(), events.clone())
}

fn start_socket(folder: &StateFolder, service: BridgeService) -> (JoinHandle<()>, CancellationToken) {
    let token = CancellationToken::new();
    let (folder, stop) = (folder.clone(), token.clone());
    let task = tokio::spawn(async move {
        if let Err(error) = socket::serve(&folder, service, stop).await {
            tracing::error!(%error, "The show's protocol is not served.");
        }
    });
    (task, token)
}
