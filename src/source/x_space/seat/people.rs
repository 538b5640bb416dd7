//! What is known of those on stage beside their sound: names, and who is muted. Pure.

use std::collections::BTreeMap;

use crate::source::Speaker;
use crate::source::x_space::chat::{StageChange, StageSign};

/// People whose names and mute states are kept.
const PEOPLE_MAX: usize = 500;

/// What is known of somebody beside their sound.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) muted: Option<bool>,
    /// Whether they talked though they are said to be muted: the chat is behind, or silent.
    pub(super) doubted: bool,
}

/// The speaker with what is known of them.
pub(super) fn named(speaker: &Speaker, people: &BTreeMap<String, Known>) -> Speaker {
    let Some(known) = people.get(&speaker.id) else { return speaker.clone() };
    let name = if known.name.is_empty() { &speaker.name } else { &known.name };
    Speaker { name: name.clone(), muted: known.muted.or(speaker.muted), ..speaker.clone() }
}

/// Whoever begins to talk is not muted, whatever the chat said last.
pub(super) fn doubt(people: &mut BTreeMap<String, Known>, before: &[Speaker], now: &[Speaker]) {
    let talked = |id: &str| before.iter().any(|speaker| speaker.id == id && speaker.talking);
    for speaker in now.iter().filter(|speaker| speaker.talking && !talked(&speaker.id)) {
        if let Some(known) = people.get_mut(&speaker.id) {
            known.doubted |= known.muted == Some(true);
        }
    }
}

/// Whether nobody need be heard: somebody is there, and everybody is muted as far as that can be believed.
pub(super) fn all_muted(speakers: &[Speaker], people: &BTreeMap<String, Known>) -> bool {
    let muted =
        |speaker: &Speaker| speaker.muted == Some(true) && people.get(&speaker.id).is_some_and(|known| !known.doubted);
    !speakers.is_empty() && speakers.iter().all(muted)
}

/// Takes what the chat says of somebody.
pub(super) fn note(people: &mut BTreeMap<String, Known>, sign: &StageSign) {
    let Some(id) = sign.ids.first() else { return };
    if people.len() >= PEOPLE_MAX && !people.contains_key(id) {
        return;
    }
    let known = people.entry(id.clone()).or_default();
    if !sign.name.is_empty() {
        known.name.clone_from(&sign.name);
    }
    known.doubted &= !matches!(sign.change, StageChange::Muted | StageChange::Unmuted);
    known.muted = match sign.change {
        StageChange::Muted => Some(true),
        StageChange::Unmuted => Some(false),
        StageChange::LetUp | StageChange::Removed => known.muted,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_of_muted_people_owes_no_sound_unless_one_talks_all_the_same() {
        let speaker = |id: &str, talking| Speaker { id: id.to_owned(), name: id.to_owned(), muted: None, talking };
        let sign = |id: &str, change| StageSign { change, ids: vec![id.to_owned()], name: String::new() };
        let mut people = BTreeMap::new();
        let is_muted = |people: &BTreeMap<String, Known>, room: &[Speaker]| {
            let room: Vec<Speaker> = room.iter().map(|speaker| named(speaker, people)).collect();
            all_muted(&room, people)
        };
        let (quiet, talk) = ([speaker("a", false), speaker("b", false)], [speaker("a", false), speaker("b", true)]);
        assert!(!is_muted(&people, &[]) && !is_muted(&people, &quiet), "nothing is known");
        note(&mut people, &sign("a", StageChange::Muted));
        assert!(!is_muted(&people, &quiet), "one may speak");
        // The end of what somebody said is heard after they are muted.
        note(&mut people, &sign("b", StageChange::Muted));
        doubt(&mut people, &talk, &talk);
        doubt(&mut people, &talk, &quiet);
        assert!(is_muted(&people, &quiet));
        doubt(&mut people, &quiet, &talk);
        doubt(&mut people, &talk, &quiet);
        assert!(!is_muted(&people, &quiet), "the chat is behind");
        note(&mut people, &sign("b", StageChange::Unmuted));
        assert!(!is_muted(&people, &quiet));
        note(&mut people, &sign("b", StageChange::Muted));
        assert!(is_muted(&people, &quiet));
    }

    #[test]
    fn the_chat_names_and_mutes_whom_the_gateway_hears() {
        let mut people = BTreeMap::new();
        let sign = |change, name: &str| StageSign { change, ids: vec!["1a".to_owned()], name: name.to_owned() };
        let speaker = Speaker { id: "1a".to_owned(), name: "1a".to_owned(), muted: None, talking: true };
        assert_eq!(named(&speaker, &people), speaker);
        note(&mut people, &sign(StageChange::Muted, "Alice"));
        note(&mut people, &sign(StageChange::LetUp, ""));
        let told = named(&speaker, &people);
        assert_eq!((told.name.as_str(), told.muted, told.talking), ("Alice", Some(true), true));
        note(&mut people, &sign(StageChange::Unmuted, ""));
        assert_eq!(named(&speaker, &people).muted, Some(false));
        for n in 0..2 * PEOPLE_MAX {
            note(&mut people, &StageSign { change: StageChange::Muted, ids: vec![n.to_string()], name: String::new() });
        }
        assert_eq!(people.len(), PEOPLE_MAX);
    }
}
