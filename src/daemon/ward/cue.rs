//! What a start brings along that no configuration says: the Space that a watch has found, the time that was announced.
//! Kept while the show is on the air, so that a bridge that is started again by another daemon goes on with it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Refusal, Ward};
use crate::config::{ShowConfig, SourceKind};

/// What a start brings along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cue {
    /// The Space's link or id; it takes the place of the link of the first source that is a Space.
    pub link: Option<String>,
    /// The announced start, for a show whose configuration names none.
    pub start: Option<Timestamp>,
}

impl Cue {
    pub(super) fn apply(&self, config: &mut ShowConfig) {
        let mut kinds = config.sources.iter_mut().map(|source| &mut source.kind);
        let space = kinds.find_map(|kind| match kind {
            SourceKind::XSpace { url, .. } => Some(url),
            _ => None,
        });
        if let (Some(link), Some(url)) = (&self.link, space) {
            url.clone_from(link);
        }
        config.show.start = config.show.start.or(self.start);
    }
}

impl Ward {
    /// Puts the show on the air as its configuration says, and keeps it there until it is over.
    ///
    /// # Errors
    /// When it is there already, or its configuration or secrets are at fault.
    pub fn start(self: &Arc<Self>) -> Result<(), Refusal> {
        self.begin(Some(&Cue::default()), false)
    }

    /// Puts the show on the air as configured though the machine may not carry it.
    ///
    /// # Errors
    /// As [`Ward::start`], but for the machine.
    pub fn start_by_force(self: &Arc<Self>) -> Result<(), Refusal> {
        self.begin(Some(&Cue::default()), true)
    }

    /// The same, with what `cue` brings along.
    ///
    /// # Errors
    /// As [`Ward::start`].
    pub fn start_with(self: &Arc<Self>, cue: &Cue) -> Result<(), Refusal> {
        self.begin(Some(cue), false)
    }

    /// Puts the show on the air again with what its last start brought along.
    ///
    /// # Errors
    /// As [`Ward::start`].
    pub(in crate::daemon) fn start_again(self: &Arc<Self>) -> Result<(), Refusal> {
        self.begin(None, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cue_changes_the_space_and_the_time_and_no_login() {
        let text = "[show]\nname = \"n\"\n[[source]]\nkind = \"tone\"\n[[source]]\nkind = \"x-space\"\nurl = \
                    \"1YpKkWmbnQaGj\"\ncookies_file = \"c\"\n[[source]]\nkind = \"x-space\"\nurl = \"1ABDEGJKLMNOP\"\n";
        let link = |link: &str| Ok(link.to_owned());
        let known = crate::config::Known { presets: &[], space_link: &link };
        let plain = crate::config::read(text, std::path::Path::new("/"), known).unwrap();
        let mut config = plain.clone();
        Cue::default().apply(&mut config);
        assert_eq!(config, plain);
        let start = Timestamp::from_second(1_800_000_000).unwrap();
        Cue { link: Some("1RDxlyDPoWkKL".to_owned()), start: Some(start) }.apply(&mut config);
        let mut expected = plain;
        expected.show.start = Some(start);
        let SourceKind::XSpace { url, .. } = &mut expected.sources[1].kind else { panic!("a space") };
        *url = "1RDxlyDPoWkKL".to_owned();
        assert_eq!(config, expected);
    }
}
