//! Whether the hosts of ingests and gateways can be found and reached: a name look-up and a TCP connection, nothing more.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::config::{PresetDefaults, ShowConfig, SourceKind};

use super::step::{Outcome, Step};

/// Long enough for a lost SYN and its first two repetitions (1 s and 3 s).
const DEADLINE: Duration = Duration::from_secs(5);

/// Tries every output's server. One that does not start with the show only warns.
pub(super) async fn to_outputs(config: &ShowConfig) -> Vec<Step> {
    let tries = config.outputs.iter().map(|output| async {
        let step = reach(&output.name, &output.url).await;
        if output.enabled { step } else { softened(step) }
    });
    join_all(tries).await
}

/// Tries the server of every source by WebRTC, and says what cannot be tried.
pub(super) async fn to_gateways(config: &ShowConfig) -> Vec<Step> {
    let gateways = config.sources.iter().enumerate().filter_map(|(index, source)| match &source.kind {
        SourceKind::Whep { url, .. } | SourceKind::Janus { url, .. } => Some((format!("source {}", index + 1), url)),
        _ => None,
    });
    let mut steps = join_all(gateways.map(|(name, url)| async move { reach(&name, url).await })).await;
    if config.sources.iter().any(|source| source.kind.is_webrtc()) {
        let words = "the sound comes by UDP, from ports that the server chooses: only joining shows whether a firewall lets it \
                     through. This machine needs no open port, but must be able to send UDP to any";
        steps.push(Step::new("media", Outcome::Skipped, words));
    }
    steps
}

/// Without a configuration: tries the servers of the presets that are known for sure. Nobody said that they are
/// needed, so a failure only warns.
pub(super) async fn to_presets(presets: &[PresetDefaults]) -> Vec<Step> {
    let known = presets.iter().filter(|preset| preset.verified && !preset.requires_url);
    let servers = known.filter_map(|preset| Some((&preset.name, Url::parse(preset.url.as_deref()?).ok()?)));
    join_all(servers.map(|(name, url)| async move { softened(reach(name, &url).await) })).await
}

fn softened(step: Step) -> Step {
    let outcome = if step.outcome == Outcome::Failed { Outcome::Warning } else { step.outcome };
    Step { outcome, ..step }
}

/// One look-up and one connection to the first address that answers.
pub(super) async fn reach(name: &str, url: &Url) -> Step {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(if url.scheme() == "rtmps" { 443 } else { 1935 });
    let addresses: Vec<_> = match timeout(DEADLINE, lookup_host((host.as_str(), port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) => {
            let remedy = "Check the address's spelling and this machine's name service";
            return Step::failed(name, format!("the name {host} is not found"), remedy);
        }
        Err(_) => {
            let detail = format!("the look-up of {host} takes longer than {} s", DEADLINE.as_secs());
            return Step::failed(name, detail, "Check this machine's name service");
        }
    };
    let started = Instant::now();
    match timeout(DEADLINE, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => Step::ok(name, format!("{host}:{port} answers in {} ms", started.elapsed().as_millis())),
        Ok(Err(error)) => {
            let remedy = "Check the port, and whether a firewall lets this machine out to it";
            Step::failed(name, format!("{host}:{port} refuses: {error}"), remedy)
        }
        Err(_) => {
            let detail = format!("{host}:{port} does not answer within {} s", DEADLINE.as_secs());
            let remedy = if port == 1935 {
                "A firewall may hold back port 1935: use the platform's rtmps address (port 443) if it has one"
            } else {
                "Check whether a firewall lets this machine out to it"
            };
            Step::failed(name, detail, remedy)
        }
    }
}
