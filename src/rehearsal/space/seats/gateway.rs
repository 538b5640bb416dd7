//! The media gateway's door: lets in whoever brings the seat's token, and hands everything on to a real Janus.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};

use super::relay::Relays;
use crate::rehearsal::space::broken::Answer;
use crate::rehearsal::space::platform::Door;

/// The path that the platform names.
pub(in crate::rehearsal::space) const PATH: &str = "/s=prod:rehearsal/v1/gateway";
/// A poll of Janus lasts half a minute.
const PATIENCE: Duration = Duration::from_secs(45);
/// Events of our own that wait for a poll.
const QUEUE_MAX: usize = 64;

/// What is kept between calls.
#[derive(Debug)]
pub(in crate::rehearsal::space) struct Gateway {
    client: reqwest::Client,
    relays: Mutex<Relays>,
    /// Cuts that were made.
    cuts: std::sync::atomic::AtomicU32,
    /// Events that Janus did not say.
    own: std::sync::Mutex<Vec<Value>>,
    news: Notify,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            client: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap_or_default(),
            relays: Mutex::default(),
            cuts: Default::default(),
            own: Default::default(),
            news: Notify::new(),
        }
    }
}

/// Where the gateway is.
pub(super) fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}{PATH}")
}

/// The gateway itself, at its root.
pub(in crate::rehearsal::space) async fn root(
    door: State<Door>,
    method: Method,
    query: RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    pass(door, method, String::new(), query, headers, body).await
}

/// One of its sessions and handles.
pub(in crate::rehearsal::space) async fn inside(
    door: State<Door>,
    method: Method,
    Path(rest): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    pass(door, method, format!("/{rest}"), query, headers, body).await
}

async fn pass(
    State(door): State<Door>,
    method: Method,
    rest: String,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let platform = &door.platform;
    platform.saw("gateway", &headers);
    let Some(janus) = &platform.args.gateway else { return StatusCode::NOT_FOUND.into_response() };
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !platform.lock().seats.is_admitted(token) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let gateway = &platform.gateway;
    let mut asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(ack) = refused(&door, &rest, &asked) {
        return Json(ack).into_response();
    }
    if platform.lock().seats.has_camera() {
        offer_all(&mut asked);
    }
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let url = format!("{}{rest}{query}", janus.as_str().trim_end_matches('/'));
    if method == Method::POST {
        if let Some(sdp) = asked.pointer("/jsep/sdp").and_then(Value::as_str).map(super::relay::hidden) {
            asked["jsep"]["sdp"] = json!(sdp);
        }
        return answer(gateway.client.post(url).json(&asked).send().await, &door).await;
    }
    if let Some(own) = gateway.own_event() {
        return Json(own).into_response();
    }
    tokio::select! {
        polled = gateway.client.get(url).send() => answer(polled, &door).await,
        () = gateway.news.notified() => Json(gateway.own_event().unwrap_or_else(|| json!([]))).into_response(),
    }
}

/// Asks Janus for all that a speaker sends where a subscriber asked for the sound alone: gateways differ in that.
fn offer_all(asked: &mut Value) {
    for list in ["streams", "subscribe"] {
        for stream in asked["body"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(stream) = stream.as_object_mut() {
                stream.remove("mid");
            }
        }
    }
}

/// Answers a subscriber in Janus's place, where an order says so.
fn refused(door: &Door, rest: &str, asked: &Value) -> Option<Value> {
    if asked["body"]["ptype"] != "subscriber" {
        return None;
    }
    let code = door.platform.lock().seats.next_gateway_error()?;
    let handle: u64 = rest.rsplit('/').next()?.parse().ok()?;
    let data = json!({"videoroom": "event", "error_code": code, "error": "as ordered by the rehearsal"});
    let event = json!({"janus": "event", "sender": handle, "transaction": asked["transaction"],
        "plugindata": {"plugin": "janus.plugin.videoroom", "data": data}});
    door.platform.gateway.say(event);
    Some(json!({"janus": "ack", "transaction": asked["transaction"]}))
}

async fn answer(answer: reqwest::Result<reqwest::Response>, door: &Door) -> Answer {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "Janus did not answer.");
            return StatusCode::BAD_GATEWAY.into_response();
        }
    };
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let Ok(mut said) = answer.json::<Value>().await else { return status.into_response() };
    let events = match &mut said {
        Value::Array(events) => events.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for event in events {
        if let Some(sdp) = event.pointer("/jsep/sdp").and_then(Value::as_str).map(str::to_owned) {
            event["jsep"]["sdp"] = json!(door.platform.gateway.relayed(door, &sdp).await);
        }
    }
    (status, Json(said)).into_response()
}

impl Gateway {
    async fn relayed(&self, door: &Door, sdp: &str) -> String {
        let lasting = door.platform.lock().seats.cut_after.map(|seconds| Duration::from_secs(seconds.into()));
        self.relays.lock().await.replace(sdp, lasting).await
    }

    /// Cuts what there is, if an order said so since the last time.
    pub(super) async fn tend(&self, cuts: u32) {
        if self.cuts.swap(cuts, std::sync::atomic::Ordering::Relaxed) != cuts {
            self.relays.lock().await.cut();
        }
    }

    fn say(&self, event: Value) {
        let mut own = self.own.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if own.len() < QUEUE_MAX {
            own.push(event);
        }
        drop(own);
        self.news.notify_one();
    }

    fn own_event(&self) -> Option<Value> {
        let mut own = self.own.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (!own.is_empty()).then(|| Value::Array(own.drain(..).collect()))
    }
}
