//! The invariants of a decision and of its commands, each worked out from what was heard.

use wattkeeper::control::decision::Decision;
use wattkeeper::control::policy::{GuardKind, PhaseMode, Policy};
use wattkeeper::control::reading::Stage;
use wattkeeper::control::reason::{Reason, Source, Tier};
use wattkeeper::control::site::{Input, Outputs, Site};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::control::wiring::Wiring;

use super::counted::Counted;
use super::floor::Floor;
use super::generator::Generator;
use super::known::{Known, Told};
use super::orders::Orders;
use super::people;

/// Rounding of shares, in W.
const SLACK: i64 = 3;
/// What the checks know and the site must not forget: kept beside what it writes down.
#[derive(Clone, Default)]
pub struct Books {
    floor: Floor,
    generator: Generator,
    counted: Counted,
    told: Told,
}

/// How a process came to begin.
pub enum Begin<'b> {
    /// From what was safe.
    Kept(&'b Books),
    /// Nothing was ever written down.
    New,
    /// What was written down cannot be read.
    Lost,
}

/// Everything that is checked at each step.
pub struct Watch {
    pub known: Known,
    floor: Floor,
    generator: Generator,
    counted: Counted,
    orders: Orders,
    /// Since when the order would export more than allowed, by the newest samples.
    exporting_since: Option<Mono>,
    began_at: Mono,
    decided_at: Mono,
    /// When it decided again after a while without.
    gap_at: Mono,
}

impl Watch {
    pub fn new(wiring: &Wiring, policy: &Policy, signals: usize) -> Self {
        Self {
            known: Known::new(wiring, policy, signals),
            floor: Floor::default(),
            generator: Generator::default(),
            counted: Counted::default(),
            orders: Orders::new(wiring.actuators.len()),
            exporting_since: None,
            began_at: Mono::ZERO,
            decided_at: Mono::ZERO,
            gap_at: Mono(-60_000),
        }
    }

    /// What must outlive the process, as of now.
    pub fn books(&self) -> Books {
        let (floor, generator, counted) = (self.floor.clone(), self.generator.clone(), self.counted.clone());
        Books { floor, generator, counted, told: self.known.told }
    }

    /// The process begins again at `now`, with the profile as it is by now.
    pub fn begin(&mut self, now: Mono, begin: &Begin, policy: &Policy) {
        let wiring = self.known.wiring.clone();
        let books = if let Begin::Kept(books) = begin { (*books).clone() } else { Books::default() };
        self.known = Known::new(&wiring, policy, self.known.signals());
        self.known.told = books.told;
        self.floor = books.floor;
        self.generator = books.generator;
        self.counted = books.counted;
        if let Begin::Lost = begin {
            self.floor.assume_held();
            self.generator.assume_stopped(now);
        }
        self.generator.resume();
        self.counted.begin(now);
        self.orders = Orders::new(wiring.actuators.len());
        self.exporting_since = None;
        (self.began_at, self.decided_at, self.gap_at) = (now, now, now);
    }

    /// When the process began.
    pub fn began_at(&self) -> Mono {
        self.began_at
    }

    /// Whether it has decided nothing for a while, or has only just gone on.
    pub fn slept(&self, now: Mono) -> bool {
        now.since(self.decided_at) > Span::secs(2) || now.since(self.gap_at) < Span::secs(5)
    }

    /// Whether the charge is held at the floor.
    pub fn held(&self) -> bool {
        self.floor.held()
    }

    /// Whether the generator was told to stop, and may not start again yet.
    pub fn stopped(&self) -> bool {
        self.generator.just_stopped(self.decided_at)
    }

    /// Whether the generator is told to run and not confirmed yet.
    pub fn cranks(&self) -> bool {
        self.generator.cranks()
    }

    /// Whether the generator is told to run.
    pub fn runs(&self) -> bool {
        self.generator.runs()
    }

    /// An input on its way to the site.
    pub fn hear(&mut self, now: Mono, input: &Input) {
        self.known.hear(now, input);
        self.orders.hear(now, input);
    }

    /// What came of it.
    pub fn check(&mut self, now: Mono, input: &Input, site: &Site, outputs: &Outputs) -> Result<(), String> {
        let decision = site.decision();
        if !outputs.decided {
            return self.orders.released(now, input, &outputs.commands);
        }
        if now.since(self.decided_at) > Span::secs(2) {
            self.gap_at = now;
        }
        self.decided_at = now;
        self.known.tick(now);
        self.parts(now, decision)?;
        self.authority(now, decision)?;
        self.battery(now, decision)?;
        self.silence(now, decision)?;
        self.export(now, decision)?;
        self.ladder(decision)?;
        people::check(now, &self.known, decision)?;
        self.floor.check(now, &self.known, decision)?;
        self.generator.check(now, &self.known, &decision.generator)?;
        self.counted.check(now, &self.known, site.ledger(), &decision.generator)?;
        self.known.acknowledged = false;
        if let Some(seq) = outputs.keep {
            self.orders.asks(seq, now);
        }
        self.orders.check(now, &self.known, decision, &outputs.commands)?;
        if outputs.wake_at <= now || outputs.wake_at.since(now) > self.known.policy.regulator.longest_cycle {
            return Err(format!("wakes at {:?} after a decision at {now:?}", outputs.wake_at));
        }
        Ok(())
    }

    fn parts(&self, now: Mono, decision: &Decision) -> Result<(), String> {
        let sum: Watts = decision.inverters.iter().flatten().copied().sum();
        if sum != decision.battery_order {
            return Err(format!("parts sum to {sum}, the whole is {}", decision.battery_order));
        }
        if decision.inverters.len() != self.known.wiring.inverters.len() {
            return Err("another number of orders than inverters".to_owned());
        }
        let mut signs = [false; 2];
        for (order, wired) in decision.inverters.iter().zip(&self.known.wiring.inverters) {
            // What its output feeds passes through it beside the order.
            let (behind, authority) = (self.known.load_out(now), self.known.policy.authority);
            let total = order.iter().map(|part| i64::from(part.0)).sum::<i64>();
            let spec = &wired.spec;
            let most = i64::from(spec.max_discharge.0) + SLACK;
            // PV behind its output that it cannot store goes to the bus, up to the authority.
            let least = (-i64::from(spec.max_charge.0) - behind).min(i64::from(authority.0)) - SLACK;
            if total > most || total < least {
                return Err(format!("{} is ordered {total} W, beyond its rating", spec.name));
            }
            let feeding = spec.phases.iter().filter(|feeds| **feeds).count().max(1) as i64;
            let most = i64::from(spec.max_discharge.0) / feeding + (-behind).max(0) + SLACK;
            let least = -i64::from(spec.max_charge.0) / feeding - behind.max(0) - SLACK;
            for (part, feeds) in order.iter().zip(spec.phases) {
                if !feeds && part.0 != 0 {
                    return Err(format!("{} is ordered {part} on a phase it does not feed", spec.name));
                }
                if i64::from(part.0) > most || i64::from(part.0) < least {
                    return Err(format!("{} is ordered {part} on one phase, beyond its share", spec.name));
                }
                signs[0] |= part.0 > SLACK as i32;
                signs[1] |= part.0 < -(SLACK as i32);
            }
        }
        if signs == [true; 2] && self.known.policy.phases == PhaseMode::Total {
            return Err(format!("charge and discharge at once: {:?}", decision.inverters));
        }
        Ok(())
    }

    fn authority(&self, now: Mono, decision: &Decision) -> Result<(), String> {
        let order = i64::from(decision.battery_order.0);
        let policy = &self.known.policy;
        if order.abs() > i64::from(policy.authority.0) + SLACK {
            return Err(format!("{order} W ordered, authority {}", policy.authority));
        }
        let flow = order + self.known.load_out(now);
        let over =
            |limit: Option<Watts>, flow: i64| limit.is_some_and(|limit| flow > i64::from(limit.0) + SLACK);
        if over(policy.battery.max_discharge, flow) && order > 0 {
            return Err(format!(
                "{flow} W of discharge, the operator allows {:?}",
                policy.battery.max_discharge
            ));
        }
        if over(policy.battery.max_charge, -flow) && order < 0 {
            return Err(format!(
                "{} W of charge, the operator allows {:?}",
                -flow, policy.battery.max_charge
            ));
        }
        Ok(())
    }

    /// The limits of BMS, voltage and temperature, from what was heard.
    fn battery(&self, now: Mono, decision: &Decision) -> Result<(), String> {
        let (known, own) = (&self.known, &self.known.policy.battery);
        let wired = &known.wiring.battery;
        let order = i64::from(decision.battery_order.0);
        let flow = order + known.load_out(now);
        let sun = known.pv_dc(now);
        let (mut charge, mut discharge) = (i64::MAX / 4, i64::MAX / 4);
        let island = known.island(now);
        if own.bms == Some(true) || (own.bms.is_none() && known.told.bms_seen) {
            let limits = [wired.charge_limit, wired.discharge_limit].map(|id| known.reading(id));
            let age = limits.iter().flatten().map(|(_, at)| now.since(*at)).max().unwrap_or(Span(i64::MAX));
            let lost = limits.iter().any(Option::is_none) || age > known.policy.trust.bms.safe;
            let volts = known.fresh(wired.voltage, now, Span::secs(60)).filter(|volts| *volts > 0);
            let share = if age > known.policy.trust.bms.degraded { 2 } else { 1 };
            match (limits, volts) {
                ([Some((ccl, _)), Some((dcl, _))], Some(volts)) if !lost => {
                    let watts = |milliamps: i64| volts * milliamps.abs() / 1_000_000 / share;
                    let losses = if own.guard == GuardKind::VictronCompatible { watts(ccl) / 30 } else { 0 };
                    charge = (watts(ccl) + losses - sun).max(0);
                    discharge = watts(dcl) * 95 / 100 + sun;
                }
                _ => {
                    charge = 0;
                    if !(island && own.island_without_bms) {
                        discharge = 0;
                    }
                }
            }
        }
        let volts = known.fresh(wired.voltage, now, Span::secs(60));
        if own.voltage_floor.zip(volts).is_some_and(|(floor, volts)| volts <= i64::from(floor.0)) {
            discharge = 0;
        }
        let outside = |(low, high): (i64, i64), at: i64| at < low || at > high;
        let window = own.temperature.map(|(low, high)| (i64::from(low.0), i64::from(high.0)));
        let celsius = known.reading(wired.temperature).map(|(value, _)| value);
        if window.zip(celsius).is_some_and(|(window, at)| outside(window, at)) {
            (charge, discharge) = (0, 0);
        }
        if order > 0 && flow > discharge + SLACK {
            return Err(format!("{flow} W of discharge, the battery allows {discharge} W"));
        }
        if order < 0 && -flow > charge + SLACK {
            return Err(format!("{} W of charge, the battery allows {charge} W", -flow));
        }
        Ok(())
    }

    /// Nothing is steered by inputs that are silent, and nothing is told to inverters that are.
    fn silence(&self, now: Mono, decision: &Decision) -> Result<(), String> {
        let known = &self.known;
        let trust = &known.policy.trust;
        let silent =
            |power: Option<(i64, Mono)>, safe: Span| power.is_none_or(|(_, at)| now.since(at) > safe);
        let order = i64::from(decision.battery_order.0);
        let grid = &known.wiring.grid.power;
        let meter = silent(known.power(grid), trust.meter.safe) && known.policy.grid.connected;
        if meter && !known.island(now) && (order > 0 || (order < 0 && known.load_out(now) == 0)) {
            return Err(format!("{order} W ordered while the meter is silent"));
        }
        for (wired, parts) in known.wiring.inverters.iter().zip(&decision.inverters) {
            if silent(known.power(&wired.power), trust.inverter.safe) && parts.iter().any(|part| part.0 != 0)
            {
                return Err(format!("{} is silent and ordered {parts:?}", wired.spec.name));
            }
        }
        if !decision.ready && order != 0 {
            return Err(format!("{order} W ordered before every input has spoken"));
        }
        if known.island(now) && order > 0 {
            return Err(format!("{order} W into an island"));
        }
        Ok(())
    }

    /// No order exports more than allowed for longer than a meter may take to show it.
    fn export(&mut self, now: Mono, decision: &Decision) -> Result<(), String> {
        let known = &self.known;
        let recent = |power: &(i64, Mono)| now.since(power.1) <= Span::secs(2);
        let grid = known.power(&known.wiring.grid.power).filter(recent).map(|(watts, _)| watts);
        let inverters: Option<Vec<i64>> = (known.wiring.inverters.iter())
            .map(|wired| known.power(&wired.power).filter(recent).map(|(watts, _)| watts))
            .collect();
        let limit = known.policy.grid.export_limit.filter(|_| !known.island(now));
        let over = match (limit, grid, inverters) {
            (Some(limit), Some(grid), Some(inverters)) => {
                let most = grid + inverters.iter().sum::<i64>() + i64::from(limit.0);
                i64::from(decision.battery_order.0) > most.max(0) + 200
            }
            _ => false,
        };
        self.exporting_since = if over { self.exporting_since.or(Some(now)) } else { None };
        match self.exporting_since {
            Some(since) if now.since(since) > Span::secs(20) => {
                Err(format!("{} exports more than {limit:?} since {since:?}", decision.battery_order))
            }
            _ => Ok(()),
        }
    }

    fn ladder(&self, decision: &Decision) -> Result<(), String> {
        let Some(binding) = decision.reasons.binding() else { return Err("no reason binds".to_owned()) };
        let rungs = &decision.ladder;
        let (Some(first), Some(last)) = (rungs.first(), rungs.last()) else {
            return Err("no ladder".to_owned());
        };
        if first.tier != Tier::Device {
            return Err("the ladder does not begin with the devices".to_owned());
        }
        for pair in rungs.windows(2) {
            if pair[1].low < pair[0].low || pair[1].high > pair[0].high || pair[1].tier <= pair[0].tier {
                return Err(format!("a rung widens what a higher one left: {pair:?}"));
            }
        }
        if rungs.iter().any(|rung| rung.low > rung.high) {
            return Err(format!("an empty range: {rungs:?}"));
        }
        let order = decision.battery_order;
        let all_answer = decision.stages[1] < Stage::Safe && self.known.wiring.inverters.len() < 2;
        let slack = Watts(SLACK as i32);
        if all_answer && (order > last.high + slack || order < last.low - slack) {
            return Err(format!("{order} lies outside of what the ladder left: {last:?}"));
        }
        for cut in &decision.overruled {
            let inside = cut.wanted >= last.low && cut.wanted <= last.high;
            let nearest = cut.wanted.max(last.low).min(last.high);
            let by = rungs.iter().any(|rung| rung.tier == cut.by);
            if inside || cut.got != nearest || cut.by > cut.tier || !by {
                return Err(format!("{cut:?} does not follow from {rungs:?}"));
            }
            if binding.tier != cut.by && binding.tier != Tier::Regulator {
                return Err(format!("{binding:?} binds, the wish was cut by {cut:?}"));
            }
        }
        let nothing =
            matches!(binding.reason, Reason::Starting(_) | Reason::Stale(Source::Meter, Stage::Safe));
        if nothing && order.0 > 0 {
            return Err(format!("{order} ordered, bound by {:?}", binding.reason));
        }
        let meant =
            decision.reasons.iter().any(|cause| cause.tier == binding.tier && cause.reason == binding.reason);
        if !meant {
            return Err("what binds is not among the reasons".to_owned());
        }
        Ok(())
    }
}
