//! What happens, as server-sent events: of one show or of all, resumed by `Last-Event-ID`.
//!
//! A reader holds a place and no copy of the events. One that falls behind what is remembered is cut off, and told what
//! it lost when it comes again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::IntoParams;

use super::Door;
use super::orders::find;
use super::problem::{Answer, Problem};
use crate::bridge::protocol::{ALERT_EVENT, STATUS_EVENT, STATUS_INTERVAL_MS};
use crate::daemon::hub::{Hub, Place, ShowEvent};
use crate::daemon::roster::Roster;
use crate::status::ShowStatus;

/// Name of the event that tells how many events are not remembered any more.
const LOST_EVENT: &str = "lost";

/// Pause after which a client comes again, in ms.
const RETRY: Duration = Duration::from_secs(1);

/// A word now and then, so that both sides notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a reader wants.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The status of the show (of every show) too, four times a second.
    #[serde(default)]
    status: bool,
    /// Everything that is remembered first, for a reader that comes without `Last-Event-ID`.
    #[serde(default)]
    all: bool,
}

/// What happens in all shows. Events: `event`, `lost` and, if asked for, `status`.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was read.")),
    responses((status = 200, content_type = "text/event-stream", body = ShowEvent), (status = 400, body = Problem)))]
pub(super) async fn of_all(
    State(door): State<Door>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    stream(&door, None, &wanted, &headers)
}

/// What happens in one show.
#[utoipa::path(get, path = "/api/v1/shows/{show}/events", tag = "events",
    params(Wanted, ("show" = String, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "Id of the last event that was read.")),
    responses((status = 200, content_type = "text/event-stream", body = ShowEvent), (status = 404, body = Problem)))]
pub(super) async fn of_show(
    State(door): State<Door>,
    Path(show): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    find(&door, &show)?;
    Ok(stream(&door, Some(show), &wanted, &headers))
}

fn stream(
    door: &Door,
    show: Option<String>,
    wanted: &Wanted,
    headers: &HeaderMap,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>> + use<>> {
    let hub = Arc::clone(door.roster.hub());
    let place = headers.get("last-event-id").and_then(|id| Place::parse(id.to_str().ok()?));
    let after = if place.is_none() && wanted.all { hub.oldest().saturating_sub(1) } else { hub.start(place) };
    let ticks = wanted.status.then(|| {
        let mut ticks = tokio::time::interval(Duration::from_millis(STATUS_INTERVAL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    let reader = Reader {
        news: hub.watch(),
        hub,
        roster: Arc::clone(&door.roster),
        show,
        after,
        began: false,
        queue: VecDeque::from([SseEvent::default().comment("here").retry(RETRY)]),
        ticks,
        sent: Vec::new(),
    };
    let token = door.token.clone();
    let events = unfold((reader, token), |(mut reader, token)| async move {
        let next = tokio::select! {
            next = reader.next() => next?,
            () = token.cancelled() => return None,
        };
        Some((Ok(next), (reader, token)))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

struct Reader {
    hub: Arc<Hub>,
    roster: Arc<Roster>,
    show: Option<String>,
    after: u64,
    /// Whether the first look is over: what is lost later is the reader's own slowness.
    began: bool,
    news: watch::Receiver<u64>,
    queue: VecDeque<SseEvent>,
    ticks: Option<Interval>,
    /// The statuses that were sent last, so that none is sent twice.
    sent: Vec<Arc<ShowStatus>>,
}

impl Reader {
    /// The next message; none for a reader that is cut off.
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Some(message);
            }
            self.news.mark_unchanged();
            if !self.read() {
                return None;
            }
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                // The hub lives as long as the reader holds it.
                changed = self.news.changed() => drop(changed),
                () = tick(&mut self.ticks) => self.queue_status(),
            }
        }
    }

    /// Queues what comes next; false for a reader that fell behind.
    fn read(&mut self) -> bool {
        loop {
            let batch = self.hub.after(self.after, self.show.as_deref());
            if batch.lost > 0 {
                if self.began {
                    tracing::debug!(lost = batch.lost, "A slow reader of events was cut off.");
                    return false;
                }
                let lost = SseEvent::default().event(LOST_EVENT).json_data(json!({"events": batch.lost}));
                self.queue.extend(lost);
            }
            self.began = true;
            let moved = batch.after > self.after;
            self.after = batch.after;
            for event in &batch.events {
                let id = self.hub.place(event.number()).to_string();
                self.queue.extend(SseEvent::default().event(ALERT_EVENT).id(id).json_data(event.as_ref()));
            }
            if !self.queue.is_empty() || !moved {
                return true;
            }
        }
    }

    fn queue_status(&mut self) {
        let shows = match &self.show {
            Some(show) => self.roster.get(show).into_iter().collect(),
            None => self.roster.all(),
        };
        let now: Vec<_> = shows.iter().filter_map(|ward| ward.watch().borrow().1.clone()).collect();
        for status in &now {
            if !self.sent.iter().any(|sent| Arc::ptr_eq(sent, status)) {
                self.queue.extend(SseEvent::default().event(STATUS_EVENT).json_data(status.as_ref()));
            }
        }
        self.sent = now;
    }
}

async fn tick(ticks: &mut Option<Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => std::future::pending().await,
    }
}
