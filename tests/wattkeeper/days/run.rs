//! One house from its first second to its last, live or from its journal.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wattkeeper::control::decision::GuardState;
use wattkeeper::control::genset::GensetState;
use wattkeeper::control::orders::Actor;
use wattkeeper::control::policy::{Control, Policy};
use wattkeeper::control::reading::Stage;
use wattkeeper::control::reason::Tier;
use wattkeeper::control::site::{Input, Manual, OperatorOrder, Outputs, Past, Site};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::plant::physics::total;

use super::disk::{Disk, Kept};
use super::faults::{Ambush, Comeback, Fault, What};
use super::setup::House;
use super::shown::Trace;
use super::watch::{Begin, Watch};
use super::world::World;

/// A restored site is compared with its unrestored twin this long.
const TWIN_FOR: i64 = 600;
/// After the last fault everything is good again within this, the grid's stable time apart.
const RECOVERY: i64 = 480;
/// What a suspended process finds waiting when it goes on; more is lost on the way.
const BACKLOG: usize = 256;
/// Counters are written down this often, and a little later on a disk that is well.
const COUNTERS: Span = Span::secs(63);

/// What a run came to.
pub struct Finished {
    pub profile: &'static str,
    pub wired: bool,
    /// Confirmed starts of the generator.
    pub starts: u32,
    /// How often the process began.
    pub processes: u32,
    pub decisions: u64,
    pub commands: u64,
    /// Over every decision and every command.
    pub hash: u64,
    pub journal: Vec<Step>,
}

/// What a run failed by.
pub struct Failed {
    pub second: i64,
    pub text: String,
}

/// What replays a run.
pub enum Step {
    /// A moment and an encoded input.
    Input(Mono, Vec<u8>),
    /// A process began, from this.
    Begin(Mono, Box<(Policy, Past)>),
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
    house: House,
    world: World,
    site: Site,
    twin: Option<(Site, i64)>,
    watch: Watch,
    disk: Disk,
    hash: Hash,
    processes: u32,
    decisions: u64,
    commands: u64,
    journal: Option<Vec<Step>>,
    trace: Trace,
    wake_at: Mono,
    second: i64,
    /// How far the site's time is behind the world's, in ms: nobody knew how long the power was gone.
    behind: i64,
    /// While the process is away: when it comes back, and how.
    away: Option<(i64, Comeback)>,
    ambushes: Vec<Fault>,
    /// Somebody else's words that are still to come: actuator, when, and how many.
    foreign: Vec<(u8, i64, u8)>,
    backlog: Vec<Input>,
    recovery: Recovery,
}

/// How the quiet end of a round went.
#[derive(Default)]
struct Recovery {
    steered: u32,
    off: u32,
    /// For how many seconds the charge has been low enough for a start.
    wanting: i64,
}

/// Lives in a house. Keeps a journal on request.
pub fn live(house: House, journal: bool) -> Result<Finished, Failed> {
    let mut run = Run::new(house, journal);
    let lived = catch_unwind(AssertUnwindSafe(|| run.live()));
    let what = match lived {
        Ok(Ok(())) => {
            return Ok(Finished {
                profile: run.house.profile,
                wired: run.house.wired(),
                starts: run.site.decision().generator.starts,
                processes: run.processes,
                decisions: run.decisions,
                commands: run.commands,
                hash: run.hash.0,
                journal: run.journal.unwrap_or_default(),
            });
        }
        Ok(Err(what)) => what,
        Err(_) => "it panicked".to_owned(),
    };
    Err(Failed { second: run.second, text: run.trace.failure(&run.house, run.second, &what) })
}

/// Gives a new site the inputs of a journal; the hash of what it decides.
pub fn replay(house: &House, journal: &[Step]) -> u64 {
    let mut site = Site::new(house.config.clone());
    let mut hash = Hash::new();
    for step in journal {
        match step {
            Step::Input(now, bytes) => {
                site.handle(*now, &Input::decode(bytes).unwrap());
                hash.outcome(&site, site.outputs());
            }
            Step::Begin(now, from) => {
                let mut config = house.config.clone();
                config.policy = from.0.clone();
                site = Site::begin(config, from.1.clone(), *now);
            }
        }
    }
    hash.0
}

impl Run {
    fn new(house: House, journal: bool) -> Self {
        let (wiring, policy) = (&house.config.wiring, &house.config.policy);
        Self {
            world: World::new(&house),
            site: Site::new(house.config.clone()),
            twin: None,
            watch: Watch::new(wiring, policy, house.config.signals.len()),
            disk: Disk::new(house.seed),
            hash: Hash::new(),
            processes: 1,
            decisions: 0,
            commands: 0,
            journal: journal.then(Vec::new),
            trace: Trace::default(),
            wake_at: Mono::ZERO,
            second: 0,
            behind: 0,
            away: None,
            ambushes: Vec::new(),
            foreign: Vec::new(),
            backlog: Vec::new(),
            recovery: Recovery::default(),
            house,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        self.empty()?;
        let mut inputs = Vec::new();
        for second in 1..=self.house.stay.seconds() {
            self.second = second;
            self.come_back()?;
            self.one_second(&mut inputs)?;
            match self.house.stay.quiet_for(second) {
                Some(quiet) if quiet >= RECOVERY => self.recovered(quiet)?,
                Some(_) => {}
                None => self.recovery = Recovery::default(),
            }
            if second % self.house.stay.round == self.house.stay.round - 1 {
                self.steered()?;
            }
        }
        Ok(())
    }

    fn one_second(&mut self, inputs: &mut Vec<Input>) -> Result<(), String> {
        let second = self.second;
        let now = self.site_time(second * 1_000);
        let suspended = self.world.is(|what| *what == What::Suspend);
        let awake = self.away.is_none() && !suspended;
        for fault in self.world.second(second, now, awake, inputs) {
            self.befall(fault)?;
        }
        self.spring_ambushes()?;
        self.foreign.retain_mut(|(actuator, at, times)| {
            if *at == second {
                inputs.push(Input::Foreign { actuator: *actuator });
                (*at, *times) = (*at + 20, *times - 1);
            }
            *times > 0
        });
        if self.away.is_some() {
            self.backlog.clear();
            return Ok(());
        }
        if suspended {
            self.backlog.append(inputs);
            let spill = self.backlog.len().saturating_sub(BACKLOG);
            self.backlog.drain(..spill);
            return Ok(());
        }
        for input in std::mem::take(&mut self.backlog).into_iter().chain(inputs.drain(..)) {
            self.give(now, input)?;
        }
        self.rest_of_second()
    }

    /// Whatever the disk and the site itself want before the next second.
    fn rest_of_second(&mut self) -> Result<(), String> {
        let (start, end) = (self.second * 1_000, self.second * 1_000 + 999);
        while self.away.is_none() {
            let due = self.wake_at.0.saturating_add(self.behind).max(start);
            let stored = self.disk.next().map_or(i64::MAX, |at| at.max(start));
            if due.min(stored) > end {
                break;
            }
            if stored <= due {
                let seq = self.disk.done(stored).unwrap();
                self.give(self.site_time(stored), Input::Stored(seq))?;
            } else {
                self.give(self.site_time(due), Input::Due)?;
            }
        }
        Ok(())
    }

    fn site_time(&self, ms: i64) -> Mono {
        Mono(ms - self.behind)
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
            journal.push(Step::Input(now, input.encode()));
        }
        self.watch.hear(now, &input);
        let outputs = self.site.handle(now, &input).clone();
        self.compare(now, &input, &outputs)?;
        self.trace.input(now, input.clone());
        self.wake_at = outputs.wake_at;
        self.hash.outcome(&self.site, &outputs);
        if outputs.decided {
            self.decisions += 1;
            self.trace.decision(self.site.decision());
        }
        self.watch.check(now, &input, &self.site, &outputs)?;
        if let Some(seq) = outputs.keep {
            let kept = Kept::new(seq, &self.site.keepsake(now), self.watch.books());
            self.disk.ask(kept, now.0 + self.behind, self.world.disk());
        }
        let mut answers = Vec::new();
        for command in &outputs.commands {
            self.commands += 1;
            if let Some(outcome) = self.world.take(command, self.second, now) {
                answers.push(Input::Wrote { actuator: command.actuator, seq: command.seq, outcome });
            }
        }
        if !outputs.commands.is_empty() {
            self.world.exchange(now, &mut answers);
        }
        if let Some(trouble) = self.world.trouble() {
            return Err(trouble);
        }
        for answer in answers {
            self.give(now, answer)?;
        }
        Ok(())
    }

    /// What happens to the process.
    fn befall(&mut self, fault: Fault) -> Result<(), String> {
        match fault.what {
            What::Foreign(actuator, times) => self.foreign.push((actuator, self.second, times)),
            What::Kill(..) => self.ambushes.push(fault),
            What::Restore if self.away.is_none() => self.restore()?,
            What::Leave(lasts) if self.away.is_none() => self.leave(lasts)?,
            _ => {}
        }
        Ok(())
    }

    fn spring_ambushes(&mut self) -> Result<(), String> {
        let ambushes = std::mem::take(&mut self.ambushes);
        for fault in ambushes {
            let What::Kill(ambush, comeback, lasts) = fault.what else { continue };
            let sprung = match ambush {
                Ambush::Nothing => true,
                Ambush::Unsafe => self.disk.waits(),
                Ambush::Held => self.watch.held(),
                Ambush::Running => self.watch.runs(),
                Ambush::Cranking => self.watch.cranks(),
                Ambush::Stopped => self.watch.stopped(),
            };
            if sprung && self.away.is_none() {
                self.die(comeback, lasts)?;
            } else if fault.to > self.second {
                self.ambushes.push(fault);
            }
        }
        Ok(())
    }

    fn die(&mut self, comeback: Comeback, lasts: i64) -> Result<(), String> {
        self.disk.crash(matches!(comeback, Comeback::KnownTime | Comeback::UnknownTime));
        let ms = self.second * 1_000;
        let now = self.site_time(ms);
        self.trace.process(now, format!("the process dies: {comeback:?}"));
        let last = self.disk.safe().map_or(self.watch.began_at(), |kept| kept.at);
        let well = now.since(self.watch.began_at()) > COUNTERS && ms - self.disk.well_since > 2 * COUNTERS.0;
        let slept = self.watch.slept(now);
        if well && !slept && now.since(last) > COUNTERS {
            return Err(format!("counters of {} s are lost", now.since(last).whole_secs()));
        }
        self.go(comeback, lasts);
        Ok(())
    }

    fn leave(&mut self, lasts: i64) -> Result<(), String> {
        let now = self.site_time(self.second * 1_000);
        self.give(now, Input::Leaving)?;
        self.disk.flush();
        self.trace.process(now, "the process leaves".to_owned());
        self.go(Comeback::SameBoot, lasts);
        Ok(())
    }

    fn go(&mut self, comeback: Comeback, lasts: i64) {
        let round = self.house.stay.round;
        let quiet = self.second - self.second % round + round - self.house.stay.quiet;
        self.away = Some(((self.second + lasts.max(1)).min(quiet.max(self.second + 1)), comeback));
        self.twin = None;
        self.backlog.clear();
    }

    fn come_back(&mut self) -> Result<(), String> {
        let Some((_, comeback)) = self.away.take_if(|(at, _)| *at <= self.second) else { return Ok(()) };
        let ms = self.second * 1_000;
        let mut past = match self.disk.safe() {
            Some(kept) => Past::Kept(Box::new(kept.read())),
            None => Past::None,
        };
        match (comeback, &past) {
            (Comeback::Lost, _) => {
                past = Past::Lost;
                self.behind = ms;
            }
            (Comeback::UnknownTime, Past::Kept(kept)) => self.behind = ms - kept.at.0,
            _ => {}
        }
        let now = self.site_time(ms);
        self.trace.process(now, format!("the process begins: {comeback:?}"));
        let policy = self.world.policy.clone();
        let begin = match (&past, self.disk.safe()) {
            (Past::Kept(_), Some(kept)) => Begin::Kept(&kept.books),
            (Past::Lost, _) => Begin::Lost,
            _ => Begin::New,
        };
        self.watch.begin(now, &begin, &policy);
        if let Past::Lost = past {
            self.disk = Disk::new(self.house.seed ^ self.second as u64);
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Step::Begin(now, Box::new((policy.clone(), past.clone()))));
        }
        let mut config = self.house.config.clone();
        config.policy = policy;
        self.site = Site::begin(config, past, now);
        self.wake_at = now;
        self.processes += 1;
        self.world.process_begins();
        if comeback == Comeback::Lost && self.watch.known.policy.generator.is_some() {
            // Whoever finds the site without its memory pushes the button.
            let order = OperatorOrder::Generator { manual: Manual::Run, lasts: Some(Span::secs(300)) };
            self.give(now, Input::Operator(order, Actor::default()))?;
        }
        Ok(())
    }

    /// Down to bytes and up again; the site before that goes on beside it.
    fn restore(&mut self) -> Result<(), String> {
        let mut config = self.house.config.clone();
        config.policy = self.watch.known.policy.clone();
        let restored = Site::restore(config, &self.site.snapshot()).map_err(|error| error.to_string())?;
        let twin = std::mem::replace(&mut self.site, restored);
        self.twin = Some((twin, self.second + TWIN_FOR));
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
        if self.second > *until {
            self.twin = None;
        }
        Ok(())
    }

    /// Invariant 8: after the faults every input is good again, the generator serves, and the grid follows its setpoint.
    fn recovered(&mut self, quiet: i64) -> Result<(), String> {
        let decision = self.site.decision();
        let policy = &self.watch.known.policy;
        let metered = policy.grid.connected;
        let observes = policy.control == Control::Observe;
        // A charge of exactly 0 is how the GX says that it does not know.
        if self.house.wired() && self.world.field.plant.flows().soc < 0.01 {
            return Ok(());
        }
        let [meter, inverter, soc, bms, ..] = decision.stages;
        if !decision.ready || (metered && meter > Stage::Good) || inverter.max(soc).max(bms) > Stage::Good {
            let truth = self.world.field.plant.flows().soc;
            return Err(format!(
                "long after the last fault the inputs are {:?}, the charge {truth:.4}",
                decision.stages
            ));
        }
        let mut given_up = self.site.actuators().iter().filter(|actuator| actuator.given_up());
        if let Some(actuator) = given_up.next() {
            return Err(format!("long after the last fault an order is still given up: {actuator:?}"));
        }
        if !observes {
            self.served()?;
        }
        let decision = self.site.decision();
        let policy = &self.watch.known.policy;
        if quiet < RECOVERY + policy.grid.stable_for.whole_secs() || !metered {
            return Ok(());
        }
        if self.watch.known.island(self.site_time(self.second * 1_000)) {
            return Err("long after the last fault the site believes in an island".to_owned());
        }
        let told = |tier: Tier| decision.reasons.binding().is_some_and(|cause| cause.tier == tier);
        let direct = self.house.profile != "supervise" && !observes;
        if told(Tier::Default) && direct && decision.guard == GuardState::Ok {
            let error = total(self.world.field.plant.flows().grid) - f64::from(policy.grid.setpoint.0);
            self.recovery.steered += 1;
            self.recovery.off += u32::from(error.abs() > 250.0);
        }
        Ok(())
    }

    /// The generator is ours, and runs when the charge asks for it.
    fn served(&mut self) -> Result<(), String> {
        let known = &self.watch.known;
        let Some(generator) = &known.policy.generator else { return Ok(()) };
        let state = self.site.decision().generator.state;
        if matches!(state, GensetState::Boot | GensetState::Local | GensetState::Lockout) {
            return Err(format!("long after the last fault the generator is in {}", state.name()));
        }
        let soc = known.reading(known.wiring.battery.soc).map(|(soc, _)| soc);
        let low = generator.soc.zip(soc).is_some_and(|(condition, soc)| soc <= condition.start);
        let asks = low && generator.auto && !self.site.decision().generator.quiet;
        self.recovery.wanting = if asks { self.recovery.wanting + 1 } else { 0 };
        let start_for = generator.soc.map_or(Span::ZERO, |condition| condition.start_for);
        let patience = start_for + generator.rest.max(generator.min_off) + generator.crank_rest;
        if self.recovery.wanting > patience.whole_secs() + 120 && !state.commands() {
            let wanting = self.recovery.wanting;
            return Err(format!("the charge asks for the generator since {wanting} s: {}", state.name()));
        }
        Ok(())
    }

    fn steered(&self) -> Result<(), String> {
        let Recovery { steered, off, .. } = self.recovery;
        if steered > 300 && off * 4 > steered {
            return Err(format!("after the faults the grid is off its setpoint {off} of {steered} s"));
        }
        Ok(())
    }
}

/// The smallest set of faults found that still breaks the house, and what it breaks. What ends a round is no fault
/// and stays.
pub fn shrink(house: &House, failed: Failed, mut tries: usize) -> (House, Failed) {
    let stay = house.stay;
    let (closing, mut faults): (Vec<Fault>, Vec<Fault>) =
        house.faults.iter().partition(|fault| stay.quiet_for(fault.from).is_some());
    faults.retain(|fault| fault.from <= failed.second);
    let with = |faults: &[Fault]| {
        let mut less = house.clone();
        less.faults = [faults, &closing].concat();
        less.faults.sort_by_key(|fault| fault.from);
        less
    };
    let mut failed = failed;
    let mut parts = 2;
    while faults.len() > 1 && tries > 0 {
        let size = faults.len().div_ceil(parts);
        let smaller = (0..faults.len().div_ceil(size)).take(tries).find_map(|part| {
            let mut less = faults.clone();
            less.drain(part * size..((part + 1) * size).min(faults.len()));
            Some((live(with(&less), false).err()?, less))
        });
        tries = tries.saturating_sub(parts);
        match smaller {
            Some((failure, less)) => {
                (failed, faults) = (failure, less);
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(faults.len()),
        }
    }
    (with(&faults), failed)
}

/// The faults of a house, one in a line.
pub fn faults(house: &House) -> String {
    let lines = house.faults.iter().map(|fault| format!("  {fault:?}\n"));
    lines.collect()
}
