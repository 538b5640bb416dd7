//! What the configuration must know of the stages it belongs to. The command line passes it in, since the base
//! imports no stage.

use super::SecretRef;

/// A platform's values for an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PresetDefaults {
    /// Its name, such as `youtube`.
    pub name: String,
    /// Server address without the key; none where the operator must give one.
    pub url: Option<String>,
    /// Address of the platform's second ingest.
    pub backup_url: Option<String>,
    /// Whether the operator's own address is required, whatever `url` says.
    pub requires_url: bool,
    /// Where the operator finds the key.
    pub key_page: Option<String>,
    /// The platform's maximum, in kbit/s.
    pub max_video_kbps: Option<u32>,
    /// Publishing sessions that it may begin in an hour, 0 for any number; none where the common default holds.
    pub broadcasts_per_hour: Option<u32>,
    /// Whether the values were checked against the platform's documentation.
    pub verified: bool,
}

/// The name of the preset that stands for none.
pub const CUSTOM: &str = "custom";

/// Reads a Space's link: its id or another name for the show's folder, or in words what to paste instead.
pub type SpaceLinkReader<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Everything that the configuration asks of the stages.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Every preset.
    pub presets: &'a [PresetDefaults],
    /// The x-space source's own reader of links.
    pub space_link: SpaceLinkReader<'a>,
}

impl Known<'_> {
    /// The preset of this name.
    pub fn preset(&self, name: &str) -> Option<PresetDefaults> {
        let found = self.presets.iter().find(|preset| preset.name == name).cloned();
        let custom =
            || PresetDefaults { name: CUSTOM.into(), requires_url: true, verified: true, ..Default::default() };
        found.or_else(|| (name == CUSTOM).then(custom))
    }

    /// The names of all presets, the custom one among them.
    pub fn preset_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.presets.iter().map(|preset| preset.name.as_str()).collect();
        if !names.contains(&CUSTOM) {
            names.push(CUSTOM);
        }
        names
    }
}

impl SecretRef {
    /// Where the secret comes from, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Env(name) => format!("environment variable {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::Credential(name) => format!("systemd credential {name}"),
            Self::Prompt(_) => "asked for on the terminal".into(),
        }
    }
}
