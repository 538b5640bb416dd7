//! Keys of outputs that were added while a show is on the air. The bridge writes none of them down: the daemon does, in
//! files for their owner alone, each bound to its server, and gives them to a bridge that was started again.

use std::collections::BTreeSet;
use std::sync::Arc;

use url::Url;

use super::Ward;
use crate::alert::Level;
use crate::bridge::client::ClientError;
use crate::bridge::protocol::live::{KEY_LOST, LiveAnswer, NewOutput};
use crate::config::key_store::{KeyStore, SavedKey};
use crate::config::live_output;
use crate::output::preset::Preset;
use crate::secret::Secret;
use crate::status::ShowStatus;

/// The bridge process that was looked at last, and its outputs that were given their keys back, or could not be.
#[derive(Debug, Default)]
pub(super) struct Given {
    pid: u32,
    outputs: BTreeSet<String>,
}

impl Given {
    /// Outputs whose key is gone with an earlier process, each once in the life of this one.
    fn lost(&mut self, status: &ShowStatus) -> Vec<String> {
        if self.pid != status.bridge.pid {
            *self = Self { pid: status.bridge.pid, outputs: BTreeSet::new() };
        }
        let lost = status.outputs.iter().filter(|output| output.fault.as_deref() == Some(KEY_LOST));
        lost.map(|output| output.name.clone()).filter(|name| self.outputs.insert(name.clone())).collect()
    }
}

impl Ward {
    /// Adds an output for the rest of the show, and keeps its key for a bridge that is started again.
    ///
    /// # Errors
    /// When the bridge does not take it.
    pub async fn add_output(&self, output: &NewOutput) -> Result<LiveAnswer, ClientError> {
        let answer = self.client().add_output(output).await?;
        let Some(name) = answer.outputs.first().cloned() else { return Ok(answer) };
        let words = (Some(name.as_str()), output.preset.as_deref(), output.url.as_deref());
        let (url, key) = (live_output(words, &Preset::defaults(), &[]).map(|config| config.url), output.key.clone());
        let store = self.live_keys();
        let kept = move || match (url, key) {
            (Ok(url), Some(key)) => store.save_key(&name, &url, &key).map(drop).map_err(|error| error.to_string()),
            (Ok(_), None) => store.forget_key(&name).map_err(|error| error.to_string()),
            (Err(error), _) => Err(error),
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(kept).await {
            tracing::warn!(show = self.name, error, "The key of an output is not kept for a restart.");
        }
        Ok(answer)
    }

    /// Takes an output out for the rest of the show, and forgets its key.
    ///
    /// # Errors
    /// When the bridge does not know it.
    pub async fn remove_output(&self, name: &str) -> Result<LiveAnswer, ClientError> {
        let answer = self.client().remove_output(name).await?;
        let (store, name) = (self.live_keys(), name.to_owned());
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.forget_key(&name)).await {
            tracing::warn!(show = self.name, %error, "The key of an output that is gone is not forgotten.");
        }
        Ok(answer)
    }

    fn live_keys(&self) -> KeyStore {
        self.common.folders.live_keys(&self.name)
    }

    /// Gives keys back to a bridge that was started again.
    pub(super) fn give_back(self: &Arc<Self>, status: &ShowStatus, given: &mut Given) {
        for output in given.lost(status) {
            let ward = Arc::clone(self);
            tokio::spawn(async move { ward.give_back_one(&output).await });
        }
    }

    async fn give_back_one(&self, name: &str) {
        let (folder, store, own) = (self.folder.clone(), self.live_keys(), name.to_owned());
        let looked = tokio::task::spawn_blocking(move || {
            let added = folder.load().ok()??.live.added.into_iter().find(|added| added.name == own)?;
            let url = Url::parse(&added.url).ok()?;
            match store.load(&own, &url) {
                Ok(SavedKey::Found(key)) => Some((added, key)),
                // It was given to another process than this daemon, or for another server.
                Ok(SavedKey::None | SavedKey::Elsewhere { .. }) => None,
                Err(error) => {
                    tracing::warn!(output = own, %error, "A kept key cannot be used.");
                    None
                }
            }
        });
        let Some((added, key)) = looked.await.ok().flatten() else { return };
        let again = of(added.name, added.preset, added.url, key);
        match self.client().add_output(&again).await {
            Ok(_) => {
                let message = format!("The output {name} has its key back and goes on after the bridge's restart");
                self.common.hub.tell(&self.name, Level::Info, "daemon.key_restored", message, None);
            }
            Err(error) => tracing::warn!(show = self.name, output = name, %error, "A key was not given back."),
        }
    }
}

fn of(name: String, preset: String, url: String, key: Secret) -> NewOutput {
    NewOutput { name: Some(name), preset: Some(preset), url: Some(url), key: Some(key) }
}
