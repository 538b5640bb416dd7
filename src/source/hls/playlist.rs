//! One playlist's bytes into checked entries: what is fetched is decided elsewhere.
//!
//! The parser is the crate `m3u8-rs`. Around it: only lines that matter are handed to it (its attribute lists may be
//! searched to the end of the text, which a hostile playlist of megabytes would turn into minutes), numbers are
//! bounded, times are extrapolated, names are joined to the playlist's address.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::media::SAMPLE_RATE;

/// Largest playlist, in bytes: a whole replay of many hours has about 900 KB.
pub const MAX_PLAYLIST: usize = 2 << 20;

/// Most entries: 17 hours of 3 s.
const MAX_ENTRIES: usize = 20_000;

/// Largest master playlist, in bytes.
const MAX_MASTER: usize = 64 << 10;

/// Longest duration of one entry that is believed, in seconds.
const MAX_ENTRY_SECONDS: f32 = 600.0;

/// A media playlist.
#[derive(Debug, Clone, PartialEq)]
pub struct Playlist {
    /// `EXT-X-TARGETDURATION`, kept within 1 s to 60 s.
    pub target: Duration,
    /// What is listed, oldest first, with consecutive sequence numbers.
    pub entries: Vec<Entry>,
    /// Whether `EXT-X-ENDLIST` says that nothing follows.
    pub ended: bool,
    /// Whether the text breaks off: there may be more than is listed here, and what broke off is left out.
    pub cut: bool,
}

/// One listed segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Sequence number.
    pub sequence: u64,
    /// Where it is; none where the name makes no address.
    pub url: Option<Url>,
    /// The last part of its address, without the query; hostile text of at most 200 characters.
    pub name: String,
    /// `EXTINF`, in 48 kHz samples.
    pub duration: u64,
    /// Its `EXT-X-PROGRAM-DATE-TIME`, or that of an earlier entry and the durations since.
    pub program_date_time: Option<Timestamp>,
    /// Whether a discontinuity is marked before it.
    pub discontinuity: bool,
}

/// What a playlist can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Lists segments.
    Media(Playlist),
    /// Lists other playlists: the address of the one with the least that is not audio.
    Master(Url),
}

/// Why a playlist cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    /// Not a playlist at all, such as an error page.
    #[error("the answer is no HLS playlist (it does not begin with #EXTM3U)")]
    NotAPlaylist,
    /// The crate could not read it, or found nothing in it.
    #[error("the playlist cannot be read")]
    Unreadable,
    /// Segments are encrypted.
    #[error("the playlist's segments are encrypted, which is not supported")]
    Encrypted,
    /// Segments are parts of one file.
    #[error("the playlist's segments are byte ranges of one file, which is not supported")]
    ByteRanges,
    /// More than anybody needs.
    #[error("the playlist lists more than {MAX_ENTRIES} segments")]
    TooLong,
}

impl PlaylistError {
    /// Whether looking again cannot help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::NotAPlaylist | Self::Unreadable)
    }
}

/// Reads the playlist that came from `base`.
///
/// # Errors
/// [`PlaylistError`], in words for people.
pub fn parse(bytes: &[u8], base: &Url) -> Result<Parsed, PlaylistError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_PLAYLIST)]);
    let text = text.trim_start();
    if !text.starts_with("#EXTM3U") {
        return Err(PlaylistError::NotAPlaylist);
    }
    if text.lines().any(|line| line.starts_with("#EXT-X-STREAM-INF:")) {
        return master(text, base).map(Parsed::Master);
    }
    media(text, base).map(Parsed::Media)
}

fn media(text: &str, base: &Url) -> Result<Playlist, PlaylistError> {
    if text.lines().any(|line| line.starts_with("#EXT-X-KEY:") && !line.contains("METHOD=NONE")) {
        return Err(PlaylistError::Encrypted);
    }
    let (text, cut) = whole_lines(text);
    let lines: String = text.lines().filter_map(media_line).flat_map(|line| [line, "\n"]).collect();
    let (_, parsed) = m3u8_rs::parse_media_playlist(lines.as_bytes()).map_err(|_| PlaylistError::Unreadable)?;
    if parsed.segments.len() > MAX_ENTRIES {
        return Err(PlaylistError::TooLong);
    }
    if parsed.segments.iter().any(|segment| segment.byte_range.is_some()) {
        return Err(PlaylistError::ByteRanges);
    }
    // The parser stops at what it does not understand: a list that names audio and gives none was not understood.
    if parsed.segments.is_empty() && lines.contains("#EXTINF") {
        return Err(PlaylistError::Unreadable);
    }
    let target = Duration::from_secs(parsed.target_duration.clamp(1, 60));
    Ok(Playlist { target, entries: entries(&parsed, base), ended: parsed.end_list, cut })
}

/// The lines of a list that can be trusted, and whether it breaks off: a list that was cut in the middle of a name
/// would name a segment that never was. Lists whose last line simply lacks its end are whole.
fn whole_lines(text: &str) -> (&str, bool) {
    let is_name = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    let last = text.lines().next_back().unwrap_or_default();
    let torn = !text.ends_with(['\n', '\r']);
    let ends_alike = |last: &str| {
        let ending = |line: &str| line.trim().rfind('.').map(|dot| line.trim()[dot..].to_owned());
        match text.lines().rev().skip(1).find(is_name) {
            Some(before) => {
                ending(before) == ending(last) && (ending(last).is_some() || before.trim().len() == last.trim().len())
            }
            // Nothing to compare it with: it is believed when another follows it.
            None => false,
        }
    };
    let is_end = last == "#EXT-X-ENDLIST";
    if torn && !last.is_empty() && !is_end && (last.starts_with('#') || !ends_alike(last)) {
        return (&text[..text.len() - last.len()], true);
    }
    // A duration without its segment.
    let waits = text.lines().rev().find(|line| is_name(line) || line.starts_with("#EXTINF"));
    (text, waits.is_some_and(|line| line.starts_with("#EXTINF")))
}

fn entries(parsed: &m3u8_rs::MediaPlaylist, base: &Url) -> Vec<Entry> {
    let mut follows: Option<Timestamp> = None;
    let mut entries = Vec::with_capacity(parsed.segments.len());
    for (index, segment) in parsed.segments.iter().enumerate() {
        let seconds = segment.duration.clamp(0.0, MAX_ENTRY_SECONDS);
        let stated =
            segment.program_date_time.and_then(|time| Timestamp::from_millisecond(time.timestamp_millis()).ok());
        let program_date_time = stated.or(if segment.discontinuity { None } else { follows });
        let duration = (f64::from(seconds) * f64::from(SAMPLE_RATE)).round() as u64;
        follows = program_date_time.and_then(|time| time.checked_add(Duration::from_secs_f32(seconds)).ok());
        let url = base.join(segment.uri.trim()).ok();
        entries.push(Entry {
            sequence: parsed.media_sequence.saturating_add(index as u64),
            name: name_of(url.as_ref(), &segment.uri),
            url,
            duration,
            program_date_time,
            discontinuity: segment.discontinuity,
        });
    }
    entries
}

fn name_of(url: Option<&Url>, uri: &str) -> String {
    let path = url.map_or(uri, Url::path);
    let last = path.rsplit('/').next().unwrap_or_default();
    crate::text::plain(last.split('?').next().unwrap_or_default(), 200)
}

/// The lines of a media playlist that matter here; a number is bounded to what the parser can hold.
fn media_line(line: &str) -> Option<&str> {
    const TAGS: [&str; 6] =
        ["#EXTM3U", "#EXT-X-DISCONTINUITY", "#EXT-X-ENDLIST", "#EXT-X-BYTERANGE:", "#EXT-X-VERSION:", "#EXTINF:"];
    let line = line.trim();
    let value_is = |prefix: &str, check: fn(&str) -> bool| line.strip_prefix(prefix).map(check);
    if line.is_empty() {
        return None;
    }
    if !line.starts_with('#') {
        return Some(line);
    }
    let is_number = |value: &str| value.parse::<u64>().is_ok();
    let kept = value_is("#EXT-X-TARGETDURATION:", is_number)
        .or_else(|| value_is("#EXT-X-MEDIA-SEQUENCE:", is_number))
        .or_else(|| value_is("#EXT-X-DISCONTINUITY-SEQUENCE:", |_| false))
        .or_else(|| value_is("#EXT-X-PROGRAM-DATE-TIME:", |value| value.parse::<Timestamp>().is_ok()))
        .unwrap_or_else(|| TAGS.iter().any(|tag| line.starts_with(tag)));
    kept.then_some(line)
}

/// The playlist to read of a master: an audio rendition, else the variant of the lowest rate. What a Space's master
/// claims of sizes and codecs is cosmetic.
fn master(text: &str, base: &Url) -> Result<Url, PlaylistError> {
    if text.len() > MAX_MASTER {
        return Err(PlaylistError::Unreadable);
    }
    let text = format!("{text}\n");
    let parsed = m3u8_rs::parse_master_playlist_res(text.as_bytes()).map_err(|_| PlaylistError::Unreadable)?;
    let audio = parsed.alternatives.iter().filter(|media| media.media_type == m3u8_rs::AlternativeMediaType::Audio);
    let audio = audio.filter(|media| media.uri.is_some()).max_by_key(|media| media.default);
    let variant = parsed.variants.iter().filter(|variant| !variant.is_i_frame).min_by_key(|variant| variant.bandwidth);
    let uri = audio.and_then(|media| media.uri.as_deref()).or(variant.map(|variant| variant.uri.as_str()));
    uri.and_then(|uri| base.join(uri.trim()).ok()).ok_or(PlaylistError::Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &[u8] = include_bytes!("../../../tests/fixtures/x/dynamic_playlist.m3u8");

    fn base() -> Url {
        Url::parse("https://cdn.example/a/audio-space/dynamic_playlist.m3u8?type=live").expect("a url")
    }

    fn read(text: &str) -> Playlist {
        match parse(text.as_bytes(), &base()).expect("a playlist") {
            Parsed::Media(playlist) => playlist,
            Parsed::Master(url) => panic!("{url}"),
        }
    }

    #[test]
    fn the_live_playlist_of_a_space_is_read() {
        let playlist = read(std::str::from_utf8(SAMPLE).expect("text"));
        assert_eq!((playlist.target, playlist.entries.len(), playlist.ended), (Duration::from_secs(4), 4, false));
        let first = &playlist.entries[0];
        assert_eq!((first.sequence, first.duration, first.discontinuity), (1704, 141 * 1024, false));
        assert!(first.name.ends_with("_1704_a.aac"), "{}", first.name);
        let url = first.url.as_ref().expect("a url");
        assert_eq!(url.query(), Some("type=live"));
        assert!(url.path().starts_with("/a/audio-space/chunk_"));
        assert_eq!(playlist.entries[1].duration.abs_diff(140 * 1024), 16);
        assert_eq!(playlist.entries[3].sequence, 1707);
        assert!(playlist.entries.windows(2).all(|pair| pair[0].program_date_time < pair[1].program_date_time));
    }

    #[test]
    fn what_is_left_out_is_extrapolated_and_what_is_wrong_is_left_out() {
        let playlist = read(
            "\u{feff}#EXTM3U\r\n#EXT-X-TARGETDURATION:nonsense\r\n#EXT-X-MEDIA-SEQUENCE:7\r\n#EXT-X-KEY:METHOD=NONE\r\n\
             #EXT-X-PROGRAM-DATE-TIME:2024-07-01T00:00:00.000Z\r\n#EXTINF:2.0,\r\na.aac\r\n#EXTINF:3,t\r\n/b.aac?x=1\r\n\
             #EXT-X-DISCONTINUITY\r\n#EXTINF:1\r\nhttps://other.example/c.aac\r\n#EXT-X-PROGRAM-DATE-TIME:junk\r\n\
             #EXTINF:99999,\r\nhttp://[bad/d.aac\r\n#EXT-X-ENDLIST",
        );
        let [a, b, c, d] = &playlist.entries[..] else { panic!("{playlist:?}") };
        assert_eq!(b.program_date_time, Some("2024-07-01T00:00:02Z".parse().expect("a time")));
        assert_eq!(a.url.as_ref().expect("a url").as_str(), "https://cdn.example/a/audio-space/a.aac");
        assert_eq!(b.url.as_ref().expect("a url").as_str(), "https://cdn.example/b.aac?x=1");
        assert_eq!((b.name.as_str(), c.discontinuity, c.program_date_time), ("b.aac", true, None));
        assert_eq!(c.url.as_ref().and_then(|url| url.host_str()), Some("other.example"));
        assert_eq!((d.url.clone(), d.duration, d.sequence), (None, 600 * 48_000, 10));
        assert_eq!((playlist.ended, playlist.target), (true, Duration::from_secs(1)));
    }

    #[test]
    fn what_is_no_usable_playlist_says_so() {
        for (text, error) in [
            ("<!DOCTYPE html>", PlaylistError::NotAPlaylist),
            ("", PlaylistError::NotAPlaylist),
            ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:1,\na\n", PlaylistError::Encrypted),
            ("#EXTM3U\n#EXT-X-BYTERANGE:10@0\n#EXTINF:1,\na\n", PlaylistError::ByteRanges),
            ("#EXTM3U\n#EXTINF:1,\n", PlaylistError::Unreadable),
        ] {
            assert_eq!(parse(text.as_bytes(), &base()).expect_err(text), error, "{text}");
        }
        assert!(read("#EXTM3U\n").entries.is_empty());
    }

    #[test]
    fn a_list_that_was_cut_in_the_middle_names_only_segments_that_are() {
        let whole = std::str::from_utf8(SAMPLE).expect("text");
        let names: Vec<String> = read(whole).entries.into_iter().map(|entry| entry.name).collect();
        for end in whole.find('\n').expect("a line") + 1..whole.len() {
            let Ok(Parsed::Media(playlist)) = parse(&whole.as_bytes()[..end], &base()) else { continue };
            let listed: Vec<String> = playlist.entries.iter().map(|entry| entry.name.clone()).collect();
            assert!(names.starts_with(&listed), "cut at {end}: {listed:?}");
            assert!(!playlist.ended);
        }
        assert!(!read(whole).cut && read(&whole[..whole.len() - 12]).cut);
        // Without the last line's end, or without any ending, nothing is lacking.
        let text = "#EXTM3U\n#EXTINF:1,\na.aac\n#EXTINF:1,\nb.aac";
        assert_eq!((read(text).entries.len(), read(text).cut), (2, false));
        assert_eq!((read(&text[..text.len() - 1]).entries.len(), read(&text[..text.len() - 1]).cut), (1, true));
    }

    #[test]
    fn a_master_with_cosmetic_claims_leads_to_its_playlist() {
        let text = "#EXTM3U\n#EXT-X-DYNAMICALLY-GENERATED\n\
            #EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=350000,RESOLUTION=8x8,CODECS=\"avc1.42001f,mp4a.40.2\"\n\
            /Transcoding/v1/playlist_1.m3u8\n";
        let parsed = parse(text.as_bytes(), &base()).expect("a master");
        let expected = Url::parse("https://cdn.example/Transcoding/v1/playlist_1.m3u8").expect("a url");
        assert_eq!(parsed, Parsed::Master(expected));
    }

    #[test]
    fn a_hostile_playlist_of_two_megabytes_is_read_in_no_time() {
        let start = std::time::Instant::now();
        for line in [
            "#EXT-X-KEY:METHOD=NONE,junk\n",
            "#EXT-X-START:x\n",
            "#EXT-X-DATERANGE:x\n",
            "#EXTINF:1,\n",
            "a\n",
            "#EXT-X-MEDIA:x\n",
        ] {
            let text = format!("#EXTM3U\n{}", line.repeat(MAX_PLAYLIST / line.len()));
            // Whether it is an error matters less than that it is said soon.
            drop(parse(text.as_bytes(), &base()));
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn fuzz_playlist_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            drop(parse(&[b"#EXTM3U\n".as_slice(), &bytes].concat(), &base()));
        }

        #[test]
        fn fuzz_playlist_lines(lines in proptest::collection::vec("(#EXT-X-|#EXT|#)?(INF|KEY|MAP|MEDIA|MEDIA-SEQUENCE|STREAM-INF|TARGETDURATION|PROGRAM-DATE-TIME|BYTERANGE|DISCONTINUITY|ENDLIST|)[:=,\"]{0,2}[0-9a-zA-Z.,=\":/@-]{0,30}", 0..40)) {
            let text = format!("#EXTM3U\n{}", lines.join("\n"));
            if let Ok(Parsed::Media(playlist)) = parse(text.as_bytes(), &base()) {
                prop_assert!(playlist.entries.len() <= lines.len());
                prop_assert!(playlist.target >= Duration::from_secs(1));
            }
        }

        #[test]
        fn fuzz_playlist_cut_and_spoiled(cut in 0..SAMPLE.len(), at in 0..SAMPLE.len(), byte in any::<u8>()) {
            let mut bytes = SAMPLE.to_vec();
            bytes[at] = byte;
            drop(parse(&bytes[..cut], &base()));
        }
    }
}
