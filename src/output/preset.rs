//! Destinations known by name, from the one data file that is part of the binary.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use url::Url;

use crate::config::{BudgetConfig, PresetDefaults};

static PRESETS: LazyLock<BTreeMap<String, Preset>> =
    LazyLock::new(|| parse(include_str!("../../config/presets.toml")).expect("a test loads the shipped presets"));

/// What is known of a destination.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// Its name for people.
    pub label: String,
    /// Server address without the key; none where only the operator knows it.
    pub url: Option<Url>,
    /// The second address of the platform, to be sent the same as the first.
    pub backup_url: Option<Url>,
    /// Whether the operator must give the address, since the preset's alone may stream nowhere.
    #[serde(default)]
    pub requires_url: bool,
    /// Where the operator finds the key.
    pub key_page: String,
    /// The most video that the platform takes, in kbit/s; 0 where nothing is published.
    pub max_video_kbps: u32,
    /// The most audio that the platform takes, in kbit/s; 0 where nothing is published.
    pub max_audio_kbps: u32,
    /// The longest distance of key frames that the platform asks for, in seconds.
    pub keyframe_seconds: u32,
    /// Publishing sessions that it may begin in an hour; 0 for any number.
    #[serde(default = "broadcasts_per_hour")]
    pub broadcasts_per_hour: u32,
    /// Whether this agrees with the platform's own documentation.
    pub verified: bool,
    /// What else the operator should know; may be empty.
    pub notes: String,
}

impl Preset {
    /// The preset called `name`.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.get(name)
    }

    /// Every preset, as the configuration's rules know it.
    pub fn defaults() -> Vec<PresetDefaults> {
        let defaults = |(name, preset): (&String, &Self)| PresetDefaults {
            name: name.clone(),
            url: preset.url.as_ref().map(ToString::to_string),
            backup_url: preset.backup_url.as_ref().map(ToString::to_string),
            requires_url: preset.requires_url,
            key_page: Some(preset.key_page.clone()),
            max_video_kbps: (preset.max_video_kbps > 0).then_some(preset.max_video_kbps),
            broadcasts_per_hour: Some(preset.broadcasts_per_hour),
            verified: preset.verified,
        };
        PRESETS.iter().map(defaults).collect()
    }

    /// All presets with their names, in alphabetical order.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static Self)> {
        PRESETS.iter().map(|(name, preset)| (name.as_str(), preset))
    }

    /// All names, in alphabetical order.
    pub fn names() -> Vec<&'static str> {
        PRESETS.keys().map(String::as_str).collect()
    }
}

fn broadcasts_per_hour() -> u32 {
    BudgetConfig::default().per_hour
}

fn parse(text: &str) -> Result<BTreeMap<String, Preset>, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gst::rtmp::RtmpTarget;
    use crate::secret::Secret;

    #[test]
    fn shipped_presets_load_and_every_address_can_be_published_to() {
        let presets = parse(include_str!("../../config/presets.toml")).expect("presets");
        for (name, preset) in &presets {
            assert!(preset.requires_url || preset.url.is_some(), "{name} has no address");
            assert_eq!(preset.broadcasts_per_hour, 12, "{name}: every other number needs a reason in the file");
            assert!((2..=4).contains(&preset.keyframe_seconds) && !preset.key_page.is_empty(), "{name}");
            for url in preset.url.iter().chain(&preset.backup_url) {
                let target = RtmpTarget::new(url, Some(&Secret::new("key"))).expect("an address");
                assert!(target.server().starts_with("rtmp"), "{name}");
            }
        }
        let verified: Vec<_> = Preset::names().into_iter().filter(|name| presets[*name].verified).collect();
        assert_eq!(verified, ["custom", "rumble", "twitch", "youtube"]);
    }

    #[test]
    fn a_preset_that_may_stream_nowhere_wants_the_operators_address() {
        for name in ["rumble", "custom", "kick"] {
            assert!(Preset::find(name).is_some_and(|preset| preset.requires_url), "{name}");
        }
        let youtube = Preset::find("youtube").expect("youtube");
        assert!(!youtube.requires_url);
        assert!(youtube.backup_url.as_ref().is_some_and(|url| url.query() == Some("backup=1")));
        assert_eq!(Preset::find("nowhere"), None);
    }
}
