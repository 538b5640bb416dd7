//! What Prometheus reads: base units, few labels, never a URL.

mod process;
mod traffic;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Door;
use super::problem::{Answer, Problem};
use crate::daemon::{Standing, WardView};
use crate::status::{OutputState, OutputStatus, ShowState, ShowStatus};

pub(super) use traffic::Traffic;

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge>;
type Counters = Family<Labels, Counter>;

const STANDINGS: [(Standing, &str); 4] = [
    (Standing::Off, "off"),
    (Standing::Supervised, "supervised"),
    (Standing::Elsewhere, "elsewhere"),
    (Standing::Held, "held"),
];

const STATES: [(ShowState, &str); 7] = [
    (ShowState::Starting, "starting"),
    (ShowState::Waiting, "waiting"),
    (ShowState::Live, "live"),
    (ShowState::Gap, "gap"),
    (ShowState::Ending, "ending"),
    (ShowState::Suspended, "suspended"),
    (ShowState::Ended, "ended"),
];

const OUTPUT_STATES: [(OutputState, &str); 4] = [
    (OutputState::Stopped, "stopped"),
    (OutputState::Connecting, "connecting"),
    (OutputState::Live, "live"),
    (OutputState::Backoff, "backoff"),
];

/// Metrics of the daemon, its shows and their outputs.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, content_type = "application/openmetrics-text", body = String)))]
pub(super) async fn metrics(State(door): State<Door>) -> Answer<Response> {
    let views: Vec<WardView> = door.roster.all().iter().map(|ward| ward.view()).collect();
    let (events, listeners, traffic) =
        (door.roster.hub().newest(), door.roster.hub().listeners(), Arc::clone(&door.traffic));
    // The kernel's figures of processes and disks are files, and may take their time.
    let written = tokio::task::spawn_blocking(move || {
        let mut registry = registry(&views, events, listeners);
        traffic.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    let fail = |error: String| Problem::new("internal", error);
    let text = written.await.map_err(|error| fail(error.to_string()))?.map_err(|error| fail(error.to_string()))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Everything as it is now: a scrape is rare, and nothing has to be kept in step.
fn registry(views: &[WardView], events: u64, listeners: usize) -> Registry {
    let mut registry = Registry::with_prefix("spacebridge");
    let build = Family::<Labels, Gauge>::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
    registry.register("build_info", "1, with the daemon's program version", build);
    let listening = Gauge::<i64>::default();
    listening.set(listeners as i64);
    registry.register("event_listeners", "Streams of events that are being read", listening);
    let standings = Gauges::default();
    registry.register("shows", "Shows, by where they stand with the daemon", standings.clone());
    for (standing, word) in STANDINGS {
        let count = views.iter().filter(|view| view.standing == standing).count();
        standings.get_or_create(&vec![("standing", word.to_owned())]).set(count as i64);
    }
    let told = Counter::<u64>::default();
    told.inc_by(events);
    registry.register("events", "Events of all shows that were told since the daemon started", told);
    let on_the_air = views.iter().filter(|view| view.on_the_air);
    let statuses: Vec<&ShowStatus> = on_the_air.filter_map(|view| view.status.as_deref()).collect();
    shows(&mut registry, &statuses);
    recordings(&mut registry, &statuses);
    disks(&mut registry, views);
    outputs(&mut registry, &statuses);
    bridges(&mut registry, &statuses);
    registry
}

/// What the bridges take of the machine.
fn bridges(registry: &mut Registry, statuses: &[&ShowStatus]) {
    let cpu = Family::<Labels, Counter<f64, AtomicU64>>::default();
    let (proportional, resident) = (Gauges::default(), Gauges::default());
    registry.register_with_unit("bridge_cpu", "Processor time of a show's bridge", Unit::Seconds, cpu.clone());
    let help = "Memory of a show's bridge, with its share of what it has in common with others";
    registry.register_with_unit("bridge_memory_proportional", help, Unit::Bytes, proportional.clone());
    let help = "Resident memory of a show's bridge";
    registry.register_with_unit("bridge_memory_resident", help, Unit::Bytes, resident.clone());
    for status in statuses {
        let Some(taken) = process::taken(status.bridge.pid) else { continue };
        let labels = vec![("show", status.show.clone())];
        cpu.get_or_create(&labels).inc_by(taken.cpu_seconds);
        proportional.get_or_create(&labels).set(taken.proportional as i64);
        resident.get_or_create(&labels).set(taken.resident as i64);
    }
}

fn shows(registry: &mut Registry, statuses: &[&ShowStatus]) {
    let (states, resumes) = (Gauges::default(), Counters::default());
    let late = Family::<Labels, Counter<f64, AtomicU64>>::default();
    let skipped = Family::<Labels, Counter<f64, AtomicU64>>::default();
    registry.register("show_state", "1 for the state that a show on the air is in", states.clone());
    registry.register("show_resumes", "How often the show was resumed by a new bridge process", resumes.clone());
    let help = "Source audio that came too late for the air";
    registry.register_with_unit("show_late", help, Unit::Seconds, late.clone());
    let help = "Source audio that was skipped on the air to return to the target delay";
    registry.register_with_unit("show_skipped", help, Unit::Seconds, skipped.clone());
    for status in statuses {
        let show = ("show", status.show.clone());
        for (state, word) in STATES {
            let labels = vec![show.clone(), ("state", word.to_owned())];
            states.get_or_create(&labels).set(i64::from(status.state == state));
        }
        let labels = vec![show];
        resumes.get_or_create(&labels).inc_by(u64::from(status.bridge.resumes));
        late.get_or_create(&labels).inc_by(status.program.late_ms as f64 / 1000.0);
        skipped.get_or_create(&labels).inc_by(status.program.skipped_ms as f64 / 1000.0);
    }
}

fn recordings(registry: &mut Registry, statuses: &[&ShowStatus]) {
    let (bytes, gaps, stopped) = (Gauges::default(), Gauges::default(), Gauges::default());
    let seconds = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    registry.register_with_unit("recording", "Source audio that is kept", Unit::Seconds, seconds.clone());
    registry.register_with_unit("recording_size", "What is kept", Unit::Bytes, bytes.clone());
    registry.register("recording_gaps", "Known gaps", gaps.clone());
    let missing = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    registry.register_with_unit("recording_missing", "Length of the known gaps", Unit::Seconds, missing.clone());
    registry.register("recording_stopped", "1 while nothing can be kept", stopped.clone());
    for status in statuses {
        let (labels, recording) = (vec![("show", status.show.clone())], &status.recording);
        seconds.get_or_create(&labels).set(recording.seconds);
        bytes.get_or_create(&labels).set(recording.bytes as i64);
        gaps.get_or_create(&labels).set(recording.gaps.len() as i64);
        let length = recording.gaps.iter().map(|gap| gap.end_seconds - gap.start_seconds).sum();
        missing.get_or_create(&labels).set(length);
        stopped.get_or_create(&labels).set(i64::from(recording.error.is_some()));
    }
}

/// The disks that shows on the air record to.
fn disks(registry: &mut Registry, views: &[WardView]) {
    let free = Gauges::default();
    let help = "Room on the disk that the show records to";
    registry.register_with_unit("recording_disk_free", help, Unit::Bytes, free.clone());
    for view in views.iter().filter(|view| view.on_the_air) {
        let config = view.config.as_ref().filter(|config| config.recording.enabled);
        if let Some(room) = config.and_then(|config| rustix::fs::statvfs(&config.recording.folder).ok()) {
            let labels = vec![("show", view.name.clone())];
            free.get_or_create(&labels).set((room.f_bavail * room.f_frsize) as i64);
        }
    }
}

fn outputs(registry: &mut Registry, statuses: &[&ShowStatus]) {
    let states = Gauges::default();
    registry.register("output_state", "1 for the state that an output is in", states.clone());
    type Figure = fn(&OutputStatus) -> u64;
    let figures: [(&str, &str, Option<Unit>, Figure); 4] = [
        ("output_connections", "Publishing sessions that became live", None, |one| u64::from(one.connections)),
        ("output_failures", "Attempts that failed and sessions that broke", None, |one| u64::from(one.failures)),
        ("output_sent", "Sent over all sessions", Some(Unit::Bytes), |one| one.bytes_out),
        ("output_dropped_frames", "Frames not sent, for the connection was too slow", None, |one| one.dropped_frames),
    ];
    let counters = figures.map(|(name, help, unit, figure)| {
        let counters = Counters::default();
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, counters.clone()),
            None => registry.register(name, help, counters.clone()),
        }
        (counters, figure)
    });
    for status in statuses {
        for output in &status.outputs {
            let labels = vec![("show", status.show.clone()), ("output", output.name.clone())];
            for (counters, figure) in &counters {
                counters.get_or_create(&labels).inc_by(figure(output));
            }
            for (state, word) in OUTPUT_STATES {
                let labels = [&labels[..], &[("state", word.to_owned())]].concat();
                states.get_or_create(&labels).set(i64::from(output.state == state));
            }
        }
    }
}
