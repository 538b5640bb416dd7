//! One rehearsal from start to verdict: children, the bridge, the plan, the evidence.
//!
//! The bridge is the real one. How it is run is a parameter, so that this module knows no supervisor.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::RehearsalError;
use super::children::{IngestChild, SpaceChild};
use super::ear::{Heard, Search};
use super::ingest::{IngestArgs, IngestReport};
use super::judge::{Evidence, RecordingEvidence, judge};
use super::plan::Plan;
use super::space::{Order, SpaceReport, SpaceStarted};
use super::verdict::Judgement;
use crate::clock::Clock;
use crate::config::{
    OutputConfig, ProgramConfig, RecordingConfig, SecretRef, Secrets, ShowConfig, ShowSettings, SlateConfig,
    SourceConfig, SourceKind, XApiConfig,
};
use crate::secret::Secret;
use crate::status::ShowStatus;

/// How long the bridge may take to its first fetch.
const JOIN: Duration = Duration::from_secs(60);
/// How long the bridge may take from the end of the space to its own.
const CLOSE: Duration = Duration::from_secs(120);
/// How long the closing slate stays.
const CLOSING_SLATE: Duration = Duration::from_secs(4);
/// Pause between two looks at the space's report.
const LOOK: Duration = Duration::from_millis(500);
/// How long an ingest may take to notice that its connection is over.
const GOODBYE: Duration = Duration::from_secs(10);

/// What became of the bridge.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// Its last status.
    pub status: Option<ShowStatus>,
    /// Why it did not end well, in words.
    pub error: Option<String>,
}

/// Runs the real bridge to its end: the show is over when the space is. Implemented by closures.
pub trait BridgeRunner {
    /// Runs it.
    fn run_bridge(self, config: ShowConfig, secrets: Secrets) -> impl Future<Output = RunOutcome> + Send;
}

impl<F, R> BridgeRunner for F
where
    F: FnOnce(ShowConfig, Secrets) -> R,
    R: Future<Output = RunOutcome> + Send,
{
    fn run_bridge(self, config: ShowConfig, secrets: Secrets) -> impl Future<Output = RunOutcome> + Send {
        self(config, secrets)
    }
}

/// What a rehearsal is to be.
#[derive(Debug, Clone)]
pub struct RehearsalOptions {
    /// Where the recording and the children's logs go. Made if it is not there.
    pub folder: PathBuf,
    /// What happens.
    pub plan: Plan,
    /// Publishes to these outputs instead of stand-in ingests.
    pub publish_for_real: Option<RealOutputs>,
    /// Wall and monotonic time.
    pub clock: Clock,
}

/// An operator's own outputs.
#[derive(Debug, Clone)]
pub struct RealOutputs {
    /// Outputs, picture and program of the operator's own configuration; its sources and recording are not used.
    pub config: ShowConfig,
    /// Their keys.
    pub secrets: Secrets,
}

/// Rehearses. `say` gets a line for people now and then.
///
/// # Errors
/// When the rehearsal itself cannot be held; what the bridge does wrong is in the judgement.
pub async fn run(
    options: RehearsalOptions,
    bridge: impl BridgeRunner,
    mut say: impl FnMut(&str) + Send,
) -> Result<Judgement, RehearsalError> {
    std::fs::create_dir_all(&options.folder).map_err(RehearsalError::io("the rehearsal's folder cannot be made"))?;
    say("Starting a simulated space.");
    let space = SpaceChild::start(&options.plan.space(), &options.folder).await?;
    let stage = match &options.publish_for_real {
        Some(real) => Stage::real(real, &mut say),
        None => Stage::stand_ins(&options.folder).await?,
    };
    let (config, secrets) = stage.show(&options, &space.started);
    say("Running the bridge against it.");
    let mut evidence = Evidence { gaps_planned: options.plan.gaps_planned, ..Evidence::default() };
    let outcome = perform(&space, &options.plan, bridge.run_bridge(config, secrets), &mut evidence, &mut say).await;
    evidence.space = space.report().await.unwrap_or_default();
    say("Collecting what the ingests and the recording have.");
    evidence.ingests = stage.reports(&mut evidence.accidents).await;
    space.end().await;
    if let Some(outcome) = outcome {
        note_outcome(outcome, &mut evidence).await;
    }
    Ok(judge(&evidence))
}

/// Where the bridge publishes.
struct Stage {
    ingests: Vec<IngestChild>,
    outputs: Vec<OutputConfig>,
    secrets: Secrets,
    look: Option<ShowConfig>,
}

impl Stage {
    /// The two platforms of the shortest way to use this program, played by stand-ins.
    async fn stand_ins(folder: &Path) -> Result<Self, RehearsalError> {
        let (mut ingests, mut outputs, mut secrets) = (Vec::new(), Vec::new(), Secrets::default());
        for (name, app) in [("youtube", "live2"), ("rumble", "slot-1")] {
            let args = IngestArgs { name: name.to_owned(), app: app.to_owned(), ..IngestArgs::default() };
            let key = canary(24);
            let child = IngestChild::start(&args, &key, folder).await?;
            let url = child.started.server_url.parse().map_err(|_| RehearsalError::Child {
                child: format!("stand-in ingest {name}"),
                reason: "said an address that is none".to_owned(),
            })?;
            let (name, preset) = (name.to_owned(), "custom".to_owned());
            secrets.insert(format!("output.{name}.key"), key);
            // The key is among the secrets already; the reference only says that there is one.
            let key = Some(SecretRef::Prompt(name.clone()));
            let (group, budget) = (None, Default::default());
            outputs.push(OutputConfig { name, preset, url, key, group, enabled: true, budget });
            ingests.push(child);
        }
        Ok(Self { ingests, outputs, secrets, look: None })
    }

    fn real(real: &RealOutputs, say: &mut impl FnMut(&str)) -> Self {
        for output in real.config.outputs.iter().filter(|output| output.enabled) {
            let host = output.url.host_str().unwrap_or_default();
            say(&format!("Publishing for real: {} ({}, {host}).", output.name, output.preset));
        }
        Self {
            ingests: Vec::new(),
            outputs: real.config.outputs.clone(),
            secrets: real.secrets.clone(),
            look: Some(real.config.clone()),
        }
    }

    /// The show of this rehearsal: the simulated space through the shortest configuration there is.
    fn show(&self, options: &RehearsalOptions, space: &SpaceStarted) -> (ShowConfig, Secrets) {
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
        };
        let look = self.look.as_ref();
        let slate = look.map_or_else(SlateConfig::default, |config| config.slate.clone());
        let folder = options.folder.join("recordings");
        let config = ShowConfig {
            show: ShowSettings {
                name: show_name(options.clock.wall()),
                title: None,
                host: None,
                timezone: look.map_or_else(|| "UTC".to_owned(), |config| config.show.timezone.clone()),
                closing: CLOSING_SLATE,
                give_up_after: Some(JOIN),
                on_air_before: None,
                start: None,
                follow_host: None,
            },
            sources: vec![SourceConfig { kind, delay: None }],
            program: look.map_or_else(ProgramConfig::default, |config| config.program.clone()),
            slate: SlateConfig { flash: look.is_none(), ..slate },
            outputs: self.outputs.clone(),
            recording: RecordingConfig { enabled: true, folder, ..RecordingConfig::default() },
            x: simulated_api(space),
            alerts: Vec::new(),
            pace: None,
        };
        (config, secrets)
    }

    /// What the ingests saw, once their connections are over.
    async fn reports(self, accidents: &mut Vec<String>) -> Vec<IngestReport> {
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
        cookie_hosts: vec!["127.0.0.1".to_owned()],
        allow_private_addresses: true,
        lookup_interval: Duration::from_secs(2),
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

/// Runs the bridge and the plan side by side until both are over.
async fn perform(
    space: &SpaceChild,
    plan: &Plan,
    bridge: impl Future<Output = RunOutcome> + Send,
    evidence: &mut Evidence,
    say: &mut (impl FnMut(&str) + Send),
) -> Option<RunOutcome> {
    tokio::pin!(bridge);
    let mut script = Box::pin(play(space, plan, say));
    let early = tokio::select! {
        outcome = &mut bridge => Some(outcome),
        played = &mut script => {
            evidence.accidents.extend(played.err());
            None
        }
    };
    drop(script);
    if let Some(outcome) = early {
        evidence.accidents.push("the bridge ended before the space did".to_owned());
        return Some(outcome);
    }
    let outcome = tokio::time::timeout(CLOSE, bridge).await;
    if outcome.is_err() {
        evidence.accidents.push(format!("the bridge did not end within {} s after the space", CLOSE.as_secs()));
    }
    outcome.ok()
}

/// The plan: waits for the bridge's first fetch, gives the orders in time, ends the space.
async fn play(space: &SpaceChild, plan: &Plan, say: &mut (impl FnMut(&str) + Send)) -> Result<(), String> {
    let joined = async {
        while !space.report().await.map_err(|error| error.to_string())?.chunks.iter().any(|chunk| chunk.served > 0) {
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, String>(())
    };
    let waited = tokio::time::timeout(JOIN, joined).await;
    let problem = match waited {
        Err(_) => Some(format!("the bridge fetched nothing within {} s", JOIN.as_secs())),
        Ok(result) => result.err(),
    };
    if let Some(problem) = problem {
        // The bridge must end all the same.
        drop(space.order(&Order::End { replay: false }).await);
        return Err(problem);
    }
    say(&format!("The bridge is listening. {} s of live space follow.", plan.live_seconds));
    let start = tokio::time::Instant::now();
    for timed in &plan.orders {
        tokio::time::sleep_until(start + Duration::from_secs(u64::from(timed.at_seconds))).await;
        say(&format!("Second {}: {}.", timed.at_seconds, timed.order.words()));
        space.order(&timed.order).await.map_err(|error| error.to_string())?;
    }
    tokio::time::sleep_until(start + Duration::from_secs(u64::from(plan.live_seconds))).await;
    say("The host ends the space.");
    space.order(&Order::End { replay: false }).await.map(|_: SpaceReport| ()).map_err(|error| error.to_string())
}

async fn note_outcome(outcome: RunOutcome, evidence: &mut Evidence) {
    evidence.accidents.extend(outcome.error);
    let Some(status) = outcome.status else {
        evidence.accidents.push("the bridge left no last status".to_owned());
        return;
    };
    evidence.anchor_samples = status.session.as_ref().and_then(|session| session.anchor_samples);
    let recording = status.recording;
    let file = recording.files.iter().find(|file| file.ends_with(".m4a")).cloned();
    let (heard, error) = match &file {
        Some(file) => listen_to(PathBuf::from(file)).await,
        None => (None, None),
    };
    evidence.recording = RecordingEvidence {
        path: file.or(recording.folder),
        seconds: recording.seconds,
        gaps: recording.gaps,
        heard,
        error: error.or(recording.error),
    };
}

/// The ruler in a finished file.
async fn listen_to(file: PathBuf) -> (Option<Heard>, Option<String>) {
    let listened = tokio::task::spawn_blocking(move || {
        // Pieces are searched where they come out of the decoder; what is found comes over a channel.
        let (sender, pieces) = std::sync::mpsc::sync_channel::<Vec<f32>>(64);
        let searching = std::thread::spawn(move || {
            let (mut search, mut at) = (Search::default(), 0);
            for piece in pieces {
                search.push(at, &piece);
                at += piece.len() as i64;
            }
            search.finish()
        });
        let result = crate::gst::decode_file::decode_m4a(&file, move |samples| drop(sender.send(samples.to_vec())));
        let heard = searching.join().unwrap_or_default();
        (heard, result)
    });
    match listened.await {
        Ok((heard, Ok(()))) => (Some(heard), None),
        Ok((_, Err(error))) => (None, Some(format!("the finished file cannot be read: {error}"))),
        Err(error) => (None, Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let options =
            RehearsalOptions { folder: "/nowhere".into(), plan, publish_for_real: None, clock: Clock::system() };
        let stage = Stage { ingests: Vec::new(), outputs: Vec::new(), secrets: Secrets::default(), look: None };
        let (config, secrets) = stage.show(&options, &space());
        let text = serde_json::to_string(&config).expect("json");
        let cookie = secrets.source_cookie(0, "ct0").expect("a canary");
        assert_eq!(cookie.expose().len(), 160);
        assert!(!text.contains(cookie.expose()));
        assert!(config.slate.flash && config.x.api_base.host_str() == Some("127.0.0.1"));
        assert!(config.show.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_told_and_not_a_panic() {
        let (heard, error) = listen_to(PathBuf::from("/nowhere/x.m4a")).await;
        assert!(heard.is_none() && error.expect("a reason").contains("cannot be read"));
    }

    #[tokio::test]
    async fn the_ruler_is_found_in_a_finished_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (raw, file) = (folder.path().join("ruler.f32"), folder.path().join("show.m4a"));
        let bytes: Vec<u8> = (30..42).flat_map(crate::ruler::second).flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&raw, bytes).expect("written");
        let made = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-f", "f32le", "-ar", "48000", "-ac", "1", "-i"])
            .arg(&raw)
            .args(["-c:a", "aac", "-b:a", "96k", "-ac", "2"])
            .arg(&file)
            .status();
        assert!(made.expect("ffmpeg is in the Debian package ffmpeg").success());
        let (heard, error) = listen_to(file).await;
        assert_eq!(error, None);
        let indices: Vec<u32> = heard.expect("sound").seconds.iter().map(|second| second.index).collect();
        assert_eq!(indices, (30..42).collect::<Vec<_>>());
    }
}
