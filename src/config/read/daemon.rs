//! The daemon's own configuration out of its file's text. Reads no other file and no environment.

use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use super::recording::size;
use super::{MAX_FILE, Section, alert};
use crate::config::problem::{Problem, Report};
use crate::config::{DaemonConfig, LimitsConfig};

/// More names than any daemon is reached by.
const MAX_NAMES: usize = 64;

/// Reads the daemon's own configuration. Relative paths in it belong to `base_dir`, the file's own folder.
///
/// # Errors
/// Every fault in the file, in its order.
pub fn read_daemon(text: &str, base_dir: &Path) -> Result<DaemonConfig, Vec<Problem>> {
    let report = Report::about(text);
    let config = read_into(text, base_dir, &report);
    if report.is_clean() { Ok(config) } else { Err(report.into_problems()) }
}

fn read_into(text: &str, base: &Path, report: &Report) -> DaemonConfig {
    if text.len() > MAX_FILE {
        report.add("file", None, "is larger than 1 MB", "Check that this is the configuration of a daemon");
        return DaemonConfig::default();
    }
    let (document, faults) = DeTable::parse_recoverable(text);
    for fault in &faults {
        report.add_syntax(fault.span().map(|span| span.start), fault.message());
    }
    let mut root = Section::root(document.get_ref(), report);
    let (certificate, key) = (root.path("tls_cert", base), root.path("tls_key", base));
    for (key, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        if root.has(key) && !root.has(other) {
            root.problem(key, format!("stands without {other}"), "Write both, or neither");
        }
    }
    let config = DaemonConfig {
        listen: listen(&mut root),
        tls: certificate.zip(key),
        behind_proxy: root.flag("behind_proxy").unwrap_or_default(),
        names: names(&mut root),
        shows: root.path("shows", base),
        data: root.path("data", base),
        cookies: root.path("cookies", base),
        limits: limits(root.section("limits")),
        alerts: alert::daemon_alerts(&mut root, base),
    };
    root.finish();
    config
}

fn listen(root: &mut Section<'_>) -> Option<SocketAddr> {
    let listen = root.text("listen")?.parse();
    if listen.is_err() {
        let remedy = "Write address and port, such as \"127.0.0.1:8480\" or \"[::1]:8480\"";
        root.problem("listen", "is no address with a port", remedy);
    }
    listen.ok()
}

fn names(root: &mut Section<'_>) -> Vec<String> {
    let names = root.texts("names").unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = |name: &String| !name.is_empty() && name.len() <= 253 && name.chars().all(fits);
    if names.len() > MAX_NAMES || !names.iter().all(is_name) {
        root.problem("names", "holds something that is no host name", "Write names such as \"shows.example.com\"");
    }
    names
}

fn limits(mut section: Section<'_>) -> LimitsConfig {
    let default = LimitsConfig::default();
    let limits = LimitsConfig {
        max_shows: section.integer("max_shows", 1..=256, "shows").and_then(|most| usize::try_from(most).ok()),
        cpu_share: section.number("cpu_share", 0.01..=1.0, "of the processors").unwrap_or(default.cpu_share),
        memory_reserve: size(&mut section, "memory_reserve").unwrap_or(default.memory_reserve),
    };
    section.finish();
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LISTEN;
    use crate::config::tests::{keys_of, uncommented};

    const SAMPLE: &str = include_str!("../../../config/serve.toml");

    fn read(text: &str) -> Result<DaemonConfig, Vec<Problem>> {
        read_daemon(text, Path::new("/etc/spacebridge"))
    }

    #[test]
    fn the_sample_loads_and_states_the_real_defaults() {
        assert_eq!(read(SAMPLE).expect("the sample"), DaemonConfig::default());
        let stated = read(&uncommented(SAMPLE, false)).expect("uncommented");
        assert_eq!(stated, DaemonConfig { listen: Some(LISTEN), ..DaemonConfig::default() });
    }

    #[test]
    fn every_key_of_the_schema_is_in_the_sample_and_no_other() {
        let text = uncommented(SAMPLE, true);
        let report = Report::about(&text);
        let config = read_into(&text, Path::new("/etc/spacebridge"), &report);
        assert_eq!(keys_of(&text), report.schema());
        let faults: Vec<String> = report.into_problems().into_iter().map(|fault| fault.key).collect();
        assert_eq!(faults, ["alert[1].webhook"], "examples that exclude each other, and nothing else");
        assert_eq!(config.tls.expect("a pair").0, Path::new("/etc/spacebridge/tls/chain.pem"));
        assert_eq!((config.limits.max_shows, config.names.len()), (Some(8), 1));
    }

    #[test]
    fn a_fault_is_told_with_its_line_and_what_to_write() {
        for (text, expected) in [
            ("lissten = \"127.0.0.1:1\"", "lissten (line 1): unknown key. Did you mean listen."),
            ("listen = \"8480\"", "listen (line 1): is no address with a port. Write address and port"),
            ("tls_cert = \"a.pem\"", "tls_cert (line 1): stands without tls_key. Write both, or neither."),
            ("names = [\"https://a.example\"]", "names (line 1): holds something that is no host name."),
            ("data = \"~/data\"", "data (line 1): begins with ~"),
            (
                "[limits]\nmax_shows = 0",
                "limits.max_shows (line 2): 0 shows is out of range. Write a number from 1 to 256.",
            ),
            ("[limits]\ncpu_share = 85", "limits.cpu_share (line 2): 85 of the processors is out of range."),
            ("[limits]\nmemory_reserve = \"256\"", "limits.memory_reserve (line 2): has no unit."),
            ("[limits]\nmax_show = 2", "limits.max_show (line 2): unknown key. Did you mean max_shows."),
            ("[show]\nname = \"a\"", "show (line 1): unknown key. Did you mean shows."),
            ("listen = ", "not TOML"),
        ] {
            let faults = read(text).expect_err(text);
            assert!(faults.iter().any(|fault| fault.to_string().contains(expected)), "{text}: {faults:#?}");
        }
        let large = format!("#{}", " ".repeat(MAX_FILE));
        assert!(read(&large).is_err(), "a file that is no configuration");
    }
}
