//! Live audio at an address: Icecast and other http streams, HLS, RTMP, SRT, RTSP, and files.
//!
//! One attempt reads one address until it ends or breaks. The encoded audio goes to the recording as it arrives, the
//! decoded audio to the program in real time. An address may hold a login or a token: only its host is ever told.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::id;
use super::{Attempt, Source, SourceContext, SourceEnd, SourceError};
use crate::gst::uri::UriKind;
use crate::net::HttpClient;
use http::Found;
use listening::{Fresh, Listening};

mod hls;
mod http;
mod listening;
mod pacer;

/// A stream that is read all the time has no piece to wait for: the delay only covers its jitter. Pieces of a quarter
/// of a second or less arrive within half a second of their time on a sane network; as much again is kept in reserve.
/// HLS needs no more: the first segments come at once, and those that are not due yet bridge the wait for the next.
const DELAY: Duration = Duration::from_secs(1);

/// Reads one address.
#[derive(Debug, Clone)]
pub struct UriSource {
    uri: Url,
    client: HttpClient,
    id: String,
}

impl UriSource {
    /// A source of the audio at `uri`: http, https, rtmp, rtmps, srt, rtsp, rtsps or file. `client` must trust the
    /// host that `uri` names, and no other.
    pub fn new(uri: Url, client: HttpClient) -> Self {
        let id = id_of(&uri);
        Self { uri, client, id }
    }

    async fn listen(&self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let host = Some(http::host(&self.uri));
        let (kind, location, title) = match self.uri.scheme() {
            "http" | "https" => return self.listen_http(&context).await,
            "file" => {
                let path = self.file().await?;
                let title = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (UriKind::File, path.to_string_lossy().into_owned(), title)
            }
            "rtmp" | "rtmps" => (UriKind::Rtmp, self.uri.to_string(), host),
            "srt" => (UriKind::Srt, self.uri.to_string(), host),
            "rtsp" | "rtsps" => (UriKind::Rtsp, self.uri.to_string(), host),
            other => return Err(SourceError::operator(format!("addresses that begin with {other}: cannot be read"))),
        };
        Listening::start(kind, &location, self.fresh(title), &context).await?.run().await
    }

    fn fresh(&self, title: Option<String>) -> Fresh<'_> {
        Fresh { id: &self.id, title, label: self.label() }
    }

    async fn listen_http(&self, context: &SourceContext) -> Result<SourceEnd, SourceError> {
        let found = tokio::select! {
            () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
            found = http::find(&self.client, &self.uri) => found?,
        };
        match found {
            Found::Hls(url) => self.listen_hls(&url, context).await,
            Found::Stream(body) => {
                let name = body.header("icy-name");
                let title = if name.is_empty() { http::host(&self.uri) } else { crate::text::plain(&name, 200) };
                Listening::start(UriKind::Bytes, "", self.fresh(Some(title)), context).await?.fed_by(body).run().await
            }
        }
    }

    async fn listen_hls(&self, url: &Url, context: &SourceContext) -> Result<SourceEnd, SourceError> {
        let reader = tokio::select! {
            () = context.token.cancelled() => return Ok(SourceEnd::Cancelled),
            reader = hls::open(&self.client, &context.clock, url) => reader?,
        };
        let fresh = self.fresh(Some(http::host(&self.uri)));
        Listening::start(UriKind::Bytes, "", fresh, context).await?.fed_by_hls(reader).run().await
    }

    /// The file's path, if there is a file that can be opened.
    async fn file(&self) -> Result<PathBuf, SourceError> {
        let wrong = |what: &str| SourceError::operator(format!("the file of the source {what}"));
        let path = self
            .uri
            .to_file_path()
            .map_err(|()| wrong("has no path: write file:/// and the whole path, with three slashes"))?;
        let told = crate::text::plain(&path.to_string_lossy(), 200);
        match tokio::fs::File::open(&path).await {
            Ok(file) if file.metadata().await.is_ok_and(|meta| meta.is_file()) => Ok(path),
            Ok(_) => Err(wrong(&format!("is none: {told} is a folder or a device; name a file of audio"))),
            Err(error) => Err(wrong(&format!("cannot be opened: {told}: {error}; check the path and who may read it"))),
        }
    }

    /// What errors and logs call it.
    fn label(&self) -> String {
        match self.uri.scheme() {
            "file" => "the file".to_owned(),
            _ => http::host(&self.uri),
        }
    }
}

impl Source for UriSource {
    fn describe(&self) -> String {
        format!("{} from {}", self.uri.scheme(), self.label())
    }

    fn default_delay(&self) -> Duration {
        DELAY
    }

    fn is_continuous(&self) -> bool {
        true
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(self.listen(context))
    }
}

/// A short name for folders: the host, and what tells one address from another without telling it.
fn id_of(uri: &Url) -> String {
    let name = uri.host_str().filter(|host| !host.is_empty()).unwrap_or("file");
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().take(40).map(plain).collect();
    id::hashed(&name, uri.as_str(), 4).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str) -> UriSource {
        let client = HttpClient::new(crate::net::HttpSettings::default()).expect("a client");
        UriSource::new(Url::parse(uri).expect("an address"), client)
    }

    #[test]
    fn an_address_with_a_login_names_its_host_and_nothing_else() {
        for uri in [
            "http://canary:canary@radio.example.com/live?token=canary",
            "rtmp://radio.example.com/canary/canary",
            "srt://radio.example.com:9000?passphrase=canary",
        ] {
            let source = source(uri);
            let told = format!("{} {} {}", source.describe(), source.label(), source.id);
            assert!(told.contains("radio.example.com") && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn every_address_has_an_id_of_its_own_that_can_name_a_folder() {
        let ids = ["http://[::1]:8000/a", "http://[::1]:8000/b", "file:///a.mp3", "https://ü.example/"].map(|uri| {
            let id = source(uri).id;
            assert!(id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{id}");
            assert!(!id.starts_with('-'), "{id}");
            id
        });
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)), "{ids:?}");
    }
}
