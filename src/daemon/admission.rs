//! Whether the machine carries one show more: what the shows cost, as it was measured, against what the machine has.
//!
//! It decides before a show starts and never about one that runs: a bridge that lives, is adopted or is started again by
//! its supervisor is counted, not judged. What other programs take of the processors is told and not counted: it may be
//! over in a minute, and a refused broadcast is not.

pub(super) mod machine;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::LimitsConfig;
use machine::Usage;

/// What a show of two outputs is taken to cost until one was measured: somewhat more than `bench/many.py` saw.
const PRIOR: Cost = Cost { cores: 0.06, memory: 64_000_000 };

/// Time after which a change of a show's cost is known to two thirds.
const SMOOTHING: Duration = Duration::from_secs(30);

/// How long a show must have been watched until its own figure counts. What it does at its start is dearer than what
/// follows, and its memory is not all taken before.
const SETTLED: Duration = Duration::from_secs(20);

/// Looks in which a show was not there, until it is forgotten: one that starts has no process yet.
const LOST_LOOKS: u8 = 3;

/// What a show takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Processors, 1.0 is one that is busy all the time.
    pub cores: f64,
    /// Bytes, shared ones divided among those that share them.
    pub memory: u64,
}

/// What the machine has, for this daemon and all that runs beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Machine {
    /// Processors that the daemon may use.
    pub cores: usize,
    /// Bytes that can still be had.
    pub memory_available: u64,
    /// Mean number of processes that ran or waited to run in the last minute.
    pub load: f64,
}

/// How much is taken, and how much is left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Shows that are carried or about to be.
    pub shows: usize,
    /// Of these, measured ones.
    pub measured: usize,
    /// What all of them take; unmeasured ones at the price of one more.
    pub taken: Cost,
    /// Processors that shows may take.
    pub cores_for_shows: f64,
    /// What one more is expected to take.
    pub one_more: Cost,
    /// How many more fit.
    pub room: usize,
}

/// Why a show is not begun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Refused {
    standing: Standing,
    machine: Machine,
    limits: LimitsConfig,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Standing { shows, taken, cores_for_shows, one_more, .. } = self.standing;
        let megabytes = |bytes: u64| bytes / 1_000_000;
        if let Some(most) = self.limits.max_shows.filter(|most| shows >= *most) {
            write!(f, "The configuration allows {most} at one time ([limits] max_shows). ")?;
        }
        write!(
            f,
            "{shows} shows use {:.2} of {} cores, of which {:.2} are for shows, and {} MB of memory are available, of which \
             {} MB are kept free; one more needs about {:.2} cores and {} MB. End a show, or start it by force.",
            taken.cores,
            self.machine.cores,
            cores_for_shows,
            megabytes(self.machine.memory_available),
            megabytes(self.limits.memory_reserve),
            one_more.cores,
            megabytes(one_more.memory),
        )
    }
}

/// How things stand. `known` are the costs of all carried shows, none for one that was not measured yet.
fn standing(known: &[Option<Cost>], machine: &Machine, limits: &LimitsConfig) -> Standing {
    let measured: Vec<Cost> = known.iter().flatten().copied().collect();
    let one_more = expected(&measured);
    let unmeasured = u32::try_from(known.len() - measured.len()).unwrap_or(u32::MAX);
    let own = |cost: &Cost| cost.cores;
    let cores = measured.iter().map(own).sum::<f64>() + f64::from(unmeasured) * one_more.cores;
    let promised = u64::from(unmeasured) * one_more.memory;
    let memory = measured.iter().map(|cost| cost.memory).sum::<u64>() + promised;
    // What measured shows hold is missing from what is available already; what was promised is not.
    let free = machine.memory_available.saturating_sub(limits.memory_reserve.saturating_add(promised));
    let by_memory = usize::try_from(free / one_more.memory.max(1)).unwrap_or(usize::MAX);
    let cores_for_shows = u32::try_from(machine.cores).map_or(f64::MAX, f64::from) * limits.cpu_share;
    let by_cores = ((cores_for_shows - cores) / one_more.cores).max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number that is not negative")]
    let by_cores = (by_cores + 1e-9) as usize;
    // No measurement says that a machine cannot carry a single show.
    let by_cores = if known.is_empty() { by_cores.max(1) } else { by_cores };
    let by_count = limits.max_shows.map_or(usize::MAX, |most| most.saturating_sub(known.len()));
    let room = by_cores.min(by_memory).min(by_count);
    let (shows, measured, taken) = (known.len(), measured.len(), Cost { cores, memory });
    Standing { shows, measured, taken, cores_for_shows, one_more, room }
}

/// What one more show costs: the mean of those that were measured.
fn expected(measured: &[Cost]) -> Cost {
    let Some(count) = u32::try_from(measured.len()).ok().filter(|count| *count > 0) else { return PRIOR };
    let cores = measured.iter().map(|cost| cost.cores).sum::<f64>() / f64::from(count);
    let memory = measured.iter().map(|cost| cost.memory).sum::<u64>() / u64::from(count);
    // A show that stands still costs nothing, and would promise room without end.
    Cost { cores: cores.max(PRIOR.cores / 4.0), memory: memory.max(PRIOR.memory / 4) }
}

/// One carried show.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    last: Option<Usage>,
    watched: Duration,
    cores: f64,
    memory: u64,
    lost: u8,
}

impl Entry {
    fn cost(&self) -> Option<Cost> {
        (self.watched >= SETTLED).then_some(Cost { cores: self.cores, memory: self.memory })
    }

    /// Learns from a look `elapsed` after the last one. Another process is another beginning.
    fn learn(&mut self, now: Usage, elapsed: Duration) {
        self.lost = 0;
        let before = self.last.replace(now).filter(|before| before.pid == now.pid);
        let Some(before) = before.filter(|_| !elapsed.is_zero()) else {
            self.watched = Duration::ZERO;
            return;
        };
        let cores = now.cpu.saturating_sub(before.cpu).as_secs_f64() / elapsed.as_secs_f64();
        let weight = 1.0 - (-elapsed.as_secs_f64() / SMOOTHING.as_secs_f64()).exp();
        self.cores = if self.watched.is_zero() { cores } else { self.cores + weight * (cores - self.cores) };
        self.memory = now.memory;
        self.watched += elapsed;
    }
}

/// What all carried shows cost. Every start goes through it, one after the other.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: Mutex<BTreeMap<String, Entry>>,
    limits: LimitsConfig,
}

impl Ledger {
    /// None yet, within `limits`.
    pub(super) fn new(limits: LimitsConfig) -> Self {
        Self { entries: Mutex::default(), limits }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a show that is to start: from now on it counts, at the price of one more until it is measured.
    ///
    /// # Errors
    /// When the machine does not carry it, unless `force`.
    pub(super) fn admit(&self, show: &str, machine: &Machine, force: bool) -> Result<(), Refused> {
        let mut entries = self.entries();
        entries.remove(show);
        let standing = standing(&costs(&entries), machine, &self.limits);
        if standing.room == 0 && !force {
            return Err(Refused { standing, machine: *machine, limits: self.limits });
        }
        entries.insert(show.to_owned(), Entry::default());
        Ok(())
    }

    /// A show whose bridge lives already.
    pub(super) fn count(&self, show: &str) {
        self.entries().entry(show.to_owned()).or_default();
    }

    /// A show that did not start, or is over.
    pub(super) fn release(&self, show: &str) {
        self.entries().remove(show);
    }

    /// What was seen of the bridges that live, `elapsed` after the last look.
    pub(super) fn look(&self, seen: &BTreeMap<String, Usage>, elapsed: Duration) {
        let mut entries = self.entries();
        for (show, usage) in seen {
            entries.entry(show.clone()).or_default().learn(*usage, elapsed);
        }
        for (show, entry) in entries.iter_mut() {
            entry.lost = if seen.contains_key(show) { 0 } else { entry.lost.saturating_add(1) };
        }
        entries.retain(|_, entry| entry.lost < LOST_LOOKS);
    }

    /// How things stand.
    pub(super) fn standing(&self, machine: &Machine) -> Standing {
        standing(&costs(&self.entries()), machine, &self.limits)
    }
}

fn costs(entries: &BTreeMap<String, Entry>) -> Vec<Option<Cost>> {
    entries.values().map(Entry::cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Machine = Machine { cores: 2, memory_available: 16_000_000_000, load: 0.0 };
    const DEAR: Cost = Cost { cores: 0.4, memory: 90_000_000 };

    #[test]
    fn a_show_more_than_the_machine_carries_is_seen_before_it_starts() {
        let tight = |memory_available| Machine { memory_available, ..ROOMY };
        let limits = LimitsConfig::default();
        for (known, machine, room) in [
            (vec![], ROOMY, 28),
            (vec![Some(DEAR); 3], ROOMY, 1),
            (vec![Some(DEAR); 4], ROOMY, 0),
            // A promise counts like what is measured.
            (vec![Some(DEAR), Some(DEAR), Some(DEAR), None], ROOMY, 0),
            // One show is always tried, as far as its processors go.
            (vec![], Machine { cores: 0, ..ROOMY }, 1),
            (vec![], tight(200_000_000), 0),
            (vec![], tight(256_000_000 + 64_000_000), 1),
            (vec![None], tight(256_000_000 + 127_000_000), 0),
            // Shows that stand still do not promise room without end.
            (vec![Some(Cost { cores: 0.0, memory: 0 })], ROOMY, 113),
        ] {
            assert_eq!(standing(&known, &machine, &limits).room, room, "{known:?} {machine:?}");
        }
    }

    #[test]
    fn the_operators_limits_hold_before_what_the_machine_could() {
        let limits = LimitsConfig::default();
        let most = |most| LimitsConfig { max_shows: Some(most), ..limits };
        for (known, limits, room) in [
            (vec![], most(1), 1),
            (vec![None], most(1), 0),
            // By force there can be more than are allowed.
            (vec![None; 3], most(1), 0),
            (vec![], most(256), 28),
            (vec![], LimitsConfig { cpu_share: 0.06, ..limits }, 2),
            (vec![], LimitsConfig { cpu_share: 0.01, ..limits }, 1),
            (vec![None], LimitsConfig { cpu_share: 0.01, ..limits }, 0),
            (vec![], LimitsConfig { memory_reserve: u64::MAX, ..limits }, 0),
            (vec![None], LimitsConfig { memory_reserve: u64::MAX, ..limits }, 0),
        ] {
            assert_eq!(standing(&known, &ROOMY, &limits).room, room, "{known:?} {limits:?}");
        }
        let ledger = Ledger::new(most(1));
        ledger.admit("a", &ROOMY, false).expect("the first one");
        let refused = ledger.admit("b", &ROOMY, false).expect_err("one is allowed").to_string();
        assert!(refused.starts_with("The configuration allows 1 at one time"), "{refused}");
    }

    #[test]
    fn of_many_starts_at_once_only_those_that_fit_are_admitted() {
        let (ledger, machine) =
            (Ledger::new(LimitsConfig::default()), Machine { memory_available: 256_000_000 + 3 * 64_000_000, ..ROOMY });
        let admitted = (0..9).filter(|show| ledger.admit(&format!("show{show}"), &machine, false).is_ok()).count();
        assert_eq!(admitted, 3);
        let refused = ledger.admit("one more", &machine, false).expect_err("no room").to_string();
        assert!(refused.starts_with("3 shows use 0.18 of 2 cores"), "{refused}");
        assert!(ledger.admit("one more", &machine, true).is_ok(), "the operator's word counts more");
        ledger.release("one more");
        ledger.release("show1");
        assert!(ledger.admit("show1", &machine, false).is_ok(), "the room of a show that is over is free");
        assert!(ledger.admit("show1", &machine, false).is_ok(), "no show stands in its own way");
    }

    #[test]
    fn a_start_is_no_measure_of_what_follows_and_a_bridge_that_was_replaced_is_measured_anew() {
        let (ledger, look) = (Ledger::new(LimitsConfig::default()), Duration::from_secs(5));
        let seen = |pid, cpu_ms| {
            BTreeMap::from([("a".to_owned(), Usage { pid, cpu: Duration::from_millis(cpu_ms), memory: 50_000_000 })])
        };
        ledger.admit("a", &ROOMY, false).expect("room");
        for at in 0..4 {
            ledger.look(&seen(7, 500 * at), look);
            assert_eq!(ledger.standing(&ROOMY).measured, 0, "look {at}");
        }
        ledger.look(&seen(7, 2000), look);
        let standing = ledger.standing(&ROOMY);
        assert_eq!((standing.measured, standing.taken.memory), (1, 50_000_000));
        assert!((standing.taken.cores - 0.1).abs() < 1e-9, "{standing:?}");
        ledger.look(&seen(8, 30_000), look);
        assert_eq!(ledger.standing(&ROOMY).measured, 0);
        for _ in 0..LOST_LOOKS {
            assert_eq!(ledger.standing(&ROOMY).shows, 1);
            ledger.look(&BTreeMap::new(), look);
        }
        assert_eq!(ledger.standing(&ROOMY).shows, 0);
    }
}
