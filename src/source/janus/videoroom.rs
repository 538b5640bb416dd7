//! Who publishes in a videoroom, and what to ask for next so that all of them are heard. Pure: messages in, requests out.
//!
//! <https://janus.conf.meetecho.com/docs/videoroom.html>. One handle watches the room, another one hears every feed over one
//! connection (Janus 1.x). Only audio is ever asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::source::{SourceError, Speaker};

/// Feeds that are heard at most; a room with more is heard in part.
const FEEDS_MAX: usize = 64;

/// Longest name of a section of a description that is kept, in bytes; a gateway's are numbers.
const MID_MAX: usize = 64;

/// A videoroom, as far as it is known.
#[derive(Debug)]
pub struct Videoroom {
    room: Value,
    pin: Option<String>,
    /// Whom every request names, at a gateway of X.
    user: Option<String>,
    /// What a subscriber shows so that rooms can tell whom it belongs to.
    private_id: Value,
    feeds: BTreeMap<String, Feed>,
    /// Whether somebody offers a picture.
    pictures: bool,
    /// Whether the room has said who is there.
    entered: bool,
    asked: BTreeSet<String>,
    /// Whether the hearing handle is in the room, and whether it waits for the gateway.
    joined: bool,
    busy: bool,
    /// Which feed is on which track.
    tracks: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Feed {
    id: Value,
    mid: String,
    speaker: Speaker,
}

impl Videoroom {
    /// The room `room`, a number or a name.
    pub fn new(room: &str, pin: Option<String>) -> Self {
        let room = room.parse::<u64>().map_or_else(|_| json!(room), |number| json!(number));
        Self {
            room,
            pin,
            user: None,
            private_id: Value::Null,
            feeds: BTreeMap::new(),
            pictures: false,
            entered: false,
            asked: BTreeSet::new(),
            joined: false,
            busy: false,
            tracks: BTreeMap::new(),
        }
    }

    /// The room of an X Space, whose name is always a text, for the account `user`: as twifork asks for it.
    pub fn of_x(space: &str, user: &str) -> Self {
        Self { room: json!(space), user: Some(user.to_owned()), ..Self::new(space, None) }
    }

    /// What the watching handle says first: it enters as one who could publish, and never does.
    pub fn enter(&self, name: &str) -> Value {
        let name = self.user.as_deref().unwrap_or(name);
        self.with_pin(json!({"request": "join", "ptype": "publisher", "room": self.room, "display": name}))
    }

    fn addressed(&self, mut body: Value) -> Value {
        if let Some(user) = &self.user {
            (body["room"], body["periscope_user_id"]) = (self.room.clone(), json!(user));
        }
        body
    }

    fn with_pin(&self, body: Value) -> Value {
        let mut body = self.addressed(body);
        if let Some(pin) = &self.pin {
            body["pin"] = json!(pin);
        }
        body
    }

    /// Takes what the room says to the watching handle.
    ///
    /// # Errors
    /// When the room is closed.
    pub fn on_room(&mut self, data: &Value) -> Result<(), SourceError> {
        if data["videoroom"] == "destroyed" {
            return Err(SourceError::gone("the room was closed by the gateway"));
        }
        // It is told to whoever leaves, too, and we have not asked to (janus_videoroom.c, request "kick").
        if data["leaving"] == "ok" {
            return Err(SourceError::transient("the gateway made us leave the room"));
        }
        self.entered |= data["videoroom"].is_string();
        if !data["private_id"].is_null() {
            self.private_id = data["private_id"].clone();
        }
        for publisher in data["publishers"].as_array().into_iter().flatten() {
            self.publishes(publisher);
        }
        for left in [&data["unpublished"], &data["leaving"]] {
            if let Some(name) = name_of(left) {
                self.feeds.remove(&name);
                // Whoever comes back while the gateway still owes an answer is asked for again.
                self.asked.remove(&name);
            }
        }
        Ok(())
    }

    /// Whether the room said that nobody publishes.
    pub fn is_empty(&self) -> bool {
        self.entered && self.feeds.is_empty()
    }

    /// Whether anybody has offered a picture so far; none is ever asked for.
    pub fn offers_pictures(&self) -> bool {
        self.pictures
    }

    fn publishes(&mut self, publisher: &Value) {
        let streams = publisher["streams"].as_array().into_iter().flatten();
        self.pictures |= streams.take(FEEDS_MAX).any(|stream| stream["type"] == "video");
        let (Some(name), Some(mid)) = (name_of(&publisher["id"]), audio_of(publisher)) else { return };
        if self.feeds.len() >= FEEDS_MAX && !self.feeds.contains_key(&name) {
            return;
        }
        let shown = crate::text::plain(publisher["display"].as_str().unwrap_or_default(), 80);
        // X's rooms name whom a feed belongs to; what is shown is the same id.
        let of_x = || publisher["periscope_user_id"].as_str().or(publisher["display"].as_str());
        let id = self.user.as_ref().and_then(|_| of_x()).unwrap_or(&name);
        if self.user.as_deref() == Some(id) {
            return;
        }
        let speaker = Speaker { id: clean(id), name: shown, muted: None, talking: false };
        self.feeds.insert(name, Feed { id: publisher["id"].clone(), mid, speaker });
    }

    /// The next request of the hearing handle, if there is something to change and it is not waiting.
    pub fn next_request(&mut self) -> Option<Value> {
        if self.busy {
            return None;
        }
        let wanted: BTreeSet<String> = self.feeds.keys().cloned().collect();
        let stream = |name: &String| self.feeds.get(name).map(|feed| json!({"feed": feed.id, "mid": feed.mid}));
        let fresh: Vec<Value> = wanted.difference(&self.asked).filter_map(stream).collect();
        if fresh.is_empty() {
            // Who left is taken off its track by the gateway itself.
            self.asked = wanted;
            return None;
        }
        self.asked = wanted;
        self.busy = true;
        if self.joined {
            return Some(self.addressed(json!({"request": "update", "subscribe": fresh})));
        }
        self.joined = true;
        let body = json!({"request": "join", "ptype": "subscriber", "room": self.room, "streams": fresh,
            "private_id": self.private_id});
        Some(self.with_pin(body))
    }

    /// What starts the media after a description was answered.
    pub fn start(&self) -> Value {
        self.addressed(json!({"request": "start"}))
    }

    /// Whether the gateway still owes an answer.
    pub fn is_waiting(&self) -> bool {
        self.busy
    }

    /// Takes what the room says to the hearing handle; `has_offer` if a description came with it.
    pub fn on_hearing(&mut self, data: &Value, has_offer: bool) {
        if let Some(streams) = data["streams"].as_array() {
            self.tracks = streams.iter().filter_map(track_of).collect();
        }
        if has_offer {
            self.busy = true;
        } else if matches!(data["videoroom"].as_str(), Some("updated")) || data["started"] == "ok" {
            self.busy = false;
        }
    }

    /// The gateway did not give what was asked: a feed that left in the meantime is no fault.
    pub fn on_refusal(&mut self, code: i64) -> bool {
        const NO_SUCH_FEED: i64 = 428;
        if code != NO_SUCH_FEED {
            return false;
        }
        (self.busy, self.joined) = (false, !self.tracks.is_empty());
        let heard: BTreeSet<String> = self.tracks.values().cloned().collect();
        // Whoever was asked for and is not heard is asked for again when the room tells of them again.
        self.feeds.retain(|name, _| heard.contains(name));
        self.asked = heard;
        true
    }

    /// Who speaks on which track.
    pub fn seats(&self) -> BTreeMap<u32, Speaker> {
        let seat = |(track, name): (&u32, &String)| Some((*track, self.feeds.get(name)?.speaker.clone()));
        self.tracks.iter().filter_map(seat).collect()
    }
}

/// What Janus's refusals mean, and what the operator can do.
pub fn refused(code: i64, reason: &str) -> SourceError {
    let operator = |words: &str| SourceError::operator(format!("{words} (Janus {code}: {reason})"));
    match code {
        403 => operator("the gateway refused the login: check token and api_secret of the source"),
        426 => operator("the gateway has no such room: check room of the source"),
        433 => operator("the room refused: check pin and token of the source"),
        432 => operator("the room is full: ask whoever runs it for another place"),
        427 => {
            SourceError::transient(format!("the gateway says that the room is being made anew (Janus 427: {reason})"))
        }
        429 => SourceError::transient(format!("the gateway does not understand our description (Janus 429: {reason})")),
        465 => SourceError::transient(format!("the gateway offers no sound for what was asked (Janus 465: {reason})")),
        _ => SourceError::transient(format!("the gateway refused (Janus {code}: {reason})")),
    }
}

fn name_of(id: &Value) -> Option<String> {
    match id {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text != "ok" && text.len() <= 200 => Some(text.clone()),
        _ => None,
    }
}

/// The place of a publisher's audio; none where it sends a picture only.
fn audio_of(publisher: &Value) -> Option<String> {
    let Some(streams) = publisher["streams"].as_array() else { return Some("0".to_owned()) };
    let is_audio = |stream: &&Value| stream["type"] == "audio" && stream["disabled"] != true;
    let mid = streams.iter().find(is_audio)?["mid"].as_str()?;
    (mid.len() <= MID_MAX).then(|| mid.to_owned())
}

fn track_of(stream: &Value) -> Option<(u32, String)> {
    if stream["type"] != "audio" || stream["active"] == false {
        return None;
    }
    Some((u32::try_from(stream["mindex"].as_u64()?).ok()?, name_of(&stream["feed_id"])?))
}

fn clean(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    name.chars().take(64).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publisher(id: u64, kind: &str) -> Value {
        json!({"id": id, "display": "Some\nbody", "streams": [{"type": kind, "mid": "7"}]})
    }

    fn attached(tracks: &[(u32, u64)]) -> Value {
        let stream =
            |(index, feed): &(u32, u64)| json!({"type": "audio", "mindex": index, "feed_id": feed, "active": true});
        json!({"videoroom": "attached", "streams": tracks.iter().map(stream).collect::<Vec<_>>()})
    }

    #[test]
    fn all_who_are_there_are_asked_for_at_once_and_who_comes_later_after_that() {
        let mut room = Videoroom::new("1234", Some("pin".to_owned()));
        assert!(!room.offers_pictures() && !room.is_empty());
        assert_eq!(room.next_request(), None);
        let joined = json!({"videoroom": "joined", "private_id": 5,
            "publishers": [publisher(1, "audio"), publisher(2, "audio"), publisher(3, "video")]});
        room.on_room(&joined).expect("a room");
        assert!(room.offers_pictures());
        let first = room.next_request().expect("a request");
        assert_eq!(first["streams"], json!([{"feed": 1, "mid": "7"}, {"feed": 2, "mid": "7"}]));
        assert_eq!((&first["pin"], &first["private_id"], &first["room"]), (&json!("pin"), &json!(5), &json!(1234)));
        room.on_room(&json!({"publishers": [publisher(4, "audio")]})).expect("a room");
        assert_eq!(room.next_request(), None, "one exchange at a time");
        room.on_hearing(&attached(&[(0, 1), (1, 2)]), true);
        assert_eq!(room.next_request(), None);
        room.on_hearing(&json!({"started": "ok"}), false);
        let second = room.next_request().expect("a request");
        assert_eq!(second, json!({"request": "update", "subscribe": [{"feed": 4, "mid": "7"}]}));
        assert_eq!(room.seats()[&1].id, "2");
        assert_eq!(room.seats()[&1].name, "Some body");
    }

    #[test]
    fn a_room_of_x_is_addressed_by_name_and_its_people_by_their_own_ids() {
        let mut room = Videoroom::of_x("1234567890123", "1me");
        let enter = room.enter("spacebridge");
        assert_eq!((&enter["room"], &enter["display"]), (&json!("1234567890123"), &json!("1me")));
        let publisher = |id: u64, extra: Value| {
            let mut publisher = publisher(id, "audio");
            publisher.as_object_mut().expect("an object").extend(extra.as_object().cloned().unwrap_or_default());
            publisher
        };
        let people = [
            publisher(9, json!({"display": "1me"})),
            publisher(1, json!({"periscope_user_id": "1abc"})),
            publisher(2, json!({"display": "1xyz"})),
        ];
        room.on_room(&json!({"publishers": people})).expect("a room");
        let join = room.next_request().expect("a request");
        assert_eq!((&join["periscope_user_id"], &join["room"]), (&json!("1me"), &json!("1234567890123")));
        assert_eq!(room.start()["periscope_user_id"], "1me");
        room.on_hearing(&attached(&[(0, 1), (1, 2)]), true);
        let ids: Vec<String> = room.seats().into_values().map(|speaker| speaker.id).collect();
        assert_eq!(ids, ["1abc", "1xyz"]);
    }

    #[test]
    fn who_leaves_is_heard_no_more_and_is_heard_again_on_return() {
        let mut room = Videoroom::new("a room", None);
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert!(room.next_request().is_some());
        room.on_hearing(&attached(&[(0, 1)]), true);
        room.on_hearing(&json!({"started": "ok"}), false);
        room.on_room(&json!({"unpublished": 1})).expect("a room");
        assert!(room.seats().is_empty());
        assert_eq!(room.next_request(), None);
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert_eq!(room.next_request().expect("a request")["request"], "update");
    }

    #[test]
    fn who_comes_back_while_the_gateway_is_busy_is_asked_for_again() {
        let mut room = Videoroom::new("1", None);
        let both = json!({"publishers": [publisher(1, "audio"), publisher(2, "audio")]});
        room.on_room(&both).expect("a room");
        assert!(room.next_request().is_some());
        room.on_hearing(&attached(&[(0, 1), (1, 2)]), true);
        room.on_room(&json!({"leaving": 1})).expect("a room");
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert_eq!(room.next_request(), None);
        room.on_hearing(&json!({"started": "ok"}), false);
        let again = room.next_request().expect("a request");
        assert_eq!(again["subscribe"], json!([{"feed": 1, "mid": "7"}]));
    }

    #[test]
    fn who_was_made_to_leave_does_not_stay_deaf_for_all_who_come_later() {
        let mut room = Videoroom::new("1", None);
        let kicked = json!({"videoroom": "event", "room": 1, "leaving": "ok", "reason": "kicked"});
        assert!(!room.on_room(&kicked).expect_err("an end").is_permanent());
    }

    #[test]
    fn a_feed_that_left_before_it_was_had_does_not_end_the_room() {
        let mut room = Videoroom::new("1", None);
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert!(room.next_request().is_some());
        assert!(room.on_refusal(428) && !room.is_waiting());
        room.on_room(&json!({"publishers": [publisher(2, "audio")]})).expect("a room");
        assert_eq!(room.next_request().expect("a request")["request"], "join");
        assert!(!room.on_refusal(465));
        assert!(room.on_room(&json!({"videoroom": "destroyed"})).is_err());
    }

    #[test]
    fn what_only_the_operator_can_mend_is_not_tried_again() {
        let table = [
            (403, true),
            (426, true),
            (427, false),
            (428, false),
            (429, false),
            (432, true),
            (433, true),
            (465, false),
        ];
        for (code, permanent) in table {
            assert_eq!(refused(code, "").is_permanent(), permanent, "{code}");
        }
    }
}
