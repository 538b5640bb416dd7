//! A WebSocket over the same guarded connections as everything else: the address is checked, messages are bounded.

use base64::Engine as _;
use reqwest::Upgraded;
use reqwest::header::HeaderValue;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::guard::{PublicOnly, Trust};
use super::{HttpClient, NetError, Request, builder, connection_error, headers_of, tls};

/// Both directions of an open WebSocket.
pub type Socket = WebSocketStream<Upgraded>;

impl HttpClient {
    /// Opens a WebSocket at the http or https address of `request`. It follows no redirect. The request's limit in bytes
    /// is one for each message, its time limit one for the opening.
    ///
    /// # Errors
    /// [`NetError`] when the address is refused or the server does not open a socket.
    pub async fn socket(&self, request: Request) -> Result<Socket, NetError> {
        let limit = request.time_limit;
        tokio::time::timeout(limit, self.open_socket(&request)).await.unwrap_or(Err(NetError::TimedOut(limit)))
    }

    async fn open_socket(&self, request: &Request) -> Result<Socket, NetError> {
        let trust = self.guard.check(&request.url)?;
        if !self.is_private_way(&request.url) {
            return Err(NetError::SecretHost(request.url.host_str().unwrap_or_default().to_owned()));
        }
        // HTTP/2, which the ordinary clients offer, knows no such upgrade.
        let builder = builder(&self.settings, &tls::connector_http1()?).http1_only();
        let builder = if trust == Trust::Network { builder.dns_resolver(PublicOnly) } else { builder };
        let client = builder.build().map_err(|error| NetError::Setup(error.to_string()))?;
        let key = base64::engine::general_purpose::STANDARD.encode(fastrand::u128(..).to_be_bytes());
        let asked = client
            .get(request.url.clone())
            .headers(headers_of(request)?)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", &key);
        let response = asked.send().await.map_err(|error| connection_error(error, &request.url))?;
        let accepted = response.headers().get("sec-websocket-accept").map(HeaderValue::as_bytes);
        if response.status().as_u16() != 101 || accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            let status = response.status().as_u16();
            return Err(NetError::Connection(format!("status {status} in the place of a WebSocket")));
        }
        let stream = response.upgrade().await.map_err(|error| connection_error(error, &request.url))?;
        let bounds = WebSocketConfig::default()
            .read_buffer_size(16 << 10)
            .max_message_size(Some(request.max_bytes))
            .max_frame_size(Some(request.max_bytes));
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(bounds)).await)
    }
}
