//! The client's side of what an operator does to a show that is on the air.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{Method, Request};

use super::{ANSWER_WITHIN, BridgeClient, ClientError, STREAM_SILENCE, broken, refused, request, sse};
use crate::bridge::protocol::live::{
    CutOrder, DelayOrder, LEVEL_EVENT, LevelStatus, LiveAnswer, NewOutput, PinOrder, SlateText,
};

impl BridgeClient {
    /// Adds an output for the rest of the show.
    pub async fn add_output(&self, output: &NewOutput) -> Result<LiveAnswer, ClientError> {
        let NewOutput { name, preset, url, key } = output;
        let key = key.as_ref().map(crate::secret::Secret::expose);
        // The key goes over the owner's own socket and nowhere else.
        let body = serde_json::json!({"name": name, "preset": preset, "url": url, "key": key});
        self.give("/v1/outputs", &body).await
    }

    /// Takes an output out for the rest of the show.
    pub async fn remove_output(&self, name: &str) -> Result<LiveAnswer, ClientError> {
        self.ask(Method::DELETE, &format!("/v1/outputs/{}", super::path_part(name))).await
    }

    /// Lets the slate say something of the operator's; none gives it back to the show.
    pub async fn slate_text(&self, text: Option<&str>) -> Result<LiveAnswer, ClientError> {
        self.give("/v1/slate", &SlateText { text: text.map(str::to_owned) }).await
    }

    /// Puts a picture on the slate: the bytes of a PNG, JPEG or WebP.
    pub async fn slate_picture(&self, bytes: Vec<u8>) -> Result<LiveAnswer, ClientError> {
        // The bridge looks at the bytes themselves.
        self.exchange(with_body("/v1/slate", "image/*", bytes)?).await
    }

    /// The picture that is on the air: its version and the bytes of a PNG.
    pub async fn slate(&self) -> Result<(String, Bytes), ClientError> {
        let exchange = async {
            let response = self.send(request(Method::GET, "/v1/slate")?).await?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
            let version = tag.trim_matches('"').to_owned();
            Ok((version, super::whole(response.into_body()).await?))
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.map_err(|_| ClientError::Silent)?
    }

    /// Holds the show to the source of this name; none lets the list take its course again.
    pub async fn pin_source(&self, source: Option<&str>) -> Result<LiveAnswer, ClientError> {
        self.give("/v1/source/pin", &PinOrder { source: source.map(str::to_owned) }).await
    }

    /// Changes the public delay.
    pub async fn delay(&self, seconds: f64) -> Result<LiveAnswer, ClientError> {
        self.give("/v1/delay", &DelayOrder { seconds }).await
    }

    /// Takes out what was said in the last seconds; none: all that has not gone out yet.
    pub async fn cut(&self, seconds: Option<f64>) -> Result<LiveAnswer, ClientError> {
        self.give("/v1/cut", &CutOrder { seconds }).await
    }

    /// The program's level, some twelve times a second.
    pub async fn levels(&self) -> Result<Levels, ClientError> {
        let body = self.stream("/v1/levels").await?;
        Ok(Levels { body, parser: sse::Parser::default(), ready: Default::default() })
    }

    /// The program as the outputs get it: an ADTS stream without an end.
    pub async fn audio(&self) -> Result<Incoming, ClientError> {
        self.stream("/v1/audio").await
    }

    async fn stream(&self, path: &str) -> Result<Incoming, ClientError> {
        let asking = self.send(request(Method::GET, path)?);
        let response = tokio::time::timeout(ANSWER_WITHIN, asking).await.map_err(|_| ClientError::Silent)??;
        if response.status().is_success() { Ok(response.into_body()) } else { Err(refused(response).await) }
    }

    async fn give(&self, path: &str, order: &impl serde::Serialize) -> Result<LiveAnswer, ClientError> {
        let bytes = serde_json::to_vec(order).map_err(|error| ClientError::Garbled(error.to_string()))?;
        self.exchange(with_body(path, "application/json", bytes)?).await
    }
}

fn with_body(path: &str, kind: &'static str, bytes: Vec<u8>) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut request = request(Method::POST, path)?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    *request.body_mut() = Full::from(bytes);
    Ok(request)
}

/// The levels of one bridge process.
#[derive(Debug)]
pub struct Levels {
    body: Incoming,
    parser: sse::Parser,
    ready: std::collections::VecDeque<sse::Message>,
}

impl Levels {
    /// The next one; none when the bridge closed the stream.
    pub async fn next(&mut self) -> Result<Option<LevelStatus>, ClientError> {
        loop {
            while let Some(message) = self.ready.pop_front() {
                if message.event == LEVEL_EVENT {
                    let level = serde_json::from_str(&message.data);
                    return level.map(Some).map_err(|error| ClientError::Garbled(error.to_string()));
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
}
