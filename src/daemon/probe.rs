//! Asks a daemon's door from outside whether it answers: for the watchdog of the service manager, and for the health check
//! of a container. It sends no secret, and so need not know whom it asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::folders::{Folders, read};

/// The file in the daemon's folder that says where its door is.
const ADDRESS: &str = "address";

/// Why a door did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No answer, or none in time.
    #[error("{url} does not answer: {error}")]
    Silent {
        /// What was asked.
        url: String,
        /// Why.
        error: reqwest::Error,
    },
    /// An answer that is none of health.
    #[error("{url} answers {status}")]
    Unwell {
        /// What was asked.
        url: String,
        /// The answer's status.
        status: u16,
    },
}

/// Asks one door again and again.
#[derive(Debug, Clone)]
pub struct Probe {
    client: reqwest::Client,
    url: String,
}

impl Probe {
    /// Asks the door at `url`, as [`super::http::Opened::url`] gives it, and waits so long for each answer.
    ///
    /// # Errors
    /// When the system gives no TLS.
    pub fn new(url: &str, within: Duration) -> Result<Self, reqwest::Error> {
        // Its certificate is for the name that others use; nothing is told to it, and nothing of its answer is believed
        // but that there is one.
        let client = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).timeout(within).build()?;
        Ok(Self { client, url: format!("{}/readyz", from_here(url)) })
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not, or says that it is not ready.
    pub async fn ready(&self) -> Result<(), ProbeError> {
        let url = || self.url.clone();
        let answer = self.client.get(&self.url).send().await;
        let status = answer.map_err(|error| ProbeError::Silent { url: url(), error: error.without_url() })?.status();
        if status.is_success() { Ok(()) } else { Err(ProbeError::Unwell { url: url(), status: status.as_u16() }) }
    }
}

/// A door that listens everywhere is reached here.
fn from_here(url: &str) -> String {
    let Some((scheme, address)) = url.split_once("://") else { return url.to_owned() };
    let Ok(mut address) = address.parse::<SocketAddr>() else { return url.to_owned() };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("{scheme}://{address}")
}

impl Folders {
    /// Writes down where the door is, for those who look after this daemon.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn save_address(&self, url: &str) -> std::io::Result<()> {
        super::folders::replace(&self.file(ADDRESS), url.as_bytes())
    }

    /// Where the door of the daemon is that has this folder, or had it last.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn address(&self) -> std::io::Result<Option<String>> {
        let bytes = read(&self.file(ADDRESS))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_listens_everywhere_is_asked_here() {
        for (url, asked) in [
            ("http://0.0.0.0:8480", "http://127.0.0.1:8480"),
            ("https://[::]:8480", "https://[::1]:8480"),
            ("http://127.0.0.1:8480", "http://127.0.0.1:8480"),
            ("https://192.0.2.7:443", "https://192.0.2.7:443"),
        ] {
            assert_eq!(from_here(url), asked);
        }
    }

    #[tokio::test]
    async fn a_door_that_takes_connections_and_answers_nothing_is_not_ready() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let probe = Probe::new(&url, Duration::from_millis(200)).unwrap();
        assert!(matches!(probe.ready().await, Err(ProbeError::Silent { .. })));
        drop(listener);
        assert!(matches!(probe.ready().await, Err(ProbeError::Silent { .. })));
    }
}
