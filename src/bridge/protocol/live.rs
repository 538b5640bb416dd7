//! The words for what an operator does to a show that is on the air: levels, outputs that come and go, the slate, the
//! public delay, the cut.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};

use crate::secret::Secret;

/// Name of the server-sent events of `GET /v1/levels`.
pub const LEVEL_EVENT: &str = "level";

/// Fault of an output whose key is gone with the process that was given it.
pub const KEY_LOST: &str = "output.key_lost";

/// Longest public delay: a minute of sound is what an operator needs to hear, think and act twice.
pub const PUBLIC_DELAY_MAX: Duration = Duration::from_secs(60);

/// Largest picture of an operator that a live show takes, in bytes.
pub const PICTURE_MAX: usize = 10 << 20;

/// Longest text of an operator on the slate, in characters: what a slate shows on one line, and a little more.
pub const TEXT_MAX: usize = 200;

/// One measurement of the program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LevelStatus {
    /// Program time of the end of what was measured, in seconds.
    pub seconds: f64,
    /// Highest sample, in dBFS; -120 is silence.
    pub peak_dbfs: f64,
    /// Root mean square, in dBFS.
    pub rms_dbfs: f64,
    /// EBU R128 loudness of the last 3 s, in LUFS.
    pub short_term_lufs: f64,
}

/// Body of `POST /v1/outputs`: an output for the rest of the show.
#[derive(Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOutput {
    /// Unique in the show; the preset's name where none is given.
    #[serde(default)]
    pub name: Option<String>,
    /// Name of a preset, such as `youtube`; `custom` where none is given.
    #[serde(default)]
    pub preset: Option<String>,
    /// The server's address without the key, where the preset does not know it.
    #[serde(default)]
    pub url: Option<String>,
    /// The stream key. It is never told again, and never written to a disk.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, write_only)]
    pub key: Option<Secret>,
}

impl fmt::Debug for NewOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may hold a key by mistake.
        f.debug_struct("NewOutput").field("name", &self.name).field("preset", &self.preset).finish_non_exhaustive()
    }
}

fn secret<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(value)?.filter(|key| !key.is_empty()).map(Secret::new))
}

/// Body of `POST /v1/slate`, where it is JSON. A picture is sent as its bytes, with the type of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SlateText {
    /// What the slate says from now on, instead of what is happening; none gives the slate back to the show.
    pub text: Option<String>,
}

/// Body of `POST /v1/delay`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayOrder {
    /// How much later than it could be the program goes out, from 0 to 60 s.
    pub seconds: f64,
}

/// Body of `POST /v1/cut`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CutOrder {
    /// How much of what was said last is taken out; none takes out all that has not gone out yet.
    #[serde(default)]
    pub seconds: Option<f64>,
}

/// Body of `POST /v1/source/pin`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinOrder {
    /// Name of the source that is held to, as the status has it; none lets the list take its course again.
    pub source: Option<String>,
}

/// Answer to every order in here.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LiveAnswer {
    /// What is being done, as a sentence for people.
    pub message: String,
    /// The length that it is about, where there is one, in seconds: of the delay, or of what was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Names of the outputs that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
}

/// An order to what is on the air.
#[derive(Debug)]
pub enum LiveOrder {
    /// One more output.
    AddOutput(NewOutput),
    /// An output goes, for the rest of the show.
    RemoveOutput(String),
    /// The slate says this; none gives it back to the show.
    SlateText(Option<String>),
    /// The slate is this picture: a PNG, JPEG or WebP.
    SlatePicture(Bytes),
    /// The source of this name is heard and no other; none lets the list take its course again.
    Pin(Option<String>),
    /// The program goes out so much later.
    Delay(Duration),
    /// What was said in the last seconds does not go out; none: all that has not gone out yet.
    Cut(Option<Duration>),
}
