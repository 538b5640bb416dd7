//! What an operator changed while the show is on the air, as a restarted bridge finds it again. No key is in it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{OutputConfig, ShowConfig};
use crate::status::OwnSlate;

/// What differs from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRecord {
    /// Outputs that were added, in their order.
    #[serde(default)]
    pub added: Vec<AddedOutput>,
    /// Names of the configuration's outputs that were taken out.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Outputs that were started or stopped by hand, and whether they are to run.
    #[serde(default)]
    pub switched: BTreeMap<String, bool>,
    /// The operator's own word on the slate.
    #[serde(default)]
    pub slate: Option<OwnSlate>,
    /// The public delay, in ms, where it is another than the configuration's.
    #[serde(default)]
    pub public_delay_ms: Option<u64>,
    /// The source of the list that the operator holds the show to.
    #[serde(default)]
    pub pinned: Option<String>,
    /// When something was cut out of the program last: what was heard before is not heard again.
    #[serde(default)]
    pub cut_at: Option<Timestamp>,
}

/// An output that was added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedOutput {
    /// Its name.
    pub name: String,
    /// The preset's name.
    pub preset: String,
    /// The server's address without the key.
    pub url: String,
    /// Whether it has a key, which only the process that was given it knows.
    pub has_key: bool,
}

impl LiveRecord {
    /// The configuration as it stands: `output_of` makes an added output's configuration.
    pub fn apply(
        &self,
        config: &ShowConfig,
        output_of: impl Fn(&AddedOutput) -> Result<OutputConfig, String>,
    ) -> ShowConfig {
        let mut config = config.clone();
        config.outputs.retain(|output| !self.removed.contains(&output.name));
        for added in &self.added {
            match output_of(added) {
                Ok(output) if config.outputs.iter().all(|other| other.name != output.name) => {
                    config.outputs.push(OutputConfig { enabled: !added.has_key, ..output });
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(output = added.name, error, "An added output is not found again."),
            }
        }
        for output in &mut config.outputs {
            output.enabled = self.switched.get(&output.name).copied().unwrap_or(output.enabled);
        }
        if let Some(ms) = self.public_delay_ms {
            config.show.public_delay = Duration::from_millis(ms);
        }
        config
    }

    /// Takes an output out; it is added no more, and the configuration's is not used.
    pub fn remove(&mut self, name: &str) {
        self.added.retain(|added| added.name != name);
        self.switched.remove(name);
        if !self.removed.iter().any(|removed| removed == name) {
            self.removed.push(name.to_owned());
        }
    }
}
