//! The client side of a bridge's protocol. Every verb of the command line goes through it.
//!
//! It holds no connection: a verb opens one for one request, a view one for the event stream.

mod live;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::protocol::{
    ALERT_EVENT, AdoptOrder, EventPlace, Hello, MarkAccepted, MarkOrder, OutputAction, Problem, STATUS_EVENT,
    SourceAccepted, SourceOrder, Update, VERSION_HEADER, speaks,
};
use super::sse;
use super::state_folder::{StateFolder, shows_on_the_air};
use crate::status::{OutputStatus, PROTOCOL_VERSION, ShowStatus, SourceStatus};
pub use live::Levels;

/// Time for a request and its whole answer; longer than the bridge's own bound, so that its word comes first.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Silence after which the event stream is broken: the status comes four times a second.
const STREAM_SILENCE: Duration = Duration::from_secs(10);

/// Largest answer.
const ANSWER_MAX: usize = 4 << 20;

/// Why a bridge did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no bridge behind the show's name.
    #[error("no show named {show} is on the air; {}", on_the_air(.others))]
    NotOnTheAir {
        /// The name that was asked for.
        show: String,
        /// The shows that are on the air.
        others: Vec<String>,
    },
    /// The bridge is of another time.
    #[error(
        "the bridge speaks protocol version {theirs}, this program speaks {PROTOCOL_VERSION} and the one before: \
         use the spacebridge that started the show"
    )]
    Version {
        /// The bridge's version; 0 when it named none.
        theirs: u32,
    },
    /// The bridge understood and refused.
    #[error("{} {}", .0.title, .0.detail)]
    Refused(Box<Problem>),
    /// No whole answer in time.
    #[error("the bridge does not answer; its process may be stuck")]
    Silent,
    /// The connection broke, as it does when the bridge exits.
    #[error("the connection to the bridge broke: {0}")]
    Broken(String),
    /// The answer cannot be understood.
    #[error("the bridge's answer cannot be understood: {0}")]
    Garbled(String),
}

impl ClientError {
    /// Whether trying again changes nothing.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Version { .. } | Self::Refused(_) | Self::Garbled(_))
    }
}

fn on_the_air(others: &[String]) -> String {
    if others.is_empty() { "there is none".to_owned() } else { format!("shows: {}", others.join(", ")) }
}

/// Speaks to the bridge of one show.
#[derive(Debug, Clone)]
pub struct BridgeClient {
    folder: StateFolder,
}

impl BridgeClient {
    /// A client of the bridge whose state folder this is. Nothing is sent yet.
    pub fn new(folder: StateFolder) -> Self {
        Self { folder }
    }

    /// The show's name.
    pub fn show(&self) -> &str {
        self.folder.show()
    }

    /// Who answers.
    pub async fn hello(&self) -> Result<Hello, ClientError> {
        self.ask(Method::GET, "/v1/hello").await
    }

    /// The show as it is now.
    pub async fn status(&self) -> Result<ShowStatus, ClientError> {
        self.ask(Method::GET, "/v1/status").await
    }

    /// The show's outputs.
    pub async fn outputs(&self) -> Result<Vec<OutputStatus>, ClientError> {
        self.ask(Method::GET, "/v1/outputs").await
    }

    /// Asks the show to end.
    pub async fn end(&self) -> Result<(), ClientError> {
        self.ask::<serde_json::Value>(Method::POST, "/v1/end").await.map(drop)
    }

    /// Asks the show to suspend itself.
    pub async fn suspend(&self) -> Result<(), ClientError> {
        self.ask::<serde_json::Value>(Method::POST, "/v1/suspend").await.map(drop)
    }

    /// Gives one output an order.
    pub async fn output(&self, name: &str, action: OutputAction) -> Result<(), ClientError> {
        let path = format!("/v1/outputs/{}/{}", path_part(name), action.as_str());
        self.ask::<serde_json::Value>(Method::POST, &path).await.map(drop)
    }

    /// The show's sources, by priority.
    pub async fn sources(&self) -> Result<Vec<SourceStatus>, ClientError> {
        self.ask(Method::GET, "/v1/source").await
    }

    /// Names the place that is being heard.
    pub async fn mark(&self, title: &str) -> Result<MarkAccepted, ClientError> {
        self.send_order("/v1/mark", &MarkOrder { title: title.to_owned() }).await
    }

    /// Points the show at another source; its name.
    pub async fn set_source(&self, url: &str) -> Result<String, ClientError> {
        let order = SourceOrder { url: url.to_owned() };
        self.send_order::<SourceAccepted>("/v1/source", &order).await.map(|accepted| accepted.source)
    }

    /// Tells the bridge that process `pid` supervises it from now on. One of an earlier version does not know the
    /// word, and refuses.
    pub async fn adopt(&self, pid: u32) -> Result<(), ClientError> {
        self.send_order::<serde_json::Value>("/v1/adopt", &AdoptOrder { pid }).await.map(drop)
    }

    async fn send_order<T: DeserializeOwned>(&self, path: &str, order: &impl Serialize) -> Result<T, ClientError> {
        let order = serde_json::to_vec(order).map_err(|error| ClientError::Garbled(error.to_string()))?;
        let mut request = request(Method::POST, path)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Full::from(order);
        self.exchange(request).await
    }

    /// Follows the show: events after `place` (all that are remembered without one), and the status at 4 Hz.
    pub async fn events(&self, place: Option<EventPlace>) -> Result<EventStream, ClientError> {
        let mut request = request(Method::GET, "/v1/events")?;
        if let Some(place) = place.and_then(|place| place.to_string().parse().ok()) {
            request.headers_mut().insert("last-event-id", place);
        }
        let response =
            tokio::time::timeout(ANSWER_WITHIN, self.send(request)).await.map_err(|_| ClientError::Silent)??;
        let body =
            if response.status().is_success() { response.into_body() } else { return Err(refused(response).await) };
        Ok(EventStream { body, parser: sse::Parser::default(), ready: Default::default(), place })
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, ClientError> {
        self.exchange(request(method, path)?).await
    }

    async fn exchange<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> Result<T, ClientError> {
        let exchange = async {
            let response = self.send(request).await?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            let bytes = whole(response.into_body()).await?;
            serde_json::from_slice(&bytes).map_err(|error| ClientError::Garbled(error.to_string()))
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.map_err(|_| ClientError::Silent)?
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with the answer's body; an error shows up there too.
        tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(broken)?;
        let theirs = version_of(response.headers());
        if speaks(theirs) { Ok(response) } else { Err(ClientError::Version { theirs }) }
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let socket = self.folder.socket();
        // Connecting blocks while the bridge's backlog is full.
        let connecting = tokio::task::spawn_blocking(move || {
            let stream = socket.with(|path| std::os::unix::net::UnixStream::connect(path))?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        });
        let connected: io::Result<_> = connecting.await.map_err(|error| ClientError::Broken(error.to_string()))?;
        match connected.and_then(UnixStream::from_std) {
            Ok(stream) => Ok(stream),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                let root = self.folder.path().ancestors().nth(2);
                let others = root.map(shows_on_the_air).unwrap_or_default();
                Err(ClientError::NotOnTheAir { show: self.folder.show().to_owned(), others })
            }
            Err(error) => Err(ClientError::Broken(error.to_string())),
        }
    }
}

fn request(method: Method, path: &str) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "bridge")
        .header(VERSION_HEADER, PROTOCOL_VERSION)
        .body(Full::default())
        .map_err(|error| ClientError::Garbled(error.to_string()))
}

/// A name from a command line as a part of a path.
fn path_part(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    name.replace('+', "%20")
}

fn version_of(headers: &HeaderMap) -> u32 {
    headers.get(VERSION_HEADER).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

fn broken(error: hyper::Error) -> ClientError {
    ClientError::Broken(error.to_string())
}

async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    let body = Limited::new(body, ANSWER_MAX).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| ClientError::Broken(error.to_string()))
}

async fn refused(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    match whole(response.into_body()).await {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(|problem| ClientError::Refused(Box::new(problem)))
            .unwrap_or_else(|_| ClientError::Garbled(format!("status {status}"))),
        Err(error) => error,
    }
}

/// The event stream of one bridge process.
#[derive(Debug)]
pub struct EventStream {
    body: Incoming,
    parser: sse::Parser,
    ready: std::collections::VecDeque<sse::Message>,
    place: Option<EventPlace>,
}

impl EventStream {
    /// The next message; none when the bridge closed the stream, as it does when it exits.
    pub async fn next(&mut self) -> Result<Option<Update>, ClientError> {
        loop {
            while let Some(message) = self.ready.pop_front() {
                if let Some(update) = self.understand(&message)? {
                    return Ok(Some(update));
                }
            }
            let frame =
                tokio::time::timeout(STREAM_SILENCE, self.body.frame()).await.map_err(|_| ClientError::Silent)?;
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(bytes) = frame.map_err(broken)?.into_data() {
                self.ready.extend(self.parser.push(&bytes).map_err(|error| ClientError::Garbled(error.to_string()))?);
            }
        }
    }

    /// Where a later stream has to go on.
    pub fn place(&self) -> Option<EventPlace> {
        self.place
    }

    fn understand(&mut self, message: &sse::Message) -> Result<Option<Update>, ClientError> {
        if let Some(place) = message.id.as_deref().and_then(EventPlace::parse) {
            self.place = Some(place);
        }
        let update = match message.event.as_str() {
            ALERT_EVENT => serde_json::from_str(&message.data).map(Update::Event),
            STATUS_EVENT => serde_json::from_str(&message.data).map(|status| Update::Status(Arc::new(status))),
            // A newer bridge may say more.
            _ => return Ok(None),
        };
        update.map(Some).map_err(|error| ClientError::Garbled(error.to_string()))
    }
}
