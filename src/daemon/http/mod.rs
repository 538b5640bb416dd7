//! The door: HTTP with JSON and server-sent events over TCP. What a show does is asked of its bridge; what shows there are
//! is asked of the roster. Nothing here decides about a show.

mod access;
mod alerts;
mod chorus;
mod creates;
mod document;
mod draft;
mod events;
mod guard;
mod health;
mod listen;
mod live;
mod machine;
mod metrics;
mod orders;
mod page;
mod presets;
mod problem;
mod recordings;
mod reference;
mod rehearsals;
mod schedules;
mod session;
mod shows;
mod steer;
mod view;
mod watches;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_native_tls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::alerts::Alerts;
use super::recordings::Shelf;
use super::recordings::jobs::Jobs;
use super::roster::Roster;
use super::{Autos, DaemonError, folders};
use crate::clock::Clock;
use access::{Failures, Role, Tokens};
use creates::Creates;
use document::{Document, finished};

/// Name of the session's cookie.
const COOKIE: &str = "spacebridge_session";

/// Largest body: the largest configuration that is read, as JSON.
const BODY_MAX: usize = 2 << 20;

/// How the door is opened.
#[derive(Debug, Clone)]
pub struct DoorSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain and private key, both PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// A proxy stands before it, and speaks TLS for it.
    pub behind_proxy: bool,
    /// Names under which clients reach it, beside addresses and `localhost`.
    pub names: Vec<String>,
}

/// What handlers share.
#[derive(Clone)]
struct Door {
    roster: Arc<Roster>,
    alerts: Arc<Alerts>,
    autos: Autos,
    shelf: Arc<Shelf>,
    jobs: Arc<Jobs>,
    tokens: Arc<Tokens>,
    failures: Arc<Failures>,
    creates: Arc<Creates>,
    traffic: Arc<metrics::Traffic>,
    names: Arc<[String]>,
    behind_proxy: bool,
    /// Whether browsers reach it by TLS.
    secure: bool,
    /// Ends event streams when the daemon ends.
    token: CancellationToken,
}

impl Door {
    /// Whether a host's name is one of ours. An address in numbers is always: a foreign page cannot make a browser
    /// believe that its name is one.
    fn is_ours(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<std::net::IpAddr>().is_ok()
            || bare.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(bare))
    }
}

fn routes_and_document() -> (Router<Door>, serde_json::Value) {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(shows::list, shows::create))
        .routes(routes!(shows::show, shows::replace, shows::delete))
        .routes(routes!(orders::start))
        .routes(routes!(orders::suspend))
        .routes(routes!(orders::end))
        .routes(routes!(orders::sources, orders::set_source))
        .routes(routes!(orders::outputs, steer::add_output))
        .routes(routes!(orders::output))
        .routes(routes!(alerts::standing))
        .routes(routes!(alerts::receivers))
        .routes(routes!(alerts::test))
        .merge(steer::routes())
        .routes(routes!(watches::list))
        .routes(routes!(watches::get, watches::put, watches::delete))
        .routes(routes!(rehearsals::list, rehearsals::create))
        .routes(routes!(rehearsals::get))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::get, schedules::put, schedules::delete))
        .merge(recordings::routes())
        .routes(routes!(events::of_all))
        .routes(routes!(events::of_show))
        .routes(routes!(session::who, session::open, session::close))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(machine::machine))
        .routes(routes!(metrics::metrics))
        .split_for_parts();
    (router, finished(&document))
}

fn router(door: Door) -> Router {
    let (router, document) = routes_and_document();
    let document = Arc::new(document);
    router
        .merge(reference::routes())
        .route("/api/v1/openapi.json", axum::routing::get(async move || Json((*document).clone())))
        .merge(page::routes())
        .fallback(async || {
            problem::Problem::new("no-route", "Everything that there is stands in /api/v1/openapi.json.")
        })
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(door.clone(), guard::guard))
        .with_state(door)
}

async fn work(jobs: Arc<Jobs>, token: CancellationToken) {
    jobs.work(token).await;
}

/// The OpenAPI document of the door, as JSON.
///
/// # Errors
/// Never, in a program that was tested.
pub fn document() -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&routes_and_document().1)
}

/// A door that listens and does not answer yet.
pub struct Opened {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    settings: DoorSettings,
    /// Where it listens in truth.
    pub address: SocketAddr,
}

/// Takes the port.
///
/// # Errors
/// When the port is taken, the certificate cannot be used, or the door would be open to others without protection.
pub async fn open(settings: DoorSettings) -> Result<Opened, DaemonError> {
    let address = settings.listen;
    if !address.ip().to_canonical().is_loopback() && settings.tls.is_none() && !settings.behind_proxy {
        return Err(DaemonError::Open { address });
    }
    let tls = settings.tls.as_ref().map(|(certificate, key)| listen::tls(certificate, key)).transpose();
    let tls = tls.map_err(DaemonError::Tls)?;
    let fail = |error| DaemonError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok(Opened { listener, tls, settings, address })
}

impl Opened {
    /// The address to open in a browser or to give to a client.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// The file of the token that may do everything; made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn prepare(&self, folders: &folders::Folders, clock: &Clock) -> Result<PathBuf, DaemonError> {
        let path = Tokens::path(folders, Role::Operate);
        Tokens::open(folders, clock.clone()).map_err(DaemonError::at(&path))?;
        Ok(path)
    }

    /// Answers until `token` ends.
    ///
    /// # Errors
    /// When the tokens cannot be read.
    pub async fn serve(
        self,
        roster: Arc<Roster>,
        alerts: Arc<Alerts>,
        autos: Autos,
        clock: Clock,
        token: CancellationToken,
    ) -> Result<(), DaemonError> {
        let folders = roster.folders();
        let tokens = Tokens::open(folders, clock.clone()).map_err(DaemonError::at(folders.file("operate.token")))?;
        let creates = Creates::open(folders.file("creates.json"), clock.clone());
        let program = std::env::current_exe().map_err(DaemonError::at("/proc/self/exe"))?;
        let jobs = Arc::new(Jobs::new(program.into(), clock, Arc::clone(roster.hub())));
        let working = AbortOnDropHandle::new(tokio::spawn(work(Arc::clone(&jobs), token.clone())));
        let door = Door {
            tokens: Arc::new(tokens),
            failures: Arc::default(),
            creates: Arc::new(creates),
            traffic: Arc::new(metrics::Traffic::of(&routes_and_document().1)),
            names: self.settings.names.clone().into(),
            behind_proxy: self.settings.behind_proxy,
            secure: self.tls.is_some() || self.settings.behind_proxy,
            token: token.clone(),
            shelf: Arc::new(Shelf::new(Arc::clone(&roster))),
            jobs,
            roster,
            alerts,
            autos,
        };
        listen::serve(self.listener, self.tls, router(door), token).await;
        drop(working);
        Ok(())
    }
}
