//! Destinations that are known by name: what a page needs to ask for an output.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::output::preset::Preset;

/// A destination that is known by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PresetView {
    /// What an output's `preset` says.
    name: &'static str,
    /// Its name for people.
    label: &'static str,
    /// Whether the operator must give the server's address.
    requires_url: bool,
    /// The server's address, where it is known.
    url: Option<&'static str>,
    /// Whether there is a backup server, which is sent the same.
    has_backup: bool,
    /// Where the operator finds the key.
    key_page: &'static str,
    /// The most video that it takes, in kbit/s; none where nothing is published.
    max_video_kbps: Option<u32>,
    /// The most audio that it takes, in kbit/s; none where nothing is published.
    max_audio_kbps: Option<u32>,
    /// Whether this agrees with the platform's own documentation.
    verified: bool,
    /// What else the operator should know; may be empty.
    notes: &'static str,
}

/// Platforms that an output can name: whether they need an address, and where to find the key.
#[utoipa::path(get, path = "/api/v1/presets", tag = "live", responses((status = 200, body = Vec<PresetView>)))]
pub(super) async fn list() -> Json<Vec<PresetView>> {
    let view = |(name, preset): (&'static str, &'static Preset)| PresetView {
        name,
        label: &preset.label,
        requires_url: preset.requires_url,
        url: preset.url.as_ref().map(url::Url::as_str),
        has_backup: preset.backup_url.is_some(),
        key_page: &preset.key_page,
        max_video_kbps: (preset.max_video_kbps > 0).then_some(preset.max_video_kbps),
        max_audio_kbps: (preset.max_audio_kbps > 0).then_some(preset.max_audio_kbps),
        verified: preset.verified,
        notes: &preset.notes,
    };
    Json(Preset::all().map(view).collect())
}
