//! What one handle hears: whom it asked for, whom it was given, and what it asks for next. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::videoroom::{Videoroom, name_of};
use crate::source::Speaker;

/// What is to be done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing: whoever was asked for is not there any more.
    Settled,
    /// This handle is to hear no more than it does: each other speaker is to have one of their own.
    Apart,
    /// It ends the visit.
    Final,
}

/// One handle's part of a room.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Whom it may hear; everybody where none.
    only: Option<BTreeSet<String>>,
    asked: BTreeSet<String>,
    /// Whether it is in the room, and whether it waits for the gateway.
    joined: bool,
    busy: bool,
    /// Whether the gateway has put off what it was asked, until another exchange is over.
    put_off: bool,
    /// Who is asked for alone: somebody was not there any more among those who were asked for together.
    singly: BTreeSet<String>,
    /// Which feed is on which track.
    tracks: BTreeMap<u32, String>,
}

impl Hearing {
    /// A handle that hears nobody but `name`.
    pub(super) fn of_one(name: &str) -> Self {
        Self { only: Some(BTreeSet::from([name.to_owned()])), ..Self::default() }
    }

    /// The next request, if there is something to change and the gateway owes no answer.
    pub(super) fn next_request(&mut self, room: &Videoroom) -> Option<Value> {
        if self.busy {
            return None;
        }
        let wanted = self.wanted(room);
        // Who left is taken off its track by the gateway itself.
        self.asked = &self.asked & &wanted;
        self.singly = &self.singly & &wanted;
        let mut fresh = &wanted - &self.asked;
        if let Some(one) = self.singly.pop_first() {
            fresh = BTreeSet::from([one]);
        }
        if fresh.is_empty() {
            return None;
        }
        self.asked.extend(fresh.iter().cloned());
        self.busy = true;
        if std::mem::replace(&mut self.joined, true) { Some(room.add(&fresh)) } else { Some(room.join(&fresh)) }
    }

    fn wanted(&self, room: &Videoroom) -> BTreeSet<String> {
        let names = room.names();
        self.only.as_ref().map_or(names.clone(), |only| only & &names)
    }

    /// Who this is has left. Whoever comes back while the gateway still owes an answer is asked for again.
    pub(super) fn on_left(&mut self, name: &str) {
        self.asked.remove(name);
    }

    /// Whether the gateway still owes an answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.busy
    }

    /// Takes what the gateway says to the handle; `has_offer` if a description came with it.
    pub(super) fn on_message(&mut self, data: &Value, has_offer: bool) {
        if let Some(streams) = data["streams"].as_array() {
            self.tracks = streams.iter().filter_map(track_of).collect();
        } else if has_offer && data["videoroom"] == "attached" {
            // A gateway that knows of one speaker for each handle names that one, or nobody.
            let only = || self.asked.first().cloned().filter(|_| self.asked.len() == 1);
            self.tracks = name_of(&data["id"]).or_else(only).map(|name| (0, name)).into_iter().collect();
        }
        if has_offer {
            (self.busy, self.put_off) = (true, false);
        } else if data["videoroom"] == "updating" {
            // The gateway waits for the end of an exchange that it began itself, and makes its offer then.
            self.put_off = true;
        } else if data["videoroom"] == "updated" || data["started"] == "ok" {
            self.busy = self.put_off;
        }
    }

    /// The gateway did not give what was asked.
    pub(super) fn on_refusal(&mut self, room: &mut Videoroom, code: i64) -> Refusal {
        const NO_SUCH_FEED: i64 = 428;
        if code == NO_SUCH_FEED {
            (self.busy, self.put_off, self.joined) = (false, false, !self.tracks.is_empty());
            let heard = self.heard(room);
            let refused = &self.asked - &heard;
            if refused.len() > 1 {
                // One is missing and all were refused (janus_videoroom.c: "No such feed" ends the request).
                self.singly = refused;
            } else {
                // They are asked for again when the room tells of them again.
                refused.iter().for_each(|name| room.forget(name));
            }
            self.asked = heard;
            return Refusal::Settled;
        }
        // What Janus says to a request that it does not understand, X's own 465 with it.
        let not_understood = matches!(code, 421..=425 | 429..=431 | 437 | 465 | 499);
        if not_understood && self.go_apart(room) { Refusal::Apart } else { Refusal::Final }
    }

    /// Whether the gateway owes nothing more, and yet not everybody is heard who was asked for.
    pub(super) fn falls_short(&self, room: &Videoroom) -> bool {
        let asked = &self.asked & &room.names();
        !self.busy && self.joined && !asked.is_subset(&self.heard(room))
    }

    /// Hears no more than it does from now on, because the gateway did not give it more; false where it asked for one
    /// speaker only, so that there is no less to ask for.
    pub(super) fn go_apart(&mut self, room: &Videoroom) -> bool {
        let heard = self.heard(room);
        if self.only.is_some() || self.asked.len() < 2 {
            return false;
        }
        (self.busy, self.put_off, self.joined) = (false, false, !heard.is_empty());
        let first = || room.names().into_iter().take(1).collect();
        self.only = Some(if heard.is_empty() { first() } else { heard.clone() });
        self.asked = heard;
        true
    }

    fn heard(&self, room: &Videoroom) -> BTreeSet<String> {
        self.tracks.values().filter(|name| room.speaker(name).is_some()).cloned().collect()
    }

    /// Whether it hears, or is to hear, this one.
    pub(super) fn is_for(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name))
    }

    /// Whether nobody whom it may hear is there any more.
    pub(super) fn is_idle(&self, room: &Videoroom) -> bool {
        self.only.is_some() && self.wanted(room).is_empty()
    }

    /// Who speaks on which track.
    pub(super) fn seats(&self, room: &Videoroom) -> BTreeMap<u32, Speaker> {
        // What it may not hear any more is heard by another handle.
        let seats = self.tracks.iter().filter(|(_, name)| self.is_for(name));
        seats.filter_map(|(track, name)| Some((*track, room.speaker(name)?))).collect()
    }
}

fn track_of(stream: &Value) -> Option<(u32, String)> {
    if stream["type"] != "audio" || stream["active"] == false {
        return None;
    }
    Some((u32::try_from(stream["mindex"].as_u64()?).ok()?, name_of(&stream["feed_id"])?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn publisher(id: u64, kind: &str) -> Value {
        json!({"id": id, "display": "Some\nbody", "streams": [{"type": kind, "mid": "7"}]})
    }

    fn attached(tracks: &[(u32, u64)]) -> Value {
        let stream =
            |(index, feed): &(u32, u64)| json!({"type": "audio", "mindex": index, "feed_id": feed, "active": true});
        json!({"videoroom": "attached", "streams": tracks.iter().map(stream).collect::<Vec<_>>()})
    }

    fn leaves(room: &mut Videoroom, ear: &mut Hearing, word: &Value) {
        for name in room.on_room(word).expect("a room") {
            ear.on_left(&name);
        }
    }

    #[test]
    fn all_who_are_there_are_asked_for_at_once_and_who_comes_later_after_that() {
        let (mut room, mut ear) = (Videoroom::new("1234", Some("pin".to_owned())), Hearing::default());
        assert!(!room.offers_pictures() && !room.is_empty());
        assert_eq!(ear.next_request(&room), None);
        let joined = json!({"videoroom": "joined", "private_id": 5,
            "publishers": [publisher(1, "audio"), publisher(2, "audio"), publisher(3, "video")]});
        room.on_room(&joined).expect("a room");
        assert!(room.offers_pictures());
        let first = ear.next_request(&room).expect("a request");
        assert_eq!(first["streams"], json!([{"feed": 1, "mid": "7"}, {"feed": 2, "mid": "7"}]));
        assert_eq!((&first["pin"], &first["private_id"], &first["room"]), (&json!("pin"), &json!(5), &json!(1234)));
        room.on_room(&json!({"publishers": [publisher(4, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room), None, "one exchange at a time");
        ear.on_message(&attached(&[(0, 1), (1, 2)]), true);
        assert_eq!(ear.next_request(&room), None);
        ear.on_message(&json!({"started": "ok"}), false);
        let second = ear.next_request(&room).expect("a request");
        assert_eq!(second, json!({"request": "update", "subscribe": [{"feed": 4, "mid": "7"}]}));
        assert_eq!(ear.seats(&room)[&1].id, "2");
        assert_eq!(ear.seats(&room)[&1].name, "Some body");
    }

    #[test]
    fn who_leaves_is_heard_no_more_and_is_heard_again_on_return() {
        let (mut room, mut ear) = (Videoroom::new("a room", None), Hearing::default());
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert!(ear.next_request(&room).is_some());
        ear.on_message(&attached(&[(0, 1)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        leaves(&mut room, &mut ear, &json!({"unpublished": 1}));
        assert!(ear.seats(&room).is_empty());
        assert_eq!(ear.next_request(&room), None);
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room).expect("a request")["request"], "update");
    }

    #[test]
    fn who_comes_back_while_the_gateway_is_busy_is_asked_for_again() {
        let (mut room, mut ear) = (Videoroom::new("1", None), Hearing::default());
        let both = json!({"publishers": [publisher(1, "audio"), publisher(2, "audio")]});
        room.on_room(&both).expect("a room");
        assert!(ear.next_request(&room).is_some());
        ear.on_message(&attached(&[(0, 1), (1, 2)]), true);
        leaves(&mut room, &mut ear, &json!({"leaving": 1}));
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room), None);
        ear.on_message(&json!({"started": "ok"}), false);
        let again = ear.next_request(&room).expect("a request");
        assert_eq!(again["subscribe"], json!([{"feed": 1, "mid": "7"}]));
    }

    #[test]
    fn a_feed_that_left_before_it_was_had_does_not_end_the_room() {
        let (mut room, mut ear) = (Videoroom::new("1", None), Hearing::default());
        room.on_room(&json!({"publishers": [publisher(1, "audio")]})).expect("a room");
        assert!(ear.next_request(&room).is_some());
        assert_eq!(ear.on_refusal(&mut room, 428), Refusal::Settled);
        assert!(!ear.is_waiting());
        room.on_room(&json!({"publishers": [publisher(2, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room).expect("a request")["request"], "join");
        assert_eq!(ear.on_refusal(&mut room, 465), Refusal::Final, "there is no less to ask for");
        assert!(room.on_room(&json!({"videoroom": "destroyed"})).is_err());
    }

    #[test]
    fn one_who_left_among_many_who_were_asked_for_costs_none_of_the_others() {
        let (mut room, mut ear) = (Videoroom::new("1", None), Hearing::default());
        let people: Vec<Value> = (1..=3).map(|id| publisher(id, "audio")).collect();
        room.on_room(&json!({"publishers": people})).expect("a room");
        assert_eq!(ear.next_request(&room).expect("a request")["streams"].as_array().map(Vec::len), Some(3));
        assert_eq!(ear.on_refusal(&mut room, 428), Refusal::Settled);
        // The first alone is still there.
        let alone = ear.next_request(&room).expect("a request");
        assert_eq!((&alone["request"], &alone["streams"]), (&json!("join"), &json!([{"feed": 1, "mid": "7"}])));
        ear.on_message(&attached(&[(0, 1)]), true);
        assert_eq!(ear.next_request(&room), None);
        ear.on_message(&json!({"started": "ok"}), false);
        assert!(!ear.falls_short(&room), "the others were not asked for again yet");
        // The second has left, and is told of later.
        let second = ear.next_request(&room).expect("a request");
        assert_eq!(second["subscribe"], json!([{"feed": 2, "mid": "7"}]));
        assert_eq!(ear.on_refusal(&mut room, 428), Refusal::Settled);
        assert_eq!(room.names().len(), 2);
        let third = ear.next_request(&room).expect("a request");
        assert_eq!(third["subscribe"], json!([{"feed": 3, "mid": "7"}]));
        ear.on_message(&attached(&[(0, 1), (1, 3)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        assert_eq!((ear.next_request(&room), ear.seats(&room).len()), (None, 2));
    }

    #[test]
    fn what_the_gateway_puts_off_is_waited_for() {
        let (mut room, mut ear) = (Videoroom::new("1", None), Hearing::default());
        let both = json!({"publishers": [publisher(1, "audio"), publisher(2, "audio")]});
        room.on_room(&both).expect("a room");
        assert!(ear.next_request(&room).is_some());
        ear.on_message(&attached(&[(0, 1), (1, 2)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        // The second leaves, and the gateway offers by itself; the third was asked for meanwhile.
        leaves(&mut room, &mut ear, &json!({"unpublished": 2}));
        room.on_room(&json!({"publishers": [publisher(3, "audio")]})).expect("a room");
        assert!(ear.next_request(&room).is_some());
        ear.on_message(&json!({"videoroom": "updating"}), false);
        ear.on_message(&json!({"started": "ok"}), false);
        assert!(ear.is_waiting() && !ear.falls_short(&room));
        ear.on_message(&attached(&[(0, 1), (1, 3)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        assert!(!ear.is_waiting() && !ear.falls_short(&room));
    }

    #[test]
    fn a_gateway_that_gives_a_handle_one_speaker_only_is_asked_by_one_handle_for_each() {
        let room_of = |ids: &[u64]| {
            let mut room = Videoroom::new("1", None);
            let people: Vec<Value> = ids.iter().map(|id| publisher(*id, "audio")).collect();
            room.on_room(&json!({"publishers": people})).expect("a room");
            room
        };
        // Refused outright: the handle asks for the first one alone.
        let (mut room, mut ear) = (room_of(&[1, 2]), Hearing::default());
        assert!(ear.next_request(&room).is_some());
        assert_eq!(ear.on_refusal(&mut room, 465), Refusal::Apart);
        let again = ear.next_request(&room).expect("a request");
        assert_eq!((&again["request"], &again["streams"]), (&json!("join"), &json!([{"feed": 1, "mid": "7"}])));
        assert!(ear.is_for("1") && !ear.is_for("2"));
        // It names nobody in its answer: it can only be the one.
        ear.on_message(&json!({"videoroom": "attached"}), true);
        assert_eq!(ear.seats(&room)[&0].id, "1");
        assert_eq!(ear.on_refusal(&mut room, 465), Refusal::Final);
        // Refused later: it keeps whom it has.
        let (mut room, mut ear) = (room_of(&[1]), Hearing::default());
        assert!(ear.next_request(&room).is_some());
        ear.on_message(&attached(&[(0, 1)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        room.on_room(&json!({"publishers": [publisher(2, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room).expect("a request")["request"], "update");
        assert_eq!(ear.on_refusal(&mut room, 423), Refusal::Apart);
        assert_eq!((ear.next_request(&room), ear.seats(&room).len()), (None, 1));
        // Taken, and given in part.
        let (room, mut ear) = (room_of(&[1, 2]), Hearing::default());
        assert!(ear.next_request(&room).is_some() && !ear.falls_short(&room));
        ear.on_message(&attached(&[(0, 2)]), true);
        ear.on_message(&json!({"started": "ok"}), false);
        assert!(ear.falls_short(&room) && ear.go_apart(&room) && ear.is_for("2") && !ear.is_for("1"));
        // A wrong pin is no matter of how many.
        let (mut room, mut ear) = (room_of(&[1, 2]), Hearing::default());
        assert!(ear.next_request(&room).is_some());
        assert_eq!(ear.on_refusal(&mut room, 433), Refusal::Final);
    }

    #[test]
    fn a_handle_of_one_speaker_is_idle_when_that_one_has_left() {
        let (mut room, mut ear) = (Videoroom::new("1", None), Hearing::of_one("1"));
        room.on_room(&json!({"publishers": [publisher(1, "audio"), publisher(2, "audio")]})).expect("a room");
        assert_eq!(ear.next_request(&room).expect("a request")["streams"], json!([{"feed": 1, "mid": "7"}]));
        assert!(!ear.is_idle(&room));
        leaves(&mut room, &mut ear, &json!({"leaving": 1}));
        assert!(ear.is_idle(&room) && !Hearing::default().is_idle(&room));
    }
}
