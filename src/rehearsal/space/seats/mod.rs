//! The seats of the simulated space: who asked for one, what the host says, who is on stage. Pure memory: `services`
//! answers calls, `gateway` stands before a real Janus, `speakers` makes the sound.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chat::ChatLine;
use super::control::{SeatEvent, SeatRule};

pub(super) mod gateway;
pub(super) mod relay;
pub(super) mod services;
pub(super) mod speakers;

/// The account of whoever logs in.
pub(super) const ACCOUNT: &str = "1bridgeAccount";
/// The same account's number.
pub(super) const ACCOUNT_NUMBER: &str = "1470000000000000815";
/// States of a session, as the platform numbers them.
const ASKED: u32 = 1;
const ON_STAGE: u32 = 4;
/// Numbers of the chat: connecting begins; taken off the stage; muted; unmuted.
const LET_UP: u32 = 12;
const REMOVED: u32 = 15;
const MUTED: u32 = 16;
const UNMUTED: u32 = 17;

/// What the host does about requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Open,
    Ignore,
    /// Approves, or refuses, after so many ms.
    Answer {
        approve: bool,
        after_ms: u64,
    },
}

/// All of it.
#[derive(Debug)]
pub(super) struct Seats {
    mode: Mode,
    sessions: Vec<Session>,
    pub(super) suspended: bool,
    /// Whether the space is for subscribers alone.
    pub(super) narrow: bool,
    /// What the gateway answers a subscriber, and how often still.
    gateway_error: Option<(i64, Option<u32>)>,
    /// How long a connection lasts, in s.
    pub(super) cut_after: Option<u32>,
    /// Cuts of all connections so far.
    pub(super) cuts: u32,
    /// Guests on stage beside the host, by handle.
    pub(super) guests: BTreeMap<String, Guest>,
    /// Made of chance, so that nothing else fits.
    pub(super) jwt: String,
    pub(super) cookie: String,
    pub(super) authorization: String,
}

/// Somebody on stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guest {
    pub(super) channels: u32,
    pub(super) dtx: bool,
    pub(super) camera: bool,
}

#[derive(Debug)]
struct Session {
    id: String,
    space: String,
    /// When it is decided, in ms, and how.
    verdict: Option<(u64, bool)>,
    /// Whether the chat was told.
    told: bool,
    over: bool,
    token: Option<String>,
}

impl Default for Seats {
    fn default() -> Self {
        Self {
            mode: Mode::Open,
            sessions: Vec::new(),
            suspended: false,
            narrow: false,
            gateway_error: None,
            cut_after: None,
            cuts: 0,
            guests: BTreeMap::new(),
            jwt: format!("{}.{}.{}", super::audiospace::letters(20), letters(90), letters(40)),
            cookie: letters(80),
            authorization: letters(120),
        }
    }
}

fn letters(count: usize) -> String {
    super::audiospace::letters(count)
}

impl Session {
    /// Its state's number; none where nobody knows it any more.
    fn state(&self, now_ms: u64) -> Option<u32> {
        match self.verdict {
            _ if self.over => None,
            Some((at, approve)) if at <= now_ms => approve.then_some(ON_STAGE),
            _ => Some(ASKED),
        }
    }
}

impl Seats {
    /// Does what an order says; gives what the chat says about it.
    pub(super) fn obey(&mut self, rule: SeatRule) -> Option<ChatLine> {
        let after_ms = u64::from(rule.seconds.unwrap_or(0)) * 1000;
        let who = rule.who.clone().unwrap_or_else(|| "carol".to_owned());
        match rule.event {
            SeatEvent::Open => self.mode = Mode::Open,
            SeatEvent::Ignore => self.mode = Mode::Ignore,
            SeatEvent::Approve => self.mode = Mode::Answer { approve: true, after_ms },
            SeatEvent::Refuse => self.mode = Mode::Answer { approve: false, after_ms },
            SeatEvent::Suspend => {
                self.suspended = true;
                self.sessions.iter_mut().for_each(|session| session.over = true);
            }
            SeatEvent::Narrow => self.narrow = true,
            SeatEvent::GatewayError => self.gateway_error = Some((rule.code.unwrap_or(465), rule.times)),
            SeatEvent::Cut if rule.seconds.is_some() => self.cut_after = rule.seconds,
            SeatEvent::Cut => self.cuts += 1,
            SeatEvent::Kick => {
                self.sessions.iter_mut().for_each(|session| session.over = true);
                return Some(line(REMOVED, ACCOUNT.to_owned(), "bridge".to_owned()));
            }
            SeatEvent::Arrive => {
                let channels = rule.channels.unwrap_or(2).clamp(1, 2);
                let guest = Guest { channels, dtx: rule.dtx, camera: rule.camera };
                self.guests.insert(who.clone(), guest);
                return Some(line(LET_UP, id_of(&who), who));
            }
            SeatEvent::Leave => drop(self.guests.remove(&who)),
            SeatEvent::Mute => return Some(line(MUTED, id_of(&who), who)),
            SeatEvent::Unmute => return Some(line(UNMUTED, id_of(&who), who)),
        }
        None
    }

    /// The faults are over; who is on stage stays there.
    pub(super) fn heal(&mut self) {
        (self.mode, self.gateway_error, self.cut_after) = (Mode::Open, None, None);
        (self.suspended, self.narrow) = (false, false);
    }

    /// Whether somebody on stage shows a picture.
    fn has_camera(&self) -> bool {
        self.guests.values().any(|guest| guest.camera)
    }

    /// Whether everybody may speak.
    fn is_open(&self) -> bool {
        self.mode == Mode::Open
    }

    /// Begins a session; on stage at once where `seated`.
    fn begin(&mut self, space: &str, seated: bool, now_ms: u64) -> String {
        let verdict = match self.mode {
            _ if seated => Some((0, true)),
            Mode::Answer { approve, after_ms } => Some((now_ms + after_ms, approve)),
            Mode::Open | Mode::Ignore => None,
        };
        let id = letters(32);
        let (space, token) = (space.to_owned(), None);
        self.sessions.push(Session { id: id.clone(), space, verdict, told: seated, over: false, token });
        id
    }

    /// Ends a session; false where there is none.
    fn end(&mut self, id: &str) -> bool {
        let found = self.sessions.iter_mut().find(|session| session.id == id && !session.over);
        found.map(|session| session.over = true).is_some()
    }

    fn is_on_stage(&self, id: &str, now_ms: u64) -> bool {
        self.sessions.iter().any(|session| session.id == id && session.state(now_ms) == Some(ON_STAGE))
    }

    /// What is known of the sessions in `space`.
    fn listed(&self, space: &str, now_ms: u64) -> Value {
        let known = self.sessions.iter().filter(|session| session.space == space);
        let told = |session: &Session| {
            let state = session.state(now_ms)?;
            Some(json!({"session_uuid": session.id, "session_state": state, "guest_remote_id": ACCOUNT}))
        };
        known.filter_map(told).collect()
    }

    /// A token for the gateway.
    fn admit(&mut self, id: &str) -> String {
        let token = letters(200);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            session.token = Some(token.clone());
        }
        token
    }

    /// Whether the gateway lets `token` in.
    fn is_admitted(&self, token: &str) -> bool {
        self.sessions.iter().any(|session| !session.over && session.token.as_deref() == Some(token))
    }

    /// The error that the gateway answers the next subscriber with; counts it.
    fn next_gateway_error(&mut self) -> Option<i64> {
        let (code, times) = self.gateway_error.as_mut()?;
        let hit = super::faults::spend(times).then_some(*code);
        if hit.is_none() {
            self.gateway_error = None;
        }
        hit
    }

    /// What the chat has to say about sessions that were decided since it was asked last.
    pub(super) fn news(&mut self, now_ms: u64) -> Vec<ChatLine> {
        let decided = self.sessions.iter_mut().filter(|one| !one.told && one.state(now_ms) == Some(ON_STAGE));
        let tell = |session: &mut Session| {
            session.told = true;
            line(LET_UP, ACCOUNT.to_owned(), "bridge".to_owned())
        };
        decided.map(tell).collect()
    }
}

fn line(number: u32, id: String, name: String) -> ChatLine {
    ChatLine::Stage { number, id, name }
}

/// The id of the media side of whoever has the handle `who`.
pub(super) fn id_of(who: &str) -> String {
    format!("1{who}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(seats: &Seats, now_ms: u64) -> Vec<u64> {
        let listed = seats.listed("space", now_ms);
        listed.as_array().expect("a list").iter().filter_map(|one| one["session_state"].as_u64()).collect()
    }

    #[test]
    fn a_request_is_answered_when_it_was_ordered_and_told_once() {
        let mut seats = Seats::default();
        seats.obey(SeatRule { seconds: Some(3), ..SeatRule::of(SeatEvent::Approve) });
        let id = seats.begin("space", false, 1000);
        assert_eq!((states(&seats, 3999), states(&seats, 4000)), (vec![1], vec![4]));
        assert_eq!((seats.news(3999).len(), seats.news(4000).len(), seats.news(5000).len()), (0, 1, 0));
        assert!(seats.is_on_stage(&id, 4000) && !seats.is_on_stage(&id, 3999));
        let token = seats.admit(&id);
        assert!(seats.is_admitted(&token));
        assert!(seats.obey(SeatRule::of(SeatEvent::Kick)).is_some());
        assert!(!seats.is_admitted(&token) && states(&seats, 9000).is_empty());
    }

    #[test]
    fn a_host_may_refuse_or_say_nothing() {
        let mut seats = Seats::default();
        seats.obey(SeatRule::of(SeatEvent::Ignore));
        let ignored = seats.begin("space", false, 0);
        assert_eq!(states(&seats, 1 << 40), vec![1]);
        seats.obey(SeatRule::of(SeatEvent::Refuse));
        seats.begin("space", false, 0);
        assert_eq!(states(&seats, 0), vec![1]);
        assert!(seats.end(&ignored) && !seats.end(&ignored) && states(&seats, 0).is_empty());
        seats.obey(SeatRule { code: Some(429), times: Some(1), ..SeatRule::of(SeatEvent::GatewayError) });
        assert_eq!((seats.next_gateway_error(), seats.next_gateway_error()), (Some(429), None));
    }
}
