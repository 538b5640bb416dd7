//! Who asks X: the operator's own account by two cookies, or a guest. Never logs or prints any of it.

use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;

use crate::secret::Secret;

/// Largest `cookies.txt`, in bytes: a browser's whole jar has less.
const MAX_FILE: u64 = 1 << 20;

/// Longest cookie: X's have 40 and 160 characters.
const MAX_COOKIE: usize = 1024;

/// Where the cookies of X are found in a browser, for every message that needs it.
pub const LOG_IN_AGAIN: &str =
    "log in to x.com in the browser again and export cookies.txt again (or copy auth_token and ct0 anew)";

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// The operator's own account.
    LoggedIn {
        /// The cookie `auth_token`.
        auth_token: Secret,
        /// The cookie `ct0`, which is sent as a header as well.
        ct0: Secret,
    },
    /// Nobody in particular; X may refuse.
    #[default]
    Guest,
}

/// Why cookies cannot be used. Holds nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum CookieError {
    /// The file cannot be read.
    #[error("cannot read the cookies file {path}: {error}; export cookies.txt from the browser and name that file")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// Far more than a browser writes.
    #[error("the cookies file is larger than {MAX_FILE} bytes; export cookies.txt for x.com only")]
    TooLarge,
    /// Some other kind of file.
    #[error(
        "the cookies file is not in the Netscape format; export it with a browser extension that writes cookies.txt"
    )]
    NotNetscape,
    /// One of the two is missing.
    #[error("there is no cookie `{0}` of x.com; {LOG_IN_AGAIN}")]
    Missing(&'static str),
    /// The browser would not send it any more.
    #[error("the cookie `{0}` has expired; {LOG_IN_AGAIN}")]
    Expired(&'static str),
    /// It cannot be one.
    #[error("the cookie `{0}` holds characters that no cookie of X has; copy its value only, without quotes and name")]
    Malformed(&'static str),
}

impl CookieError {
    /// Always: only the operator can mend it.
    pub fn is_permanent(&self) -> bool {
        true
    }
}

impl Auth {
    /// Takes the two cookies as they were given; a guest if there are none.
    ///
    /// # Errors
    /// When there is only one, or one that cannot be sent.
    pub fn from_secrets(auth_token: Option<&Secret>, ct0: Option<&Secret>) -> Result<Self, CookieError> {
        match (auth_token, ct0) {
            (None, None) => Ok(Self::Guest),
            (Some(_), None) => Err(CookieError::Missing("ct0")),
            (None, Some(_)) => Err(CookieError::Missing("auth_token")),
            (Some(auth_token), Some(ct0)) => {
                Ok(Self::LoggedIn { auth_token: checked(auth_token, "auth_token")?, ct0: checked(ct0, "ct0")? })
            }
        }
    }

    /// Reads a browser's `cookies.txt`; `now` tells what has expired.
    ///
    /// # Errors
    /// [`CookieError`], with what to do.
    pub fn from_cookies_file(path: &Path, now: Timestamp) -> Result<Self, CookieError> {
        let failed = |error| CookieError::File { path: path.display().to_string(), error };
        let file = std::fs::File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(CookieError::TooLarge);
        }
        Self::from_cookies_text(&String::from_utf8_lossy(&bytes), now)
    }

    /// Reads the text of a `cookies.txt` in the Netscape format.
    ///
    /// # Errors
    /// [`CookieError`], with what to do.
    pub fn from_cookies_text(text: &str, now: Timestamp) -> Result<Self, CookieError> {
        let cookies: Vec<Cookie<'_>> = text.lines().filter_map(Cookie::parse).collect();
        if cookies.is_empty() {
            return Err(CookieError::NotNetscape);
        }
        let auth_token = newest(&cookies, "auth_token", now)?;
        let ct0 = newest(&cookies, "ct0", now)?;
        Self::from_secrets(Some(&auth_token), Some(&ct0))
    }
}

/// One line: domain, flag, path, secure, expiry, name, value, with tabs between.
struct Cookie<'a> {
    domain: &'a str,
    expires: i64,
    name: &'a str,
    value: &'a str,
}

impl<'a> Cookie<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // Cookies that scripts cannot see are marked as if they were comments.
        let line = line.trim_start_matches('\u{FEFF}');
        let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
        if line.starts_with('#') {
            return None;
        }
        let mut fields = line.trim_end_matches(['\r', '\n']).split('\t');
        let domain = fields.next()?;
        let (_, _, _, expires) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (name, value) = (fields.next()?, fields.next().unwrap_or_default());
        // Some extensions write fractions.
        let expires = expires.split('.').next().and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0);
        Some(Self { domain: domain.trim(), expires, name: name.trim(), value: value.trim() })
    }

    /// 2 for x.com, 1 for the platform's old name, none for a stranger.
    fn rank(&self) -> Option<u8> {
        match self.domain.trim_start_matches('.').to_ascii_lowercase().as_str() {
            "x.com" | "www.x.com" => Some(2),
            "twitter.com" | "www.twitter.com" => Some(1),
            _ => None,
        }
    }

    /// Zero stands for the end of the browser's session.
    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires > 0 && self.expires <= now.as_second()
    }
}

fn newest(cookies: &[Cookie<'_>], name: &'static str, now: Timestamp) -> Result<Secret, CookieError> {
    let ours =
        || cookies.iter().filter(|cookie| cookie.name == name && cookie.rank().is_some() && !cookie.value.is_empty());
    let best = ours().filter(|cookie| !cookie.is_expired(now)).max_by_key(|cookie| cookie.rank());
    match best {
        Some(cookie) => Ok(Secret::new(cookie.value)),
        None if ours().next().is_some() => Err(CookieError::Expired(name)),
        None => Err(CookieError::Missing(name)),
    }
}

/// A value that can stand in a cookie header without becoming a second cookie or a second header.
fn checked(secret: &Secret, name: &'static str) -> Result<Secret, CookieError> {
    let value = secret.expose().trim();
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"\",;\\=".contains(&byte);
    if value.is_empty() {
        return Err(CookieError::Missing(name));
    }
    if value.len() > MAX_COOKIE || !value.bytes().all(fits) {
        return Err(CookieError::Malformed(name));
    }
    Ok(Secret::new(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JAR: &str = "# Netscape HTTP Cookie File\r\n\
        # https://curl.se/docs/http-cookies.html\r\n\
        .youtube.com\tTRUE\t/\tTRUE\t1900000000\tauth_token\tnot-this\r\n\
        .twitter.com\tTRUE\t/\tTRUE\t1900000000\tct0\told-ct0\r\n\
        #HttpOnly_.twitter.com\tTRUE\t/\tTRUE\t1900000000\tauth_token\told-token\r\n\
        #HttpOnly_.x.com\tTRUE\t/\tTRUE\t1900000000.5\tauth_token\tcanary-token\r\n\
        .x.com\tTRUE\t/\tTRUE\t0\tct0\tcanary-ct0\r\n\
        .x.com\tTRUE\t/\tFALSE\t0\tlang\ten\r\n";

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("a time")
    }

    fn logged_in(token: &str, ct0: &str) -> Auth {
        Auth::LoggedIn { auth_token: Secret::new(token), ct0: Secret::new(ct0) }
    }

    #[test]
    fn a_browsers_jar_gives_the_two_cookies_of_x() {
        let auth = Auth::from_cookies_text(JAR, now()).expect("cookies");
        assert_eq!(auth, logged_in("canary-token", "canary-ct0"));
        assert!(!format!("{auth:?}").contains("canary"));
        let only_old: String =
            JAR.lines().filter(|line| !line.contains(".x.com")).flat_map(|line| [line, "\n"]).collect();
        assert_eq!(Auth::from_cookies_text(&only_old, now()).expect("cookies"), logged_in("old-token", "old-ct0"));
    }

    #[test]
    fn what_is_wrong_with_a_jar_is_said_without_its_secrets() {
        let later = Timestamp::from_second(1_950_000_000).expect("a time");
        let without_ct0: String =
            JAR.lines().filter(|line| !line.contains("ct0")).flat_map(|line| [line, "\n"]).collect();
        let spoiled = JAR.replace("canary-ct0", "canary;ct0");
        for (text, at, words) in [
            (JAR, later, "`auth_token` has expired"),
            (without_ct0.as_str(), now(), "no cookie `ct0`"),
            ("[{\"domain\":\".x.com\"}]", now(), "Netscape"),
            ("", now(), "Netscape"),
            (spoiled.as_str(), now(), "characters"),
        ] {
            let error = Auth::from_cookies_text(text, at).expect_err(words).to_string();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_missing_or_huge_file_is_said_with_its_path() {
        let error = Auth::from_cookies_file(Path::new("/no/such/cookies.txt"), now()).expect_err("missing");
        assert!(error.to_string().contains("/no/such/cookies.txt"));
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        std::io::Write::write_all(&mut file, &vec![b'#'; (MAX_FILE + 1) as usize]).expect("written");
        assert!(matches!(Auth::from_cookies_file(file.path(), now()), Err(CookieError::TooLarge)));
        let endless = Auth::from_cookies_file(Path::new("/dev/zero"), now());
        assert!(matches!(endless, Err(CookieError::TooLarge)));
    }

    #[test]
    fn one_cookie_alone_is_no_login() {
        let secret = Secret::new("abc");
        assert_eq!(Auth::from_secrets(None, None).expect("a guest"), Auth::Guest);
        assert!(matches!(Auth::from_secrets(Some(&secret), None), Err(CookieError::Missing("ct0"))));
        assert!(matches!(Auth::from_secrets(None, Some(&secret)), Err(CookieError::Missing("auth_token"))));
        let header = Secret::new("abc\r\nX-Evil: 1");
        assert!(matches!(Auth::from_secrets(Some(&header), Some(&secret)), Err(CookieError::Malformed("auth_token"))));
        assert_eq!(
            Auth::from_secrets(Some(&Secret::new(" abc\n")), Some(&secret)).expect("trimmed"),
            logged_in("abc", "abc")
        );
    }

    proptest! {
        #[test]
        fn fuzz_cookies_text(text in "(#HttpOnly_)?(\\.x\\.com|x|#)?(\t[A-Za-z0-9/._]{0,12}){0,8}(\r?\n)?\\PC{0,60}", any in any::<String>()) {
            drop(Auth::from_cookies_text(&text, now()));
            drop(Auth::from_cookies_text(&any, now()));
        }
    }
}
