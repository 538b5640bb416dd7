//! Who publishes in a videoroom, and how it is spoken to. Pure: messages in, requests out.
//!
//! <https://janus.conf.meetecho.com/docs/videoroom.html>. One handle watches the room; what is heard is asked for by others
//! (`hearing`). Only audio is ever asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::source::{SourceError, Speaker};

/// Feeds that are heard at most; a room with more is heard in part.
const FEEDS_MAX: usize = 64;

/// Those whose coming is remembered at most.
const TOLD_MAX: usize = 4 * FEEDS_MAX;

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
    /// Who publishes, sound or not.
    told_of: BTreeSet<String>,
    /// Whether somebody offers a picture.
    pictures: bool,
    /// Whether the room has said who is there.
    entered: bool,
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
        let (feeds, told_of) = (BTreeMap::new(), BTreeSet::new());
        Self { room, pin, user: None, private_id: Value::Null, feeds, told_of, pictures: false, entered: false }
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

    /// Takes what the room says to the watching handle; who has left.
    ///
    /// # Errors
    /// When the room is closed.
    pub fn on_room(&mut self, data: &Value) -> Result<Vec<String>, SourceError> {
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
        let left: Vec<String> = [&data["unpublished"], &data["leaving"]].into_iter().filter_map(name_of).collect();
        for name in &left {
            self.forget(name);
            self.told_of.remove(name);
        }
        Ok(left)
    }

    /// Whoever this is speaks no more, as far as is known.
    pub fn forget(&mut self, name: &str) {
        self.feeds.remove(name);
    }

    /// Whether the room told that `name` publishes; true where it told of more than are kept.
    pub fn was_told_of(&self, name: &str) -> bool {
        self.told_of.contains(name) || self.told_of.len() >= TOLD_MAX
    }

    /// Who publishes.
    pub fn names(&self) -> BTreeSet<String> {
        self.feeds.keys().cloned().collect()
    }

    /// The speaker of a feed.
    pub fn speaker(&self, name: &str) -> Option<Speaker> {
        self.feeds.get(name).map(|feed| feed.speaker.clone())
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
        let Some(name) = name_of(&publisher["id"]) else { return };
        if self.told_of.len() < TOLD_MAX {
            self.told_of.insert(name.clone());
        }
        let Some(mid) = audio_of(publisher) else { return };
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

    /// What a handle says that hears nobody yet, so that it hears `names`.
    pub fn join(&self, names: &BTreeSet<String>) -> Value {
        self.with_pin(json!({"request": "join", "ptype": "subscriber", "room": self.room,
            "streams": self.streams(names), "private_id": self.private_id}))
    }

    /// What a handle says so that it hears `names` too.
    pub fn add(&self, names: &BTreeSet<String>) -> Value {
        self.addressed(json!({"request": "update", "subscribe": self.streams(names)}))
    }

    fn streams(&self, names: &BTreeSet<String>) -> Vec<Value> {
        let stream = |name| self.feeds.get(name).map(|feed| json!({"feed": feed.id, "mid": feed.mid}));
        names.iter().filter_map(stream).collect()
    }

    /// What asks who is there.
    pub fn list(&self) -> Value {
        self.addressed(json!({"request": "listparticipants", "room": self.room}))
    }

    /// What starts the media after a description was answered.
    pub fn start(&self) -> Value {
        self.addressed(json!({"request": "start"}))
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

pub(super) fn name_of(id: &Value) -> Option<String> {
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
        let join = room.join(&room.names());
        assert_eq!((&join["periscope_user_id"], &join["room"]), (&json!("1me"), &json!("1234567890123")));
        assert_eq!(room.start()["periscope_user_id"], "1me");
        let ids: Vec<String> = ["1", "2"].into_iter().filter_map(|name| room.speaker(name)).map(|it| it.id).collect();
        assert_eq!(ids, ["1abc", "1xyz"]);
    }

    #[test]
    fn who_was_made_to_leave_does_not_stay_deaf_for_all_who_come_later() {
        let mut room = Videoroom::new("1", None);
        let kicked = json!({"videoroom": "event", "room": 1, "leaving": "ok", "reason": "kicked"});
        assert!(!room.on_room(&kicked).expect_err("an end").is_permanent());
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
