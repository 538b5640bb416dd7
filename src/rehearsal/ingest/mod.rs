//! A stand-in ingest: takes RTMP as a platform does, and judges it.
//!
//! Owns its server, its judgement and the faults that it is told to make. The stream key comes over standard input, is
//! compared, and is in no report, log or argument.

pub mod flv;
pub mod follow;
mod inspect;
mod rechunk;
pub mod report;
mod session;
pub mod track;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::inspect::Inspector;
pub use self::report::{ConnectionReport, IngestReport, IngestStarted};
use super::RehearsalError;
use crate::clock::Clock;
use crate::secret::Secret;

/// Connections whose reports are kept; later ones are only let publish.
const CONNECTIONS_KEPT: usize = 64;
/// Connections at one time; more wait.
const CONNECTIONS_AT_ONCE: usize = 8;

/// How the ingest is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct IngestArgs {
    /// Its name in the report.
    #[arg(long, default_value = "ingest")]
    pub name: String,
    /// The application that is expected, such as `live2`.
    #[arg(long, default_value = "live2")]
    pub app: String,
    /// Refuses the first so many attempts though the key is right.
    #[arg(long, value_name = "TIMES", default_value_t = 0)]
    pub refuse: u32,
    /// Closes every connection after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub close_after: Option<u32>,
    /// Reads nothing more of the first connection after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub stall_after: Option<u32>,
}

impl Default for IngestArgs {
    fn default() -> Self {
        Self { name: "ingest".into(), app: "live2".into(), refuse: 0, close_after: None, stall_after: None }
    }
}

impl IngestArgs {
    /// The command line that makes these arguments again.
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["rehearsal-ingest".to_owned()];
        let mut give = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
        give("name", self.name.clone());
        give("app", self.app.clone());
        give("refuse", self.refuse.to_string());
        for (name, seconds) in [("close-after", self.close_after), ("stall-after", self.stall_after)] {
            if let Some(seconds) = seconds {
                give(name, seconds.to_string());
            }
        }
        arguments
    }
}

/// What the sessions of one ingest share.
#[derive(Debug)]
struct Ingest {
    args: IngestArgs,
    key: Secret,
    clock: Clock,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    connections: Vec<Connection>,
    attempts: u32,
    refused: u32,
}

#[derive(Debug)]
enum Connection {
    Open(Arc<Mutex<Option<Inspector>>>),
    Over(Box<ConnectionReport>),
}

impl Ingest {
    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> IngestReport {
        let log = self.log();
        let connections = log.connections.iter().map(|connection| match connection {
            Connection::Over(report) => (**report).clone(),
            Connection::Open(inspector) => inspector
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(Inspector::so_far)
                .unwrap_or_default(),
        });
        IngestReport { name: self.args.name.clone(), connections: connections.collect(), refused: log.refused }
    }
}

/// An ingest that is ready to serve.
#[derive(Debug)]
pub struct IngestServer {
    rtmp: TcpListener,
    http: TcpListener,
    ingest: Arc<Ingest>,
}

impl IngestServer {
    /// Takes two free ports on 127.0.0.1. Only `key` may publish.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn bind(args: IngestArgs, key: Secret, clock: Clock) -> Result<Self, RehearsalError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let rtmp = TcpListener::bind(address).await.map_err(RehearsalError::io("the ingest found no port"))?;
        let http = TcpListener::bind(address).await.map_err(RehearsalError::io("the ingest found no port"))?;
        Ok(Self { rtmp, http, ingest: Arc::new(Ingest { args, key, clock, log: Mutex::default() }) })
    }

    /// Where it is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn started(&self) -> Result<IngestStarted, RehearsalError> {
        let port = |listener: &TcpListener| {
            listener.local_addr().map(|address| address.port()).map_err(RehearsalError::io("the ingest has no address"))
        };
        let (rtmp, http) = (port(&self.rtmp)?, port(&self.http)?);
        let server_url = format!("rtmp://127.0.0.1:{rtmp}/{}", self.ingest.args.app);
        Ok(IngestStarted { port: rtmp, report_port: http, server_url })
    }

    /// Serves until `until` is over; then the last report.
    ///
    /// # Errors
    /// When the report's server fails.
    pub async fn serve(self, until: impl Future<Output = ()> + Send + 'static) -> Result<IngestReport, RehearsalError> {
        let token = CancellationToken::new();
        let ended = token.clone();
        tokio::spawn(async move {
            until.await;
            ended.cancel();
        });
        let tracker = TaskTracker::new();
        tracker.spawn(accept(self.rtmp, self.ingest.clone(), token.clone(), tracker.clone()));
        let router = Router::new().route("/report", get(report)).with_state(self.ingest.clone());
        let stop = token.clone();
        let served = axum::serve(self.http, router).with_graceful_shutdown(async move { stop.cancelled().await });
        served.await.map_err(RehearsalError::io("the ingest's report stopped"))?;
        tracker.close();
        tracker.wait().await;
        Ok(self.ingest.report())
    }
}

async fn report(State(ingest): State<Arc<Ingest>>) -> Json<IngestReport> {
    Json(ingest.report())
}

async fn accept(listener: TcpListener, ingest: Arc<Ingest>, token: CancellationToken, tracker: TaskTracker) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_AT_ONCE));
    loop {
        let connection = tokio::select! {
            connection = listener.accept() => connection,
            () = token.cancelled() => return,
        };
        match connection {
            Ok((stream, _)) => {
                let (ingest, token, places) = (ingest.clone(), token.clone(), places.clone());
                tracker.spawn(async move {
                    let _place = places.acquire().await;
                    session::run(stream, ingest, token).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "Ingest could not take a connection.");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// The process `rehearsal-ingest`: reads its key from the first line of standard input, prints where it is, serves until
/// its parent is gone, and prints its report.
///
/// # Errors
/// When it does not start, or nobody reads its lines.
pub async fn serve(args: IngestArgs, mut out: impl tokio::io::AsyncWrite + Unpin) -> Result<(), RehearsalError> {
    let failed = RehearsalError::io("standard input cannot be read");
    let mut lifeline = super::lifeline::Lifeline::open().map_err(failed)?;
    let key = lifeline.line().await.filter(|key| !key.is_empty()).ok_or_else(|| {
        RehearsalError::Options("the ingest got no stream key: write it as the first line of standard input".to_owned())
    })?;
    let server = IngestServer::bind(args, Secret::new(key), Clock::system()).await?;
    super::lifeline::announce(&mut out, &server.started()?).await?;
    let report = server.serve(lifeline.ended()).await?;
    super::lifeline::announce(out, &report).await
}
