//! One rehearsal from start to verdict: children, the bridge, the plan, the evidence.
//!
//! The bridge is the real one. How it is run is a parameter, so that this module knows no supervisor.

use std::path::PathBuf;
use std::time::Duration;

use super::RehearsalError;
use super::children::SpaceChild;
use super::diary::Diary;
use super::janus::JanusChild;
use super::judge::{Evidence, RecordingEvidence, heard_from_the_seat, judge};
use super::listen::listen_to_all;
use super::plan::Plan;
use super::player::Player;
use super::space::SpaceArgs;
use super::stage::Stage;
use super::verdict::Judgement;
use super::witness::Witness;
use crate::bridge::client::BridgeClient;
use crate::bridge::state_folder::StateFolder;
use crate::clock::{Clock, Pace};
use crate::config::{Secrets, ShowConfig};
use crate::status::ShowStatus;

/// How long the bridge may take from the end of the space to its own.
const CLOSE: Duration = Duration::from_secs(120);
/// The file of a rehearsal's folder that holds everything that the judge knew.
pub const EVIDENCE_FILE: &str = "evidence.json";

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
    /// Root of the state folders in which the bridge will be found.
    pub state: PathBuf,
    /// Name of its show; made of the time where none is given.
    pub show: Option<String>,
    /// What happens.
    pub plan: Plan,
    /// How fast the schedule goes; media and faults always take their real time.
    pub speed: f64,
    /// Whether the bridge has a speaker's seat.
    pub seat: bool,
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
    let janus = if options.seat { Some(JanusChild::start(&options.folder).await?) } else { None };
    let gateway = janus.as_ref().map(|janus| janus.url.clone());
    let space = SpaceChild::start(&SpaceArgs { gateway, ..options.plan.space() }, &options.folder).await?;
    let stage = match &options.publish_for_real {
        Some(real) => Stage::real(real, &mut say).await?,
        None => Stage::stand_ins(&options.plan.outputs, &options.folder).await?,
    };
    let pace = (options.speed > 1.0).then(|| Pace { epoch: options.clock.wall(), speed: options.speed });
    let (config, secrets) = stage.show(&options, &space.started, pace);
    let folder = StateFolder::at(&options.state, &config.show.name)
        .map_err(|error| RehearsalError::Options(error.to_string()))?;
    let witness = Witness::start(BridgeClient::new(folder));
    say("Running the bridge against it.");
    let mut evidence = Evidence {
        scenario: options.plan.name.clone(),
        speed: options.speed,
        gaps_planned: options.plan.gaps_planned,
        seat: options.seat,
        ..Evidence::default()
    };
    let mut diary = Diary::default();
    let clock = Clock::paced(pace);
    let mut player = Player {
        space: &space,
        proxies: &stage.proxies,
        witness: &witness,
        clock: &clock,
        seat: options.seat,
        diary: &mut diary,
        say: &mut say,
    };
    let outcome = perform(&mut player, &options.plan, bridge.run_bridge(config, secrets), &mut evidence).await;
    evidence.space = space.report().await.unwrap_or_default();
    say("Collecting what the ingests and the recording have.");
    evidence.ingests = stage.reports(&mut evidence.accidents).await;
    space.end().await;
    if let Some(janus) = janus {
        janus.end().await;
    }
    if options.seat {
        heard_from_the_seat(&mut evidence.space, diary.started_ms);
    }
    diary.said = witness.heard();
    evidence.diary = diary;
    if let Some(outcome) = outcome {
        note_outcome(outcome, &mut evidence).await;
    }
    keep(&evidence, &options)?;
    Ok(judge(&evidence))
}

/// Leaves what the judge knew, for whoever wants to judge by what another witness saw.
fn keep(evidence: &Evidence, options: &RehearsalOptions) -> Result<(), RehearsalError> {
    let failed = RehearsalError::io("the evidence cannot be written");
    let bytes = serde_json::to_vec(evidence).map_err(std::io::Error::from);
    bytes.and_then(|bytes| std::fs::write(options.folder.join(EVIDENCE_FILE), bytes)).map_err(failed)
}

/// Runs the bridge and the plan side by side until both are over.
async fn perform<S: FnMut(&str) + Send>(
    player: &mut Player<'_, S>,
    plan: &Plan,
    bridge: impl Future<Output = RunOutcome> + Send,
    evidence: &mut Evidence,
) -> Option<RunOutcome> {
    tokio::pin!(bridge);
    let mut script = Box::pin(player.play(plan));
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

async fn note_outcome(outcome: RunOutcome, evidence: &mut Evidence) {
    evidence.accidents.extend(outcome.error);
    let Some(status) = outcome.status else {
        evidence.accidents.push("the bridge left no last status".to_owned());
        return;
    };
    evidence.anchor_samples = status.session.as_ref().and_then(|session| session.anchor_samples);
    let recording = status.recording;
    // A room's sound is kept as it was mixed, in Matroska.
    let is_sound = |file: &&String| [".m4a", ".mka"].iter().any(|ending| file.ends_with(ending));
    let files: Vec<String> = recording.files.iter().filter(is_sound).cloned().collect();
    let (heard, error) = listen_to_all(files.iter().map(PathBuf::from).collect()).await;
    // A session whose sound changes its form has several files.
    let is_kept = |id: &&String| files.iter().any(|file| file.contains(id.as_str()));
    let sessions = evidence.space.space_ids.iter().filter(is_kept).count() as u32;
    evidence.recording = RecordingEvidence {
        path: files.first().cloned().or(recording.folder),
        sessions,
        seconds: recording.seconds,
        gaps: recording.gaps,
        heard,
        error: error.or(recording.error),
    };
}
