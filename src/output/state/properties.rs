//! The machine by property: whatever happens in whatever order, it is never stuck and never overspends.

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;
use crate::config::{BudgetConfig, WhenSpent};

const HOUR: Duration = Duration::from_secs(3600);
const RARE: Duration = Duration::from_secs(300);

/// What can happen, each after some milliseconds.
#[derive(Debug, Clone)]
enum Step {
    Say(Event),
    /// The ingest takes so many bytes for as many seconds.
    Run(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![
        Just(FaultClass::Refused),
        Just(FaultClass::Unreachable),
        Just(FaultClass::Rejected),
        Just(FaultClass::Closed),
        Just(FaultClass::Stalled),
        Just(FaultClass::Certificate),
        Just(FaultClass::Other),
    ];
    prop_oneof![
        1 => Just(Step::Say(Event::Begin)),
        1 => Just(Step::Say(Event::Start)),
        1 => Just(Step::Say(Event::Stop)),
        1 => Just(Step::Say(Event::Restart)),
        6 => Just(Step::Say(Event::Tick)),
        4 => class.prop_map(|class| Step::Say(Event::Fault(class))),
        6 => (0..400_000_u64, 1..40_u64).prop_map(|(bytes, seconds)| Step::Run(bytes, seconds)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let pause = prop_oneof![0..300_u64, 0..20_000_u64, 0..600_000_u64];
    proptest::collection::vec((pause, step()), 1..120)
}

/// A machine with its connection, and the rules that hold after every event.
struct World {
    machine: Machine,
    config: BudgetConfig,
    now: Instant,
    connected: bool,
    wanted: bool,
    by_operator: bool,
    bytes: u64,
    offered: u64,
    publishes: Vec<Instant>,
    attempts: Vec<Instant>,
}

impl World {
    fn new(config: BudgetConfig) -> Self {
        let now = Instant::now();
        Self {
            machine: Machine::new(Budget::new(config, &[], &Clock::system()), now),
            config,
            now,
            connected: false,
            wanted: false,
            by_operator: false,
            bytes: 0,
            offered: 0,
            publishes: Vec::new(),
            attempts: Vec::new(),
        }
    }

    fn say(&mut self, event: Event) -> Action {
        match event {
            Event::Begin => self.wanted = true,
            Event::Start | Event::Restart => (self.wanted, self.by_operator) = (true, true),
            Event::Stop => (self.wanted, self.by_operator) = (false, false),
            _ => {}
        }
        let was_live = self.machine.state() == OutputState::Live;
        let action = self.machine.on(event, self.now);
        match action {
            Action::None => {}
            Action::Connect => self.connect(),
            Action::Disconnect | Action::Fail(_) => {
                assert!(self.connected, "there is nothing to close at {event:?}");
                self.connected = false;
            }
        }
        if !was_live && self.machine.state() == OutputState::Live {
            self.publishes.push(self.now);
        }
        let state = self.machine.state();
        assert_eq!(self.connected, matches!(state, OutputState::Connecting | OutputState::Live), "{event:?}");
        assert_eq!(self.wanted, state != OutputState::Stopped, "{event:?}");
        action
    }

    fn connect(&mut self) {
        assert!(!self.connected, "there are never two connections");
        let of_the_hour = |at: &&Instant| self.now - **at < HOUR;
        let used = self.publishes.iter().filter(of_the_hour).count();
        if !std::mem::take(&mut self.by_operator) && self.config.per_hour > 0 && used >= self.config.per_hour as usize {
            let rare = self.attempts.last().is_none_or(|last| self.now - *last >= RARE);
            assert!(self.config.when_spent == WhenSpent::Slow && rare, "it overspends: {used} of {:?}", self.config);
        }
        self.attempts.push(self.now);
        (self.connected, self.bytes, self.offered) = (true, 0, 0);
    }

    /// Looks at the bytes out every 200 ms, as the task does.
    fn run(&mut self, bytes_each_second: u64, seconds: u64) {
        let mut moved = self.now;
        for _ in 0..seconds * 5 {
            self.now += Duration::from_millis(200);
            if self.connected {
                self.bytes += bytes_each_second / 5;
                self.offered += 15;
                let action = self.say(Event::Progress { bytes: self.bytes, offered: self.offered });
                if bytes_each_second >= 5 && action == Action::Fail(FaultClass::Stalled) {
                    assert!(self.now - moved >= Duration::from_secs(5), "declared dead while bytes moved");
                }
                moved = if bytes_each_second >= 5 { self.now } else { moved };
            }
            self.say(Event::Tick);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_sequence_of_events_leaves_an_output_stuck_or_overspends_its_budget(
        steps in steps(), per_hour in 0..4_u32, hold in any::<bool>(),
    ) {
        let when_spent = if hold { WhenSpent::Hold } else { WhenSpent::Slow };
        let mut world = World::new(BudgetConfig { per_hour, when_spent });
        for (pause, step) in steps {
            world.now += Duration::from_millis(pause);
            match step {
                Step::Say(event) => drop(world.say(event)),
                Step::Run(bytes, seconds) => world.run(bytes, seconds),
            }
        }
        if !world.wanted {
            world.say(Event::Begin);
        }
        // Whatever it was doing, an ingest that takes nothing is left within its time-out, and tried again.
        let attempts = world.attempts.len();
        let bound = match (per_hour, hold) {
            (0, _) => 95,
            (_, false) => 30 + 300,
            (_, true) => 30 + 3600,
        };
        let deadline = world.now + Duration::from_secs(bound);
        while world.attempts.len() == attempts && world.now < deadline {
            world.run(0, 1);
        }
        prop_assert!(world.attempts.len() > attempts, "stuck: {:?}", world.machine);
    }

    /// Buffers take everything for 16 s, then lumps with silence between them: the output learns, and stays.
    #[test]
    fn a_slow_connection_that_moves_in_lumps_is_replaced_a_few_times_and_then_kept(silence in 1..39_u64, lump in 1000..2_000_000_u64) {
        let mut world = World::new(BudgetConfig { per_hour: 0, when_spent: WhenSpent::Slow });
        world.say(Event::Start);
        for _ in 0..1200 {
            let age = world.attempts.last().map_or(0, |at| (world.now - *at).as_secs());
            let lump = if age > 16 && !age.is_multiple_of(silence + 1) { 0 } else { lump };
            world.run(if age > 16 { lump } else { 400_000 }, 1);
        }
        prop_assert!(world.attempts.len() <= 5, "{} connections", world.attempts.len());
    }

    #[test]
    fn a_slow_connection_that_moves_is_never_declared_dead(
        pauses in proptest::collection::vec((1..4900_u64, 1..2_000_u64), 1..200),
    ) {
        let start = Instant::now();
        let mut liveness = Liveness::new(Duration::from_secs(5), start);
        let (mut now, mut bytes, mut offered) = (start, 5000, 0);
        liveness.judge(bytes, offered, now);
        for (pause, moved) in pauses {
            let mut left = pause;
            while left > 0 {
                let step = left.min(200);
                (now, left, offered) = (now + Duration::from_millis(step), left - step, offered + 15);
                bytes += if left == 0 { moved } else { 0 };
                prop_assert_ne!(liveness.judge(bytes, offered, now), Verdict::Dead);
            }
        }
    }
}
