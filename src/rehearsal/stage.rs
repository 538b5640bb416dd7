//! Where the bridge of a rehearsal publishes, and what it is told to carry.
//!
//! Every ingest sits behind a fault proxy: the stand-ins, and real ones that are on this machine and speak plain RTMP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::RehearsalError;
use super::children::IngestChild;
use super::ingest::{IngestArgs, IngestReport};
use super::player::JOIN;
use super::proxy::FaultProxy;
use super::run::{RealOutputs, RehearsalOptions};
use super::space::SpaceStarted;
use crate::clock::Pace;
use crate::config::{
    FailoverConfig, OutputConfig, ProgramConfig, RecordingConfig, Seat, SecretRef, Secrets, ShowConfig, ShowSettings,
    SlateConfig, SourceConfig, SourceKind, Standby, XApiConfig,
};
use crate::secret::Secret;

/// How long the closing slate stays.
const CLOSING_SLATE: Duration = Duration::from_secs(4);
/// Pause between two looks at an ingest's report.
const LOOK: Duration = Duration::from_millis(500);
/// How long an ingest may take to notice that its connection is over.
const GOODBYE: Duration = Duration::from_secs(10);
/// How long the simulated host may take to let the bridge speak.
const APPROVAL: Duration = Duration::from_secs(60);
/// Pause between two look-ups of the simulated space.
const LOOKUP: Duration = Duration::from_secs(2);

/// Where the bridge publishes.
pub(super) struct Stage {
    ingests: Vec<IngestChild>,
    outputs: Vec<OutputConfig>,
    secrets: Secrets,
    look: Option<ShowConfig>,
    /// The proxies by the names of their outputs.
    pub(super) proxies: Vec<(String, FaultProxy)>,
}

impl Stage {
    /// Stand-ins for platforms, one for each name.
    pub(super) async fn stand_ins(names: &[String], folder: &Path) -> Result<Self, RehearsalError> {
        let mut stage = Self::empty(Secrets::default(), None);
        for name in names {
            // Rumble names its applications so; the others take YouTube's.
            let app = if name == "rumble" { "slot-1" } else { "live2" };
            let args = IngestArgs { name: name.clone(), app: app.to_owned(), ..IngestArgs::default() };
            let key = canary(24);
            let child = IngestChild::start(&args, &key, folder).await?;
            let url = child.started.server_url.parse().map_err(|_| RehearsalError::Child {
                child: format!("stand-in ingest {name}"),
                reason: "said an address that is none".to_owned(),
            })?;
            let (name, preset) = (name.clone(), "custom".to_owned());
            stage.secrets.insert(format!("output.{name}.key"), key);
            // The key is among the secrets already; the reference only says that there is one.
            let key = Some(SecretRef::Prompt(name.clone()));
            let (group, budget) = (None, Default::default());
            stage.outputs.push(OutputConfig { name, preset, url, key, group, enabled: true, budget });
            stage.ingests.push(child);
        }
        stage.behind_proxies().await
    }

    /// An operator's own outputs.
    pub(super) async fn real(real: &RealOutputs, say: &mut impl FnMut(&str)) -> Result<Self, RehearsalError> {
        for output in real.config.outputs.iter().filter(|output| output.enabled) {
            let host = output.url.host_str().unwrap_or_default();
            say(&format!("Publishing for real: {} ({}, {host}).", output.name, output.preset));
        }
        let mut stage = Self::empty(real.secrets.clone(), Some(real.config.clone()));
        stage.outputs.clone_from(&real.config.outputs);
        stage.behind_proxies().await
    }

    fn empty(secrets: Secrets, look: Option<ShowConfig>) -> Self {
        Self { ingests: Vec::new(), outputs: Vec::new(), secrets, look, proxies: Vec::new() }
    }

    /// Puts a proxy before every ingest of this machine that speaks plain RTMP.
    async fn behind_proxies(mut self) -> Result<Self, RehearsalError> {
        for output in &mut self.outputs {
            let is_here = matches!(output.url.host_str(), Some("127.0.0.1" | "localhost"));
            if !is_here || output.url.scheme() != "rtmp" {
                continue;
            }
            let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, output.url.port().unwrap_or(1935)));
            let failed = RehearsalError::io("a fault proxy found no port");
            let proxy = FaultProxy::start(upstream).await.map_err(failed)?;
            let moved = output.url.set_ip_host(Ipv4Addr::LOCALHOST.into());
            let moved = moved.and_then(|()| output.url.set_port(Some(proxy.port())));
            moved.map_err(|()| RehearsalError::Options(format!("{} has no place for a port", output.url)))?;
            self.proxies.push((output.name.clone(), proxy));
        }
        Ok(self)
    }

    /// The show of this rehearsal: the simulated space through the shortest configuration there is.
    pub(super) fn show(
        &self,
        options: &RehearsalOptions,
        space: &SpaceStarted,
        pace: Option<Pace>,
    ) -> (ShowConfig, Secrets) {
        let mut secrets = self.secrets.clone();
        // As long as the platform's own, and found again if anything leaks them.
        secrets.insert("source.0.auth_token", canary(40));
        secrets.insert("source.0.ct0", canary(160));
        let cookie = |name: &str| Some(SecretRef::Prompt(name.to_owned()));
        let kind = SourceKind::XSpace {
            url: space.space_url.clone(),
            auth_token: cookie("auth_token"),
            ct0: cookie("ct0"),
            cookies_file: None,
            seat: if options.seat { Seat::Speaker { ask: true, approval: APPROVAL } } else { Seat::Listener },
        };
        let look = self.look.as_ref();
        let slate = look.map_or_else(SlateConfig::default, |config| config.slate.clone());
        let folder = options.folder.join("recordings");
        let config = ShowConfig {
            show: ShowSettings {
                name: options.show.clone().unwrap_or_else(|| show_name(options.clock.wall())),
                title: None,
                host: None,
                timezone: look.map_or_else(|| "UTC".to_owned(), |config| config.show.timezone.clone()),
                closing: CLOSING_SLATE,
                // A space that has not started may be late; one that runs is found at once.
                give_up_after: options.plan.running_for_seconds.map(|_| JOIN),
                on_air_before: options.plan.on_air_before,
                start: None,
                follow_host: options.plan.follow_host,
                public_delay: std::time::Duration::ZERO,
                consent: None,
            },
            sources: vec![SourceConfig { kind, delay: None, standby: Standby::default(), level_speakers: false }],
            failover: FailoverConfig::default(),
            program: look.map_or_else(ProgramConfig::default, |config| config.program.clone()),
            slate: SlateConfig { flash: look.is_none() || slate.flash, ..slate },
            outputs: self.outputs.clone(),
            recording: RecordingConfig { enabled: true, folder, repair_for: None, ..RecordingConfig::default() },
            x: simulated_api(space),
            alerts: Vec::new(),
            pace,
        };
        (config, secrets)
    }

    /// What the ingests saw, once their connections are over.
    pub(super) async fn reports(self, accidents: &mut Vec<String>) -> Vec<IngestReport> {
        let deadline = tokio::time::Instant::now() + GOODBYE;
        for child in &self.ingests {
            let open = |report: &IngestReport| report.connections.iter().any(|one| one.ended_ms.is_none());
            while tokio::time::Instant::now() < deadline && child.report().await.is_ok_and(|report| open(&report)) {
                tokio::time::sleep(LOOK).await;
            }
        }
        let mut reports = Vec::new();
        for (child, output) in self.ingests.into_iter().zip(&self.outputs) {
            match child.end().await {
                Ok(report) => reports.push(report),
                Err(error) => {
                    accidents.push(error.to_string());
                    reports.push(IngestReport { name: output.name.clone(), ..IngestReport::default() });
                }
            }
        }
        reports
    }
}

fn simulated_api(space: &SpaceStarted) -> XApiConfig {
    let base = XApiConfig::default();
    XApiConfig {
        api_base: space.api_base.parse().unwrap_or_else(|_| base.api_base.clone()),
        guest_base: space.guest_base.parse().unwrap_or_else(|_| base.guest_base.clone()),
        chat_base: space.guest_base.parse().unwrap_or_else(|_| base.chat_base.clone()),
        login_base: space.guest_base.parse().unwrap_or_else(|_| base.login_base.clone()),
        stage_base: space.guest_base.parse().unwrap_or_else(|_| base.stage_base.clone()),
        cookie_hosts: vec!["127.0.0.1".to_owned()],
        allow_private_addresses: true,
        lookup_interval: LOOKUP,
        ..base
    }
}

/// Every rehearsal is a show of its own: none resumes another.
fn show_name(now: Timestamp) -> String {
    format!("rehearsal-{}", now.strftime("%Y%m%d-%H%M%S"))
}

/// A secret that can be searched for.
fn canary(length: usize) -> Secret {
    Secret::new((0..length).map(|_| fastrand::alphanumeric()).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::clock::Clock;
    use crate::rehearsal::plan::Plan;

    fn space() -> SpaceStarted {
        SpaceStarted {
            space_id: "1ABCDEFGHJKLM".into(),
            space_url: "https://x.com/i/spaces/1ABCDEFGHJKLM".into(),
            api_base: "http://127.0.0.1:1/i/api".into(),
            guest_base: "http://127.0.0.1:1".into(),
            ..SpaceStarted::default()
        }
    }

    #[test]
    fn the_show_of_a_rehearsal_names_no_secret_and_never_leaves_loopback() {
        let plan = Plan::named("plain").expect("a plan");
        let (folder, state) = (PathBuf::from("/nowhere"), PathBuf::from("/nowhere/state"));
        let options = RehearsalOptions {
            folder,
            state,
            show: None,
            plan,
            speed: 1.0,
            seat: false,
            publish_for_real: None,
            clock: Clock::system(),
        };
        let (config, secrets) = Stage::empty(Secrets::default(), None).show(&options, &space(), None);
        let text = serde_json::to_string(&config).expect("json");
        let cookie = secrets.source_cookie(0, "ct0").expect("a canary");
        assert_eq!(cookie.expose().len(), 160);
        assert!(!text.contains(cookie.expose()));
        assert!(config.slate.flash && config.x.api_base.host_str() == Some("127.0.0.1"));
        assert!(config.show.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }
}
