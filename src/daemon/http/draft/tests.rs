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
        "token": "hidden-b"}"#;
    let text = written(draft, &address()).expect("a source");
    for line in ["kind = \"janus\"", "room = \"1234\"", "pin_file = \"KEYS/pin.x\"", "token_file = \"KEYS/token.x\""] {
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
    ] {
        assert_eq!(written(draft, &found), Err(key.to_owned()), "{draft}");
    }
}
