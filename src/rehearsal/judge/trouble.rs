//! When something was wrong on either side, read from what was done.

use crate::rehearsal::diary::{Diary, What};
use crate::rehearsal::proxy::{Fault, Scope, Way};
use crate::rehearsal::space::Order;

/// A stalled connection that lasts shorter than this may be lived through.
const FROZEN_FOR_SURE_MS: i64 = 25_000;
/// Around a change that is over at once, what is on the air may jump for so long.
const AROUND_MS: i64 = 12_000;

/// The event by which the bridge tells that a space is heard.
const LIVE: &str = "session.live";

/// A stretch of wall time, in Unix ms. What never ends reaches to the end of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Span {
    pub(super) fn holds(&self, at: i64) -> bool {
        (self.start..=self.end).contains(&at)
    }

    pub(super) fn touches(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A time in which an ingest was in trouble.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IngestTrouble {
    pub(super) ingest: String,
    pub(super) span: Span,
    /// The first fault of it.
    pub(super) fault: Fault,
    /// What the output still had to wait when it was over.
    pub(super) retry_in_seconds: u64,
}

impl IngestTrouble {
    /// New connections that it must lead to, and that it may lead to.
    pub(super) fn connections(&self) -> (u32, u32) {
        let length = self.span.end.saturating_sub(self.span.start);
        match self.fault {
            Fault::Pass | Fault::Delay { .. } => (0, 0),
            Fault::Refuse | Fault::Cut | Fault::Reset => (1, 1),
            Fault::Stall { way: Way::Down } => (0, 1),
            Fault::Stall { .. } => (u32::from(length >= FROZEN_FOR_SURE_MS), 1),
            Fault::Trickle { .. } | Fault::Corrupt { .. } => {
                (0, 2 + u32::try_from(length.min(3_600_000) / 10_000).unwrap_or(0))
            }
        }
    }

    /// Whether a connection that lived through it still has every frame.
    pub(super) fn keeps_frames(&self) -> bool {
        matches!(self.fault, Fault::Pass | Fault::Refuse | Fault::Cut | Fault::Reset)
    }

    /// Whether it froze the connection for longer than the bridge may take to notice.
    pub(super) fn must_be_noticed(&self) -> bool {
        let (least, _) = self.connections();
        matches!(self.fault, Fault::Stall { .. }) && least > 0
    }
}

/// How the sound came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comeback {
    /// Where it had been.
    Same,
    /// The space opened.
    Opened,
    /// In another space, which had to be found.
    NewSpace,
}

/// All that was wrong.
#[derive(Debug, Clone, Default)]
pub(super) struct Troubles {
    /// Times without new sound from the space, or with sound that is hard to get.
    pub(super) source: Vec<Span>,
    /// When the sound came back, and how.
    pub(super) comebacks: Vec<(i64, Comeback)>,
    /// Times in which the look-up failed too.
    pub(super) api: Vec<Span>,
    pub(super) ingests: Vec<IngestTrouble>,
    /// When the bridge was killed.
    pub(super) kills: Vec<i64>,
}

/// What is wrong with the space at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wrong {
    dropped: bool,
    frozen: bool,
    failing: bool,
    silent: bool,
    over: bool,
}

impl Wrong {
    fn is_any(self) -> bool {
        self != Self::default()
    }

    /// Takes an order; how the sound comes back if it does.
    fn obey(&mut self, order: &Order) -> Comeback {
        match order {
            Order::HostDrop => self.dropped = true,
            Order::HostReturn => self.dropped = false,
            Order::Freeze => self.frozen = true,
            Order::Thaw => self.frozen = false,
            Order::FailChunks { .. } | Order::FailPlaylist { .. } | Order::RefuseListeners { .. } => {
                self.failing = true
            }
            Order::Heal => self.failing = false,
            Order::Silence { on } => self.silent = *on,
            Order::End { .. } | Order::Timeout { .. } | Order::Cancel => self.over = true,
            Order::Start => {
                self.over = false;
                return Comeback::Opened;
            }
            Order::NewSpace { not_started, .. } => {
                // Another space has none of the troubles of the last one.
                *self = Self { over: *not_started, failing: self.failing, ..Self::default() };
                return Comeback::NewSpace;
            }
            _ => {}
        }
        Comeback::Same
    }
}

impl Troubles {
    /// Reads what was done.
    pub(super) fn read(diary: &Diary) -> Self {
        let mut troubles = Self::default();
        troubles.read_space(diary);
        troubles.wait_for_what_was_found(diary);
        troubles.read_ingests(diary);
        let killed = diary.done.iter().filter(|deed| matches!(deed.what, What::BridgeKilled));
        troubles.kills = killed.map(|deed| deed.at_ms).collect();
        troubles
    }

    fn read_space(&mut self, diary: &Diary) {
        let (mut wrong, mut since, mut api_since) = (Wrong::default(), None, None);
        for deed in &diary.done {
            let What::Space(order) = &deed.what else { continue };
            let how = wrong.obey(order);
            match (wrong.is_any(), since) {
                (true, None) => since = Some(deed.at_ms),
                (false, Some(start)) => {
                    self.source.push(Span { start, end: deed.at_ms });
                    self.comebacks.push((deed.at_ms, how));
                    since = None;
                }
                (false, None) if how != Comeback::Same => self.comebacks.push((deed.at_ms, how)),
                _ => {}
            }
            match order {
                Order::FailApi { .. } => drop(api_since.get_or_insert(deed.at_ms)),
                Order::Heal => self.api.extend(api_since.take().map(|start| Span { start, end: deed.at_ms })),
                _ => {}
            }
            if is_a_jump(order) {
                self.source.push(Span { start: deed.at_ms - AROUND_MS, end: deed.at_ms + AROUND_MS });
            }
        }
        self.source.extend(since.map(|start| Span { start, end: i64::MAX }));
        self.api.extend(api_since.map(|start| Span { start, end: i64::MAX }));
    }

    /// A space that had to be found is expected on the air only once it was: how long that may take is judged by itself.
    fn wait_for_what_was_found(&mut self, diary: &Diary) {
        let lives = diary.said.iter().filter(|event| event.code == LIVE).map(|event| event.at.as_millisecond());
        let lives: Vec<i64> = lives.collect();
        for (at, how) in &self.comebacks {
            if *how == Comeback::Same {
                continue;
            }
            let found = lives.iter().find(|live| *live >= at).unwrap_or(at);
            self.source.push(Span { start: *at, end: *found });
        }
    }

    fn read_ingests(&mut self, diary: &Diary) {
        let mut open: Vec<IngestTrouble> = Vec::new();
        for deed in &diary.done {
            let What::Ingest { name, fault, scope, retry_in_seconds } = &deed.what else { continue };
            let place = open.iter().position(|trouble| trouble.ingest == *name);
            let now = deed.at_ms;
            match (fault, place) {
                (Fault::Pass, Some(place)) => {
                    let mut trouble = open.remove(place);
                    trouble.span.end = now;
                    trouble.retry_in_seconds = retry_in_seconds.unwrap_or(0);
                    self.ingests.push(trouble);
                }
                (Fault::Pass, None) => {}
                (_, Some(_)) => {}
                (fault, None) => {
                    let span = Span { start: now, end: i64::MAX };
                    let mut trouble = IngestTrouble { ingest: name.clone(), span, fault: *fault, retry_in_seconds: 0 };
                    let is_over_at_once = *scope == Scope::Living && matches!(fault, Fault::Cut | Fault::Reset);
                    if is_over_at_once {
                        trouble.span.end = now;
                        self.ingests.push(trouble);
                    } else {
                        open.push(trouble);
                    }
                }
            }
        }
        self.ingests.extend(open);
        self.ingests.sort_by_key(|trouble| trouble.span.start);
    }

    /// The troubles of one ingest.
    pub(super) fn of<'a>(&'a self, ingest: &'a str) -> impl Iterator<Item = &'a IngestTrouble> {
        self.ingests.iter().filter(move |trouble| trouble.ingest == ingest)
    }

    /// Whether the place of the sound on the program's timeline stayed the same all night.
    pub(super) fn leave_the_anchor_alone(&self) -> bool {
        let opened = |at: i64| self.comebacks.iter().any(|(one, how)| *one == at && *how == Comeback::Opened);
        let only_the_end = self.source.iter().all(|span| span.end == i64::MAX || opened(span.start));
        let opened_once = self.comebacks.iter().all(|(_, how)| *how == Comeback::Opened) && self.comebacks.len() <= 1;
        only_the_end && opened_once && self.kills.is_empty()
    }
}

/// Whether the order is over at once, and yet what is on the air may jump.
fn is_a_jump(order: &Order) -> bool {
    matches!(
        order,
        Order::Rewind { .. }
            | Order::Jump { .. }
            | Order::Discontinuity
            | Order::Endlist { .. }
            | Order::ChangeFormat { .. }
            | Order::MoveEdge { .. }
    )
}
