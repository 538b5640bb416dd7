//! The section `[x]`.

use std::time::Duration;

use url::Url;

use super::Section;
use crate::config::XApiConfig;

pub(super) fn x_api(mut section: Section<'_>) -> XApiConfig {
    let default = XApiConfig::default();
    let private = section.flag("allow_private_addresses").unwrap_or(default.allow_private_addresses);
    let config = XApiConfig {
        api_base: base_url(&mut section, "api_base", default.api_base, private),
        guest_base: base_url(&mut section, "guest_base", default.guest_base, private),
        chat_base: base_url(&mut section, "chat_base", default.chat_base, private),
        login_base: base_url(&mut section, "login_base", default.login_base, private),
        stage_base: base_url(&mut section, "stage_base", default.stage_base, private),
        gateway_hosts: hosts(&mut section, "gateway_hosts", default.gateway_hosts),
        seat_silence: section.flag("seat_silence").unwrap_or(default.seat_silence),
        chat: section.flag("chat").unwrap_or(default.chat),
        referer: base_url(&mut section, "referer", default.referer, private),
        bearer: header(&mut section, "bearer", default.bearer),
        user_agent: header(&mut section, "user_agent", default.user_agent),
        audio_space_by_id: word(&mut section, "audio_space_by_id", default.audio_space_by_id),
        audiospace_by_rest_id: word(&mut section, "audiospace_by_rest_id", default.audiospace_by_rest_id),
        user_by_screen_name: word(&mut section, "user_by_screen_name", default.user_by_screen_name),
        authenticate_periscope: word(&mut section, "authenticate_periscope", default.authenticate_periscope),
        features_true: words(&mut section, "features_true", default.features_true),
        features_false: words(&mut section, "features_false", default.features_false),
        cookie_hosts: hosts(&mut section, "cookie_hosts", default.cookie_hosts),
        allow_private_addresses: private,
        edges: edges(&mut section, default.edges),
        // Below 2 s the API's rate limit is used up within minutes.
        lookup_interval: section
            .duration("lookup_interval", Duration::from_secs(2)..=Duration::from_secs(600))
            .unwrap_or(default.lookup_interval),
    };
    if let Some(both) = config.features_true.iter().find(|feature| config.features_false.contains(feature)) {
        section.problem("features_false", format!("{both} is on and off"), "Keep it in one of the two lists");
    }
    section.finish();
    config
}

fn base_url(section: &mut Section<'_>, key: &str, default: Url, private: bool) -> Url {
    let Some(text) = section.text(key) else { return default };
    let remedy = format!("Write an https address such as \"{default}\"");
    match Url::parse(&text) {
        Ok(url) if url.host_str().is_none() || !url.username().is_empty() || url.password().is_some() => {
            section.problem(key, "is not a plain address of a host", remedy);
        }
        Ok(url) if url.scheme() == "https" || (private && url.scheme() == "http") => return url,
        Ok(_) => section.problem(key, "is not https: cookies would travel in clear", remedy),
        Err(_) => section.problem(key, "is not an address", remedy),
    }
    default
}

/// A text that becomes the value of an HTTP header.
fn header(section: &mut Section<'_>, key: &str, default: String) -> String {
    let Some(text) = section.text(key) else { return default };
    if text.is_ascii() {
        return text;
    }
    section.problem(key, "holds characters that no HTTP header can carry", "Write plain ASCII");
    default
}

/// A name that becomes part of an address.
fn word(section: &mut Section<'_>, key: &str, default: String) -> String {
    let Some(text) = section.text(key) else { return default };
    if is_word(&text) {
        return text;
    }
    section.problem(key, "is no query id", "Copy it from the web page's requests: letters, digits, - and _");
    default
}

fn words(section: &mut Section<'_>, key: &str, default: Vec<String>) -> Vec<String> {
    let Some(texts) = section.texts(key) else { return default };
    if texts.len() <= 200 && texts.iter().all(|text| is_word(text)) {
        return texts;
    }
    section.problem(
        key,
        "holds something that is no feature's name",
        "Write at most 200 names of letters, digits and _",
    );
    default
}

fn is_word(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn edges(section: &mut Section<'_>, default: Vec<String>) -> Vec<String> {
    const MOST: usize = 16;
    let Some(hosts) = section.texts("edges") else { return default };
    let plain = |host: &String| {
        let url = Url::parse(&format!("https://{host}/")).ok();
        url.is_some_and(|url| {
            url.path() == "/" && url.username().is_empty() && url.password().is_none() && url.query().is_none()
        }) && !host.contains(['/', '@', '?', '#'])
    };
    if hosts.len() <= MOST && hosts.iter().all(plain) {
        return hosts;
    }
    let remedy =
        "Write at most 16 names such as \"prod-fastly-eu-central-1.video.pscp.tv\", with a port where it is not 443";
    section.problem("edges", "holds something that is no host's name", remedy);
    default
}

/// Hosts that may get something secret.
fn hosts(section: &mut Section<'_>, key: &str, default: Vec<String>) -> Vec<String> {
    let Some(hosts) = section.texts(key) else { return default };
    // A host without a dot would hand the operator's login to a whole top-level domain and all below it.
    let plain = |host: &String| {
        host.contains('.') && url::Host::parse(host).is_ok_and(|parsed| matches!(parsed, url::Host::Domain(_)))
    };
    let hosts: Vec<String> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
    let loopback = |host: &String| host == "localhost" || host == "127.0.0.1";
    if hosts.iter().all(|host| plain(host) || loopback(host)) {
        return hosts;
    }
    section.problem(key, "holds something that is no host's name", "Write names such as \"x.com\"");
    default
}
