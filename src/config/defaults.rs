//! Ready values for keys that a file leaves out. The sample configuration states the same ones, and a test compares.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::{
    BudgetConfig, ProgramConfig, RecordingConfig, RetentionConfig, SlateConfig, SlateTexts, WhenSpent, XApiConfig,
};
use crate::media::VideoFormat;

/// How long the closing slate stays: long enough to be read by viewers who are some seconds behind.
pub const CLOSING: Duration = Duration::from_secs(30);

impl Default for ProgramConfig {
    fn default() -> Self {
        Self { gain_db: 0.0, limit_dbtp: Some(-1.0), hold_audio: None, sample_rate: 48_000, audio_kbps: 128 }
    }
}

impl Default for SlateConfig {
    fn default() -> Self {
        Self {
            template: None,
            image: None,
            artwork: None,
            format: VideoFormat { width: 1280, height: 720, fps: 30 },
            // YouTube's minimum for 720p: below it the platform reports `bitrateLow`.
            video_kbps: 3000,
            clock: true,
            show_speakers: false,
            flash: false,
            show_consent: false,
            texts: SlateTexts::default(),
        }
    }
}

impl Default for SlateTexts {
    fn default() -> Self {
        Self {
            connecting: "Connecting to the space".into(),
            scheduled: "Starts at {time} {zone}".into(),
            countdown: countdown(),
            late: late(),
            waiting: "Waiting for the space to open".into(),
            live: "Live".into(),
            gap: "The space has dropped out, back in a moment".into(),
            next: next(),
            moment: moment(),
            ended: "Ended, thank you".into(),
        }
    }
}

pub(super) fn login_base() -> Url {
    Url::parse("https://proxsee.pscp.tv").expect("a constant address")
}

pub(super) fn stage_base() -> Url {
    Url::parse("https://guest.pscp.tv").expect("a constant address")
}

pub(super) fn gateway_hosts() -> Vec<String> {
    strings(&["pscp.tv"])
}

/// As elizaOS's agent-twitter-client and twifork send it.
pub(super) fn authenticate_periscope() -> String {
    "r7VUmxbfqNkx7uwjgONSNw".into()
}

pub(super) fn user_by_screen_name() -> String {
    "-oaLodhGbbnzJBACb1kk2Q".into()
}

pub(super) fn countdown() -> String {
    "Starts in {left}".into()
}

pub(super) fn late() -> String {
    "Waiting for the space to open".into()
}

pub(super) fn moment() -> String {
    "One moment".into()
}

pub(super) fn next() -> String {
    "The space is over; waiting for the next one".into()
}

impl Default for BudgetConfig {
    fn default() -> Self {
        // A bad hour's reconnects, and not so many videos that nobody finds the right one.
        Self { per_hour: 12, when_spent: WhenSpent::Slow }
    }
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: PathBuf::from("recordings"),
            min_free_bytes: 500_000_000,
            // A replay is there a minute or so after the end, of a long space after some; whoever wants days says so.
            repair_for: Some(Duration::from_secs(30 * 60)),
            retention: RetentionConfig::default(),
        }
    }
}

/// What X's web page used when this version was made. Sources: the query id of `AudioSpaceById`, the features and the
/// bearer as yt-dlp sends them (`yt_dlp/extractor/twitter.py`, August 2026); the query id of `AudiospaceByRestId` as
/// twspace-crawler sends it (March 2026).
impl Default for XApiConfig {
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("a constant address");
        Self {
            api_base: url("https://x.com/i/api"),
            guest_base: url("https://api.x.com"),
            chat_base: url("https://proxsee.pscp.tv"),
            login_base: login_base(),
            stage_base: stage_base(),
            gateway_hosts: gateway_hosts(),
            seat_silence: false,
            chat: true,
            bearer: "AAAAAAAAAAAAAAAAAAAAANRILgAAAAAAnNwIzUejRCOuH5E6I8xnZz4puTs%3D1Zv7ttfk8LF81IUq16cHjhLTvJu4FA33AGWWjCpTnA"
                .into(),
            audio_space_by_id: "HPEisOmj1epUNLCWTYhUWw".into(),
            audiospace_by_rest_id: "N80MQ7fkrpuq1-kCWVSvzQ".into(),
            user_by_screen_name: user_by_screen_name(),
            authenticate_periscope: authenticate_periscope(),
            features_true: strings(&[
                "dont_mention_me_view_api_enabled",
                "interactive_text_enabled",
                "responsive_web_edit_tweet_api_enabled",
                "responsive_web_enhance_cards_enabled",
                "responsive_web_uc_gql_enabled",
                "spaces_2022_h2_clipping",
                "standardized_nudges_misinfo",
                "vibe_api_enabled",
            ]),
            features_false: strings(&[
                "spaces_2022_h2_spaces_communities",
                "tweet_with_visibility_results_prefer_gql_limited_actions_policy_enabled",
            ]),
            // A common desktop browser: the API answers others with less.
            user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                         Chrome/140.0.0.0 Safari/537.36"
                .into(),
            referer: url("https://x.com/"),
            cookie_hosts: strings(&["x.com", "twitter.com"]),
            allow_private_addresses: false,
            edges: Vec::new(),
            lookup_interval: Duration::from_secs(10),
        }
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_feature_is_both_on_and_off() {
        let x = XApiConfig::default();
        assert!(x.features_true.iter().all(|feature| !x.features_false.contains(feature)));
    }
}
