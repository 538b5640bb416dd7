//! A finished space into a recording's folder: as fast as it goes, through a kill in the middle; and what is refused.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use spacebridge::recording::Archive;
use spacebridge::rehearsal::space::Order;

use crate::support::show::{Run, Space, Stage, send};
use crate::support::tape::session_of;
use crate::support::{eventually, turn};

fn archive(stage: &Stage, space: &Space) -> Run {
    stage.run_verb(&["archive", &space.started.space_url, "--config", "show.toml", "--json"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_archived_in_seconds_through_kill_9_and_a_live_space_is_refused() {
    let _turn = turn().await;
    let space = Space::running_for(3600).await;
    let stage = Stage::new(&space.config());
    let said = archive(&stage, &space).ended(30).await;
    assert_ne!(said.code, Some(0));
    assert!(said.all().contains("still running: record it with `spacebridge run"), "{}", said.all());
    assert!(!stage.path("recordings").exists(), "nothing is begun for a space that cannot be archived");

    space.order(Order::End { replay: true }).await;
    let began = Instant::now();
    let first = archive(&stage, &space);
    let had = || {
        let folder = stage.path("recordings").exists().then(|| stage.archive())?;
        Archive::read(&folder).ok()?.sessions.first().map(|session| session.segments.len()).filter(|had| *had > 100)
    };
    let kept = eventually("some of it is had", Duration::from_secs(30), had).await;
    send(first.pid(), Signal::KILL);
    drop(first);
    let said = archive(&stage, &space).ended(120).await;
    assert_eq!(said.code, Some(0), "{}", said.all());
    let took = began.elapsed();
    assert!(said.all().contains("\"state\":\"whole\""), "{}", said.all());
    let session = session_of(&stage.archive());
    assert_eq!(session.gap_list(), []);
    assert_eq!(session.segments[0].media_time, 0);
    let seconds: u64 = session.segments.iter().map(|segment| segment.duration).sum::<u64>() / 48_000;
    assert!((3595..3620).contains(&seconds) && session.segments.len() > kept, "{seconds} s");
    assert!(session.info.title.is_some() && session.info.started_at.is_some() && session.info.ended);
    let twice = space.report().await.chunks.iter().filter(|chunk| chunk.served > 1).count();
    assert!(twice <= 70, "{twice} segments were fetched twice: more than were on their way when it was killed");
    assert!(stage.finished().exists());
    assert!(took < Duration::from_secs(90), "{took:?}");
}
