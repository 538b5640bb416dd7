//! Builds a show's sources from its configuration.

use std::sync::Arc;
use std::time::Duration;

use super::BridgeError;
use super::conductor::SourceSlot;
use crate::alert::Events;
use crate::clock::Clock;
use crate::config::{Secrets, ShowConfig, SourceConfig, SourceKind};
use crate::media::{SAMPLE_RATE, StereoSample};
use crate::source::Source;
use crate::source::tone::ToneSource;
use crate::source::x_space::XSpaceSource;
use crate::source::x_space::auth::Auth;

/// Every source of the list, in order.
pub(super) fn build(config: &ShowConfig, secrets: &Secrets, clock: &Clock) -> Result<Vec<SourceSlot>, BridgeError> {
    config
        .sources
        .iter()
        .enumerate()
        .map(|(index, own)| {
            let source = source(index, own, config, secrets, clock)?;
            let delay = own.delay.unwrap_or_else(|| source.default_delay());
            let delay = (delay.as_secs_f64() * f64::from(SAMPLE_RATE)) as u64;
            Ok(SourceSlot { source: Some(source), delay })
        })
        .collect()
}

fn source(
    index: usize,
    own: &SourceConfig,
    config: &ShowConfig,
    secrets: &Secrets,
    clock: &Clock,
) -> Result<Box<dyn Source>, BridgeError> {
    match &own.kind {
        SourceKind::Tone { duration } => Ok(Box::new(ToneSource::new(*duration))),
        SourceKind::XSpace { url, cookies_file, .. } => {
            let auth = match cookies_file {
                Some(file) => Auth::from_cookies_file(file, clock.wall()),
                None => {
                    Auth::from_secrets(secrets.source_cookie(index, "auth_token"), secrets.source_cookie(index, "ct0"))
                }
            };
            let auth = auth.map_err(|error| BridgeError::Source(error.to_string()))?;
            let source = XSpaceSource::new(url, &config.x, auth, clock);
            Ok(Box::new(source.map_err(|error| BridgeError::Source(error.to_string()))?))
        }
        SourceKind::Uri { .. } => Err(BridgeError::Source("not joined".to_owned())),
    }
}

/// The longest delay that a source of the show may ask for: the ring must have room for it.
pub(super) fn longest_delay(config: &ShowConfig) -> Duration {
    config.sources.iter().filter_map(|source| source.delay).max().unwrap_or_default().max(Duration::from_secs(6))
}

/// What sounds while there is no source.
pub(super) async fn hold_audio(_config: &ShowConfig, _events: &Events) -> Arc<[StereoSample]> {
    Arc::from([])
}
