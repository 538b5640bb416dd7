//! The sections `[[alert]]`.

use std::path::Path;

use super::Section;
use super::output::secret;
use crate::alert::Level;
use crate::config::address::plain_name;
use crate::config::alert::webhook_url;
use crate::config::{AlertAction, AlertConfig, DaemonAlert, WrittenUrl};

/// More than these is a slip of the pen: each is a task and may be a process.
const MAX_ALERTS: usize = 16;

/// Longest list of arguments or codes.
const MAX_ITEMS: usize = 64;

/// The keys that say what an alert does.
const ACTIONS: [&str; 5] = ["command", "webhook", "webhook_env", "webhook_file", "webhook_credential"];

pub(super) fn alerts(root: &mut Section<'_>, base: &Path) -> Vec<AlertConfig> {
    let sections = root.sections("alert");
    if sections.len() > MAX_ALERTS {
        root.problem("alert", format!("there are more than {MAX_ALERTS}"), "Let one command tell several people");
        return Vec::new();
    }
    sections.into_iter().filter_map(|section| alert(section, base)).collect()
}

/// The sections `[[alert]]` of the daemon's own configuration: with a name, and the shows that each is about.
pub(super) fn daemon_alerts(root: &mut Section<'_>, base: &Path) -> Vec<DaemonAlert> {
    let sections = root.sections("alert");
    if sections.len() > MAX_ALERTS {
        root.problem("alert", format!("there are more than {MAX_ALERTS}"), "Let one command tell several people");
        return Vec::new();
    }
    let mut alerts: Vec<DaemonAlert> = Vec::new();
    for (index, mut section) in sections.into_iter().enumerate() {
        let name = section.text("name").unwrap_or_else(|| format!("alert-{}", index + 1));
        let name = plain_name(&name).unwrap_or_else(|(message, remedy)| {
            section.problem("name", message, remedy);
            String::new()
        });
        if alerts.iter().any(|other| other.name == name) {
            section.problem("name", "names another alert too", "Give each a name of its own");
        }
        let shows = section.texts("shows").unwrap_or_default();
        if shows.len() > MAX_ITEMS || shows.iter().any(|show| show.is_empty() || show.len() > 128) {
            section.problem("shows", "holds something that is no show", "Write names, or their beginning and a star");
        }
        alerts.extend(alert(section, base).map(|alert| DaemonAlert { name, shows, alert }));
    }
    alerts
}

fn alert(mut section: Section<'_>, base: &Path) -> Option<AlertConfig> {
    let level = level(&mut section);
    let codes = codes(&mut section);
    let action = action(&mut section, base);
    let kept = secret(&mut section, "secret", base);
    if kept.is_some() && matches!(action, Some(AlertAction::Command(_))) {
        section.problem("secret_env", "signs nothing: the alert runs a command", "Leave the secret out");
    }
    section.finish();
    Some(AlertConfig { level: level?, codes: codes?, action: action?, secret: kept })
}

fn level(section: &mut Section<'_>) -> Option<Level> {
    let Some(word) = section.text("level") else { return (!section.has("level")).then_some(Level::Warning) };
    let found = [Level::Info, Level::Warning, Level::Error].into_iter().find(|level| level.as_str() == word);
    if found.is_none() {
        section.problem("level", "is no level", "Write \"info\", \"warning\" or \"error\"");
    }
    found
}

fn codes(section: &mut Section<'_>) -> Option<Vec<String>> {
    let Some(codes) = section.texts("codes") else { return (!section.has("codes")).then(Vec::new) };
    let is_code = |text: &String| {
        let body = text.strip_suffix('*').unwrap_or(text);
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_');
        !text.is_empty() && text.len() <= 64 && body.bytes().all(fits)
    };
    if codes.len() > MAX_ITEMS || !codes.iter().all(is_code) {
        let remedy = "Write codes such as \"recording.stopped\", or their beginning and a star: \"output.*\"";
        section.problem("codes", "holds something that is no code", remedy);
        return None;
    }
    Some(codes)
}

fn action(section: &mut Section<'_>, base: &Path) -> Option<AlertAction> {
    let said: Vec<&str> = ACTIONS.into_iter().filter(|key| section.has(key)).collect();
    let command = command(section, base);
    let written = section.text("webhook").and_then(|text| match webhook_url(&text) {
        Ok(url) => Some(WrittenUrl::new(&url)),
        Err((message, remedy)) => {
            section.problem("webhook", message, remedy);
            None
        }
    });
    let kept = secret(section, "webhook", base);
    match said.as_slice() {
        [] => {
            let remedy = "Say what it does: command = [\"/path/of/a/program\"], webhook = \"https://…\", or where the \
                          address is kept: webhook_env, webhook_file, webhook_credential";
            section.missing("command", remedy);
            None
        }
        [_] => {
            let kept = kept.map(AlertAction::WebhookAt);
            command.map(AlertAction::Command).or(written.map(AlertAction::Webhook)).or(kept)
        }
        [_, second, ..] => {
            let message = format!("the alert does {} things: {}", said.len(), said.join(", "));
            section.problem(second, message, "Keep one of them, and write another [[alert]] for the other");
            None
        }
    }
}

/// A program and its arguments; a relative path of the program belongs to `base`.
fn command(section: &mut Section<'_>, base: &Path) -> Option<Vec<String>> {
    let mut command = section.texts("command")?;
    let is_bad = |text: &String| text.len() > 4096 || text.contains('\0');
    let program = command.first().filter(|program| !program.is_empty()).cloned();
    let Some(program) = program.filter(|_| command.len() <= MAX_ITEMS && !command.iter().any(is_bad)) else {
        section.problem("command", "names no program", "Write [\"/path/of/a/program\", \"argument\"]");
        return None;
    };
    if program.starts_with('~') {
        section.problem("command", "begins with ~, which only a shell replaces", "Write the whole path");
        return None;
    }
    if program.contains('/') {
        command[0] = base.join(program).to_string_lossy().into_owned();
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Known, Problem, SecretRef, ShowConfig, read};

    fn configuration(tail: &str) -> Result<ShowConfig, Vec<Problem>> {
        let known = Known { presets: &[], space_link: &|_| Err(String::new()) };
        let head = "[show]\nname = \"a\"\n[[source]]\nkind = \"tone\"\n[[alert]]\n";
        read(&format!("{head}{tail}"), Path::new("/srv"), known)
    }

    #[test]
    fn an_alert_arrives_with_what_it_is_about_and_what_it_does() {
        let words = |words: &[&str]| AlertAction::Command(words.iter().map(|word| (*word).to_owned()).collect());
        for (tail, level, action) in [
            ("command = [\"/bin/tell\", \"a b\"]", Level::Warning, words(&["/bin/tell", "a b"])),
            ("level = \"error\"\ncommand = [\"bin/tell\"]", Level::Error, words(&["/srv/bin/tell"])),
            ("command = [\"tell\"]", Level::Warning, words(&["tell"])),
            ("webhook_env = \"HOOK\"", Level::Warning, AlertAction::WebhookAt(SecretRef::Env("HOOK".into()))),
        ] {
            let config = configuration(tail).expect(tail);
            let alert = &config.alerts[0];
            assert_eq!((alert.level, &alert.action), (level, &action), "{tail}");
        }
        let written = configuration("codes = [\"output.*\"]\nwebhook = \"http://127.0.0.1:9/canary\"").expect("fine");
        assert_eq!(written.alerts[0].codes, ["output.*"]);
        assert!(!format!("{written:?}").contains("canary"), "an address can be a secret");
    }

    #[test]
    fn a_faulty_alert_is_told_without_its_address() {
        for (tail, expected) in [
            ("", "alert[1].command (line 5): missing. Say what it does"),
            ("command = []", "alert[1].command (line 6): names no program"),
            ("command = [\"~/x\"]", "begins with ~"),
            ("command = \"tell\"", "is of the type string. Write a list of texts"),
            ("webhook = \"ftp://canary\"", "alert[1].webhook (line 6): is no http or https address"),
            ("webhook = \"canary\"", "alert[1].webhook (line 6): is not an address"),
            ("webhook_env = \"https://canary\"", "takes the name of an environment variable"),
            ("webhook = \"https://canary/\"\nwebhook_env = \"A\"", "does 2 things: webhook, webhook_env"),
            ("level = \"loud\"\ncommand = [\"a\"]", "alert[1].level (line 6): is no level"),
            ("codes = [\"Output\"]\ncommand = [\"a\"]", "alert[1].codes (line 6): holds something that is no code"),
            ("codes = [\"*.live\"]\ncommand = [\"a\"]", "holds something that is no code"),
        ] {
            let found = configuration(tail).expect_err(tail);
            let told: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].contains(expected), "{tail}: {told:?}");
            assert!(!told[0].contains("canary"), "{told:?}");
        }
    }

    #[test]
    fn an_alert_of_the_daemon_has_a_name_and_shows_and_every_fault_is_told() {
        let read = |text: &str| crate::config::read_daemon(text, Path::new("/srv")).map(|daemon| daemon.alerts);
        let two = "[[alert]]\ncommand = [\"tell\"]\n[[alert]]\nname = \"pager\"\nshows = [\"friday*\", \"night\"]\nlevel = \
                   \"error\"\nwebhook_file = \"hook.url\"\nsecret_env = \"HOOK_SECRET\"\n";
        let alerts = read(two).expect("fine");
        assert_eq!((alerts[0].name.as_str(), alerts[1].name.as_str()), ("alert-1", "pager"));
        assert_eq!(alerts[1].alert.secret, Some(SecretRef::Env("HOOK_SECRET".into())));
        for (show, expected) in [("friday-2", true), ("night", true), ("nightly", false), ("", false)] {
            assert_eq!(alerts[1].is_about(show, Level::Error, "a.b"), expected, "{show}");
        }
        assert!(alerts[0].is_about("", Level::Warning, "daemon.disk_low"));
        for (text, expected) in [
            ("[[alert]]\nname = \"../x\"\ncommand = [\"a\"]", "alert[1].name"),
            ("[[alert]]\nshows = [\"\"]\ncommand = [\"a\"]", "alert[1].shows"),
            ("[[alert]]\ncommand = [\"a\"]\nsecret_env = \"A\"", "signs nothing"),
            ("[[alert]]\ncommand = [\"a\"]\n[[alert]]\nname = \"alert-1\"\ncommand = [\"b\"]", "names another alert"),
            ("[[alart]]\n", "alart"),
        ] {
            let told: Vec<String> = read(text).expect_err(text).iter().map(ToString::to_string).collect();
            assert!(told[0].contains(expected), "{text}: {told:?}");
        }
    }
}
