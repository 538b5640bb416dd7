//! The kinds of sources: their keys, their secrets, and what is said of a wrong one.

use super::*;
use crate::config::tests::{problems, read_here};

#[test]
fn each_seat_has_its_own_keys_and_secrets() {
    let kinds = |sources: &str| read_here(&format!("[show]\nname = \"night\"\n{sources}"));
    let config = kinds(
        "consent = \"The host agreed.\"\n[slate]\nshow_consent = true\n[[source]]\nkind = \"x-space\"\nurl = \
         \"https://x.com/i/spaces/1YpKkWmbnQaGj\"\ncookies_file = \"c\"\nseat = \"speaker\"\napproval_timeout = \
         \"2m\"\n[[source]]\nkind = \"whep\"\nurl = \"https://media.example.com/whep\"\ntoken_env = \"T\"\n\
         standby = \"warm\"\n[[source]]\nkind = \"janus\"\nurl = \"http://10.0.0.1:8088/janus\"\nroom = \
         \"1234\"\npin_file = \"pin\"\napi_secret_credential = \"s\"\nlevel_speakers = true\n",
    )
    .unwrap();
    assert_eq!((config.show.consent.as_deref(), config.slate.show_consent), (Some("The host agreed."), true));
    let SourceKind::XSpace { seat, .. } = config.sources[0].kind else { panic!("{:?}", config.sources) };
    assert_eq!(seat, Seat::Speaker { ask: true, approval: Duration::from_secs(120) });
    assert_eq!(config.sources[1].standby, Standby::Warm);
    assert_eq!(config.sources.iter().map(|source| source.level_speakers).collect::<Vec<_>>(), [false, false, true]);
    let names = |index: usize| config.sources[index].kind.secrets().iter().map(|(key, _)| *key).collect::<Vec<_>>();
    assert_eq!((names(1), names(2)), (vec!["token"], vec!["pin", "api_secret"]));
    assert!(config.sources.iter().all(|source| source.kind.is_webrtc()));
    for (source, word) in [
        ("kind = \"tone\"\nseat = \"speaker\"", "unknown key"),
        ("kind = \"x-space\"\nurl = \"1YpKkWmbnQaGj\"\ncookies_file = \"c\"\nseat = \"host\"", "unknown seat"),
        ("kind = \"tone\"\nlevel_speakers = true", "unknown key"),
        ("kind = \"whep\"", "source[1].url"),
        ("kind = \"whep\"\nurl = \"rtmp://a.example/b\"", "begins with rtmp:"),
        ("kind = \"whep\"\nurl = \"https://a.example/b\"\nroom = \"1\"", "unknown key"),
        ("kind = \"janus\"\nurl = \"https://a.example/janus\"", "source[1].room"),
    ] {
        let faults = problems(&format!("[show]\nname = \"night\"\n[[source]]\n{source}\n"));
        assert!(faults.len() == 1 && faults[0].contains(word), "{source}: {faults:?}");
    }
    let long =
        problems(&format!("[show]\nname = \"night\"\nconsent = \"{}\"\n[[source]]\nkind = \"tone\"", "a".repeat(201)));
    assert!(long[0].contains("longer than 200 characters"), "{long:?}");
}
