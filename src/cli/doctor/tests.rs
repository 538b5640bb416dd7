//! What the operator sees, and what the bundle must never hold.

use std::path::Path;

use super::*;
use crate::config::read;
use crate::secret::Secret;

fn known<T>(run: impl FnOnce(Known<'_>) -> T) -> T {
    run(Known { presets: &[], space_link: &|link| Ok(link.to_owned()) })
}

struct Broken;

impl ChainProbe for Broken {
    fn probe<'a>(
        &'a mut self,
        link: &'a str,
        tell: &'a mut (dyn FnMut(Step) + Send),
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            tell(Step::ok("link", format!("the space {link}")));
            tell(Step::failed(
                "sign-in",
                "the login expired, auth_token=0123456789abcdef0123456789abcdef01234567",
                "Log in again",
            ));
        })
    }
}

async fn examine(config: Option<&ShowConfig>, save: Option<PathBuf>, secrets: &Secrets) -> (String, bool) {
    let options = DoctorOptions { link: Some("1YpKkWmbnQaGj".into()), save };
    let mut out = Vec::new();
    let mut probe = Broken;
    let presets = [];
    let known = Known { presets: &presets, space_link: &|link| Ok(link.to_owned()) };
    let home = Some(PathBuf::from("/home/somebody"));
    let parts = DoctorParts { known, config, secrets, probe: Some(&mut probe), clock: Clock::system(), home };
    let code = run(&options, parts, &mut out).await.unwrap();
    (String::from_utf8(out).unwrap(), code == ExitCode::SUCCESS)
}

#[tokio::test]
async fn a_chain_that_breaks_says_where_and_what_to_do() {
    let (text, ok) = examine(None, None, &Secrets::default()).await;
    assert!(!ok);
    for line in [
        "This machine",
        "  ok   gstreamer",
        "  ok   link",
        "  FAIL sign-in",
        "→ Log in again",
        "  -    decoding          not reached",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn the_bundle_holds_no_secret_and_no_home() {
    let text = "[show]\nname = \"a\"\n[[source]]\nkind = \"x-space\"\nurl = \"https://x.com/i/spaces/1\"\n\
                cookies_file = \"cookies.txt\"\n[[output]]\nurl = \"rtmp://127.0.0.1:9/live\"\nname = \"main\"\nkey_env = \"MAIN_KEY\"\n";
    let config = known(|known| read(text, Path::new("/home/somebody/shows"), known)).unwrap();
    let mut secrets = Secrets::default();
    secrets.insert("output.main.key", Secret::new("canary"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.json");
    let (printed, ok) = examine(Some(&config), Some(path.clone()), &secrets).await;
    let bundle = std::fs::read_to_string(path).unwrap();
    assert!(!ok && printed.contains("FAIL main"), "{printed}");
    for secret in ["canary", "0123456789abcdef", "/home/somebody", "AAAAAAAA"] {
        assert!(!bundle.contains(secret), "{secret} in\n{bundle}");
    }
    for fact in ["~/shows/cookies.txt", "MAIN_KEY", "sign-in", "GStreamer 1.", "\"changed\": []"] {
        assert!(bundle.contains(fact), "{fact} in\n{bundle}");
    }
}

#[test]
fn everything_that_looks_like_a_secret_is_cut_and_the_rest_stays() {
    let secrets = Secrets::default();
    let cases = [
        (
            "cannot publish rtmp://a.example/live2/q1w2-e3r4-t5y6-u7i8-o9p0 now",
            "cannot publish rtmp://a.example/live2/[redacted] now",
        ),
        ("GET https://u:p@x.com/a?id=1&ct0=abc failed", "GET https://[redacted]@x.com/a?[redacted] failed"),
        ("token eyJhbGciOi.eyJleHAi.c2ln", "token [redacted].[redacted].c2ln"),
        ("install gstreamer1.0-plugins-base 1.22.0-2+deb12u1", "install gstreamer1.0-plugins-base 1.22.0-2+deb12u1"),
        ("/home/me/cookies.txt in /home/me", "~/cookies.txt in ~"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(text, &secrets, Some(Path::new("/home/me"))), expected);
    }
}

#[test]
fn a_disk_that_cannot_take_the_recording_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(machine::disk(&folder.path().join("new/deep"), 1).outcome, Outcome::Ok);
    assert_eq!(machine::disk(&file, 1).outcome, Outcome::Failed);
    let full = machine::disk(folder.path(), u64::MAX);
    assert!(full.outcome == Outcome::Failed && full.detail.contains("min_free"), "{full}");
    let read_only = machine::disk(Path::new("/proc/sys"), 1);
    assert_eq!(read_only.outcome, Outcome::Failed, "{read_only}");
}

#[test]
fn available_memory_is_read_from_the_kernels_words() {
    assert_eq!(machine::available_memory("MemTotal: 5 kB\nMemAvailable:   2048 kB\n"), Some(2_097_152));
    assert_eq!(machine::available_memory("MemAvailable: much"), None);
}

#[tokio::test]
async fn a_server_that_answers_refuses_or_has_no_name_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = |port: u16| url::Url::parse(&format!("rtmp://127.0.0.1:{port}/live")).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(egress::reach("a", &url(port)).await.outcome, Outcome::Ok);
    drop(listener);
    assert!(egress::reach("a", &url(port)).await.detail.contains("refuses"));
    let nowhere = url::Url::parse("rtmp://no-such-host.invalid/live").unwrap();
    assert!(egress::reach("a", &nowhere).await.detail.contains("not found"));
}

#[test]
fn hostile_text_cannot_steer_the_terminal() {
    let step = Step::ok("metadata", "title \u{1b}[2J\u{202e}evil\n");
    assert_eq!(step.to_string(), "  ok   metadata          title [2Jevil");
}

proptest::proptest! {
    #[test]
    fn fuzz_redact(text in "\\PC{0,200}") {
        drop(redact(&text, &Secrets::default(), None));
    }
}
