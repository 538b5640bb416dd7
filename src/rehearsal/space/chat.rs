//! The space's chat as the platform speaks it: access, the WebSocket, and what is said on order.
//!
//! Calls and messages as observed by twspace-crawler, elizaOS's agent-twitter-client and stream-nexus.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::broken::Answer;
use super::chunk::NTP_TO_UNIX;
use super::control::ChatEvent;
use super::platform::{Door, Platform};

/// Time that a client has for each of its two first messages.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who comes without the right words is thrown out with this code (a policy violation, RFC 6455).
const THROWN_OUT: u16 = 1008;
/// Listeners that are there before anybody comes.
const CROWD: u32 = 3;
/// Size of a huge message, in bytes.
const HUGE: usize = 256 << 10;

/// Something said to everybody in the chat.
#[derive(Debug, Clone)]
pub(super) enum ChatLine {
    /// What was ordered.
    Event {
        event: ChatEvent,
        /// How often.
        count: u32,
        /// Of a close.
        code: u16,
    },
    /// Something about the stage: the platform's number for it, and whom.
    Stage { number: u32, id: String, name: String },
}

/// Lets somebody in who brings a space's chat token.
pub(super) async fn access(State(door): State<Door>, headers: HeaderMap, Json(asked): Json<Value>) -> Answer {
    let platform = &door.platform;
    platform.saw("chat_access", &headers);
    let token = asked.get("chat_token").and_then(Value::as_str).unwrap_or_default();
    let origin = format!("http://127.0.0.1:{}", platform.ports[0]);
    let mut inner = platform.lock();
    if inner.faults.next_chat_absent() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Some(space) = inner.space(|space| space.chat_token == token) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    Json(json!({
        "subscriber": "rehearsal", "publisher": "", "auth_token": "", "signer_key": "", "signer_token": "",
        "channel": space.id, "should_verify_signature": false, "access_token": space.access_token,
        "endpoint": origin, "replay_access_token": "", "replay_endpoint": origin, "room_id": space.id,
        "participant_index": 0, "read_only": true, "should_log": false, "chan_perms": {"pb": 0, "cm": 0},
    }))
    .into_response()
}

/// The chat itself.
pub(super) async fn socket(State(door): State<Door>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Answer {
    door.platform.saw("chat", &headers);
    upgrade.on_upgrade(move |socket| async move {
        if let Err(error) = serve(socket, &door.platform).await {
            tracing::debug!(%error, "Somebody left the chat.");
        }
    })
}

async fn serve(mut socket: WebSocket, platform: &Platform) -> Result<(), axum::Error> {
    let auth = next(&mut socket).await;
    let join = next(&mut socket).await;
    let token = auth.as_ref().and_then(|auth| auth.pointer("/payload/access_token")?.as_str().map(str::to_owned));
    let room = join.as_ref().and_then(|join| join.pointer("/payload/body/room")?.as_str().map(str::to_owned));
    let lines = {
        let mut inner = platform.lock();
        let refused = inner.faults.next_chat_refused();
        let wanted = |id: &str, access: &str| Some(id) == room.as_deref() && Some(access) == token.as_deref();
        let space = inner.space(|space| wanted(&space.id, &space.access_token)).filter(|_| !refused);
        space.map(|space| (space.id.clone(), space.script.state().is_over(), space.chat.subscribe()))
    };
    let Some((room, over, mut lines)) = lines else { return close(&mut socket, THROWN_OUT).await };
    let mut occupancy = CROWD + 1;
    socket.send(presence(&room, occupancy)).await?;
    if over {
        socket.send(chat(&room, &json!({"type": 5}))).await?;
    }
    loop {
        tokio::select! {
            // Pings are answered by the socket itself.
            message = socket.recv() => match message {
                None | Some(Ok(Message::Close(_))) => return Ok(()),
                Some(message) => drop(message?),
            },
            line = lines.recv() => match line {
                Ok(ChatLine::Event { event: ChatEvent::Close, code, .. }) => return close(&mut socket, code).await,
                Ok(ChatLine::Event { event, count, .. }) => {
                    occupancy += u32::from(event == ChatEvent::Arrival);
                    let unix_ms = platform.unix_ms(platform.now_ms());
                    for n in 0..count {
                        socket.send(said(&room, event, (occupancy, n), unix_ms)).await?;
                    }
                }
                Ok(ChatLine::Stage { number, id, name }) => {
                    let body = json!({"type": 40, "guestBroadcastingEvent": number, "guestRemoteID": id,
                        "guestUsername": name, "v": 2});
                    socket.send(chat(&room, &body)).await?;
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

/// The next message, with the JSON in its strings read.
async fn next(socket: &mut WebSocket) -> Option<Value> {
    let message = tokio::time::timeout(PATIENCE, socket.recv()).await.ok()??.ok()?;
    let mut outer: Value = serde_json::from_str(message.to_text().ok()?).ok()?;
    let mut payload: Value = serde_json::from_str(outer["payload"].as_str()?).ok()?;
    if let Some(body) = payload["body"].as_str().and_then(|body| serde_json::from_str(body).ok()) {
        payload["body"] = body;
    }
    outer["payload"] = payload;
    Some(outer)
}

async fn close(socket: &mut WebSocket, code: u16) -> Result<(), axum::Error> {
    socket.send(Message::Close(Some(CloseFrame { code, reason: "rehearsal".into() }))).await
}

/// `unix_ms` is the broadcaster's time.
fn said(room: &str, event: ChatEvent, (occupancy, n): (u32, u32), unix_ms: i64) -> Message {
    match event {
        ChatEvent::Ended => chat(room, &json!({"type": 5, "v": 2})),
        ChatEvent::Malformed => Message::text(r#"{"kind":1,"payload":"{\"room\":\"x\",\"body\":\"{\\\"type\\\":5"}"#),
        ChatEvent::Unknown => Message::text(r#"{"kind":77,"payload":"{\"kind\":88}","signature":""}"#),
        ChatEvent::Huge => chat(room, &json!({"type": 1, "body": "x".repeat(HUGE)})),
        ChatEvent::Arrival => presence(room, occupancy),
        ChatEvent::Flood => chat(room, &json!({"type": 2, "body": "", "n": n, "v": 2})),
        ChatEvent::Caption | ChatEvent::Close | ChatEvent::Absent | ChatEvent::Refused => {
            let seconds = unix_ms as f64 / 1000.0 + NTP_TO_UNIX;
            let ntp = (seconds * 4_294_967_296.0) as u64;
            chat(
                room,
                &json!({"type": 45, "body": "this is what was said", "final": true, "ntpForBroadcasterFrame": ntp, "v": 2}),
            )
        }
    }
}

fn chat(room: &str, body: &Value) -> Message {
    let sender = json!({"user_id": "1rehearsal00", "username": "alice", "participant_index": 1, "lang": ["en"]});
    let payload = json!({"room": room, "body": body.to_string(), "lang": "en", "sender": sender, "uuid": "0"});
    Message::text(json!({"kind": 1, "payload": payload.to_string(), "signature": ""}).to_string())
}

fn presence(room: &str, occupancy: u32) -> Message {
    let body = json!({"room": room, "occupancy": occupancy, "total_participants": occupancy});
    let payload = json!({"kind": 4, "body": body.to_string(), "sender": {"user_id": ""}});
    Message::text(json!({"kind": 2, "payload": payload.to_string(), "signature": ""}).to_string())
}
