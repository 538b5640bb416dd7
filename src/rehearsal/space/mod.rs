//! The simulated space: speaks X's endpoints with their very path shapes, and plays the ruler in real time.
//!
//! Owns its server and its script. It knows nothing of the bridge: it is driven over `POST /control` and asked over
//! `GET /control/report`. All paths and answers follow what public clients observed (yt-dlp, twspace-crawler,
//! twspace-dl, fireattack's notes).

mod api;
mod audiospace;
mod broken;
mod chat;
pub mod chunk;
pub mod control;
mod faults;
pub mod format;
mod hls;
mod holdings;
mod platform;
pub mod script;
mod seats;
mod sound;
mod tape;
mod witness;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::broken::Answer;
pub use self::control::{Order, SpaceReport, SpaceStarted};
use self::format::SoundFormat;
use self::platform::{Door, Platform};
use self::sound::Sound;
use super::RehearsalError;
use crate::clock::Clock;

/// How the space is to be.
#[derive(Debug, Clone, clap::Args)]
pub struct SpaceArgs {
    /// How long the space has been running when it starts, in seconds. More than 900 start at once all the same: all but
    /// the last minute of them repeats one minute of the ruler.
    #[arg(long = "running-for", value_name = "SECONDS", default_value_t = 30)]
    pub running_for_seconds: u32,
    /// The space waits for the order to start.
    #[arg(long)]
    pub not_started: bool,
    /// Announces a start so many seconds from now.
    #[arg(long = "scheduled-in", value_name = "SECONDS")]
    pub scheduled_in_seconds: Option<u32>,
    /// Media sequence number of the first chunk.
    #[arg(long, default_value_t = 0)]
    pub first_sequence: u64,
    /// Chunks are listed late by up to so many milliseconds.
    #[arg(long, default_value_t = 0)]
    pub jitter_ms: u64,
    /// The list of everything so far lags behind by so many seconds while the space is running.
    #[arg(long = "snapshot-lag", value_name = "SECONDS", default_value_t = 0)]
    pub snapshot_lag_seconds: u32,
    /// Title of the space.
    #[arg(long, default_value = "Rehearsal: the ruler, live")]
    pub title: String,
    /// Handle of the host.
    #[arg(long, default_value = "rehearsal")]
    pub host: String,
    /// Handles of guests on stage.
    #[arg(long, value_delimiter = ',', default_value = "alice,bob")]
    pub guests: Vec<String>,
    /// How sizes of ID3 frames are written.
    #[arg(long, value_enum, default_value_t = chunk::Id3Sizes::Synchsafe)]
    pub id3_sizes: chunk::Id3Sizes,
    /// A Janus gateway, such as `http://192.0.2.1:8088/janus`, in which the space's speakers speak and seats are given.
    /// Its videoroom has names for rooms (`string_ids`). Without it nobody gets a seat.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<url::Url>,
    /// Refuses playlists and chunks without a `Referer`.
    #[arg(long)]
    pub needs_referer: bool,
}

impl Default for SpaceArgs {
    fn default() -> Self {
        Self {
            running_for_seconds: 30,
            not_started: false,
            scheduled_in_seconds: None,
            first_sequence: 0,
            jitter_ms: 0,
            snapshot_lag_seconds: 0,
            title: "Rehearsal: the ruler, live".to_owned(),
            host: "rehearsal".to_owned(),
            guests: vec!["alice".to_owned(), "bob".to_owned()],
            id3_sizes: chunk::Id3Sizes::Synchsafe,
            gateway: None,
            needs_referer: false,
        }
    }
}

impl SpaceArgs {
    /// The command line that makes these arguments again.
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["rehearsal-space".to_owned()];
        let mut give = |name: &str, value: String| arguments.push(format!("--{name}={value}"));
        give("running-for", self.running_for_seconds.to_string());
        give("first-sequence", self.first_sequence.to_string());
        give("jitter-ms", self.jitter_ms.to_string());
        give("snapshot-lag", self.snapshot_lag_seconds.to_string());
        give("title", self.title.clone());
        give("host", self.host.clone());
        give("guests", self.guests.join(","));
        let sizes = if self.id3_sizes == chunk::Id3Sizes::Plain { "plain" } else { "synchsafe" };
        give("id3-sizes", sizes.to_owned());
        if let Some(seconds) = self.scheduled_in_seconds {
            give("scheduled-in", seconds.to_string());
        }
        if let Some(gateway) = &self.gateway {
            give("gateway", gateway.to_string());
        }
        arguments.extend(self.not_started.then(|| "--not-started".to_owned()));
        arguments.extend(self.needs_referer.then(|| "--needs-referer".to_owned()));
        arguments
    }
}

/// The ruler is made from its start for a space that has been running no longer than this, which takes some seconds.
const MADE_MS: u64 = 900_000;

/// Time for connections to end when the server ends: some hang on purpose.
const GRACE: Duration = Duration::from_secs(1);

/// A space that is ready to be served.
#[derive(Debug)]
pub struct SpaceServer {
    /// By edge.
    listeners: [TcpListener; 2],
    platform: Arc<Platform>,
}

impl SpaceServer {
    /// Takes free ports on 127.0.0.1 and encodes the first minutes of the ruler.
    ///
    /// # Errors
    /// When there is no port, or the encoder does not work.
    pub async fn bind(args: SpaceArgs, clock: Clock) -> Result<Self, RehearsalError> {
        let position_ms = u64::from(args.running_for_seconds) * 1000;
        let making = tokio::task::spawn_blocking(move || {
            let sound = Sound::default();
            sound.have(SoundFormat::default(), tape_start(position_ms), position_ms).map(|()| sound)
        });
        let sound = making.await.map_err(|error| RehearsalError::Options(error.to_string()))??;
        let listeners = [listen().await?, listen().await?];
        let ports = [port(&listeners[0])?, port(&listeners[1])?];
        Ok(Self { listeners, platform: Arc::new(Platform::new(args, ports, sound, clock)) })
    }

    /// Where it is.
    pub fn started(&self) -> SpaceStarted {
        let [port, other] = self.platform.ports;
        let inner = self.platform.lock();
        let space = &inner.newest;
        let origin = format!("http://127.0.0.1:{port}");
        SpaceStarted {
            port,
            space_id: space.id.clone(),
            space_url: format!("https://x.com/i/spaces/{}", space.id),
            api_base: format!("{origin}/i/api"),
            guest_base: origin,
            playlist_url: hls::playlist_url(port, &space.key),
            other_edges: vec![format!("127.0.0.1:{other}")],
        }
    }

    /// Serves until `until` is over.
    ///
    /// # Errors
    /// When the server itself fails.
    pub async fn serve(self, until: impl Future<Output = ()> + Send + 'static) -> Result<(), RehearsalError> {
        let over = CancellationToken::new();
        let mut servers = tokio::task::JoinSet::new();
        for (edge, listener) in self.listeners.into_iter().enumerate() {
            let door = Door { platform: self.platform.clone(), edge };
            let served = axum::serve(listener, router(door)).with_graceful_shutdown(over.clone().cancelled_owned());
            servers.spawn(served.into_future());
        }
        let platform = self.platform;
        servers.spawn(silenced(seats::speakers::keep(platform.clone())));
        // The tape must go on even when nobody asks for anything.
        servers.spawn(async move {
            loop {
                platform.now_ms();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        tokio::select! {
            () = until => {}
            Some(Ok(result)) = servers.join_next() => {
                return result.map_err(RehearsalError::io("the simulated space stopped"));
            }
        }
        over.cancel();
        let ended = async {
            // Both servers; the heart ends with the set.
            servers.join_next().await;
            servers.join_next().await;
        };
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            tracing::debug!("Some connections hung to the end.");
        }
        Ok(())
    }
}

/// The speakers never end by themselves.
async fn silenced(keep: impl Future<Output = ()>) -> std::io::Result<()> {
    keep.await;
    Ok(())
}

/// Where the tape begins of a space that is at `position_ms`, in ms.
fn tape_start(position_ms: u64) -> u64 {
    if position_ms <= MADE_MS { 0 } else { position_ms - 60_000 }
}

async fn listen() -> Result<TcpListener, RehearsalError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    TcpListener::bind(address).await.map_err(RehearsalError::io("the space found no port"))
}

fn port(listener: &TcpListener) -> Result<u16, RehearsalError> {
    listener.local_addr().map(|address| address.port()).map_err(RehearsalError::io("the space found no port"))
}

/// The process `rehearsal-space`: prints where it is and serves until its parent is gone.
///
/// # Errors
/// When it does not start, or nobody reads its start line.
pub async fn serve(args: SpaceArgs, out: impl tokio::io::AsyncWrite + Unpin) -> Result<(), RehearsalError> {
    let lifeline = super::lifeline::Lifeline::open().map_err(RehearsalError::io("standard input cannot be read"))?;
    let server = SpaceServer::bind(args, Clock::system()).await?;
    super::lifeline::announce(out, &server.started()).await?;
    server.serve(lifeline.ended()).await
}

fn router(door: Door) -> Router {
    let hls = "/Transcoding/v1/hls/{key}";
    Router::new()
        .route("/1.1/guest/activate.json", post(api::activate_guest))
        .route("/i/api/graphql/{query}/{operation}", get(api::graphql))
        .route("/i/api/1.1/live_video_stream/status/{media_key}", get(api::status))
        .route("/i/api/1.1/live_video_stream/authorized_status/{*rest}", get(api::gone))
        .route("/i/api/fleets/v1/avatar_content", get(api::avatar_content))
        .route(&format!("{hls}/non_transcode/{{region}}/{{bucket}}/audio-space/{{file}}"), get(hls::file))
        .route(&format!("{hls}/transcode/{{region}}/{{bucket}}/{{token}}/audio-space/{{file}}"), get(hls::transcoded))
        .route("/api/v2/accessChatPublic", post(chat::access))
        .route("/chatapi/v1/chatnow", get(chat::socket))
        .merge(seat_router())
        .route("/control", post(control_order))
        .route("/control/report", get(control_report))
        .fallback(api::gone)
        .with_state(door)
}

/// The services for speakers, and the media gateway.
fn seat_router() -> Router<Door> {
    use seats::{gateway, services};
    let guest = "/api/v1/audiospace";
    Router::new()
        .route("/api/v2/loginTwitterToken", post(services::login))
        .route("/api/v2/authorizeToken", post(services::authorize))
        .route("/api/v2/startWatching", post(services::start_watching))
        .route("/api/v2/pingWatching", post(services::ping_watching))
        .route("/api/v2/stopWatching", post(services::stop_watching))
        .route(&format!("{guest}/join"), post(services::join))
        .route(&format!("{guest}/request/submit"), post(services::submit))
        .route(&format!("{guest}/request/cancel"), post(services::cancel))
        .route(&format!("{guest}/call/status"), post(services::standing))
        .route(&format!("{guest}/stream/negotiate"), post(services::negotiate))
        .route(&format!("{guest}/stream/publish"), post(services::publish))
        .route(&format!("{guest}/stream/end"), post(services::leave))
        .route(&format!("{guest}/muteSpeaker"), post(services::mute))
        .route(gateway::PATH, any(gateway::root))
        .route(&format!("{}/{{*rest}}", gateway::PATH), any(gateway::inside))
}

async fn control_order(State(door): State<Door>, headers: HeaderMap, Json(order): Json<Order>) -> Answer {
    door.platform.saw("control", &headers);
    tracing::info!(?order, "Order received.");
    match door.platform.obey(order).await {
        Ok(()) => Json(door.platform.report()).into_response(),
        Err(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
    }
}

async fn control_report(State(door): State<Door>) -> Json<SpaceReport> {
    Json(door.platform.report())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SpaceArgs,
    }

    #[test]
    fn a_child_gets_the_very_arguments_of_its_parent() {
        let args = SpaceArgs {
            running_for_seconds: 7,
            not_started: true,
            scheduled_in_seconds: Some(9),
            first_sequence: 40_000,
            jitter_ms: 250,
            snapshot_lag_seconds: 45,
            title: "--title=<b>\u{202e}".to_owned(),
            guests: vec!["a".to_owned(), "b".to_owned()],
            id3_sizes: chunk::Id3Sizes::Plain,
            gateway: "http://192.0.2.1:8088/janus".parse().ok(),
            needs_referer: true,
            ..SpaceArgs::default()
        };
        for args in [args, SpaceArgs::default()] {
            // The subcommand's name stands where the program's would.
            let again = Line::try_parse_from(args.to_arguments()).expect("a command line").args;
            assert_eq!(format!("{again:?}"), format!("{args:?}"));
        }
    }
}
