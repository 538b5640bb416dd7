//! `spacebridge recordings` and `spacebridge mark` as a person uses them: real folders, real exit codes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;
use spacebridge::recording::{Archive, Origin};
use spacebridge::status::ShowStatus;

use crate::show::assert_nothing_lost;
use crate::support::show::{Space, Stage};
use crate::support::turn;

const SESSION: &str = "1XdwejNNnrPXj";
const NAME: &str = "rehearsal-20261122-212940-20261122T212940Z";

/// The recording of an earlier version, of which one segment was copied.
fn fixture(parent: &Path) -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recordings/v1");
    let folder = parent.join(NAME);
    let segments = folder.join("segments").join(SESSION);
    fs::create_dir_all(&segments).expect("a folder");
    fs::copy(from.join("journal.jsonl"), folder.join("journal.jsonl")).expect("a journal");
    let text = fs::read_to_string(from.join("00000020.aac.base64")).expect("a segment");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.replace('\n', "")).expect("base64");
    fs::write(segments.join("00000020.aac"), bytes).expect("a segment");
    folder
}

fn spacebridge(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_spacebridge"));
    command.args(arguments).current_dir(folder).env("XDG_RUNTIME_DIR", folder).env("TZ", "UTC");
    command.stdin(std::process::Stdio::null()).output().expect("spacebridge runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(output)))
}

#[test]
fn a_recording_of_an_earlier_version_is_read_as_it_is_and_gone_on_with() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = fixture(&temp.path().join("recordings"));
    let before = fs::read(folder.join("journal.jsonl")).expect("a journal");
    let archive = Archive::read(&folder).expect("an archive");
    assert_eq!((archive.entries, archive.damage.len(), archive.ended), (27, 0, true));
    assert!(archive.sessions[0].segments.iter().all(|segment| segment.origin == Origin::Live));
    let at = ["mark", "Climate", "--recording", "rehearsal-", "--at", "0:10", "--json"];
    let marked = spacebridge(temp.path(), &at);
    assert_eq!(json(&marked)["seconds"], 10.0, "{}", said(&marked));
    let kept = spacebridge(temp.path(), &["recordings", "keep", SESSION]);
    assert!(kept.status.success(), "{}", said(&kept));
    let after = fs::read(folder.join("journal.jsonl")).expect("a journal");
    assert!(after.starts_with(&before), "what was there stays, byte for byte");
    let archive = Archive::read(&folder).expect("an archive");
    assert_eq!((archive.sessions[0].marks[0].media_time, archive.keep, archive.ended), (480_000, true, true));
    let far = spacebridge(temp.path(), &["mark", "x", "--recording", "rehearsal-", "--at", "9:00:00"]);
    assert!(!far.status.success() && said(&far).contains("goes from 0:00 to 0:5"), "{}", said(&far));
}

#[test]
fn what_lacks_is_said_in_one_line_and_in_the_exit_code() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = fixture(&temp.path().join("recordings"));
    let verified = spacebridge(temp.path(), &["recordings", "verify", NAME]);
    let text = said(&verified);
    assert_eq!(verified.status.code(), Some(1), "{text}");
    let first = text.lines().next().unwrap_or_default();
    assert_eq!(first, format!("{NAME}: NOT whole: 17 files missing"));
    assert!(text.contains("spacebridge recordings repair") && text.contains("00000006.aac is missing"), "{text}");
    let found = json(&spacebridge(temp.path(), &["recordings", "verify", "--all", "--json"]));
    assert_eq!((&found["verification"]["whole"], &found["verification"]["segments"]), (&false.into(), &1.into()));
    let newer = fs::read_to_string(folder.join("journal.jsonl")).expect("a journal");
    let sealed = "{\"v\":2,\"seq\":28,\"at\":\"2027-01-01T00:00:00Z\",\"type\":\"x\"";
    fs::write(folder.join("journal.jsonl"), format!("{newer}{sealed},\"check\":\"{}\"}}\n", sha16(sealed)))
        .expect("a write");
    let refused = spacebridge(temp.path(), &["recordings", "verify", NAME]);
    assert!(!refused.status.success() && said(&refused).contains("use a newer spacebridge"), "{}", said(&refused));
    let refused = spacebridge(temp.path(), &["recordings", "keep", NAME]);
    assert!(said(&refused).contains("use a newer spacebridge"), "{}", said(&refused));
}

fn sha16(text: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn list_and_show_are_legible_at_eighty_columns() {
    let temp = tempfile::tempdir().expect("a folder");
    fixture(&temp.path().join("recordings"));
    fs::create_dir_all(temp.path().join("recordings/half/segments")).expect("a folder");
    let listed = said(&spacebridge(temp.path(), &["recordings", "list"]));
    assert!(
        listed.contains("0:53") && listed.contains("no gaps") && listed.contains("half is not a recording"),
        "{listed}"
    );
    let list = json(&spacebridge(temp.path(), &["recordings", "list", "--json"]));
    assert_eq!((&list["recordings"][0]["segments"], list["broken"].as_array().map(Vec::len)), (&18.into(), Some(1)));
    let shown = said(&spacebridge(temp.path(), &["recordings", "show", NAME]));
    assert!(shown.contains("audio") && shown.contains("speech") && shown.contains("rehearsal"), "{shown}");
    for line in shown.lines().filter(|line| !line.starts_with("  recordings/")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let show = json(&spacebridge(temp.path(), &["recordings", "show", NAME, "--json"]));
    assert_eq!(show["sessions"][0]["gaps"], serde_json::json!([]));
    assert!(!show["sessions"][0]["speakers"].as_array().expect("a list").is_empty(), "{show}");
}

#[test]
fn nothing_is_deleted_without_a_word_and_a_kept_one_not_even_with_one() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = fixture(&temp.path().join("recordings"));
    let run = |arguments: &[&str]| {
        let output = spacebridge(temp.path(), arguments);
        (output.status.success(), said(&output))
    };
    let (done, text) = run(&["recordings", "delete", NAME]);
    assert!(!done && text.contains("--yes"), "{text}");
    assert!(run(&["recordings", "keep", NAME]).0);
    let (done, text) = run(&["recordings", "delete", NAME, "--yes"]);
    assert!(!done && text.contains("is kept"), "{text}");
    let config = temp.path().join("show.toml");
    let written = "[show]\nname = \"x\"\n[[source]]\nkind = \"tone\"\n[recording.retention]\nmax_size = \"1 MB\"\n";
    fs::write(&config, written).expect("a configuration");
    let (done, text) = run(&["recordings", "delete", "--expired", "--config", "show.toml"]);
    assert!(done && text.contains("stays:") && text.contains("it is kept"), "{text}");
    assert!(run(&["recordings", "keep", NAME, "--off"]).0);
    let (_, text) = run(&["recordings", "delete", "--expired", "--config", "show.toml"]);
    assert!(text.contains("nothing was exported of it"), "{text}");
    assert!(folder.exists());
    let (done, text) = run(&["recordings", "delete", NAME, "--yes"]);
    assert!(done && !folder.exists(), "{text}");
    let (done, text) = run(&["recordings", "show", NAME]);
    assert!(!done && text.contains("no recording is called"), "{text}");
}

#[test]
fn a_read_only_folder_can_be_looked_at_and_nothing_else() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = fixture(&temp.path().join("recordings"));
    for path in [folder.join("segments").join(SESSION), folder.join("segments"), folder.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).expect("read-only");
    }
    let shown = spacebridge(temp.path(), &["recordings", "show", NAME]);
    assert!(shown.status.success(), "{}", said(&shown));
    // Root may write anywhere.
    if !rustix::process::geteuid().is_root() {
        let kept = spacebridge(temp.path(), &["recordings", "keep", NAME]);
        assert!(!kept.status.success() && said(&kept).contains("cannot be written"), "{}", said(&kept));
    }
    for path in [folder.clone(), folder.join("segments"), folder.join("segments").join(SESSION)] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_without_outputs_records_and_a_mark_lies_where_it_is_heard() {
    let _turn = turn().await;
    let space = Space::running_for(30).await;
    let stage = Stage::new(&space.config());
    let run = stage.run(&["--json"]);
    let heard = |status: &ShowStatus| {
        let anchor = status.session.as_ref()?.anchor_samples?;
        Some(status.program.seconds - anchor as f64 / 48_000.0).filter(|seconds| *seconds > 1.0)
    };
    stage.until("something is heard", 30, |status| status.recording.segments >= 5 && heard(status).is_some()).await;
    let before = heard(&stage.status().await.expect("a status")).expect("something is heard");
    let marked = stage.verb(&["mark", "Climate\u{1b}[2J", "--json"]).await;
    let after = heard(&stage.status().await.expect("a status")).expect("something is heard");
    let marked: serde_json::Value = serde_json::from_slice(&marked.stdout).expect("where it lies");
    let seconds = marked["seconds"].as_f64().expect("a place");
    // The status is a quarter of a second old at most.
    assert!((before - 0.1..after + 0.5).contains(&seconds), "{before} {seconds} {after}");
    let said = tokio::time::timeout(Duration::from_secs(60), run.interrupt()).await.expect("it ends");
    assert_eq!(said.code, Some(0), "{}", said.all());
    assert_nothing_lost(&stage, &space.report().await);
    let mark = stage.journal().into_iter().find(|line| line["type"] == "mark").expect("a mark");
    let samples = (seconds * 48_000.0).round() as i64;
    assert_eq!((&mark["title"], mark["media_time"].as_i64()), (&"Climate [2J".into(), Some(samples)));
    let archive = stage.archive().display().to_string();
    let verified = stage.verb(&["recordings", "verify", &archive]).await;
    assert!(verified.status.success(), "{verified:?}");
}
