//! What a rehearsal or a test can tell the simulated space, and what it has to tell about its client. The wire types.

use serde::{Deserialize, Serialize};

pub use self::fault::{ApiFault, ChatEvent, ChunkFault, ChunkRule, LocationShape, OldEdge, PastRule, PlaylistFault};
pub use self::report::{ChunkReport, EarlierSpace, SpaceReport, SpaceStarted};
pub use self::seat::{SeatEvent, SeatRule};

mod fault;
mod report;
mod seat;

/// One order to the space: `POST /control` with one of these as JSON, such as `{"do":"host_drop"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// The host opens the space.
    Start,
    /// The host ends it.
    End {
        /// Whether the platform offers a replay.
        #[serde(default)]
        replay: bool,
    },
    /// The host vanished for good.
    Timeout {
        /// Whether the platform offers a replay.
        #[serde(default)]
        replay: bool,
    },
    /// A scheduled space is withdrawn.
    Cancel,
    /// The host's connection breaks: the playlist answers 404, the state stays Running.
    HostDrop,
    /// The host is back.
    HostReturn,
    /// The playlist does not change any more.
    Freeze,
    /// It moves again.
    Thaw,
    /// Chunks fail from now on.
    FailChunks {
        /// Which chunks.
        #[serde(flatten)]
        rule: ChunkRule,
    },
    /// Chunks are gone for good.
    DeleteChunks {
        /// Their sequence numbers.
        sequences: Vec<u64>,
    },
    /// What there is of the past: the list of everything so far, and the replay.
    Past(PastRule),
    /// Calls to the API fail from now on.
    FailApi {
        /// How.
        fault: ApiFault,
        /// How often; for ever where it is left out.
        #[serde(default)]
        times: Option<u32>,
    },
    /// Requests for the live playlist fail from now on. The newest order counts, for its edge.
    FailPlaylist {
        /// How.
        fault: PlaylistFault,
        /// How often; for ever where it is left out.
        #[serde(default)]
        times: Option<u32>,
        /// Only at this edge, from 0; at all where it is left out.
        #[serde(default)]
        edge: Option<usize>,
    },
    /// Playlists and chunks answer this status, at all edges.
    RefuseListeners {
        /// HTTP status, such as 403 or 503.
        status: u16,
    },
    /// Sequence numbers step back while the sound goes on; the window holds only what comes behind the step.
    Rewind {
        /// By how many.
        segments: u64,
    },
    /// Sequence numbers jump forward while the sound goes on; the window holds only what comes behind the jump.
    Jump {
        /// By how many.
        segments: u64,
    },
    /// A discontinuity is marked before the next chunk.
    Discontinuity,
    /// The live playlist says that nothing follows, although more does.
    Endlist {
        /// In how many answers; in all where it is left out.
        #[serde(default)]
        times: Option<u32>,
    },
    /// The sound is AAC of another form, from the next joint (within about 6 s) on.
    ChangeFormat {
        /// 44 100 or 48 000 Hz.
        sample_rate: u32,
        /// 1 or 2.
        channels: u8,
        /// Whether no discontinuity is marked there, which the HLS specification would have.
        #[serde(default)]
        unmarked: bool,
    },
    /// Chunks hold valid AAC silence in the ruler's place, from the next one on.
    Silence {
        /// Whether they do.
        on: bool,
    },
    /// The status call names the other edge from now on.
    MoveEdge {
        /// What becomes of the one that it named.
        old: OldEdge,
    },
    /// The same host opens another space, about which all later orders are. The tape goes on.
    NewSpace {
        /// Its title; that of the last space where it is left out.
        #[serde(default)]
        title: Option<String>,
        /// The host's handle; that of the last space where it is left out. The user stays the same.
        #[serde(default)]
        host: Option<String>,
        /// Whether it waits for the order to start.
        #[serde(default)]
        not_started: bool,
        /// Announces a start so many seconds from now.
        #[serde(default)]
        scheduled_in_seconds: Option<u32>,
    },
    /// Something happens in the newest space's chat.
    Chat {
        /// What.
        event: ChatEvent,
        /// How often, for the events that say so.
        #[serde(default)]
        times: Option<u32>,
        /// The code of a close; 1011 where it is left out.
        #[serde(default)]
        code: Option<u16>,
    },
    /// Something happens around the seats of speakers. Needs a gateway.
    Seat(SeatRule),
    /// All faults are over and all edges live; deleted chunks stay deleted, the stream stays at its edge, in its form.
    Heal,
    /// What the status call says of the stream's place.
    Location {
        /// The form of its answer.
        shape: LocationShape,
    },
    /// The metadata change; what is left out stays.
    Metadata {
        /// The title; an empty one is left out of the answer, as the platform does.
        #[serde(default)]
        title: Option<String>,
        /// The host's handle.
        #[serde(default)]
        host: Option<String>,
        /// Whether the host's names are in `legacy` rather than in `core`.
        #[serde(default)]
        legacy_names: Option<bool>,
        /// When it is announced for, in Unix ms.
        #[serde(default)]
        scheduled_start: Option<i64>,
    },
}

impl Order {
    /// What happens, in a few words for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Start => "the host opens the space",
            Self::End { .. } => "the host ends the space",
            Self::Timeout { .. } => "the host vanishes for good",
            Self::Cancel => "the space is withdrawn",
            Self::HostDrop => "the host's connection breaks",
            Self::HostReturn => "the host is back",
            Self::Freeze => "the playlist freezes",
            Self::Thaw => "the playlist moves again",
            Self::FailChunks { .. } => "chunks begin to fail",
            Self::DeleteChunks { .. } => "chunks are lost at the CDN",
            Self::Past(_) => "what the platform holds of the past changes",
            Self::FailApi { .. } => "the API is in trouble",
            Self::FailPlaylist { .. } => "the playlist is in trouble",
            Self::RefuseListeners { .. } => "listeners are refused",
            Self::Rewind { .. } => "sequence numbers step back",
            Self::Jump { .. } => "sequence numbers jump",
            Self::Discontinuity => "a discontinuity is marked",
            Self::Endlist { .. } => "the playlist says that it is over",
            Self::ChangeFormat { .. } => "the form of the sound changes",
            Self::Silence { on: true } => "the space falls silent",
            Self::Silence { on: false } => "the space is heard again",
            Self::MoveEdge { .. } => "the stream moves to another edge",
            Self::NewSpace { .. } => "the host opens another space",
            Self::Chat { .. } => "something happens in the chat",
            Self::Seat(rule) => rule.event.words(),
            Self::Heal => "the faults are over",
            Self::Location { .. } => "the stream's address changes its form",
            Self::Metadata { .. } => "title or host change",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_written_as_scenarios_write_them() {
        for (json, order) in [
            (
                r#"{"do":"new_space"}"#,
                Order::NewSpace { title: None, host: None, not_started: false, scheduled_in_seconds: None },
            ),
            (
                r#"{"do":"fail_playlist","fault":{"kind":"status","status":429,"retry_after_seconds":7},"times":2}"#,
                Order::FailPlaylist {
                    fault: PlaylistFault::Status { status: 429, retry_after_seconds: Some(7) },
                    times: Some(2),
                    edge: None,
                },
            ),
            (
                r#"{"do":"past","lag_seconds":40,"lacks":[7]}"#,
                Order::Past(PastRule { lag_seconds: Some(40), lacks: Some(vec![7]), ..PastRule::default() }),
            ),
            (
                r#"{"do":"seat","event":"approve","seconds":3}"#,
                Order::Seat(SeatRule { seconds: Some(3), ..SeatRule::of(SeatEvent::Approve) }),
            ),
            (r#"{"do":"move_edge","old":"frozen"}"#, Order::MoveEdge { old: OldEdge::Frozen }),
            (r#"{"do":"endlist"}"#, Order::Endlist { times: None }),
            (
                r#"{"do":"change_format","sample_rate":44100,"channels":1}"#,
                Order::ChangeFormat { sample_rate: 44_100, channels: 1, unmarked: false },
            ),
            (
                r#"{"do":"fail_api","fault":{"kind":"rate_limited","reset_in_seconds":3}}"#,
                Order::FailApi {
                    fault: ApiFault::RateLimited { reset_in_seconds: 3, retry_after_only: false },
                    times: None,
                },
            ),
        ] {
            assert_eq!(serde_json::from_str::<Order>(json).expect(json), order);
        }
        assert!(serde_json::from_str::<Order>(r#"{"do":"jump","segment":3}"#).is_err(), "a typing error is told");
        assert!(serde_json::from_str::<Order>(r#"{"do":"past","lag":3}"#).is_err(), "in a rule too");
    }
}
