//! One RTMP connection: lets the right key publish, hands every message to its judge, makes the faults it is told to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use scuffle_rtmp::chunk::CHUNK_SIZE;
use scuffle_rtmp::chunk::writer::ChunkWriter;
use scuffle_rtmp::command_messages::on_status::OnStatus;
use scuffle_rtmp::command_messages::{Command, CommandResultLevel, CommandType};
use scuffle_rtmp::session::server::{ServerSession, ServerSessionError, SessionData, SessionHandler};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::inspect::Inspector;
use super::rechunk::{Rechunked, status_on_stream};
use super::{CONNECTIONS_KEPT, Connection, Ingest};

/// Serves one connection to its end.
pub(super) async fn run(mut stream: TcpStream, ingest: Arc<Ingest>, token: CancellationToken) {
    let desk = Arc::new(Desk::default());
    let handler = Handler { ingest: ingest.clone(), desk: desk.clone(), clock_start: Instant::now(), first: false };
    let deadline = ingest.args.close_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
    let closing = async {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    let session = ServerSession::new(Rechunked::new(&mut stream), handler);
    let cleanly = tokio::select! {
        result = session.run() => result.unwrap_or_else(|error| {
            tracing::debug!(%error, "Connection to the ingest broke.");
            false
        }),
        () = closing => false,
        () = token.cancelled() => false,
    };
    if desk.is_refused() {
        refuse(&mut stream).await;
    }
    file_report(&ingest, &desk, cleanly).await;
}

/// Where handler and session's end meet.
#[derive(Debug, Default)]
struct Desk {
    inspector: Arc<Mutex<Option<Inspector>>>,
    refused: std::sync::atomic::AtomicBool,
}

impl Desk {
    fn is_refused(&self) -> bool {
        self.refused.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn with(&self, look: impl FnOnce(&mut Inspector)) {
        if let Some(inspector) = self.inspector.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            look(inspector);
        }
    }
}

async fn file_report(ingest: &Arc<Ingest>, desk: &Arc<Desk>, cleanly: bool) {
    let ended_ms = ingest.clock.wall().as_millisecond();
    let taken = desk.inspector.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(inspector) = taken else { return };
    // The decoder's end may take a moment.
    let Ok(report) = tokio::task::spawn_blocking(move || inspector.finish(ended_ms, cleanly)).await else { return };
    let mut log = ingest.log();
    let ours = |place: &&mut Connection| matches!(place, Connection::Open(open) if Arc::ptr_eq(open, &desk.inspector));
    if let Some(place) = log.connections.iter_mut().find(ours) {
        *place = Connection::Over(Box::new(report));
    }
}

/// Says what a platform says to a wrong key, before the connection closes.
async fn refuse(stream: &mut TcpStream) {
    let mut writer = ChunkWriter::default();
    writer.set_chunk_size(CHUNK_SIZE);
    let status = OnStatus {
        level: CommandResultLevel::Error,
        code: "NetStream.Publish.BadName".into(),
        description: Some("this stream key is not known".into()),
        others: None,
    };
    let mut bytes = Vec::new();
    let command = Command { command_type: CommandType::OnStatus(status), transaction_id: 0.0 };
    if command.write(&mut bytes, &writer).is_err() {
        return;
    }
    status_on_stream(&mut bytes);
    if stream.write_all(&bytes).await.is_err() {
        tracing::debug!("Refused connection was gone before it was told.");
    }
}

struct Handler {
    ingest: Arc<Ingest>,
    desk: Arc<Desk>,
    clock_start: Instant,
    /// Whether this is the ingest's first connection, the only one that stalls.
    first: bool,
}

impl SessionHandler for Handler {
    async fn on_publish(&mut self, _stream: u32, app: &str, key: &str) -> Result<(), ServerSessionError> {
        let args = &self.ingest.args;
        let mut log = self.ingest.log();
        log.attempts += 1;
        if app != args.app || key != self.ingest.key.expose() || log.attempts <= args.refuse {
            log.refused += 1;
            self.desk.refused.store(true, std::sync::atomic::Ordering::Relaxed);
            // The crate has no word for a refusal; any error ends the session.
            return Err(ServerSessionError::PublishBeforeConnect);
        }
        self.first = log.connections.is_empty();
        self.clock_start = self.ingest.clock.now();
        let inspector = Inspector::new(self.ingest.clock.wall().as_millisecond());
        *self.desk.inspector.lock().unwrap_or_else(PoisonError::into_inner) = Some(inspector);
        if log.connections.len() < CONNECTIONS_KEPT {
            log.connections.push(Connection::Open(self.desk.inspector.clone()));
        }
        Ok(())
    }

    async fn on_unpublish(&mut self, _stream: u32) -> Result<(), ServerSessionError> {
        Ok(())
    }

    async fn on_data(&mut self, _stream: u32, data: SessionData) -> Result<(), ServerSessionError> {
        let arrival = self.ingest.clock.now().saturating_duration_since(self.clock_start);
        let stall = self.ingest.args.stall_after.filter(|_| self.first);
        if stall.is_some_and(|seconds| arrival >= Duration::from_secs(u64::from(seconds))) {
            // Nothing more is read: the peer's socket fills up.
            std::future::pending::<()>().await;
        }
        let arrival_ms = arrival.as_secs_f64() * 1000.0;
        self.desk.with(|inspector| match data {
            SessionData::Amf0 { data, .. } => inspector.data(&data),
            SessionData::Audio { timestamp, data } => inspector.audio(timestamp, &data, arrival_ms),
            SessionData::Video { timestamp, data } => inspector.video(timestamp, &data, arrival_ms),
        });
        Ok(())
    }
}
