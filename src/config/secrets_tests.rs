//! Every place a secret can come from, and everything that can be wrong with it there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::config::tests::with_known;
use crate::config::{RunOptions, from_link, read};

const TWO: &str =
    "[show]\nname = \"a\"\n[[source]]\nkind = \"tone\"\n[[output]]\npreset = \"youtube\"\nbackup = true\n";

fn config(key: &str) -> ShowConfig {
    with_known(|known| read(&format!("{TWO}{key}\n"), Path::new("/nowhere"), known)).expect("a configuration")
}

fn resolve_with(config: &ShowConfig, env: &[(&str, &str)]) -> Result<Resolved, Vec<SecretError>> {
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    resolve(config, &mut Places { env: &env, credentials: None, store: None, prompt: None })
}

fn file_with(text: &str, mode: u32) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
fn a_variable_gives_primary_and_backup_their_key() {
    let found = resolve_with(&config("key_env = \"K\""), &[("K", " secret-key \n")]).unwrap();
    assert_eq!(found.secrets.output_key("youtube"), Some(&Secret::new("secret-key")));
    assert_eq!(found.secrets.output_key("youtube-backup"), Some(&Secret::new("secret-key")));
}

#[test]
fn a_missing_or_empty_variable_is_told_with_its_name() {
    let config = config("key_env = \"K\"");
    let error = &resolve_with(&config, &[]).unwrap_err()[0];
    assert_eq!(
        error.to_string(),
        "output.youtube.key: the environment variable K is not set. Set it before the start: export K=…."
    );
    let error = &resolve_with(&config, &[("K", " \n")]).unwrap_err()[0];
    assert_eq!(error.to_string(), "output.youtube.key: empty (environment variable K). Put the secret there.");
    let error = resolve_with(&config, &[("K", "two words")]).unwrap_err()[0].to_string();
    assert!(error.contains("no single word") && !error.contains("two words"), "{error}");
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let open = file_with("key\n", 0o644);
    let error = &resolve_with(&config(&format!("key_file = {:?}", open.path())), &[]).unwrap_err()[0];
    assert_eq!(error.remedy, format!("Run chmod 600 {}", open.path().display()));
    let closed = file_with("key\nsecond line\n", 0o600);
    let found = resolve_with(&config(&format!("key_file = {:?}", closed.path())), &[]).unwrap();
    assert_eq!(found.secrets.output_key("youtube"), Some(&Secret::new("key")));
    let missing = &resolve_with(&config("key_file = \"none\""), &[]).unwrap_err()[0];
    assert!(missing.message.starts_with("/nowhere/none cannot be read"), "{missing}");
}

#[test]
fn a_systemd_credential_is_read_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("yt"), "key\n").unwrap();
    let config = config("key_credential = \"yt\"");
    let mut places = Places { env: &|_| None, credentials: Some(folder.path().into()), store: None, prompt: None };
    assert_eq!(resolve(&config, &mut places).unwrap().secrets.output_key("youtube"), Some(&Secret::new("key")));
    assert!(resolve_with(&config, &[]).unwrap_err()[0].remedy.contains("LoadCredential=yt:"));
}

#[test]
fn a_key_is_asked_for_once_and_not_again_when_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let store = KeyStore::at(folder.path());
    let config = config("key_prompt = true");
    let mut asked = 0;
    let mut prompt = |_: &OutputConfig| {
        asked += 1;
        Ok(Secret::new("typed"))
    };
    let found = resolve(
        &config,
        &mut Places { env: &|_| None, credentials: None, store: Some(&store), prompt: Some(&mut prompt) },
    )
    .unwrap();
    assert_eq!((found.typed, asked), (vec!["youtube".to_owned()], 1));
    store.save_key("youtube", &config.outputs[0].url, &Secret::new("typed")).unwrap();
    let found =
        resolve(&config, &mut Places { env: &|_| None, credentials: None, store: Some(&store), prompt: None }).unwrap();
    assert_eq!(found.secrets.output_key("youtube-backup"), Some(&Secret::new("typed")));
    let mut elsewhere = config.clone();
    elsewhere.outputs[0].url = url::Url::parse("rtmps://evil.example/live2").unwrap();
    let mut places = Places { env: &|_| None, credentials: None, store: Some(&store), prompt: None };
    assert!(resolve(&elsewhere, &mut places).is_err());
}

#[test]
fn an_output_that_does_not_start_may_lack_its_key() {
    let found = resolve_with(&config("key_env = \"K\"\nenabled = false"), &[]).unwrap();
    assert_eq!((found.secrets, found.notes.len()), (Secrets::default(), 2));
}

#[test]
fn cookies_of_a_source_are_found_under_its_index() {
    let options = RunOptions {
        link: "1YpKkWmbnQaGj".into(),
        auth_token_env: Some("A".into()),
        ct0_env: Some("C".into()),
        ..Default::default()
    };
    let config = with_known(|known| from_link(&options, Path::new("/"), known)).unwrap();
    let found = resolve_with(&config, &[("A", "aaaa"), ("C", "cccc")]).unwrap();
    assert_eq!(found.secrets.source_cookie(0, "ct0"), Some(&Secret::new("cccc")));
    assert_eq!(found.secrets.redact("x aaaa y cccc"), "x [redacted] y [redacted]");
}

#[test]
fn the_handover_arrives_whole_and_secrets_print_nothing() {
    let config = config("key_env = \"K\"");
    let secrets = resolve_with(&config, &[("K", "topsecret")]).unwrap().secrets;
    assert!(!format!("{secrets:?}").contains("topsecret"));
    let (config_again, secrets_again) = Secrets::from_handover(&secrets.to_handover(&config)).unwrap();
    assert_eq!((config_again, secrets_again), (config, secrets));
    let error = Secrets::from_handover(b"{\"config\":\"topsecret\"}").unwrap_err().to_string();
    assert!(!error.contains("topsecret"), "{error}");
}

proptest::proptest! {
    #[test]
    fn fuzz_handover(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        proptest::prop_assert!(Secrets::from_handover(&bytes).is_err());
    }
}
