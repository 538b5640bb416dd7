//! Who may do what: two tokens, made at first start, and session cookies that are signed with them. Failures are counted
//! by address. A token is never in a URL, an answer or a log.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Clock;
use crate::daemon::folders::{self, Folders};
use crate::secret::Secret;

/// How long a session lasts: a working week of shows, then the token is asked for again.
pub(super) const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);

/// Wrong tokens of an address within [`WINDOW`] before it has to wait.
const FAILURES_MAX: u32 = 10;

/// See [`FAILURES_MAX`].
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses whose failures are remembered; of more, all have to wait.
const ADDRESSES_MAX: usize = 4096;

/// What a token allows; the later allows what the earlier does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// To look.
    View,
    /// To look and to act.
    Operate,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
        }
    }
}

/// The two tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    view: Secret,
    operate: Secret,
    clock: Clock,
}

impl Tokens {
    /// Reads the tokens, and makes those that are not there.
    pub(super) fn open(folders: &Folders, clock: Clock) -> io::Result<Self> {
        let [view, operate] = [Role::View, Role::Operate].map(|role| token(&Self::path(folders, role)));
        Ok(Self { view: view?, operate: operate?, clock })
    }

    /// The file of a role's token.
    pub(super) fn path(folders: &Folders, role: Role) -> PathBuf {
        folders.file(&format!("{}.token", role.as_str()))
    }

    fn of(&self, role: Role) -> &Secret {
        match role {
            Role::View => &self.view,
            Role::Operate => &self.operate,
        }
    }

    /// What a token allows.
    pub(super) fn role_of(&self, token: &str) -> Option<Role> {
        // Digests of unlike words tell nothing by how soon they differ.
        let given = Sha256::digest(token.as_bytes());
        let is = |role: &Role| Sha256::digest(self.of(*role).expose().as_bytes()) == given;
        [Role::Operate, Role::View].into_iter().find(is)
    }

    /// A cookie's value for a session of `role`.
    pub(super) fn session(&self, role: Role) -> String {
        let until = self.clock.wall().as_second() + SESSION.as_secs() as i64;
        let words = format!("{}.{until}", role.as_str());
        format!("{words}.{}", hex(&self.mac(role, &words).finalize().into_bytes()))
    }

    /// What a session's cookie allows, while it lasts.
    pub(super) fn role_of_session(&self, cookie: &str) -> Option<Role> {
        let (words, mac) = cookie.rsplit_once('.')?;
        let (role, until) = words.split_once('.')?;
        let role = [Role::View, Role::Operate].into_iter().find(|known| known.as_str() == role)?;
        self.mac(role, words).verify_slice(&unhex(mac)?).ok()?;
        let until: i64 = until.parse().ok()?;
        (until > self.clock.wall().as_second()).then_some(role)
    }

    fn mac(&self, role: Role, words: &str) -> Hmac<Sha256> {
        let key = self.of(role).expose().as_bytes();
        let mac: Hmac<Sha256> = KeyInit::new_from_slice(key).expect("a key of any length");
        mac.chain_update("spacebridge session ").chain_update(words)
    }
}

/// The token in a file, or a new one of 256 bits.
fn token(path: &std::path::Path) -> io::Result<Secret> {
    if let Some(bytes) = folders::read(path)? {
        if let Err((message, remedy)) = crate::config::secrets::check_mode(path) {
            return Err(io::Error::other(format!("{message}: {remedy}")));
        }
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        if text.len() >= 32 {
            return Ok(Secret::new(text));
        }
        return Err(io::Error::other(format!("{} holds no token: delete it for a new one", path.display())));
    }
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let token = Secret::new(hex(&bytes));
    folders::replace(path, token.expose().as_bytes())?;
    Ok(token)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    (digits.len() == 64).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Wrong tokens by address.
#[derive(Debug, Default)]
pub(super) struct Failures {
    of: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Failures {
    /// Seconds that the address has to wait; none if it may try.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<u32> {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let left = |since: Instant| {
            WINDOW.checked_sub(now.saturating_duration_since(since)).map(|left| left.as_secs() as u32 + 1)
        };
        match of.get(&network(address)) {
            Some((count, since)) if *count >= FAILURES_MAX => left(*since),
            Some(_) => None,
            None if of.len() >= ADDRESSES_MAX => Some(WINDOW.as_secs() as u32),
            None => None,
        }
    }

    /// Counts a failure.
    pub(super) fn note(&self, address: IpAddr, now: Instant) {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        of.retain(|_, (_, since)| now.saturating_duration_since(*since) < WINDOW);
        if of.len() < ADDRESSES_MAX {
            of.entry(network(address)).or_insert((0, now)).0 += 1;
        }
    }
}

/// What one household has of addresses: all of IPv4's one, a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (tempfile::TempDir, Folders, Tokens) {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::open(root.path()).unwrap();
        let tokens = Tokens::open(&folders, Clock::system()).unwrap();
        (root, folders, tokens)
    }

    #[test]
    fn tokens_are_made_once_for_their_owner_alone_and_tell_the_roles_apart() {
        use std::os::unix::fs::PermissionsExt;
        let (_root, folders, tokens) = tokens();
        let path = Tokens::path(&folders, Role::Operate);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(tokens.role_of(&text), Some(Role::Operate));
        assert_eq!(tokens.role_of(tokens.view.expose()), Some(Role::View));
        assert_eq!((tokens.role_of(""), tokens.role_of(&text[1..])), (None, None));
        let again = Tokens::open(&folders, Clock::system()).unwrap();
        assert_eq!(again.role_of(&text), Some(Role::Operate));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Tokens::open(&folders, Clock::system()).is_err(), "others could have read it");
    }

    #[test]
    fn a_session_cannot_be_forged_raised_prolonged_or_used_too_late() {
        let (_root, _folders, tokens) = tokens();
        let session = tokens.session(Role::View);
        assert_eq!(tokens.role_of_session(&session), Some(Role::View));
        let raised = session.replace("view", "operate");
        let (words, mac) = session.rsplit_once('.').unwrap();
        let (role, until) = words.split_once('.').unwrap();
        let prolonged = format!("{role}.{}.{mac}", until.parse::<i64>().unwrap() + 1);
        for forged in [raised.as_str(), &prolonged, "", "view.9.", "a.b.c", &format!("{words}.{}", "0".repeat(64))] {
            assert_eq!(tokens.role_of_session(forged), None, "{forged}");
        }
        tokens.clock.step_wall(SESSION.as_millis() as i64 + 1000);
        assert_eq!(tokens.role_of_session(&session), None);
    }

    #[test]
    fn guessing_from_one_network_has_to_wait_and_others_do_not() {
        let (failures, now) = (Failures::default(), Instant::now());
        let [one, neighbour, other] = ["2001:db8::1", "2001:db8::2", "203.0.113.9"].map(|text| text.parse().unwrap());
        for _ in 0..FAILURES_MAX {
            assert_eq!(failures.wait(one, now), None);
            failures.note(one, now);
        }
        assert!(failures.wait(one, now).is_some() && failures.wait(neighbour, now).is_some());
        assert_eq!(failures.wait(other, now), None);
        assert_eq!(failures.wait(one, now + WINDOW + Duration::from_secs(1)), None);
    }

    #[test]
    fn a_flood_of_addresses_fills_no_memory() {
        let (failures, now) = (Failures::default(), Instant::now());
        for number in 0..2 * ADDRESSES_MAX as u32 {
            failures.note(IpAddr::V4(number.into()), now);
        }
        assert_eq!(failures.of.lock().unwrap().len(), ADDRESSES_MAX);
        assert!(failures.wait("203.0.113.9".parse().unwrap(), now).is_some());
    }
}
