//! Configurations as the operator meets them: files on the disk, and what `check` prints about them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use spacebridge::cli::check::{self, Checks, ImageUse};
use spacebridge::config::{Known, PresetDefaults, load};

fn presets() -> Vec<PresetDefaults> {
    let preset = |name: &str, url: &str, backup: Option<&str>, verified: bool| PresetDefaults {
        name: name.into(),
        url: Some(url.into()),
        backup_url: backup.map(str::to_owned),
        requires_url: !verified,
        key_page: None,
        max_video_kbps: Some(6000),
        broadcasts_per_hour: None,
        verified,
    };
    vec![
        preset("youtube", "rtmps://a.example:443/live2", Some("rtmps://b.example:443/live2?backup=1"), true),
        preset("rumble", "rtmp://rumble.example/live", None, false),
    ]
}

fn image(path: &Path, purpose: ImageUse) -> Result<(), String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "broken.png" { Err(format!("{} is no picture ({purpose:?})", path.display())) } else { Ok(()) }
}

/// Runs `check` on a file; gives whether it passed, and what it printed.
fn check(file: &Path) -> (bool, String) {
    let presets = presets();
    let known = Known { presets: &presets, space_link: &|_| Ok("1YpKkWmbnQaGj".into()) };
    let mut out = Vec::new();
    let checks = Checks { known, image: &image, env_is_set: &|name| name == "YT_KEY" };
    let code = check::run(file, checks, &mut out).expect("a vector takes everything");
    if code != ExitCode::SUCCESS {
        assert_eq!(code, ExitCode::from(64), "a bad configuration has its own exit code");
    }
    (code == ExitCode::SUCCESS, String::from_utf8(out).expect("text"))
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("show.toml");
    std::fs::write(&file, text).expect("a temporary folder");
    file
}

const HEAD: &str =
    "[show]\nname = \"night\"\ntimezone = \"UTC\"\n[[source]]\nkind = \"x-space\"\nurl = \"1YpKkWmbnQaGj\"\n";

#[test]
fn shipped_configuration_loads() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/spacebridge.toml");
    let (ok, text) = check(&file);
    assert!(ok, "{text}");
    let presets = presets();
    let known = Known { presets: &presets, space_link: &|_| Ok("1YpKkWmbnQaGj".into()) };
    let config = load(&file, known).expect("the shipped configuration");
    assert_eq!(config.recording.folder, Path::new(env!("CARGO_MANIFEST_DIR")).join("config/recordings"));
}

#[test]
fn check_says_what_the_show_will_be_and_the_upload_it_needs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = format!(
        "{HEAD}[slate]\nvideo_kbps = 7000\n[recording]\nenabled = false\n[[output]]\npreset = \"youtube\"\n\
         key_env = \"YT_KEY\"\nbackup = true\n[[output]]\npreset = \"rumble\"\nurl = \"rtmp://ls1.example/slot-3\"\n\
         key_env = \"RUMBLE\"\n[[output]]\nname = \"later\"\nurl = \"rtmps://c.example/app\"\nkey_prompt = true\n\
         enabled = false\n"
    );
    let file = write(folder.path(), &text);
    let (ok, printed) = check(&file);
    assert!(ok, "{printed}");
    let expected = format!(
        "{} is in order.

Show       night, times in UTC
Source 1   X Space 1YpKkWmbnQaGj, as a guest
Output     youtube (youtube) rtmps://a.example:443/live2, key: environment variable YT_KEY (set)
Output     youtube-backup (youtube) rtmps://b.example:443/live2?backup=1, key: environment variable YT_KEY (set)
Output     rumble (rumble) rtmp://ls1.example/slot-3, key: environment variable RUMBLE (not set now)
Output     later (custom) rtmps://c.example/app, key: asked for on the terminal, does not start by itself
Picture    1280x720 at 30 fps, 7000 kbit/s
Sound      AAC 128 kbit/s, 48000 Hz, stereo
Recording  none
Upload     22.5 Mbit/s for 3 outputs

Note: youtube takes at most 6000 kbit/s of video, and slate.video_kbps is 7000.
Note: the preset of rumble was not verified against the platform's documentation.
Note: rumble is plain RTMP: its key travels unencrypted. Use rtmps where the platform has it.
Note: rumble takes at most 6000 kbit/s of video, and slate.video_kbps is 7000.
",
        file.display()
    );
    assert_eq!(printed, expected);
}

#[test]
fn every_wrong_key_is_listed_in_one_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "[show]\nname = \"night\"\n[[source]]\nkind = \"tone\"\nurll = \"x\"\n[slate]\nfps = \"30\"\n[program]\n\
                audio_kbps = 12\n[[output]]\npreset = \"rumble\"\nkey_env = \"R\"\n[recordings]\n";
    let file = write(folder.path(), text);
    let (ok, printed) = check(&file);
    assert!(!ok);
    let expected = format!(
        "{} has 5 faults:
  source[1].urll (line 5): unknown key. Known here: kind, delay, duration, standby.
  slate.fps (line 7): is of the type string. Write a whole number, without quotes.
  program.audio_kbps (line 9): 12 kbit/s is out of range. Write a number from 64 to 320.
  output[1].url (line 10): missing. Copy the server's address, without the key, from the page where rumble shows the key.
  recordings (line 13): unknown key. Did you mean recording.
",
        file.display()
    );
    assert_eq!(printed, expected);
}

#[test]
fn files_that_are_missing_broken_or_open_to_others_are_listed_together() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("broken.png"), "").expect("a temporary folder");
    std::fs::write(folder.path().join("yt.key"), "key").expect("a temporary folder");
    let text = format!(
        "{HEAD}cookies_file = \"none.txt\"\n[slate]\nartwork = \"broken.png\"\ntemplate = \"none.svg\"\n[program]\n\
         hold_audio = \".\"\n[[output]]\npreset = \"youtube\"\nbackup = true\nkey_file = \"yt.key\"\n"
    );
    let file = write(folder.path(), &text);
    let (ok, printed) = check(&file);
    assert!(!ok);
    let keys: Vec<&str> = printed.lines().skip(1).filter_map(|line| line.trim().split(':').next()).collect();
    let expected = [
        "slate.template",
        "slate.artwork",
        "program.hold_audio",
        "source[1].cookies_file",
        "key_file of the output youtube",
    ];
    assert_eq!(keys, expected, "{printed}");
    assert!(printed.contains(&format!("Run chmod 600 {}", folder.path().join("yt.key").display())), "{printed}");
}

#[test]
fn a_file_that_is_no_configuration_is_told_in_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ok, printed) = check(&folder.path().join("none.toml"));
    assert!(!ok && printed.contains("cannot be read"), "{printed}");
    let binary = folder.path().join("picture.toml");
    std::fs::write(&binary, [0xff, 0xd8, 0xff, 0xe0]).expect("a temporary folder");
    assert!(check(&binary).1.contains("not UTF-8"));
    let broken = write(folder.path(), "this is not toml\n");
    let (ok, printed) = check(&broken);
    assert!(!ok && printed.contains("file (line 1): not TOML"), "{printed}");
}
