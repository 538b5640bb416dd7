//! The same path at other hosts: which of the operator's other edges is asked when. Pure: no I/O.

use std::time::Duration;

use tokio::time::Instant;
use url::Url;

/// The playlist's own edge gives nothing new for this long before others are asked. A segment lasts 3 s.
const OWN_PATIENCE: Duration = Duration::from_secs(6);

/// Pause between two questions to the same edge.
const SAME_EDGE: Duration = Duration::from_secs(10);

/// Most hosts that are remembered.
const MOST: usize = 16;

/// Hosts that serve the same files, as the operator named them.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    /// `host` or `host:port`, and when it was asked last.
    hosts: Vec<(String, Option<Instant>)>,
    next: usize,
}

impl Edges {
    /// Of the hosts `host` or `host:port`.
    pub fn new(hosts: &[String]) -> Self {
        Self { hosts: hosts.iter().map(|host| (host.clone(), None)).collect(), next: 0 }
    }

    /// Remembers the host of an address that was left, if there are others: it may do better later.
    pub(super) fn add(&mut self, url: &Url) {
        let Some(host) = url.host_str().filter(|_| !self.hosts.is_empty()) else { return };
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if self.hosts.len() < MOST && self.hosts.iter().all(|(known, _)| *known != host) {
            self.hosts.push((host, None));
        }
    }

    /// Where to look for the playlist at `url` that has been silent for `quiet`, if it is time for it.
    pub(super) fn playlist(&mut self, url: &Url, quiet: Duration, target: Duration, now: Instant) -> Option<Url> {
        if quiet < OWN_PATIENCE.max(target * 3 / 2) {
            return None;
        }
        for _ in 0..self.hosts.len() {
            let index = self.next % self.hosts.len();
            self.next = self.next.wrapping_add(1);
            let (host, asked) = &mut self.hosts[index];
            let recently = asked.is_some_and(|at| now.saturating_duration_since(at) < SAME_EDGE);
            let other = at_host(url, host).filter(|other| other != url && !recently);
            if other.is_some() {
                *asked = Some(now);
                return other;
            }
        }
        None
    }

    /// Every place of what is at `url`: there first, then at the other hosts.
    pub(in crate::source) fn everywhere(&self, url: &Url) -> Vec<Url> {
        let others = self.hosts.iter().filter_map(|(host, _)| at_host(url, host)).filter(|other| other != url);
        std::iter::once(url.clone()).chain(others).collect()
    }

    /// Where to fetch the segment at `url` after `failures`: every second time at another edge.
    pub(super) fn segment(&self, url: &Url, failures: u32) -> Url {
        let others: Vec<Url> =
            self.hosts.iter().filter_map(|(host, _)| at_host(url, host)).filter(|other| other != url).collect();
        if failures.is_multiple_of(2) || others.is_empty() {
            return url.clone();
        }
        others[(failures as usize / 2) % others.len()].clone()
    }
}

/// The same address at another host.
fn at_host(url: &Url, host: &str) -> Option<Url> {
    let named = Url::parse(&format!("{}://{host}/", url.scheme())).ok()?;
    let mut other = url.clone();
    other.set_host(named.host_str()).ok()?;
    other.set_port(named.port()).ok()?;
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a url")
    }

    #[test]
    fn other_edges_are_asked_in_turn_and_each_at_most_once_in_ten_seconds() {
        let own = url("https://one.example/a/list.m3u8?type=live");
        let mut edges = Edges::new(&["one.example".into(), "two.example".into(), "127.0.0.1:99".into()]);
        let start = Instant::now();
        let mut ask = |quiet: u64, at: u64| {
            let (quiet, now) = (Duration::from_secs(quiet), start + Duration::from_secs(at));
            edges.playlist(&own, quiet, Duration::from_secs(4), now).map(|url| url.to_string())
        };
        assert_eq!(ask(5, 5), None);
        assert_eq!(ask(6, 6).as_deref(), Some("https://two.example/a/list.m3u8?type=live"));
        assert_eq!(ask(7, 7).as_deref(), Some("https://127.0.0.1:99/a/list.m3u8?type=live"));
        assert_eq!((ask(8, 8), ask(15, 15)), (None, None));
        assert!(
            ask(16, 16).is_some_and(|url| url.contains("two")) && ask(17, 17).is_some_and(|url| url.contains("99"))
        );
    }

    #[test]
    fn a_failing_segment_is_tried_at_every_other_edge_in_turn() {
        let own = url("https://one.example/a/7.aac");
        let edges = Edges::new(&["two.example".into(), "three.example".into()]);
        let hosts: Vec<String> =
            (0..6).map(|n| edges.segment(&own, n).host_str().unwrap_or_default().to_owned()).collect();
        assert_eq!(hosts, ["one.example", "two.example", "one.example", "three.example", "one.example", "two.example"]);
        assert_eq!(Edges::default().segment(&own, 3), own);
    }
}
