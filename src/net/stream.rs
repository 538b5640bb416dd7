//! An answer that has no end: its head at once, its body piece by piece, as slowly as the reader takes it.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use url::Url;

use super::{HttpClient, NetError, READ_TIMEOUT, Request, connection_error};

/// An answer of any status whose body is still to be read. Dropping it closes the connection.
#[derive(Debug)]
pub struct Incoming {
    response: reqwest::Response,
    url: Url,
}

impl HttpClient {
    /// Sends `request`, follows redirects, and gives back the answer as soon as its head is there.
    ///
    /// The request's time limit is one for the head; its limit in bytes is not looked at: the reader's own bounds hold.
    ///
    /// # Errors
    /// [`NetError`] when there is no answer.
    pub async fn open(&self, request: Request) -> Result<Incoming, NetError> {
        let limit = request.time_limit;
        let (response, url) =
            tokio::time::timeout(limit, self.head(request)).await.unwrap_or(Err(NetError::TimedOut(limit)))?;
        Ok(Incoming { response, url })
    }
}

impl Incoming {
    /// Status code.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Where it comes from, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Length of the body, where the server says it: a file, not a live stream.
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// A header's value; hostile text. Empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let headers: &HeaderMap = self.response.headers();
        let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        value.unwrap_or_default()
    }

    /// The next piece of the body; none at its end. Nothing is read ahead while nobody asks.
    ///
    /// # Errors
    /// [`NetError`] when the connection breaks; [`NetError::TimedOut`] when it is silent for 10 s.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NetError> {
        self.response.chunk().await.map_err(|error| match error.is_timeout() {
            true => NetError::TimedOut(READ_TIMEOUT),
            false => connection_error(error, &self.url),
        })
    }
}
