//! TLS of every client, set up once: to read the trust store anew for each stops all that its thread has to do for some
//! hundredths of a second, and sound with it.

use std::sync::OnceLock;

use native_tls::TlsConnector;

use super::NetError;

/// The system's TLS, for whatever HTTP the server speaks.
pub(super) fn connector() -> Result<TlsConnector, NetError> {
    static ANY: OnceLock<TlsConnector> = OnceLock::new();
    once(&ANY, &["h2", "http/1.1"])
}

/// The same for what HTTP/2 does not have.
pub(super) fn connector_http1() -> Result<TlsConnector, NetError> {
    static HTTP1: OnceLock<TlsConnector> = OnceLock::new();
    once(&HTTP1, &["http/1.1"])
}

fn once(place: &OnceLock<TlsConnector>, protocols: &[&str]) -> Result<TlsConnector, NetError> {
    if let Some(tls) = place.get() {
        return Ok(tls.clone());
    }
    let tls = TlsConnector::builder().request_alpns(protocols).build();
    let tls = tls.map_err(|error| NetError::Setup(error.to_string()))?;
    Ok(place.get_or_init(|| tls).clone())
}
