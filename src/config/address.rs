//! Checks addresses and names of secrets. Messages never repeat what was given: it may hold a key.

use url::Url;

/// A fault and what to write instead.
pub(super) type Fault = (String, String);

/// Query keys that carry a secret in some platform's addresses.
const SECRET_QUERY_KEYS: &[&str] =
    &["key", "streamkey", "stream_key", "token", "auth", "sign", "signature", "passphrase"];

/// Checks the server address of an output, given without its key.
///
/// `preset_url` is the platform's own address: whatever follows it is a key.
pub(super) fn output_url(text: &str, preset_url: Option<&str>) -> Result<Url, Fault> {
    let example = "Write the server's address without the key, such as \"rtmps://live.example.com:443/app\"";
    let url = Url::parse(text).map_err(|_| ("is not an address".to_owned(), example.to_owned()))?;
    if !matches!(url.scheme(), "rtmp" | "rtmps") {
        return Err((format!("begins with {}:, not with rtmp: or rtmps:", url.scheme()), example.into()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(("has no host".into(), example.into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "Write the address without what stands before the @: it would show up in logs";
        return Err(("holds a user name or a password".into(), remedy.into()));
    }
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).collect();
    if segments.is_empty() {
        return Err(("has no application".into(), "Add what stands after the host, such as /live or /app".into()));
    }
    if holds_key(&url, &segments, preset_url) {
        return Err((
            "seems to hold the stream key".into(),
            "Cut the address after the application, and put the key into an environment variable (key_env) or a file \
             of mode 0600 (key_file)"
                .into(),
        ));
    }
    Ok(url)
}

fn holds_key(url: &Url, segments: &[&str], preset_url: Option<&str>) -> bool {
    let in_query = url.query_pairs().any(|(key, value)| {
        SECRET_QUERY_KEYS.contains(&key.to_ascii_lowercase().as_str()) || value.split('/').any(looks_like_key)
    });
    // A key that was pasted behind `live2?backup=1` is the end of the query's value.
    let behind_query = url.query().is_some_and(|query| query.contains('/'));
    let platform = preset_url.and_then(|text| Url::parse(text).ok());
    let behind_platform = platform.filter(|platform| platform.host_str() == url.host_str()).is_some_and(|platform| {
        let own = platform.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).count();
        own > 0 && segments.len() > own
    });
    let last_is_key =
        segments.len() > 1 && segments.last().is_some_and(|segment| looks_like_key(segment) || grouped(segment));
    in_query || behind_query || behind_platform || last_is_key || url.fragment().is_some()
}

/// Whether a text has the shape of a stream key or of a cookie, so that it is neither taken for a name nor printed.
///
/// Names that people make up pass: what looks like a key has digits, and groups of one length or a long random run.
pub fn looks_like_key(text: &str) -> bool {
    let digit_after =
        |prefix: &str| text.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let prefixed = digit_after("live_") || digit_after("FB-") || (text.starts_with("sk_") && text.len() > 20);
    let random = |run: &str| {
        run.len() >= 20
            && run.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    prefixed || (has_digit && grouped(text)) || text.split(['-', '_']).any(random)
}

/// Whether a text is groups joined by hyphens as YouTube, Rumble and UUIDs have them.
fn grouped(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let of_one_length = groups[0].len() >= 4 && groups.iter().all(|group| group.len() == groups[0].len());
    let with_digits = groups.iter().filter(|group| group.bytes().any(|byte| byte.is_ascii_digit())).count();
    let long = groups.len() >= 4 && with_digits >= 2 && groups[1..].iter().all(|group| group.len() >= 4);
    groups.len() >= 3
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && (of_one_length || long)
}

/// Checks the name of an environment variable.
pub(super) fn env_name(text: &str, key: &str) -> Result<String, Fault> {
    let shape = text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if shape && !looks_like_key(text) {
        return Ok(text.to_owned());
    }
    let remedy = format!("Write {key} = \"YT_KEY\", say, and set the variable YT_KEY to the secret before the start");
    Err(("takes the name of an environment variable, not the secret itself".into(), remedy))
}

/// Checks a name that becomes a folder's or a file's name.
pub(crate) fn plain_name(text: &str) -> Result<String, Fault> {
    let shape = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && !text.starts_with('-');
    if shape {
        return Ok(text.to_owned());
    }
    Err(("is no plain name".into(), "Write 1 to 64 letters, digits, - or _".into()))
}

/// Checks the address of a `uri` source.
pub(super) fn source_uri(text: &str) -> Result<Url, Fault> {
    const SCHEMES: &[&str] = &["http", "https", "rtmp", "rtmps", "srt", "rtsp", "rtsps", "file"];
    let example = "Write an address such as \"https://radio.example.com/live\", or \"file:///home/me/bed.flac\"";
    let url = Url::parse(text).map_err(|_| ("is not an address".to_owned(), example.to_owned()))?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err((format!("begins with {}:", url.scheme()), format!("Use one of {}", SCHEMES.join(", "))));
    }
    if url.password().is_some() {
        let remedy = "Use an address that works without: a password in it would show up in logs";
        return Err(("holds a password".into(), remedy.into()));
    }
    if url.scheme() != "file" && url.host_str().is_none_or(str::is_empty) {
        return Err(("has no host".into(), example.into()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YOUTUBE: Option<&str> = Some("rtmps://a.rtmps.youtube.com:443/live2");

    #[test]
    fn a_key_inside_the_address_is_found_and_never_repeated() {
        let key = "q1w2-e3r4-t5y6-u7i8-o9p0";
        for address in [
            format!("rtmps://a.rtmps.youtube.com:443/live2/{key}"),
            "rtmps://a.rtmps.youtube.com:443/live2/anything".to_owned(),
            format!("rtmps://b.rtmps.youtube.com:443/live2?backup=1/{key}"),
            "rtmp://ls1.live.rmbl.ws/slot-4/abcd-efgh-ijkl".to_owned(),
            "rtmp://live.twitch.tv/app/live_123456_AbCdEf".to_owned(),
            "rtmp://host.example/app?key=abc".to_owned(),
            format!("rtmp://host.example/app#{key}"),
        ] {
            let (message, remedy) = output_url(&address, YOUTUBE).unwrap_err();
            assert!(message.contains("stream key"), "{address}: {message}");
            assert!(!format!("{message}{remedy}").contains(key), "{address}");
        }
    }

    #[test]
    fn addresses_without_a_key_pass() {
        for address in [
            "rtmps://a.rtmps.youtube.com:443/live2",
            "rtmps://b.rtmps.youtube.com:443/live2?backup=1",
            "rtmp://rtmp.rumble.com/live",
            "rtmp://ls01.live.rmbl.ws/slot-12",
            "rtmp://127.0.0.1:1935/live",
            "rtmp://host.example/app/instance",
        ] {
            assert!(output_url(address, YOUTUBE).is_ok(), "{address}");
        }
    }

    #[test]
    fn addresses_that_cannot_work_are_told_apart() {
        let fault = |address| output_url(address, None).unwrap_err().0;
        assert!(fault("https://a.example/live").contains("https:"));
        assert!(fault("rtmp://a.example").contains("no application"));
        assert!(fault("rtmp://me:secret@a.example/live").contains("password"));
        assert!(fault("live2").contains("not an address"));
        assert!(fault("rtmp:///live").contains("no host"));
    }

    #[test]
    fn a_key_pasted_as_the_name_of_a_variable_is_refused() {
        for key in ["q1w2-e3r4-t5y6-u7i8-o9p0", "live_123456_AbCdEf", "0123456789abcdef0123456789abcdef01234567", ""] {
            assert!(env_name(key, "key_env").is_err(), "{key}");
        }
        assert_eq!(env_name("YT_KEY", "key_env"), Ok("YT_KEY".into()));
        assert_eq!(env_name("RUMBLE_KEY_2", "key_env"), Ok("RUMBLE_KEY_2".into()));
    }

    #[test]
    fn names_that_people_make_up_are_not_taken_for_keys() {
        for name in [
            "youtube-stream-key",
            "friday-night-show-youtube-key2",
            "0-plugins-base",
            "YT_KEY_2026",
            "live_key",
            "live-demo-show",
        ] {
            assert!(!looks_like_key(name), "{name}");
        }
        for key in [
            "r-a1b2c3-abcd-ef12-gh34-ij56kl",
            "550e8400-e29b-41d4-a716-446655440000",
            "FB-1234567890-0-AbcDef",
            "sk_us-west-2_a1b2c3d4e5f6",
        ] {
            assert!(looks_like_key(key), "{key}");
        }
    }

    #[test]
    fn names_cannot_leave_their_folder() {
        for name in ["", "../x", "a/b", ".", "a b", "-rf", &"x".repeat(65)] {
            assert!(plain_name(name).is_err(), "{name}");
        }
        assert!(plain_name("friday-night_2").is_ok());
    }

    #[test]
    fn a_source_with_an_unusable_address_is_refused() {
        for address in ["alsa:hw0", "https://u:p@radio.example/live", "srt://", "bed.flac"] {
            assert!(source_uri(address).is_err(), "{address}");
        }
        assert!(source_uri("file:///srv/bed.flac").is_ok());
    }
}
