//! The routes of a bridge's protocol. Every body that is read has a bound, and every answer one of time.

mod live;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as SseEvent, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::{broadcast, oneshot};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::protocol::{
    ALERT_EVENT, AdoptOrder, BridgeCommand, BridgeService, EventPlace, Hello, MarkOrder, OutputAction, Problem,
    STATUS_EVENT, STATUS_INTERVAL_MS, SourceAccepted, SourceOrder, VERSION_HEADER,
};
use crate::alert::Event;
use crate::status::{OutputStatus, PROTOCOL_VERSION, ShowStatus, SourceStatus};

/// Time from a request to its answer; orders are understood in milliseconds or the bridge is stuck.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Largest body: a link of 4096 characters, however it is escaped.
const BODY_MAX: usize = 32 << 10;

#[derive(Clone)]
struct Served {
    service: BridgeService,
    token: CancellationToken,
}

type Answer<T> = Result<T, ProblemAnswer>;

/// Every route, with bounded time and the protocol's version on every answer.
pub(super) fn router(service: BridgeService, token: CancellationToken) -> Router {
    Router::new()
        .route("/v1/hello", get(hello))
        .route("/v1/status", get(status))
        .route("/v1/events", get(events))
        .route("/v1/outputs", get(outputs).post(live::add_output).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/v1/outputs/{name}/{action}", post(output))
        .route("/v1/source", get(sources).post(source).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/v1/mark", post(mark).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/v1/adopt", post(adopt).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/v1/end", post(end))
        .route("/v1/suspend", post(suspend))
        .merge(live::router())
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(bounded))
        .with_state(Served { service, token })
}

async fn bounded(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await;
    let mut answer = answer.unwrap_or_else(|_| {
        problem(StatusCode::GATEWAY_TIMEOUT, "timeout", "The show did not answer in time.", "Try again.")
            .into_response()
    });
    answer.headers_mut().insert(VERSION_HEADER, HeaderValue::from(PROTOCOL_VERSION));
    answer
}

async fn hello(State(served): State<Served>) -> Json<Hello> {
    let status = current(&served);
    Json(Hello {
        protocol: PROTOCOL_VERSION,
        version: status.bridge.version.clone(),
        show: status.show.clone(),
        pid: status.bridge.pid,
    })
}

async fn status(State(served): State<Served>) -> Json<ShowStatus> {
    Json(ShowStatus::clone(&current(&served)))
}

async fn outputs(State(served): State<Served>) -> Json<Vec<OutputStatus>> {
    Json(current(&served).outputs.clone())
}

async fn end(State(served): State<Served>) -> Answer<Response> {
    order(&served, BridgeCommand::End).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": "end"}))).into_response())
}

async fn suspend(State(served): State<Served>) -> Answer<Response> {
    order(&served, BridgeCommand::Suspend).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": "suspend"}))).into_response())
}

async fn output(State(served): State<Served>, Path((name, action)): Path<(String, String)>) -> Answer<Response> {
    let action = match action.as_str() {
        "start" => OutputAction::Start,
        "stop" => OutputAction::Stop,
        "restart" => OutputAction::Restart,
        _ => return Err(problem(StatusCode::NOT_FOUND, "no-action", "No such action.", "Use start, stop or restart.")),
    };
    known_output(&served, &name)?;
    let (reply, answer) = oneshot::channel();
    order(&served, BridgeCommand::Output { name: name.clone(), action, reply }).await?;
    match answer.await {
        Ok(Ok(())) => Ok(Json(json!({"accepted": action, "output": name})).into_response()),
        Ok(Err(detail)) => Err(problem(StatusCode::CONFLICT, "refused", "The output cannot do this now.", &detail)),
        Err(_) => Err(over()),
    }
}

fn known_output(served: &Served, name: &str) -> Answer<()> {
    let known: Vec<String> = current(served).outputs.iter().map(|output| output.name.clone()).collect();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let detail = format!("This show's outputs: {}.", known.join(", "));
    Err(problem(StatusCode::NOT_FOUND, "no-output", "The show has no output of this name.", &detail))
}

async fn sources(State(served): State<Served>) -> Json<Vec<SourceStatus>> {
    Json(current(&served).sources.clone())
}

async fn source(State(served): State<Served>, body: Result<Json<SourceOrder>, JsonRejection>) -> Answer<Response> {
    let Json(SourceOrder { url }) = body.map_err(|rejection| {
        let detail = format!("Send {{\"url\": \"https://x.com/i/spaces/…\"}} as application/json: {rejection}.");
        problem(StatusCode::BAD_REQUEST, "bad-request", "The order cannot be understood.", &detail)
    })?;
    let (reply, answer) = oneshot::channel();
    order(&served, BridgeCommand::Source { url, reply }).await?;
    match answer.await {
        Ok(Ok(source)) => Ok((StatusCode::ACCEPTED, Json(SourceAccepted { source })).into_response()),
        Ok(Err(detail)) => Err(problem(StatusCode::CONFLICT, "refused", "The show keeps its source.", &detail)),
        Err(_) => Err(over()),
    }
}

async fn mark(State(served): State<Served>, body: Result<Json<MarkOrder>, JsonRejection>) -> Answer<Response> {
    let Json(MarkOrder { title }) = body.map_err(|rejection| {
        let detail = format!("Send {{\"title\": \"Climate\"}} as application/json: {rejection}.");
        problem(StatusCode::BAD_REQUEST, "bad-request", "The order cannot be understood.", &detail)
    })?;
    let (reply, answer) = oneshot::channel();
    order(&served, BridgeCommand::Mark { title, reply }).await?;
    match answer.await {
        Ok(Ok(marked)) => Ok((StatusCode::OK, Json(marked)).into_response()),
        Ok(Err(detail)) => Err(problem(StatusCode::CONFLICT, "refused", "Nothing was marked.", &detail)),
        Err(_) => Err(over()),
    }
}

async fn adopt(State(served): State<Served>, body: Result<Json<AdoptOrder>, JsonRejection>) -> Answer<Response> {
    let Json(AdoptOrder { pid }) = body.map_err(|rejection| {
        let detail = format!("Send {{\"pid\": 4711}} as application/json: {rejection}.");
        problem(StatusCode::BAD_REQUEST, "bad-request", "The order cannot be understood.", &detail)
    })?;
    let (reply, answer) = oneshot::channel();
    order(&served, BridgeCommand::Adopt { pid, reply }).await?;
    match answer.await {
        Ok(Ok(())) => Ok(Json(json!({"accepted": "adopt"})).into_response()),
        Ok(Err(detail)) => Err(problem(StatusCode::CONFLICT, "refused", "The bridge keeps its supervisor.", &detail)),
        Err(_) => Err(over()),
    }
}

async fn no_route() -> ProblemAnswer {
    problem(StatusCode::NOT_FOUND, "no-route", "There is nothing here.", "Start at /v1/hello.")
}

async fn wrong_method() -> ProblemAnswer {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "Not by this method.",
        "Orders are POST or DELETE, all else is GET.",
    )
}

fn current(served: &Served) -> Arc<ShowStatus> {
    Arc::clone(&served.service.status.borrow())
}

async fn order(served: &Served, command: BridgeCommand) -> Answer<()> {
    served.service.commands.send(command).await.map_err(|_| over())
}

fn over() -> ProblemAnswer {
    problem(StatusCode::SERVICE_UNAVAILABLE, "over", "The show takes no orders any more.", "It is about to exit.")
}

fn problem(status: StatusCode, kind: &str, title: &str, detail: &str) -> ProblemAnswer {
    ProblemAnswer(Problem {
        kind: format!("urn:spacebridge:{kind}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
    })
}

struct ProblemAnswer(Problem);

impl IntoResponse for ProblemAnswer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.0)).into_response()
    }
}

async fn events(
    State(served): State<Served>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let pid = current(&served).bridge.pid;
    let place = headers.get("last-event-id").and_then(|id| EventPlace::parse(id.to_str().ok()?));
    let mut ticks = tokio::time::interval(Duration::from_millis(STATUS_INTERVAL_MS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reader = Reader {
        after: place.map_or(0, |place| place.after_in(pid)),
        news: served.service.events.subscribe(),
        queue: VecDeque::new(),
        over: false,
        served,
        pid,
        ticks,
    };
    Sse::new(unfold(reader, |mut reader| async move { Some((Ok(reader.next().await?), reader)) }))
}

/// One reader of the event stream. It holds a place and no copy of the events, so that a slow reader costs nothing.
struct Reader {
    served: Served,
    pid: u32,
    after: u64,
    news: broadcast::Receiver<Event>,
    ticks: Interval,
    queue: VecDeque<SseEvent>,
    over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                return Some(message);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                () = self.served.token.cancelled() => {
                    self.over = true;
                    self.queue_events();
                    self.queue_status();
                }
                // A reader that was too slow for this receiver finds everything in the memory all the same.
                _ = self.news.recv() => self.queue_events(),
                _ = self.ticks.tick() => {
                    self.queue_events();
                    self.queue_status();
                }
            }
        }
    }

    fn queue_events(&mut self) {
        for event in self.served.service.events.after(self.after) {
            self.after = event.id;
            let place = EventPlace { pid: Some(self.pid), id: event.id };
            let message = SseEvent::default().event(ALERT_EVENT).id(place.to_string()).json_data(&event);
            self.queue.extend(message);
        }
    }

    fn queue_status(&mut self) {
        let status = current(&self.served);
        self.queue.extend(SseEvent::default().event(STATUS_EVENT).json_data(&*status));
    }
}
