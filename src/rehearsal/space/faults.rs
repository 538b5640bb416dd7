//! Which faults are on. Pure memory: what they do to an answer is the business of who gives it.

use super::control::{ApiFault, ChunkFault, ChunkRule, OldEdge, PlaylistFault};

/// How far back an old copy of the list lies, in ms.
const STALE_MS: u64 = 30_000;

/// Everything that is wrong just now.
#[derive(Debug, Default)]
pub(super) struct Faults {
    api: Option<(ApiFault, Option<u32>)>,
    chunks: Vec<ChunkRule>,
    playlists: Vec<PlaylistRule>,
    /// What listeners are refused with.
    pub(super) refused: Option<u16>,
    /// Whether playlists say that nothing follows, and in how many answers.
    endlist: Option<Option<u32>>,
    edges: [EdgeState; 2],
    /// Whether the chat is not open, and how often it still says so.
    chat_absent: Option<Option<u32>>,
    /// Whether the chat lets nobody in, and how often.
    chat_refused: Option<Option<u32>>,
}

#[derive(Debug)]
struct PlaylistRule {
    fault: PlaylistFault,
    times: Option<u32>,
    edge: Option<usize>,
    ordered_ms: u64,
}

/// How an edge is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum EdgeState {
    #[default]
    Alive,
    /// It got no new list since then, in ms.
    Frozen(u64),
    Dead,
}

/// A playlist's fault on its way into an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaylistTrouble {
    /// The list of that time, in ms.
    Old(u64),
    /// Any other.
    Fault(PlaylistFault),
}

impl Faults {
    pub(super) fn fail_api(&mut self, fault: ApiFault, times: Option<u32>) {
        self.api = Some((fault, times));
    }

    pub(super) fn fail_chunks(&mut self, rule: ChunkRule) {
        self.chunks.push(rule);
    }

    /// The newest order for an edge, or for all of them, replaces the one before.
    pub(super) fn fail_playlist(&mut self, fault: PlaylistFault, times: Option<u32>, edge: Option<usize>, now_ms: u64) {
        self.playlists.retain(|rule| rule.edge != edge);
        self.playlists.push(PlaylistRule { fault, times, edge, ordered_ms: now_ms });
    }

    pub(super) fn end_lists(&mut self, times: Option<u32>) {
        self.endlist = Some(times);
    }

    /// `edge` is left for another.
    pub(super) fn leave_edge(&mut self, edge: usize, old: OldEdge, now_ms: u64) {
        self.set_edge(
            edge,
            match old {
                OldEdge::Dead => EdgeState::Dead,
                OldEdge::Frozen => EdgeState::Frozen(now_ms),
                OldEdge::Alive => EdgeState::Alive,
            },
        );
    }

    /// `edge` is the one that the platform names.
    pub(super) fn take_edge(&mut self, edge: usize) {
        self.set_edge(edge, EdgeState::Alive);
    }

    pub(super) fn edge(&self, edge: usize) -> EdgeState {
        self.edges.get(edge).copied().unwrap_or_default()
    }

    fn set_edge(&mut self, edge: usize, state: EdgeState) {
        if let Some(place) = self.edges.get_mut(edge) {
            *place = state;
        }
    }

    /// The fault of the next API call; counts it.
    pub(super) fn next_api(&mut self) -> Option<ApiFault> {
        let (fault, times) = self.api.as_mut()?;
        let fault = spend(times).then(|| fault.clone());
        if fault.is_none() {
            self.api = None;
        }
        fault
    }

    /// The fault of the next playlist request at `edge`; counts it.
    pub(super) fn next_playlist(&mut self, edge: usize) -> Option<PlaylistTrouble> {
        let applies = |rule: &&mut PlaylistRule| rule.edge.is_none_or(|only| only == edge) && rule.times != Some(0);
        let rule = self.playlists.iter_mut().rev().find(applies)?;
        spend(&mut rule.times);
        Some(match rule.fault {
            PlaylistFault::Stale => PlaylistTrouble::Old(rule.ordered_ms.saturating_sub(STALE_MS)),
            fault => PlaylistTrouble::Fault(fault),
        })
    }

    /// Whether the next list says that nothing follows; counts it.
    pub(super) fn next_endlist(&mut self) -> bool {
        self.endlist.as_mut().is_some_and(spend)
    }

    pub(super) fn close_chat(&mut self, times: Option<u32>) {
        self.chat_absent = Some(times);
    }

    pub(super) fn refuse_chat(&mut self, times: Option<u32>) {
        self.chat_refused = Some(times);
    }

    /// Whether the chat is not open for the next who asks; counts it.
    pub(super) fn next_chat_absent(&mut self) -> bool {
        self.chat_absent.as_mut().is_some_and(spend)
    }

    /// Whether the next who joins is thrown out; counts it.
    pub(super) fn next_chat_refused(&mut self) -> bool {
        self.chat_refused.as_mut().is_some_and(spend)
    }

    /// The fault of fetch number `fetch` of chunk `sequence` at `edge`.
    pub(super) fn chunk(&self, sequence: u64, fetch: u32, edge: usize) -> Option<ChunkFault> {
        self.chunks.iter().find(|rule| rule.hits(sequence, fetch, edge)).map(|rule| rule.fault)
    }
}

/// Takes one of `times`; false when none is left.
pub(super) fn spend(times: &mut Option<u32>) -> bool {
    match times {
        Some(0) => false,
        Some(left) => {
            *left -= 1;
            true
        }
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_faults_end_by_themselves() {
        let mut faults = Faults::default();
        faults.fail_api(ApiFault::Html, Some(2));
        faults.fail_playlist(PlaylistFault::Reset, Some(1), None, 0);
        faults.end_lists(Some(1));
        let api: Vec<bool> = (0..4).map(|_| faults.next_api().is_some()).collect();
        assert_eq!(api, [true, true, false, false]);
        assert!(faults.next_playlist(1).is_some() && faults.next_playlist(0).is_none());
        assert!(faults.next_endlist() && !faults.next_endlist());
    }

    #[test]
    fn an_edge_has_its_own_playlist_fault() {
        let mut faults = Faults::default();
        faults.fail_playlist(PlaylistFault::Cut, None, Some(1), 0);
        faults.fail_playlist(PlaylistFault::Stale, None, Some(0), 50_000);
        assert_eq!(faults.next_playlist(0), Some(PlaylistTrouble::Old(20_000)));
        assert_eq!(faults.next_playlist(1), Some(PlaylistTrouble::Fault(PlaylistFault::Cut)));
        faults.fail_playlist(PlaylistFault::Html, Some(1), Some(1), 0);
        assert_eq!(faults.next_playlist(1), Some(PlaylistTrouble::Fault(PlaylistFault::Html)));
        assert_eq!(faults.next_playlist(1), None, "the newer order replaced the older one");
    }

    #[test]
    fn an_edge_that_is_left_stays_as_it_was_left() {
        let mut faults = Faults::default();
        faults.leave_edge(0, OldEdge::Frozen, 7);
        faults.leave_edge(9, OldEdge::Dead, 7);
        assert_eq!(
            (faults.edge(0), faults.edge(1), faults.edge(9)),
            (EdgeState::Frozen(7), EdgeState::Alive, EdgeState::Alive)
        );
        faults.take_edge(0);
        assert_eq!(faults.edge(0), EdgeState::Alive);
    }
}
