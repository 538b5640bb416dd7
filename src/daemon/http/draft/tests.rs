use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::*;
use crate::config::Seat;

/// What a draft writes of its sources, or the key of its fault.
fn written(draft: &str, found: &SourceKind) -> Result<String, String> {
    let state = tempfile::tempdir().expect("a folder");
    let folders = Folders::open(state.path()).expect("a state folder");
    let draft: ShowDraft = serde_json::from_str(draft).expect("a draft");
    let sources = draft.sources(found, "night", &folders, Some(Path::new("/etc/cookies.txt")));
    let sources = sources.map_err(|problem| problem.key)?;
    let file = Table::from_iter([("source".to_owned(), Value::Array(sources))]);
    let text = toml::to_string(&file).expect("a configuration");
    let keys = folders.keys_folder("night");
    Ok(text.replace(&keys.display().to_string(), "KEYS"))
}

fn space() -> SourceKind {
    let url = "https://x.com/i/spaces/1DXxyRYNejbKM".to_owned();
    SourceKind::XSpace { url, auth_token: None, ct0: None, cookies_file: None::<PathBuf>, seat: Seat::Listener }
}

fn address() -> SourceKind {
    SourceKind::Uri { uri: "https://media.example.com/janus".parse().expect("an address") }
}

#[test]
fn a_speakers_seat_with_the_public_path_beside_it_is_two_sources_of_one_login() {
    let text = written(r#"{"link": "l", "seat": "speaker", "listen_too": true}"#, &space()).expect("sources");
    let file: Table = text.parse().expect("what was written");
    let sources = file["source"].as_array().expect("a list");
    let of = |index: usize, key: &str| sources[index].get(key).and_then(Value::as_str);
    assert_eq!((sources.len(), of(0, "seat"), of(0, "standby")), (2, Some("speaker"), None));
    assert_eq!((of(1, "seat"), of(1, "standby")), (None, Some("warm")));
    for index in [0, 1] {
        assert_eq!(of(index, "kind"), Some("x-space"));
        assert_eq!(of(index, "cookies_file"), Some("/etc/cookies.txt"));
    }
}

#[test]
fn the_secrets_of_a_gateway_are_named_by_their_file_and_never_written() {
    let draft = r#"{"link": "https://media.example.com/janus", "kind": "janus", "room": "1234", "pin": "hidden-a",
        "token": "hidden-b", "api_secret": "hidden-c"}"#;
    let text = written(draft, &address()).expect("a source");
    let files = ["pin", "token", "api_secret"].map(|key| format!("{key}_file = \"KEYS/{key}.x\""));
    for line in ["kind = \"janus\"", "room = \"1234\""].into_iter().chain(files.iter().map(String::as_str)) {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("hidden"), "{text}");
    let open = written(r#"{"link": "https://media.example.com/whep/a", "kind": "whep"}"#, &address());
    assert!(!open.expect("a source").contains("_file"));
}

#[test]
fn what_does_not_go_together_is_told_at_its_key() {
    for (draft, found, key) in [
        (r#"{"link": "l", "seat": "speaker"}"#, address(), "seat"),
        (r#"{"link": "l", "seat": "speaker", "kind": "whep"}"#, space(), "seat"),
        (r#"{"link": "l", "listen_too": true}"#, space(), "listen_too"),
        (r#"{"link": "l", "kind": "webrtc"}"#, address(), "kind"),
        (r#"{"link": "l", "kind": "whep", "pin": "1"}"#, address(), "room"),
        (r#"{"link": "l", "kind": "whep", "api_secret": "1"}"#, address(), "room"),
    ] {
        assert_eq!(written(draft, &found), Err(key.to_owned()), "{draft}");
    }
}

#[test]
fn how_two_paths_stand_in_for_each_other_is_asked_for_only_where_there_are_two() {
    let failover = |draft: &str| {
        let draft: ShowDraft = serde_json::from_str(draft).expect("a draft");
        let told = draft.failover().map(|table| table.map(|table| table.to_string()));
        told.map_err(|problem| problem.key)
    };
    let two = r#"{"link": "l", "seat": "speaker", "listen_too": true"#;
    assert_eq!(failover(&format!("{two}}}")), Ok(None));
    let told = failover(&format!(r#"{two}, "failover": "aligned", "failover_delay": "12s"}}"#));
    assert_eq!(told, Ok(Some("delay = \"12s\"\nmode = \"aligned\"\n".to_owned())));
    assert_eq!(failover(r#"{"link": "l", "failover": "aligned"}"#), Err("failover".to_owned()));
}
