//! What the client did: requests, names of headers, pauses. No value of a header is ever kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::http::HeaderMap;

/// Pauses that are kept per kind of request.
const PAUSES_KEPT: usize = 1000;
/// Names of headers kept per kind of request.
const HEADERS_KEPT: usize = 64;

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Witness {
    pub(super) requests: BTreeMap<String, u64>,
    pub(super) headers: BTreeMap<String, BTreeSet<String>>,
    pub(super) cookies_in: BTreeSet<String>,
    pub(super) polls_by_edge: [u64; 2],
    pauses: BTreeMap<&'static str, Pauses>,
}

#[derive(Debug, Default)]
struct Pauses {
    last_ms: Option<u64>,
    ms: VecDeque<u64>,
}

impl Witness {
    /// Counts a request of `kind` at `now_ms`.
    pub(super) fn saw(&mut self, kind: &'static str, headers: &HeaderMap, now_ms: u64) {
        *self.requests.entry(kind.to_owned()).or_default() += 1;
        if headers.contains_key("cookie") {
            self.cookies_in.insert(kind.to_owned());
        }
        let names = self.headers.entry(kind.to_owned()).or_default();
        for name in headers.keys() {
            if names.len() < HEADERS_KEPT {
                names.insert(name.as_str().to_owned());
            }
        }
        let pauses = self.pauses.entry(kind).or_default();
        if let Some(last) = pauses.last_ms.replace(now_ms) {
            if pauses.ms.len() == PAUSES_KEPT {
                pauses.ms.pop_front();
            }
            pauses.ms.push_back(now_ms.saturating_sub(last));
        }
    }

    /// Pauses between requests of `kind`, in ms.
    pub(super) fn pauses(&self, kind: &str) -> Vec<u64> {
        self.pauses.get(kind).map(|pauses| pauses.ms.iter().copied().collect()).unwrap_or_default()
    }
}
