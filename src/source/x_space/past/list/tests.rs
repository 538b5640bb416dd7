use proptest::prelude::*;

use super::*;
use crate::source::SourceFault;

const FOLDER: &str = "https://edge.example/Transcoding/v1/hls/KEY/non_transcode/us-east-1/public/audio-space/";

fn master() -> Url {
    Url::parse(&format!("{FOLDER}master_playlist.m3u8")).expect("a url")
}

fn read(text: &str) -> Listed {
    listed(text.as_bytes(), &master()).expect("a list")
}

/// A list as X's snapshots are: MEDIA-SEQUENCE 0 whatever the names say.
fn snapshot(first: u64, count: u64) -> String {
    let head =
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n";
    let entry = |n: u64| {
        let seconds = if n.is_multiple_of(2) { "3.008" } else { "2.987" };
        format!("#EXTINF:{seconds},\nchunk_17000000000000{n:05}_{}_a.aac\n", first + n)
    };
    head.to_owned() + &(0..count).map(entry).collect::<String>()
}

#[test]
fn the_list_is_found_through_the_master_whatever_its_claims_say() {
    let live = Url::parse(&format!("{FOLDER}dynamic_playlist.m3u8?type=live#x")).expect("a url");
    let Place::Live(live) = Place::of(live) else { panic!("a live playlist") };
    assert_eq!(neighbour(&live, "master_playlist.m3u8"), Some(master()));
    let path = "/Transcoding/v1/hls/KEY/transcode/us-east-1/public/JWT/audio-space/playlist_16746744073709551615.m3u8";
    for text in [
        format!("#EXTM3U\n#EXT-X-DYNAMICALLY-GENERATED\n#EXT-X-STREAM-INF:BANDWIDTH=350000,RESOLUTION=8x8\n{path}\n"),
        format!("\u{feff}#EXTM3U\r\n\r\n#EXT-X-STREAM-INF:junk=\"\r\n  {path}  \r\n/other.m3u8"),
        format!("#EXTM3U\n{path}"),
        format!("#EXTM3U\nhttps://edge.example{path}"),
    ] {
        let named = named_list(text.as_bytes(), &master()).expect(&text);
        assert_eq!(named.as_str(), format!("https://edge.example{path}"));
        let short = short_cut(&named, &master()).expect("a short cut");
        assert_eq!(short.as_str(), format!("{FOLDER}playlist_16746744073709551615.m3u8?type=replay"));
    }
}

#[test]
fn a_master_that_leads_astray_is_refused() {
    for text in [
        "",
        "<html>",
        "#EXTM3U\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
        "#EXTM3U\nfile:///etc/passwd.m3u8\n",
        "#EXTM3U\njavascript:x.m3u8\n",
        "#EXTM3U\nhttp://[bad/playlist_1.m3u8\n",
        "#EXTM3U\n/etc/passwd\n",
    ] {
        let Err(Miss::Failed(error)) = named_list(text.as_bytes(), &master()) else { panic!("{text} was taken") };
        assert_eq!(error.class, SourceFault::Transient, "{text}");
    }
    let foreign = Url::parse("https://edge.example/a/list.m3u8").expect("a url");
    assert_eq!(short_cut(&foreign, &master()), None);
}

#[test]
fn entries_lie_beside_the_master_and_are_numbered_by_their_names() {
    let found = read(&(snapshot(1704, 3) + "#EXT-X-ENDLIST\n"));
    assert!(found.ended);
    let numbers: Vec<_> = found.entries.iter().map(|entry| entry.sequence).collect();
    assert_eq!(numbers, [Some(1704), Some(1705), Some(1706)]);
    assert_eq!(found.entries[0].url.as_str(), format!("{FOLDER}chunk_1700000000000000000_1704_a.aac"));
    let durations: Vec<u64> = found.entries.iter().map(|entry| entry.duration).collect();
    assert_eq!(durations, [141 * 1024, 140 * 1024, 141 * 1024]);
}

#[test]
fn a_name_leads_to_no_other_host_and_no_other_folder() {
    let found = read(
        "#EXTM3U\n#EXTINF:3.008,\nhttps://evil.example/a/chunk_1_7_a.aac?type=live\n#EXTINF:3.008,\n../../chunk_2_8_a.aac\n\
         #EXTINF:3.008,\n/..%2F..%2Fetc\n#EXTINF:3.008,\n.hidden\n#EXTINF:3.008,\nchunk_3_9_a.aac\u{202e}\n",
    );
    let urls: Vec<&str> = found.entries.iter().map(|entry| entry.url.as_str()).collect();
    assert_eq!(urls, [format!("{FOLDER}chunk_1_7_a.aac"), format!("{FOLDER}chunk_2_8_a.aac")]);
}

#[test]
fn a_list_that_was_cut_names_what_is_whole_and_does_not_end() {
    let whole = snapshot(0, 40) + "#EXT-X-ENDLIST\n";
    let cut = read(&whole[..whole.len() - 30]);
    assert_eq!((cut.entries.len(), cut.ended), (39, false));
}

#[test]
fn numbers_in_names_by_table() {
    for (name, number) in [
        ("chunk_1700000000000000000_1704_a.aac", Some(1704)),
        ("chunk_1_0_a.aac", Some(0)),
        ("chunk_1_18446744073709551615_a.aac", Some(u64::MAX)),
        ("chunk_1_18446744073709551616_a.aac", None),
        ("chunk_1_-4_a.aac", None),
        ("chunk_1_+4_a.aac", None),
        ("chunk__4_a.aac", None),
        ("chunk_1_4", None),
        ("chunk_x_4_a.aac", None),
        ("media_1_4_a.aac", None),
        ("", None),
    ] {
        assert_eq!(sequence(name), number, "{name}");
    }
}

#[test]
fn durations_that_are_frames_but_for_rounding_become_frames() {
    for (seconds, samples) in [(3.008, 141 * 1024), (2.987, 140 * 1024), (0.021, 1024), (3.0, 144_000), (0.0, 0)] {
        assert_eq!(whole_frames((seconds * 48_000.0_f64).round() as u64), samples, "{seconds}");
    }
    // Every count of frames survives a list that rounds to the millisecond.
    for frames in 1..2000_u64 {
        let listed = (frames as f64 * 1024.0 / 48.0).round() * 48.0;
        assert_eq!(whole_frames(listed as u64), frames * 1024);
    }
}

#[test]
fn a_page_or_an_encrypted_list_says_so() {
    let Err(Miss::Failed(error)) = listed(b"<html>", &master()) else { panic!("a page was taken") };
    assert_eq!(error.class, SourceFault::Transient);
    let text = b"#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"k\"\n#EXTINF:1,\na\n";
    let Err(Miss::Failed(error)) = listed(text, &master()) else { panic!("it was taken") };
    assert_eq!(error.class, SourceFault::Operator);
}

proptest! {
    #[test]
    fn fuzz_past_master(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        let text = [b"#EXTM3U\n".as_slice(), &bytes].concat();
        if let Ok(url) = named_list(&text, &master()) {
            prop_assert!(matches!(url.scheme(), "http" | "https"));
            drop(short_cut(&url, &master()));
        }
    }

    #[test]
    fn fuzz_past_master_lines(lines in proptest::collection::vec("(#EXT-X-STREAM-INF:|https?://|//|/|\\.\\./|file:)?[0-9a-zA-Z_.%?=/:@-]{0,40}(\\.m3u8)?", 0..8)) {
        let text = format!("#EXTM3U\n{}", lines.join("\n"));
        if let Ok(named) = named_list(text.as_bytes(), &master())
            && let Some(url) = short_cut(&named, &master())
        {
            prop_assert!(url.as_str().starts_with(FOLDER), "{url}");
        }
    }

    #[test]
    fn fuzz_past_list(lines in proptest::collection::vec("(#EXTINF:|#EXT-X-DISCONTINUITY|#EXT-X-ENDLIST|chunk_|https?://h/|\\.\\./)?[0-9a-zA-Z_.%?=/:@-]{0,40}", 0..40)) {
        let text = format!("#EXTM3U\n{}", lines.join("\n"));
        if let Ok(found) = listed(text.as_bytes(), &master()) {
            prop_assert!(found.entries.len() <= lines.len());
            for entry in found.entries {
                prop_assert!(entry.url.as_str().starts_with(FOLDER), "{}", entry.url);
                prop_assert_eq!(entry.url.as_str().strip_prefix(FOLDER), Some(entry.name.as_str()));
            }
        }
    }

    #[test]
    fn fuzz_past_list_cut_and_spoiled(cut in 0_usize..1600, at in 0_usize..1600, byte in any::<u8>()) {
        let mut bytes = (snapshot(5, 20) + "#EXT-X-ENDLIST\n").into_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(cut);
        if let Ok(found) = listed(&bytes, &master()) {
            prop_assert!(found.entries.len() <= 40);
        }
    }
}
