//! The soak: hours of random faults on both sides, from a seed, to real nginx ingests; and the bridge must not grow.
//! `make soak` runs it: SOAK_MINUTES, SOAK_SEED, SOAK_KILLS=1 for a bridge that is killed every ten minutes, SOAK_REPORT
//! for a file of JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use spacebridge::rehearsal::plan::Plan;

use crate::support::drill::Drill;
use crate::support::turn;

/// Mean pause between two faults of the source, and of an ingest, in seconds.
const SOURCE_EVERY: f64 = 90.0;
const INGEST_EVERY: f64 = 120.0;
/// A bridge is killed so often, in seconds.
const KILL_EVERY: f64 = 600.0;
/// Calm between the end of one fault and the next of the same side, in seconds: each must be judged by itself.
const SOURCE_CALM: f64 = 35.0;
const INGEST_CALM: f64 = 45.0;
/// How long a bridge may take until its memory counts.
const WARM: Duration = Duration::from_secs(300);
/// How much it may grow after that.
const GROWTH: f64 = 0.05;
/// Samples that a figure is the median of.
const SAMPLES: usize = 12;
/// Pause between two looks at the process.
const LOOK: Duration = Duration::from_secs(5);

/// A random night.
struct Storm {
    random: fastrand::Rng,
    /// What happens, by its time in ms.
    events: BTreeMap<u64, String>,
}

impl Storm {
    /// The scenario of `minutes` from a seed: the same for the same seed.
    fn scenario(seed: u64, minutes: u64, kills: bool) -> String {
        let mut storm = Self { random: fastrand::Rng::with_seed(seed), events: BTreeMap::new() };
        let end = minutes as f64 * 60.0;
        storm.source(end);
        storm.ingests(end, kills);
        let mut text = format!("# Seed {seed}.\ngaps_planned = true\nfirst_sequence = 1000\njitter_ms = 300\n");
        let mut now = 0;
        for (at, event) in &storm.events {
            write!(text, "\n[[step]]\nreal = \"{}ms\"\n{event}\n", at - now).expect("a string");
            now = *at;
        }
        write!(text, "\n[[step]]\nreal = \"{}ms\"\nsay = \"The end.\"\n", (end * 1000.0) as u64 - now)
            .expect("a string");
        text
    }

    /// A pause of that mean, never shorter than the calm.
    fn pause(&mut self, mean: f64, calm: f64) -> f64 {
        calm - (mean - calm) * (1.0 - self.random.f64()).ln()
    }

    fn seconds(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.random.f64()
    }

    fn at(&mut self, seconds: f64, event: String) {
        let mut place = (seconds * 1000.0) as u64;
        while self.events.contains_key(&place) {
            place += 1;
        }
        self.events.insert(place, event);
    }

    fn source(&mut self, end: f64) {
        let mut now = 30.0;
        loop {
            now += self.pause(SOURCE_EVERY, SOURCE_CALM);
            let length = self.seconds(3.0, 30.0);
            let fault = |kind: &str| format!("{{ do = \"fail_playlist\", fault = {{ {kind} }} }}");
            let (first, then) = match self.random.u32(..10) {
                0 => ("{ do = \"host_drop\" }".to_owned(), "host_return"),
                1 => ("{ do = \"freeze\" }".to_owned(), "thaw"),
                2 => (fault("kind = \"status\", status = 503"), "heal"),
                3 => (fault("kind = \"hang\""), "heal"),
                4 => (fault("kind = \"reset\""), "heal"),
                5 => (fault("kind = \"html\""), "heal"),
                6 => ("{ do = \"refuse_listeners\", status = 403 }".to_owned(), "heal"),
                7 => (
                    "{ do = \"fail_chunks\", fault = { kind = \"status\", status = 500 }, times = 1 }".to_owned(),
                    "heal",
                ),
                8 => (
                    "{ do = \"fail_chunks\", fault = { kind = \"truncated\" }, share = 0.4, times = 1 }".to_owned(),
                    "heal",
                ),
                _ => ("{ do = \"fail_api\", fault = { kind = \"status\", status = 503 } }".to_owned(), "heal"),
            };
            if now + length + SOURCE_CALM > end {
                return;
            }
            self.at(now, format!("space = {first}"));
            self.at(now + length, format!("space = {{ do = \"{then}\" }}"));
            now += length;
        }
    }

    fn ingests(&mut self, end: f64, kills: bool) {
        let (mut now, mut next_kill) = (30.0, KILL_EVERY);
        loop {
            now += self.pause(INGEST_EVERY, INGEST_CALM);
            if kills && now > next_kill && now + INGEST_CALM < end {
                self.at(now, "bridge = \"kill\"".to_owned());
                next_kill += KILL_EVERY;
                continue;
            }
            let name = if self.random.bool() { "youtube" } else { "rumble" };
            let (first, length) = match self.random.u32(..5) {
                0 => ("do = \"kill\"", self.seconds(2.0, 20.0)),
                1 => ("fault = { kind = \"cut\" }\nscope = \"living\"", 0.0),
                2 => ("fault = { kind = \"reset\" }\nscope = \"living\"", 0.0),
                3 => ("do = \"freeze\"", 28.0),
                _ => ("fault = { kind = \"delay\", millis = 300 }", 15.0),
            };
            if now + length + INGEST_CALM > end {
                return;
            }
            self.at(now, format!("ingest = \"{name}\"\n{first}"));
            if length > 0.0 {
                self.at(now + length, format!("ingest = \"{name}\"\ndo = \"return\""));
            }
            now += length;
        }
    }
}

#[test]
fn storm_is_the_same_for_a_seed_and_keeps_within_its_budgets() {
    for seed in 0..40 {
        let text = Storm::scenario(seed, 120, true);
        assert_eq!(text, Storm::scenario(seed, 120, true));
        Plan::parse("soak", &text).expect("a scenario");
        let count = |word: &str| text.matches(word).count();
        // Each has a beginning and an end.
        let troubles = count("space = ") / 2;
        assert!((35..=80).contains(&troubles), "seed {seed}: {troubles} faults of the source");
        let faults = count("ingest = ") - count("do = \"return\"");
        assert!((20..=60).contains(&faults), "seed {seed}: {faults} faults of ingests");
        assert!((8..=12).contains(&count("bridge = ")), "seed {seed}: {} kills", count("bridge = "));
    }
}

/// What a process takes.
#[derive(Debug, Clone, Copy, Serialize)]
struct Usage {
    pss_kb: u64,
    threads: u64,
    descriptors: u64,
}

impl Usage {
    fn of(pid: u32) -> Option<Self> {
        let memory = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = memory.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        let pss_kb = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).ok().map(|all| all.count() as u64);
        Some(Self { pss_kb, threads: count("task")?, descriptors: count("fd")? })
    }

    fn median(samples: &[Self]) -> Self {
        let middle = |of: fn(&Self) -> u64| {
            let mut values: Vec<u64> = samples.iter().map(of).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Self {
            pss_kb: middle(|usage| usage.pss_kb),
            threads: middle(|usage| usage.threads),
            descriptors: middle(|usage| usage.descriptors),
        }
    }
}

/// One bridge process from the end of its warm-up to its own end.
#[derive(Debug, Serialize)]
struct Growth {
    pid: u32,
    minutes: f64,
    warm: Usage,
    end: Usage,
    pss_growth: f64,
}

/// Looks at the bridge's process now and then.
#[derive(Default)]
struct Watch {
    last: Option<Instant>,
    seen: Vec<(u32, Instant, Usage)>,
}

impl Watch {
    fn look(&mut self, state: &Path) {
        if self.last.is_some_and(|last| last.elapsed() < LOOK) {
            return;
        }
        self.last = Some(Instant::now());
        let pid = fs::read_to_string(state.join("lock")).ok().and_then(|text| text.trim().parse().ok());
        if let Some((pid, usage)) = pid.and_then(|pid| Usage::of(pid).map(|usage| (pid, usage))) {
            self.seen.push((pid, Instant::now(), usage));
        }
    }

    /// Processes that lived long enough to be judged.
    fn growths(&self) -> Vec<Growth> {
        let mut pids: Vec<u32> = self.seen.iter().map(|(pid, ..)| *pid).collect();
        pids.dedup();
        pids.into_iter().filter_map(|pid| self.growth(pid)).collect()
    }

    fn growth(&self, pid: u32) -> Option<Growth> {
        let ours: Vec<_> = self.seen.iter().filter(|(one, ..)| *one == pid).collect();
        let (_, start, _) = ours.first()?;
        let warm = |(_, at, usage): &&(u32, Instant, Usage)| (at.duration_since(*start) >= WARM).then_some(*usage);
        let warm: Vec<Usage> = ours.iter().filter_map(warm).collect();
        if warm.len() < 3 * SAMPLES {
            return None;
        }
        let (mut first, mut last) = (Usage::median(&warm[..SAMPLES]), Usage::median(&warm[warm.len() - SAMPLES..]));
        // A client keeps the connections of a trouble for some minutes, in case of the next: a leak raises the least.
        let least = |samples: &[Usage]| samples.iter().map(|usage| usage.descriptors).min();
        let third = warm.len() / 3;
        first.descriptors = least(&warm[..third])?;
        last.descriptors = least(&warm[warm.len() - third..])?;
        let pss_growth = last.pss_kb as f64 / first.pss_kb as f64 - 1.0;
        let minutes = ours.last()?.1.duration_since(*start).as_secs_f64() / 60.0;
        Some(Growth { pid, minutes, warm: first, end: last, pss_growth })
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "make soak"]
#[expect(clippy::print_stdout, reason = "the figures of a soak are its result")]
async fn soak_in_random_faults_loses_nothing_and_does_not_grow() {
    let _turn = turn().await;
    let (minutes, kills) = (number("SOAK_MINUTES", 30), number("SOAK_KILLS", 0) > 0);
    let seed = number("SOAK_SEED", fastrand::u64(..1_000_000));
    println!("SOAK_SEED={seed} SOAK_MINUTES={minutes} SOAK_KILLS={}", u8::from(kills));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("soak.toml");
    fs::write(&file, Storm::scenario(seed, minutes, kills)).expect("a scenario");
    let mut watch = Watch::default();
    let drill = Drill {
        scenario: file.to_str().expect("a path"),
        speed: 1,
        // Its faults are more than a platform's broadcasts: what they cost is proved elsewhere.
        output_keys: "broadcasts_per_hour = 0",
        patience: Duration::from_secs(60 * (minutes + 10)),
    };
    let outcome = drill.hold(|state| watch.look(state)).await;
    assert!(!watch.seen.is_empty(), "the bridge's process was never seen");
    let growths = watch.growths();
    assert!(kills || minutes < 15 || !growths.is_empty(), "its growth was not judged");
    if growths.is_empty() {
        println!("No bridge lived long enough for its growth to be judged: that takes nine minutes.");
    }
    for growth in &growths {
        let Growth { pid, minutes, warm, end, pss_growth } = growth;
        println!(
            "bridge {pid}, {minutes:.0} min: PSS {} -> {} kB ({:+.1} %), threads {} -> {}, descriptors {} -> {}",
            warm.pss_kb,
            end.pss_kb,
            pss_growth * 100.0,
            warm.threads,
            end.threads,
            warm.descriptors,
            end.descriptors
        );
    }
    if let Some(path) = std::env::var_os("SOAK_REPORT").filter(|path| !path.is_empty()) {
        let report = serde_json::json!({
            "seed": seed, "minutes": minutes, "kills": kills,
            "verdict": outcome.judgement.verdict, "reasons": outcome.judgement.reasons, "processes": growths,
        });
        fs::write(path, serde_json::to_vec_pretty(&report).expect("JSON")).expect("a report");
    }
    outcome.assert_passed();
    for growth in &growths {
        assert!(growth.pss_growth <= GROWTH, "the bridge grew: {growth:?}");
        assert!(growth.end.threads <= growth.warm.threads + 1, "threads leak: {growth:?}");
        assert!(growth.end.descriptors <= growth.warm.descriptors + 2, "descriptors leak: {growth:?}");
    }
}
