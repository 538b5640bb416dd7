//! What people paste for a Space, and what to tell them when it is something else.
//!
//! Forms as observed in yt-dlp (`twitter.py`, issue 1249), twspace-crawler and agent-twitter-client.

use url::Url;

use crate::source::id;

/// The hidden service of the platform; its links look like all others.
const ONION: &str = "twitter3e4tixl4xyajtrzo62zg5vztmjuricljdp2c5kshju4avyoid.onion";

/// Longest text that is looked at.
const MAX_TEXT: usize = 4096;

/// The id of a Space: 13 letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SpaceId(String);

impl SpaceId {
    /// The id, if `text` can be one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.len() == 13 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_owned()))
    }

    /// As in links and names of folders.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a Space is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceAddress {
    /// To be asked for at the API.
    Space {
        /// Its id.
        id: SpaceId,
        /// Whether the link was one of a broadcast: Spaces that a program opened are shared so, and so are videos.
        broadcast_link: bool,
    },
    /// The live playlist itself; needs no API.
    Playlist(Url),
}

/// Why a text is no address of a Space, with what to paste instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}. {remedy}")]
pub struct AddressError {
    /// What is wrong.
    pub problem: String,
    /// What to paste.
    pub remedy: &'static str,
}

const PASTE_A_LINK: &str =
    "Paste the Space's link, such as https://x.com/i/spaces/1DXxyRYNejbKM, or its id of 13 characters";
const OPEN_THE_CARD: &str = "Open the post, click the Space in it, and copy the address from the browser: it has the form https://x.com/i/spaces/…";
const PASTE_DYNAMIC: &str = "While the Space is live, paste the address that ends with dynamic_playlist.m3u8?type=live from the browser's network panel";
const USE_URI: &str = "For other live audio use a source of kind \"uri\"";

impl SpaceAddress {
    /// Reads what somebody pasted.
    ///
    /// # Errors
    /// [`AddressError`], which says what to paste.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = unwrapped(text);
        if text.is_empty() {
            return Err(error("there is no address", PASTE_A_LINK));
        }
        if text.len() > MAX_TEXT {
            return Err(error("the address is too long", PASTE_A_LINK));
        }
        if let Some(id) = SpaceId::new(text) {
            return Ok(Self::Space { id, broadcast_link: false });
        }
        let url = with_scheme(text).and_then(|text| Url::parse(&text).ok());
        let url = url.ok_or_else(|| error(format!("`{}` is no link", crate::text::plain(text, 80)), PASTE_A_LINK))?;
        if url.path().contains(".m3u8") || url.path().ends_with(".aac") {
            return playlist(url);
        }
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if !is_platform(&host) {
            return Err(foreign(&host));
        }
        space(&url)
    }

    /// The id of the session behind it; names folders.
    pub fn session_id(&self) -> String {
        match self {
            Self::Space { id, .. } => id.as_str().to_owned(),
            // The host is the CDN's edge, which changes; the path names the Space.
            Self::Playlist(url) => id::hashed("playlist", url.path(), 6),
        }
    }
}

/// Without what comes along when a link is copied: spaces, quotes, brackets, a full stop.
fn unwrapped(text: &str) -> &str {
    let around = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>()[]“”‘’«»\u{200B}\u{FEFF}".contains(c);
    text.trim_matches(around).trim_end_matches(['.', ',', ';']).trim_matches(around)
}

fn with_scheme(text: &str) -> Option<String> {
    if text.contains("://") {
        return Some(text.to_owned());
    }
    let host = text.split(['/', '?']).next().unwrap_or_default();
    (host.contains('.') && text.contains('/') && !text.contains(char::is_whitespace)).then(|| format!("https://{text}"))
}

fn is_platform(host: &str) -> bool {
    ["x.com", "twitter.com", ONION]
        .iter()
        .any(|known| host.strip_suffix(known).is_some_and(|prefix| matches!(prefix, "" | "www." | "m." | "mobile.")))
}

fn space(url: &Url) -> Result<SpaceAddress, AddressError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error(
            format!("a link with `{}` is not understood", crate::text::plain(url.scheme(), 20)),
            PASTE_A_LINK,
        ));
    }
    let parts: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
    match &parts[..] {
        ["i", kind @ ("spaces" | "broadcasts"), id, ..] => match SpaceId::new(id) {
            Some(id) => Ok(SpaceAddress::Space { id, broadcast_link: *kind == "broadcasts" }),
            None => Err(error(format!("`{}` is no Space's id", crate::text::plain(id, 40)), PASTE_A_LINK)),
        },
        ["i", "spaces"] => Err(error("the link has no id", PASTE_A_LINK)),
        ["i", "events", ..] => Err(error("the link is one of an event", OPEN_THE_CARD)),
        [_, "status", ..] | ["i", "web", "status", ..] => Err(error("the link is one of a post", OPEN_THE_CARD)),
        [_] => Err(error(
            "the link is one of a profile",
            "Open the Space and copy the address from the browser: it has the form https://x.com/i/spaces/…",
        )),
        _ => Err(error("the link is not one of a Space", PASTE_A_LINK)),
    }
}

fn playlist(url: Url) -> Result<SpaceAddress, AddressError> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(error(
            format!("a playlist at `{}:` is not read", crate::text::plain(url.scheme(), 20)),
            PASTE_DYNAMIC,
        ));
    }
    let file = url.path().rsplit('/').next().unwrap_or_default();
    match file {
        "dynamic_playlist.m3u8" => Ok(SpaceAddress::Playlist(url)),
        "master_playlist.m3u8" => {
            Err(error("this is the list of what was played so far, not the live one", PASTE_DYNAMIC))
        }
        _ if file.starts_with("master_dynamic") => Err(error(
            "this is the playlist of a video broadcast",
            "Only audio Spaces are carried; paste the link of one",
        )),
        _ if file.starts_with("chunk_") => Err(error("this is one piece of a Space, not its playlist", PASTE_DYNAMIC)),
        _ if file.starts_with("playlist_") => {
            Err(error("this is the playlist of a finished Space, which is not carried", PASTE_DYNAMIC))
        }
        _ => Err(error("this playlist is not one of a Space", USE_URI)),
    }
}

fn foreign(host: &str) -> AddressError {
    if host == "t.co" {
        return error(
            "t.co is a short link",
            "Open it in a browser and paste where it leads: https://x.com/i/spaces/…",
        );
    }
    error(format!("`{}` is not X", crate::text::plain(host, 60)), USE_URI)
}

fn error(problem: impl Into<String>, remedy: &'static str) -> AddressError {
    AddressError { problem: problem.into(), remedy }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_that_people_paste_is_understood() {
        let onion = format!("https://{ONION}/i/spaces/1DXxyRYNejbKM");
        for text in [
            "https://x.com/i/spaces/1DXxyRYNejbKM",
            "https://twitter.com/i/spaces/1DXxyRYNejbKM",
            "http://www.x.com/i/spaces/1DXxyRYNejbKM/",
            "https://m.twitter.com/i/spaces/1DXxyRYNejbKM",
            "https://mobile.x.com/i/spaces/1DXxyRYNejbKM",
            "HTTPS://X.com/i/spaces/1DXxyRYNejbKM",
            "https://x.com/i/spaces/1DXxyRYNejbKM/peek",
            "https://x.com/i/spaces/1DXxyRYNejbKM?s=20",
            "https://x.com/i/spaces/1DXxyRYNejbKM/peek?s=20#top",
            "x.com/i/spaces/1DXxyRYNejbKM",
            "  <https://x.com/i/spaces/1DXxyRYNejbKM>\n",
            "\"https://x.com/i/spaces/1DXxyRYNejbKM\".",
            "“https://x.com/i/spaces/1DXxyRYNejbKM”",
            "1DXxyRYNejbKM",
            " 1DXxyRYNejbKM ",
            onion.as_str(),
        ] {
            let SpaceAddress::Space { id, broadcast_link } = SpaceAddress::parse(text).expect(text) else {
                panic!("{text}")
            };
            assert_eq!((id.as_str(), broadcast_link), ("1DXxyRYNejbKM", false), "{text}");
        }
        let broadcast = SpaceAddress::parse("https://x.com/i/broadcasts/1DXxyRYNejbKM").expect("a broadcast");
        assert!(matches!(broadcast, SpaceAddress::Space { broadcast_link: true, .. }));
    }

    #[test]
    fn a_playlist_is_taken_as_it_is_and_named_by_its_path() {
        let path = "Transcoding/v1/hls/KEY/non_transcode/us-east-1/public/audio-space/dynamic_playlist.m3u8?type=live";
        let one =
            SpaceAddress::parse(&format!("https://prod-fastly-us-east-1.video.pscp.tv/{path}")).expect("one edge");
        let two =
            SpaceAddress::parse(&format!("'https://prod-ec-eu-west-1.video.pscp.tv/{path}'")).expect("another edge");
        assert!(matches!(&one, SpaceAddress::Playlist(url) if url.query() == Some("type=live")));
        assert_eq!(one.session_id(), two.session_id());
        assert!(one.session_id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        let local = SpaceAddress::parse("http://127.0.0.1:8080/audio-space/dynamic_playlist.m3u8");
        assert!(local.is_ok(), "{local:?}");
    }

    #[test]
    fn everything_else_says_what_to_paste() {
        for (text, words) in [
            ("", "no address"),
            ("hello", "no link"),
            ("1DXxyRYNejbK", "no link"),
            ("https://x.com/i/spaces/", "no id"),
            ("https://x.com/i/spaces/short", "no Space's id"),
            ("https://x.com/i/spaces/1DXxyRYNejb_M", "no Space's id"),
            ("https://x.com/i/events/123456", "an event"),
            ("https://x.com/somebody/status/123", "a post"),
            ("https://x.com/somebody", "a profile"),
            ("https://x.com/", "not one of a Space"),
            ("https://t.co/abc", "short link"),
            ("https://notx.com/i/spaces/1DXxyRYNejbKM", "is not X"),
            ("https://x.com.evil.example/i/spaces/1DXxyRYNejbKM", "is not X"),
            ("https://evil.x.com/i/spaces/1DXxyRYNejbKM", "is not X"),
            ("ftp://x.com/i/spaces/1DXxyRYNejbKM", "`ftp`"),
            ("file:///tmp/dynamic_playlist.m3u8", "`file:`"),
            ("https://h/audio-space/master_playlist.m3u8", "not the live one"),
            ("https://h/audio-space/playlist_16746744073709551615.m3u8?type=replay", "finished"),
            ("https://h/audio-space/chunk_1_2_a.aac", "one piece"),
            ("https://h/master_dynamic_highlatency.m3u8?type=live", "video"),
            ("https://h/radio.m3u8", "kind \"uri\""),
            ("https://radio.example/stream", "kind \"uri\""),
        ] {
            let error = SpaceAddress::parse(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_space_url(text in "(https?://)?(x\\.com|twitter\\.com|h)?/?(i/)?(spaces|broadcasts|events)?/?\\PC{0,40}") {
            if let Ok(address) = SpaceAddress::parse(&text) {
                prop_assert!(address.session_id().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
            }
        }

        #[test]
        fn fuzz_space_url_any(text in any::<String>()) {
            drop(SpaceAddress::parse(&text));
        }
    }
}
