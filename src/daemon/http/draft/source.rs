//! The sources of a new show as a configuration writes them. Secrets are named by the file they will lie in, and never
//! written here.

use std::path::Path;

use toml::{Table, Value};

use super::{ShowDraft, cookie_file, fault, put};
use crate::config::{self, SourceKind};
use crate::daemon::folders::Folders;

impl ShowDraft {
    /// Every source, the best first. `found` is what the link alone would be.
    ///
    /// # Errors
    /// What does not go together.
    pub(super) fn sources(
        &self,
        found: &SourceKind,
        name: &str,
        folders: &Folders,
        cookies: Option<&Path>,
    ) -> Result<Vec<Value>, config::Problem> {
        let is_space = matches!(found, SourceKind::XSpace { .. });
        if self.seat.is_some() && (!is_space || self.kind.is_some()) {
            return Err(fault("seat", "belongs to a Space", "Leave it out, or give the link of a Space"));
        }
        let is_speaker = self.seat.as_deref() == Some("speaker");
        if self.listen_too && !is_speaker {
            return Err(fault(
                "listen_too",
                "belongs to the seat speaker",
                "Write seat = \"speaker\", or leave it out",
            ));
        }
        if let Some(kind) = &self.kind {
            return Ok(vec![Value::Table(self.gateway(kind, name, folders)?)]);
        }
        let mut first = self.source(found, name, folders, cookies);
        put(&mut first, "seat", self.seat.as_ref());
        let mut sources = vec![Value::Table(first)];
        if self.listen_too {
            let mut second = self.source(found, name, folders, cookies);
            put(&mut second, "standby", Some(&"warm".to_owned()));
            sources.push(Value::Table(second));
        }
        Ok(sources)
    }

    /// How the two paths of a Space stand in for each other, where that is said.
    ///
    /// # Errors
    /// When there are no two paths.
    pub(super) fn failover(&self) -> Result<Option<Table>, config::Problem> {
        let mut failover = Table::new();
        put(&mut failover, "mode", self.failover.as_ref());
        put(&mut failover, "delay", self.failover_delay.as_ref());
        if !failover.is_empty() && !self.listen_too {
            return Err(fault("failover", "needs two paths", "Write listen_too = true, or leave it out"));
        }
        Ok((!failover.is_empty()).then_some(failover))
    }

    /// A server of one's own that is heard by WebRTC.
    fn gateway(&self, kind: &str, name: &str, folders: &Folders) -> Result<Table, config::Problem> {
        let is_janus = match kind {
            "janus" => true,
            "whep" => false,
            _ => return Err(fault("kind", "unknown kind of source", "Write \"whep\" or \"janus\", or leave it out")),
        };
        if !is_janus && (self.room.is_some() || self.pin.is_some() || self.api_secret.is_some()) {
            return Err(fault("room", "belongs to the kind janus, as pin and api_secret do", "Leave them out"));
        }
        let mut source = Table::new();
        put(&mut source, "kind", Some(&kind.to_owned()));
        put(&mut source, "url", self.link.as_ref());
        put(&mut source, "room", self.room.as_ref());
        for (key, secret) in [("pin", &self.pin), ("token", &self.token), ("api_secret", &self.api_secret)] {
            let path = secret.as_ref().map(|_| cookie_file(folders, name, key).display().to_string());
            put(&mut source, &format!("{key}_file"), path.as_ref());
        }
        Ok(source)
    }
}
