//! What one path of a space lacks is had from the other one after the show: a real gateway's room, and the playlist.

#![allow(clippy::print_stdout, reason = "what was measured goes into the documents")]

use std::path::Path;

use spacebridge::episode::{self, ExportRequest, Format, Progress};
use spacebridge::media::SAMPLE_RATE;
use spacebridge::recording::{Archive, SessionArchive};
use spacebridge::rehearsal::space::control::{ChunkFault, ChunkRule, PastRule, SeatEvent, SeatRule};
use spacebridge::rehearsal::space::{Order, SpaceArgs};
use spacebridge::ruler::{self, RulerMark};
use spacebridge::status::ShowStatus;

use crate::support::janus::Janus;
use crate::support::show::{SHOW, Space, Stage};
use crate::support::turn;

/// The listener's place in the list of sources; the seat's is before it.
const LISTENER: usize = 1;

fn is_active(status: &ShowStatus, index: usize) -> bool {
    status.sources.get(index).is_some_and(|source| source.active)
}

async fn goes_on(stage: &Stage, seconds: f64) {
    let before = stage.status().await.expect("a status").program.seconds;
    stage.until("the program goes on", 90, |status| status.program.seconds > before + seconds).await;
}

/// The seat's media break off, and later every segment of the playlist fails for a while.
async fn rough_night(space: &Space, stage: &Stage) {
    let run = stage.run(&[]);
    let both = |status: &ShowStatus| is_active(status, 0) && status.sources[LISTENER].aligned;
    stage.until("both paths are heard", 90, both).await;
    goes_on(stage, 25.0).await;
    space.order(Order::Seat(SeatRule::of(SeatEvent::Cut))).await;
    stage.until("the listener is heard", 30, |status| is_active(status, LISTENER)).await;
    stage.until("the seat is heard again", 90, |status| is_active(status, 0)).await;
    goes_on(stage, 25.0).await;
    let newest = space.report().await.chunks.last().expect("chunks").sequence;
    let (fault, sequences) = (ChunkFault::Status { status: 503 }, (newest + 2..newest + 6).collect());
    let rule = ChunkRule { fault, sequences, share: None, seed: 0, times: None, edge: None };
    space.order(Order::FailChunks { rule }).await;
    goes_on(stage, 60.0).await;
    run.interrupt().await;
}

/// Seconds of the ruler in a session's encoded export.
fn heard(folder: &Path, session: &str, out: &Path) -> Vec<RulerMark> {
    let request = ExportRequest {
        sessions: vec![session.to_owned()],
        folder: Some(out.to_owned()),
        name: Some(session.to_owned()),
        ..ExportRequest::new(folder, [Format::Flac])
    };
    let made = episode::export(&request, &Progress::default()).expect("a file");
    println!("{session}: {:?}", made.notes);
    let samples = spacebridge::gst::decode_file::decode_start(&made.files[0].file, usize::MAX).expect("samples");
    ruler::decode(&ruler::mono(&samples))
}

fn tell(session: &SessionArchive) {
    let rate = f64::from(SAMPLE_RATE);
    let seconds = |samples: i64| samples as f64 / rate;
    println!("session {}: gaps {:?}", session.info.session, session.gap_list());
    for one in &session.captures {
        println!("  stream from {:?} for {:?} s", one.media_time.map(seconds), one.seconds);
    }
    for fill in &session.fills {
        println!(
            "  {:.3} to {:.3} from {}, {:.4} s on",
            seconds(fill.start),
            seconds(fill.end),
            fill.from,
            seconds(fill.offset)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make drill"]
async fn what_the_seat_or_the_listener_missed_is_heard_from_the_other_one_in_the_episode() {
    let _turn = turn().await;
    let janus = Janus::for_spaces().await;
    let space = Space::start(&SpaceArgs { gateway: Some(janus.url().clone()), ..SpaceArgs::default() }).await;
    let past = PastRule { while_live: Some(false), after_end: Some(false), ..PastRule::default() };
    space.order(Order::Past(past)).await;
    let failover = "[failover]\nmode = \"aligned\"\ndelay = \"15s\"\nback_after = \"5s\"\n\n";
    let stage = Stage::new(&(space.config_of_both_seats("standby = \"warm\"") + failover));
    rough_night(&space, &stage).await;
    let repair = ["recordings", "repair", SHOW, "--config", "show.toml", "--for", "1s", "--json"];
    let said = stage.run_verb(&repair).ended(300).await;
    println!("{}", said.all());
    let folder = stage.archive();
    let archive = Archive::read(&folder).expect("an archive");
    archive.sessions.iter().for_each(tell);
    if let Some(copy) = std::env::var_os("KEEP_RECORDING") {
        std::process::Command::new("cp").arg("-r").arg(&folder).arg(copy).status().expect("a copy");
    }
    assert_eq!(archive.sessions.len(), 2);
    for session in &archive.sessions {
        let id = session.info.session.as_str();
        // What was said before the show joined is none of it.
        let lacks = session.gap_spans().into_iter().filter(|gap| gap.start >= 0);
        let seconds = |samples: i64| samples as f64 / f64::from(SAMPLE_RATE);
        let lacking = seconds(lacks.map(|gap| gap.end - gap.start).sum());
        let had = seconds(session.fills_in_use().iter().map(|fill| fill.end - fill.start).sum());
        assert!(lacking > 2.0 && (lacking - had).abs() < 0.1, "{id}: {lacking:.3} s are missing, {had:.3} s were had");
        let marks = heard(&folder, id, &stage.path("out"));
        println!("{id}: {} seconds from {:?}", marks.len(), marks.first());
        let joint = |pair: &[RulerMark]| pair[1].index != pair[0].index + 1;
        let breaks: Vec<_> = marks.windows(2).filter(|pair| joint(pair)).collect();
        assert!(breaks.is_empty() && marks.len() > 120, "{id}: {breaks:?}");
    }
}
