//! What the API shows of a show. Never a secret: of a key only that there is one.

use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Fault;
use crate::daemon::paths::without_paths;
use crate::daemon::{Origin, Standing, WardView};
use crate::status::{OutputState, ShowState, ShowStatus};

/// Where a show's configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OriginView {
    /// A file of the operator's: it is changed there.
    File,
    /// This interface.
    Api,
}

/// A show in a few words.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ShowSummary {
    /// Its name.
    pub(super) name: String,
    /// Where its configuration comes from.
    origin: OriginView,
    /// Where it stands with the daemon.
    standing: Standing,
    /// Whether its bridge answers.
    on_the_air: bool,
    /// Why it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// What is wrong with its configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    /// Where its bridge stands; the last word of a show that is over stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<ShowState>,
    /// What is happening, in one sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    /// Title of the space, or of the show.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Outputs that are live.
    outputs_live: usize,
    /// Outputs that there are.
    outputs: usize,
}

/// An output of a show's configuration.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OutputConfigView {
    /// Its name.
    name: String,
    /// Name of its preset.
    preset: String,
    /// The server's address without the key.
    url: String,
    /// Whether a key belongs to it. The key itself is never given out.
    key_set: bool,
    /// Whether it starts with the show.
    enabled: bool,
}

/// Everything about a show.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ShowDetail {
    #[serde(flatten)]
    summary: ShowSummary,
    /// The outputs of its configuration.
    configured_outputs: Vec<OutputConfigView>,
    /// What its bridge says; none while it has none.
    status: Option<ShowStatus>,
}

impl From<&WardView> for ShowSummary {
    fn from(view: &WardView) -> Self {
        let status = view.status.as_deref();
        let outputs = status.map(|status| status.outputs.as_slice()).unwrap_or_default();
        let live = outputs.iter().filter(|output| output.state == OutputState::Live).count();
        let configured = view.config.as_ref().map_or(0, |config| config.outputs.len());
        let told = status.and_then(|status| status.session.as_ref()?.title.clone());
        let own = view.config.as_ref().and_then(|config| config.show.title.clone());
        Self {
            name: view.name.clone(),
            origin: if view.origin == Origin::Api { OriginView::Api } else { OriginView::File },
            standing: view.standing,
            on_the_air: view.on_the_air,
            why: view.why.as_deref().map(|why| without_paths(why).into_owned()),
            faults: view.faults.iter().map(Fault::from).collect(),
            state: status.map(|status| status.state),
            words: status.map(|status| status.words.clone()),
            title: own.or(told),
            outputs_live: if view.on_the_air { live } else { 0 },
            outputs: if outputs.is_empty() { configured } else { outputs.len() },
        }
    }
}

impl From<&WardView> for ShowDetail {
    fn from(view: &WardView) -> Self {
        let outputs = view.config.as_ref().map(|config| config.outputs.as_slice()).unwrap_or_default();
        let configured_outputs = outputs.iter().map(|output| OutputConfigView {
            name: output.name.clone(),
            preset: output.preset.clone(),
            url: output.url.to_string(),
            key_set: output.key.is_some(),
            enabled: output.enabled,
        });
        Self {
            summary: view.into(),
            configured_outputs: configured_outputs.collect(),
            status: view.status.as_deref().cloned(),
        }
    }
}
