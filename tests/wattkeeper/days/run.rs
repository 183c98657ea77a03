//! One day from its first second to its last, live or from its journal.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wattkeeper::control::decision::{Decision, GuardState};
use wattkeeper::control::genset::GensetState;
use wattkeeper::control::reading::Stage;
use wattkeeper::control::reason::Tier;
use wattkeeper::control::site::{Input, Outputs, Site};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::plant::physics::total;

use super::setup::{DAY, Day, QUIET_FROM};
use super::watch::Watch;
use super::world::World;

/// Inputs and decisions shown with a failure.
const SHOWN: usize = 20;
/// A restored site is compared with its unrestored twin this long.
const TWIN_FOR: i64 = 600;
/// After the last fault everything is good again within this, the grid's stable time apart.
const RECOVERY: i64 = 180;

/// What a day came to.
pub struct Finished {
    pub profile: &'static str,
    /// Confirmed starts of the generator.
    pub starts: u32,
    pub decisions: u64,
    pub commands: u64,
    /// Over every decision and every command.
    pub hash: u64,
    /// Moments and encoded inputs: what replays the day.
    pub journal: Vec<u8>,
}

enum Entry {
    Input(Mono, Input),
    Decision(Box<Decision>),
}

/// FNV-1a over decisions and commands.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn outcome(&mut self, site: &Site, outputs: &Outputs) {
        if outputs.decided {
            self.add(&postcard::to_stdvec(site.decision()).unwrap());
        }
        for command in &outputs.commands {
            self.add(format!("{command:?}").as_bytes());
        }
    }
}

struct Run {
    day: Day,
    world: World,
    site: Site,
    twin: Option<(Site, i64)>,
    watch: Watch,
    hash: Hash,
    decisions: u64,
    commands: u64,
    journal: Option<Vec<u8>>,
    trace: VecDeque<Entry>,
    wake_at: Mono,
    recovery: Recovery,
}

/// How the quiet end of the day went.
#[derive(Default)]
struct Recovery {
    steered: u32,
    off: u32,
}

/// Lives through the day of a seed.
pub fn live(seed: u64, journal: bool) -> Result<Finished, String> {
    let day = Day::new(seed);
    let (wiring, policy) = (&day.config.wiring, &day.config.policy);
    let mut run = Run {
        world: World::new(&day),
        site: Site::new(day.config.clone()),
        twin: None,
        watch: Watch::new(wiring, policy, day.config.signals.len()),
        hash: Hash::new(),
        decisions: 0,
        commands: 0,
        journal: journal.then(Vec::new),
        trace: VecDeque::new(),
        wake_at: Mono::ZERO,
        recovery: Recovery::default(),
        day,
    };
    let lived = catch_unwind(AssertUnwindSafe(|| run.live()));
    match lived {
        Ok(Ok(())) => Ok(Finished {
            profile: run.day.profile,
            starts: run.site.decision().generator.starts,
            decisions: run.decisions,
            commands: run.commands,
            hash: run.hash.0,
            journal: run.journal.unwrap_or_default(),
        }),
        Ok(Err(what)) => Err(run.failure(&what)),
        Err(_) => Err(run.failure("it panicked")),
    }
}

/// Gives a new site the inputs of a journal; the hash of what it decides.
pub fn replay(seed: u64, journal: &[u8]) -> u64 {
    let mut site = Site::new(Day::new(seed).config);
    let mut hash = Hash::new();
    let mut rest = journal;
    while let Some((head, tail)) = rest.split_first_chunk::<10>() {
        let now = Mono(i64::from_le_bytes(head[..8].try_into().unwrap()));
        let (bytes, tail) = tail.split_at(usize::from(u16::from_le_bytes([head[8], head[9]])));
        site.handle(now, &Input::decode(bytes).unwrap());
        hash.outcome(&site, site.outputs());
        rest = tail;
    }
    hash.0
}

impl Run {
    fn live(&mut self) -> Result<(), String> {
        self.empty()?;
        let mut inputs = Vec::new();
        for second in 1..=DAY {
            if self.world.second(second, &mut inputs) {
                self.restore(second)?;
            }
            for input in inputs.drain(..) {
                self.give(Mono(second * 1_000), input)?;
            }
            let end = Mono(second * 1_000 + 999);
            while self.wake_at <= end {
                self.give(self.wake_at.max(Mono(second * 1_000)), Input::Due)?;
            }
            if second >= QUIET_FROM + RECOVERY {
                self.recovered(second)?;
            }
        }
        let Recovery { steered, off } = self.recovery;
        if steered > 600 && off * 4 > steered {
            return Err(format!("after the faults the grid is off its setpoint {off} of {steered} s"));
        }
        Ok(())
    }

    /// Invariant 6: an empty image gives the safe order.
    fn empty(&mut self) -> Result<(), String> {
        self.give(Mono::ZERO, Input::Due)?;
        let decision = self.site.decision();
        if decision.battery_order != Watts::ZERO || self.commands > 0 {
            return Err(format!(
                "an empty image gives {}, {} commands",
                decision.battery_order, self.commands
            ));
        }
        Ok(())
    }

    fn give(&mut self, now: Mono, input: Input) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            let bytes = input.encode();
            journal.extend_from_slice(&now.0.to_le_bytes());
            journal.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_le_bytes());
            journal.extend_from_slice(&bytes);
        }
        self.watch.hear(now, &input);
        let outputs = self.site.handle(now, &input).clone();
        self.compare(now, &input, &outputs)?;
        self.note(Entry::Input(now, input));
        self.wake_at = outputs.wake_at;
        self.hash.outcome(&self.site, &outputs);
        if outputs.decided {
            self.decisions += 1;
            self.note(Entry::Decision(Box::new(self.site.decision().clone())));
        }
        self.watch.check(now, self.site.decision(), &outputs)?;
        if let Some(seq) = outputs.keep {
            self.give(now, Input::Stored(seq))?;
        }
        for command in &outputs.commands {
            self.commands += 1;
            if let Some(outcome) = self.world.take(command, now.0 / 1_000) {
                let wrote = Input::Wrote { actuator: command.actuator, seq: command.seq, outcome };
                self.give(now, wrote)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, entry: Entry) {
        if self.trace.len() == SHOWN {
            self.trace.pop_front();
        }
        self.trace.push_back(entry);
    }

    /// Down to bytes and up again; the site before that goes on beside it.
    fn restore(&mut self, second: i64) -> Result<(), String> {
        let mut config = self.day.config.clone();
        config.policy = self.watch.known.policy.clone();
        let restored = Site::restore(config, &self.site.snapshot()).map_err(|error| error.to_string())?;
        let twin = std::mem::replace(&mut self.site, restored);
        self.twin = Some((twin, second + TWIN_FOR));
        Ok(())
    }

    fn compare(&mut self, now: Mono, input: &Input, outputs: &Outputs) -> Result<(), String> {
        let Some((twin, until)) = &mut self.twin else { return Ok(()) };
        twin.handle(now, input);
        let same = twin.outputs();
        let equal = twin.decision() == self.site.decision()
            && same.commands == outputs.commands
            && same.events == outputs.events
            && same.wake_at == outputs.wake_at;
        if !equal {
            return Err("a restored site goes on differently".to_owned());
        }
        if now.0 / 1_000 > *until {
            self.twin = None;
        }
        Ok(())
    }

    /// Invariant 8: after the faults every input is good again and the grid follows its setpoint.
    fn recovered(&mut self, second: i64) -> Result<(), String> {
        let decision = self.site.decision();
        let policy = &self.watch.known.policy;
        let stable = QUIET_FROM + RECOVERY + policy.grid.stable_for.whole_secs();
        let metered = policy.grid.connected;
        let [meter, inverter, soc, bms, ..] = decision.stages;
        if !decision.ready || (metered && meter > Stage::Good) || inverter.max(soc).max(bms) > Stage::Good {
            return Err(format!("long after the last fault the inputs are {:?}", decision.stages));
        }
        if self.site.actuators().iter().any(|actuator| actuator.given_up()) {
            return Err("long after the last fault an order is still given up".to_owned());
        }
        if second < stable || !metered {
            return Ok(());
        }
        let now = Mono(second * 1_000);
        if self.watch.known.island(now) {
            return Err("long after the last fault the site believes in an island".to_owned());
        }
        let told = |tier: Tier| decision.reasons.binding().is_some_and(|cause| cause.tier == tier);
        let direct = self.day.profile != "supervise";
        if told(Tier::Default) && direct && decision.guard == GuardState::Ok {
            let error = total(self.world.plant.flows().grid) - f64::from(policy.grid.setpoint.0);
            self.recovery.steered += 1;
            self.recovery.off += u32::from(error.abs() > 250.0);
        }
        let lost = decision.generator.state == GensetState::Local;
        if lost && Span::secs(second - QUIET_FROM) > Span::secs(RECOVERY) {
            return Err("long after the last fault the generator is not ours".to_owned());
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> String {
        let at = match self.trace.back() {
            Some(Entry::Input(now, _)) => *now,
            Some(Entry::Decision(decision)) => decision.at,
            None => Mono::ZERO,
        };
        let second = at.0 / 1_000;
        let mut text = format!("seed {} ({}), second {second}: {what}\n", self.day.seed, self.day.profile);
        let _ = writeln!(text, "again: WATTKEEPER_DAYS=1 WATTKEEPER_DAYS_FROM={} \\", self.day.seed);
        let _ = writeln!(text, "  cargo test --test wattkeeper a_campaign_of_days -- --nocapture");
        for fault in self.day.faults.iter().filter(|fault| fault.from <= second && fault.to + 60 >= second) {
            let _ = writeln!(text, "  fault {fault:?}");
        }
        for entry in &self.trace {
            let _ = match entry {
                Entry::Input(now, Input::Heard { signal, value, asked_at }) => {
                    let name = self.day.config.signals.get(*signal).map(|signal| signal.name());
                    writeln!(
                        text,
                        "  {:>10} {} = {value:?} asked {}",
                        now.0,
                        name.unwrap_or_default(),
                        asked_at.0
                    )
                }
                Entry::Input(now, Input::Reload(policy)) => {
                    writeln!(text, "  {:>10} reload, floor {}", now.0, policy.battery.floor)
                }
                Entry::Input(now, input) => writeln!(text, "  {:>10} {input:?}", now.0),
                Entry::Decision(decision) => writeln!(text, "  {:>10} {}", decision.at.0, shown(decision)),
            };
        }
        text
    }
}

fn shown(decision: &Decision) -> String {
    let reasons: Vec<String> = decision.reasons.iter().map(|cause| cause.reason.to_string()).collect();
    let rungs: Vec<String> = decision
        .ladder
        .iter()
        .map(|rung| format!("{:?} {}..{}", rung.tier, rung.low.0, rung.high.0))
        .collect();
    let parts: Vec<[i32; 3]> = decision.inverters.iter().map(|parts| parts.map(|part| part.0)).collect();
    format!(
        "decides {} {parts:?}, guard {}, stages {:?}, generator {} {:?}, reasons {}, binding {:?}, ladder {}",
        decision.battery_order,
        decision.guard.name(),
        decision.stages.map(|stage| stage.level()),
        decision.generator.state.name(),
        decision.generator.reason,
        reasons.join(" "),
        decision.reasons.binding().map(|cause| cause.reason),
        rungs.join(", "),
    )
}
