//! The reader, the sample file and the command line's options, seen from outside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const SAMPLE: &str = include_str!("../../config/spacebridge.toml");
const BASE: &str = "/srv/show";

pub(super) fn presets() -> Vec<PresetDefaults> {
    let preset = |name: &str, url: &str, backup: Option<&str>, requires_url| PresetDefaults {
        name: name.into(),
        url: Some(url.into()),
        backup_url: backup.map(str::to_owned),
        requires_url,
        key_page: Some(format!("https://{name}.example/key")),
        max_video_kbps: None,
        broadcasts_per_hour: None,
        verified: true,
    };
    vec![
        preset("youtube", "rtmps://a.example:443/live2", Some("rtmps://b.example:443/live2?backup=1"), false),
        preset("rumble", "rtmp://rumble.example/live", None, true),
        preset("twitch", "rtmp://live.example/app", None, false),
    ]
}

fn space_link(link: &str) -> Result<String, String> {
    let id = link.rsplit('/').next().unwrap_or_default();
    if id.len() == 13 { Ok(id.into()) } else { Err("this is no Space.".into()) }
}

pub(super) fn with_known<T>(run: impl FnOnce(Known<'_>) -> T) -> T {
    run(Known { presets: &presets(), space_link: &space_link })
}

pub(super) fn read_here(text: &str) -> Result<ShowConfig, Vec<Problem>> {
    with_known(|known| read(text, Path::new(BASE), known))
}

pub(super) fn problems(text: &str) -> Vec<String> {
    read_here(text).expect_err("a configuration with faults").iter().map(Problem::to_string).collect()
}

const HEAD: &str = "[show]\nname = \"a\"\ntimezone = \"UTC\"\n[[source]]\nkind = \"tone\"\n";

fn only_problem(tail: &str) -> String {
    let found = problems(&format!("{HEAD}{tail}"));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.into_iter().next().expect("one")
}

/// A sample with its keys at their defaults taken out of their comments; `examples` too, if wanted.
pub(super) fn uncommented(sample: &str, examples: bool) -> String {
    let setting = |line: &str| {
        line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
    };
    let wanted = |line: &str| setting(line) && (examples || (!line.ends_with("# example") && !line.starts_with("#[")));
    sample.lines().map(|line| if wanted(line) { &line[1..] } else { line }.to_owned() + "\n").collect()
}

/// The sections and keys that a sample writes, as the reader's schema names them.
pub(super) fn keys_of(text: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut written = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("[[") {
            section = format!("{}[]", name.trim_end_matches("]]"));
            written.insert(section.trim_end_matches("[]").to_owned());
        } else if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
            written.insert(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ") {
            let dot = if section.is_empty() { "" } else { "." };
            written.insert(format!("{section}{dot}{key}"));
        }
    }
    written
}

#[test]
fn the_sample_loads_and_has_the_defaults() {
    let config = read_here(SAMPLE).expect("the sample");
    let recording = RecordingConfig { folder: Path::new(BASE).join("recordings"), ..Default::default() };
    assert_eq!(config.program, ProgramConfig::default());
    assert_eq!(config.slate, SlateConfig::default());
    assert_eq!(config.recording, recording);
    assert_eq!(config.x, XApiConfig::default());
    assert_eq!(config.show.closing, CLOSING);
    assert_eq!(config.show.give_up_after, None);
    let names: Vec<&str> = config.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["youtube", "rumble"]);
}

#[test]
fn the_defaults_that_the_sample_states_are_the_real_ones() {
    assert_eq!(read_here(&uncommented(SAMPLE, false)).expect("uncommented"), read_here(SAMPLE).expect("the sample"));
    let stated = SAMPLE.lines().filter(|line| line.starts_with('#') && line.contains(" = ")).count();
    assert!(stated > 40, "only {stated} keys are stated: the convention of the comments changed");
}

#[test]
fn every_key_of_the_schema_is_in_the_sample_and_no_other() {
    let text = uncommented(SAMPLE, true);
    let schema = with_known(|known| read::schema_asked_by(&text, known));
    let written = keys_of(&text);
    assert_eq!(written.difference(&schema).collect::<Vec<_>>(), Vec::<&String>::new(), "in the sample only");
    assert_eq!(schema.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "missing in the sample");
    let faults = problems(&text);
    assert!(faults.iter().all(|fault| !fault.contains("unknown key") && !fault.contains("of the type")), "{faults:#?}");
}

#[test]
fn all_faults_are_told_in_one_pass_in_the_order_of_the_file() {
    let text = r#"
[show]
name = "a/b"
timezone = "Europe/Berln"
closing = 30
[[source]]
kind = "x-spaces"
[[source]]
kind = "x-space"
url = "https://x.com/i/spaces/nope"
auth_token_env = "A"
[slate]
fps = 24
widht = 1280
[[output]]
preset = "youtub"
key_env = "K"
[[output]]
preset = "rumble"
key = "abcd-efgh-ijkl"
[[outputs]]
"#;
    let found = problems(text);
    let keys: Vec<&str> = found.iter().map(|problem| problem.split(':').next().unwrap_or_default()).collect();
    let expected = [
        "show.name (line 3)",
        "show.timezone (line 4)",
        "show.closing (line 5)",
        "source[1].kind (line 7)",
        "source[2].url (line 10)",
        "source[2].auth_token_env (line 11)",
        "slate.fps (line 13)",
        "slate.widht (line 14)",
        "output[1].preset (line 16)",
        "output[2].key_env (line 18)",
        "output[2].url (line 18)",
        "output[2].key (line 20)",
        "outputs (line 21)",
    ];
    assert_eq!(keys, expected, "{found:#?}");
    let all = found.join("\n");
    for suggestion in ["Europe/Berlin", "x-space", "width", "youtube", "Did you mean output"] {
        assert!(all.contains(suggestion), "{suggestion} in {all}");
    }
    assert!(!all.contains("abcd-efgh-ijkl"), "a key is repeated: {all}");
}

#[test]
fn each_fault_has_its_own_words() {
    let cases = [
        ("[slate]\nfps = 60", "slate.fps (line 7): 60 frames per second are not offered. Write 30 or 25."),
        (
            "[slate]\nwidth = \"1280\"",
            "slate.width (line 7): is of the type string. Write a whole number, without quotes.",
        ),
        ("[slate]\nwidth = 1281", "slate.width (line 7): 1281 is odd, which the encoder cannot take. Write 1282."),
        (
            "[slate]\nheight = 4320",
            "slate.height (line 7): 4320 pixels is out of range. Write a number from 160 to 1920.",
        ),
        (
            "[slate]\nvideo_kbps = -1",
            "slate.video_kbps (line 7): -1 kbit/s is out of range. Write a number from 0 to 20000.",
        ),
        (
            "[program]\nsample_rate = 32000",
            "program.sample_rate (line 7): 32000 Hz is not offered. Write 48000 or 44100.",
        ),
        (
            "[slate]\nclock = \"yes\"",
            "slate.clock (line 7): is of the type string. Write true or false, without quotes.",
        ),
        (
            "[recording]\nfolder = \"~/x\"",
            "recording.folder (line 7): begins with ~, which only a shell replaces. Write the whole path.",
        ),
        (
            "[output]\npreset = \"youtube\"",
            "output (line 6): is a list. Write [[output]], with two brackets, before each of them.",
        ),
        ("slate = 3", "source[1].slate (line 6): unknown key. Known here: kind, delay, duration, standby."),
        (
            "[slate.texts]\ngap = \"{tme}\"",
            "slate.texts.gap (line 7): {tme} stands for nothing here. Only the texts scheduled, countdown and late have something to fill in.",
        ),
        (
            "[slate]\nshow_consent = true",
            "slate.show_consent (line 7): has nothing to show. Write consent = \"…\" in [show], or leave show_consent out.",
        ),
        (
            "[x]\napi_base = \"http://x.com\"",
            "x.api_base (line 7): is not https: cookies would travel in clear. Write an https address such as \"https://x.com/i/api\".",
        ),
    ];
    for (tail, expected) in cases {
        assert_eq!(only_problem(tail), expected);
    }
}

#[test]
fn an_output_says_its_key_exactly_once() {
    let output = |tail: &str| format!("[[output]]\npreset = \"youtube\"\n{tail}");
    assert!(only_problem(&output("")).starts_with("output[1].key_env (line 6): missing. Say where the stream key is"));
    let twice = only_problem(&output("key_env = \"A\"\nkey_file = \"b\""));
    assert!(twice.contains("said 2 times: key_env, key_file. Keep one"), "{twice}");
    let pasted = only_problem(&output("key_env = \"live_12345_abcdef\""));
    assert!(pasted.contains("name of an environment variable") && !pasted.contains("live_12345"), "{pasted}");
}

#[test]
fn a_backup_is_a_second_output_of_the_same_group_and_key() {
    let config =
        read_here(&format!("{HEAD}[[output]]\npreset = \"youtube\"\nkey_env = \"K\"\nbackup = true\n")).unwrap();
    let [primary, backup] = &config.outputs[..] else { panic!("{:?}", config.outputs) };
    assert_eq!((primary.name.as_str(), backup.name.as_str()), ("youtube", "youtube-backup"));
    assert_eq!((&primary.group, &backup.group), (&Some("youtube".into()), &Some("youtube".into())));
    assert_eq!((&primary.key, backup.url.query()), (&backup.key, Some("backup=1")));
    let twitch = only_problem("[[output]]\npreset = \"twitch\"\nkey_env = \"K\"\nbackup = true");
    assert!(twitch.contains("twitch has no backup server"), "{twitch}");
}

#[test]
fn two_outputs_of_one_name_are_told() {
    let one = "[[output]]\npreset = \"youtube\"\nkey_env = \"K\"\n";
    assert!(
        only_problem(&format!("{one}{one}"))
            .contains("output[2].name (line 9): is needed: two outputs have this preset")
    );
}

#[test]
fn a_broken_line_is_told_without_complaints_about_what_it_hides() {
    let found = problems("[show\nname = \"a\"\n[[source]]\nkind = \"tone\"\n[slate]\nfps = 24\n");
    assert!(found[0].starts_with("file (line 1): not TOML"), "{found:#?}");
    assert!(found.iter().any(|problem| problem.contains("slate.fps")), "{found:#?}");
    assert!(found.iter().all(|problem| !problem.contains("missing")), "{found:#?}");
    // A parser that recurses without a limit would end the process here.
    assert!(!problems(&format!("a = {}", "[".repeat(100_000))).is_empty());
    assert!(problems(&"#".repeat(2 << 20))[0].contains("larger than 1 MB"));
}

#[test]
fn values_and_relative_paths_arrive() {
    let text = r#"
[show]
name = "night"
closing = "1m"
give_up_after = "2h"
[[source]]
kind = "x-space"
url = "https://x.com/i/spaces/1YpKkWmbnQaGj"
cookies_file = "cookies.txt"
delay = "8s"
[program]
limit_dbtp = "off"
gain_db = 3
hold_audio = "/bed.flac"
[slate]
width = 1920
height = 1080
fps = 25
[recording]
min_free = "2 GB"
[[output]]
name = "club"
url = "rtmp://club.example/live"
key_prompt = true
"#;
    let config = read_here(text).unwrap();
    assert_eq!(
        (config.show.closing, config.show.give_up_after),
        (Duration::from_secs(60), Some(Duration::from_secs(7200)))
    );
    assert_eq!((config.program.limit_dbtp, config.program.gain_db), (None, 3.0));
    assert_eq!(config.program.hold_audio, Some(PathBuf::from("/bed.flac")));
    assert_eq!(config.recording.min_free_bytes, 2_000_000_000);
    assert_eq!(config.outputs[0].key, Some(SecretRef::Prompt("club".into())));
    assert_eq!(config.sources[0].delay, Some(Duration::from_secs(8)));
    let SourceKind::XSpace { cookies_file, .. } = &config.sources[0].kind else { panic!("{:?}", config.sources) };
    assert_eq!(cookies_file.as_deref(), Some(Path::new("/srv/show/cookies.txt")));
}

#[test]
fn a_link_and_options_make_a_show() {
    let options = RunOptions {
        link: "https://x.com/i/spaces/1YpKkWmbnQaGj".into(),
        youtube_key_env: Some("YT".into()),
        youtube_backup: true,
        rumble_url: Some("rtmp://ls1.example/slot-3".into()),
        rumble_key_env: Some("RU".into()),
        outputs: vec!["club=rtmp://club.example/live".into()],
        key_envs: vec!["club=CLUB".into()],
        artwork: Some("art.png".into()),
        follow_host: Some("30m".into()),
        ..Default::default()
    };
    let config = with_known(|known| from_link(&options, Path::new(BASE), known)).unwrap();
    assert_eq!((config.show.follow_host, config.show.on_air_before), (Some(Duration::from_secs(1800)), None));
    let names: Vec<&str> = config.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(
        (config.show.name.as_str(), names),
        ("1YpKkWmbnQaGj", vec!["youtube", "youtube-backup", "rumble", "club"])
    );
    assert_eq!(config.slate.artwork, Some(PathBuf::from("/srv/show/art.png")));
    assert_eq!(config.recording.folder, PathBuf::from("/srv/show/recordings"));
}

#[test]
fn a_link_that_is_no_space_is_told_apart() {
    let source = |link: &str| {
        let options = RunOptions { link: link.into(), ..Default::default() };
        with_known(|known| from_link(&options, Path::new(BASE), known)).map(|config| config.sources[0].kind.clone())
    };
    assert!(matches!(source("https://radio.example/live"), Ok(SourceKind::Uri { .. })));
    assert!(matches!(source("tone"), Ok(SourceKind::Tone { duration: None })));
    assert!(matches!(source("x.com/i/spaces/1YpKkWmbnQaGj"), Ok(SourceKind::XSpace { .. })));
    let faults = source("https://mobile.twitter.com/somebody").unwrap_err();
    assert!(faults[0].to_string().starts_with("the link: this is no Space. Paste the Space's link"), "{faults:?}");
}

#[test]
fn faults_of_options_carry_the_options_names() {
    let options = RunOptions {
        link: "https://x.com/i/spaces/1YpKkWmbnQaGj".into(),
        youtube: true,
        rumble_key_env: Some("RU".into()),
        twitch_key_env: Some("live_1_x".into()),
        outputs: vec!["rtmp://club.example/live?a=b".into()],
        key_envs: vec!["club=CLUB".into()],
        timezone: Some("Mars".into()),
        on_air_before: Some("soon".into()),
        follow_host: Some("2d".into()),
        ct0_env: Some("CT0".into()),
        ..Default::default()
    };
    let faults = with_known(|known| from_link(&options, Path::new(BASE), known)).unwrap_err();
    let keys: Vec<&str> = faults.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "--ct0-env",
        "--timezone",
        "--on-air-before",
        "--follow-host",
        "--youtube-key-env",
        "--rumble-url",
        "--twitch-key-env",
        "--output",
        "--key-env",
    ];
    assert_eq!(keys, expected, "{faults:#?}");
}

proptest::proptest! {
    #[test]
    fn fuzz_config_text(text in "(\\[{1,2}(show|source|output|slate|x|program)\\]{1,2}|[a-z_]{1,12} = |\"[^\"]{0,20}\"|-?[0-9]{1,30}|[\\[\\]{}#\\n]|\\PC){0,60}") {
        drop(read_here(&text));
    }

    #[test]
    fn fuzz_config_values(key in "[a-z_]{1,20}", value in "\\PC{0,40}", at in 0usize..400) {
        let text: String = SAMPLE.lines().enumerate().map(|(number, line)| if number == at { format!("{key} = {value}\n") } else { format!("{line}\n") }).collect();
        drop(read_here(&text));
        drop(units::parse_duration(&value));
        drop(units::parse_size(&value));
        drop(address::output_url(&value, None));
    }
}
