//! What the outputs of the format show: orders at the devices, decisions at the site, truths at the plant.

use crate::control::decision::ForcedCharge;
use crate::control::input::Order;
use crate::control::schedule::window;
use crate::control::units::{MilliAmps, Soc, Watts};
use crate::control::wiring::ActuatorKind;
use crate::device::mistake::Mistake;

use super::super::compare::Found;
use super::super::format::words;
use super::World;

/// Outputs of the format that this version does not have yet. Expecting one is a mistake: it would be true of
/// nothing.
const NOT_YET: [&str; 3] = ["wire.*", "battery.*.order", "state"];

/// Outputs without a device's name in them.
const PLAIN: [&str; 41] = [
    "battery.order",
    "battery.max_charge",
    "battery.max_discharge",
    "battery.discharge_allowed",
    "battery.forced_charge",
    "pv.limit",
    "grid.setpoint",
    "grid.export_limit",
    "inverter.charge_limit_current",
    "charger.NAME.charge_limit_current",
    "guard.state",
    "guard.floor",
    "guard.limit",
    "guard.flags",
    "operator.order",
    "operator.acts",
    "schedule.state",
    "schedule.target",
    "schedule.next",
    "plan.state",
    "plan.by",
    "outage.state",
    "generator.command",
    "generator.load_permit",
    "generator.state",
    "generator.reason",
    "generator.quiet",
    "generator.hours",
    "generator.starts",
    "generator.attempt",
    "regulator.trim",
    "binding",
    "reasons",
    "alarms",
    "writes",
    "writes.persistent",
    "mistakes",
    "replay",
    "inverter.NAME.order",
    "relay.NAME",
    "plant.SIGNAL",
];

impl World<'_> {
    /// What an output shows; a signal's name shows what was heard of it, for drawings.
    pub(crate) fn show(&self, name: &str) -> Found {
        self.output(name).unwrap_or_else(|| self.feed.heard(name).map_or(Found::Unknown, Found::Number))
    }

    /// Signals that are drawn beside a failing output.
    pub(crate) fn context(&self) -> Vec<String> {
        let mut names =
            vec!["battery.order".to_owned(), "guard.state".to_owned(), "generator.state".to_owned()];
        let given = self.case.given.iter().chain(self.case.steps.iter().flat_map(|step| &step.given));
        names.extend(given.map(|given| given.pattern.clone()).filter(|name| !name.contains('*')));
        if self.plant.is_some() {
            names.extend(["plant.grid.power", "plant.load.power"].map(str::to_owned));
        }
        names
    }

    /// Every expectation speaks of an output that exists.
    pub(crate) fn check_names(&self) -> Result<(), Vec<Mistake>> {
        let steps = self.case.steps.iter().flat_map(|step| step.expect.iter().chain(&step.until_next));
        let wrong: Vec<Mistake> = self
            .case
            .always
            .iter()
            .chain(steps)
            .filter(|expect| self.checked.is_some() && self.output(&expect.subject.name).is_none())
            .map(|expect| self.no_output(&expect.subject.name, expect.line))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn no_output(&self, name: &str, line: usize) -> Mistake {
        let (cause, way_out) = if NOT_YET.iter().any(|pattern| words::fits(pattern, name)) {
            (
                "this version has no such output yet".to_owned(),
                "expect something else, or leave it out".to_owned(),
            )
        } else if name.starts_with("plant.") && self.plant.is_none() {
            ("the case has no plant".to_owned(), "add a [plant] table: it closes the loop".to_owned())
        } else if self.feed.heard(name).is_some() || self.is_signal(name) {
            let way_out = format!("expect an output, or the truth as \"plant.{name}\"");
            ("this is something the site hears, not something it puts out".to_owned(), way_out)
        } else {
            let way_out = match words::nearest(name, PLAIN) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("outputs are {}", PLAIN.join(", ")),
            };
            ("there is no such output".to_owned(), way_out)
        };
        Mistake { file: self.case.file.clone(), line, key: name.to_owned(), cause, way_out }
    }

    fn is_signal(&self, name: &str) -> bool {
        self.checked.as_ref().is_some_and(|checked| checked.resolve(name).is_some())
    }

    /// What an output shows; `None` when there is no such output.
    fn output(&self, name: &str) -> Option<Found> {
        let decision = &self.decision;
        let generator = &decision.generator;
        let words = |list: Vec<String>| Some(Found::List(list));
        if let Some(truth) = name.strip_prefix("plant.") {
            return self.plant.as_ref()?.truth(truth).map(Found::Number);
        }
        match name {
            "battery.order" => Some(watts(self.battery_order())),
            "battery.max_charge" => Some(watts(decision.max_charge)),
            "battery.max_discharge" => Some(watts(decision.max_discharge)),
            "battery.discharge_allowed" => Some(Found::Flag(decision.discharge_allowed)),
            "battery.forced_charge" => Some(word(match decision.forced_charge {
                ForcedCharge::None => "none",
                ForcedCharge::Full => "full",
                ForcedCharge::Slow => "slow",
            })),
            "pv.limit" => Some(self.pv_limit().map_or_else(|| word("none"), watts)),
            "grid.setpoint" => Some(match self.devices.holds(ActuatorKind::GridSetpoint) {
                Some(Some(Order::Setpoint(setpoint))) => watts(setpoint),
                _ => decision.grid_setpoint.map_or(Found::Unknown, watts),
            }),
            "grid.export_limit" => Some(decision.export_limit.map_or_else(|| word("none"), watts)),
            "inverter.charge_limit_current" => {
                Some(decision.charge_current.map_or_else(|| word("none"), amperes))
            }
            "guard.state" => Some(word(decision.guard.name())),
            "guard.floor" => Some(decision.floor.map_or(Found::Unknown, percent)),
            "guard.limit" => Some(decision.limit.map_or(Found::Unknown, percent)),
            "guard.flags" => Some(Found::Number(f64::from(decision.flags))),
            "operator.order" => Some(word(decision.order.map_or("none", |order| order.order.wish.name()))),
            "operator.acts" => Some(Found::Flag(decision.order.is_some_and(|order| order.acts))),
            "schedule.state" => Some(word(decision.timed.schedule.name())),
            "schedule.target" => Some(decision.timed.target.map_or(Found::Unknown, percent)),
            "schedule.next" => Some(self.next_window()),
            "plan.state" => Some(word(decision.timed.plan.name())),
            "plan.by" => Some(word(decision.timed.plan_by.as_deref().unwrap_or("none"))),
            "outage.state" => Some(word(decision.timed.outage.name())),
            "generator.command" => Some(Found::Flag(self.devices.contact().unwrap_or(generator.command))),
            "generator.load_permit" => Some(Found::Flag(generator.load_permit)),
            "generator.state" => Some(word(generator.state.name())),
            "generator.reason" => {
                Some(generator.reason.map_or_else(|| word("none"), |reason| Found::Word(reason.to_string())))
            }
            "generator.quiet" => Some(Found::Flag(generator.quiet)),
            "generator.hours" => Some(seconds(generator.run_time.0)),
            "generator.starts" => Some(Found::Number(f64::from(generator.starts))),
            "generator.attempt" => Some(Found::Number(f64::from(generator.attempt))),
            "regulator.trim" => Some(watts(decision.trim)),
            "binding" => Some(
                decision
                    .reasons
                    .binding()
                    .map_or_else(|| word("none"), |cause| Found::Word(cause.reason.to_string())),
            ),
            "reasons" => words(self.reasons()),
            "alarms" => words(self.alarms.iter().map(|code| (*code).to_owned()).collect()),
            "writes" => Some(Found::Number(f64::from(self.devices.writes()))),
            "writes.persistent" => Some(Found::Number(f64::from(self.devices.wearing_writes()))),
            "mistakes" => words(self.refused.clone()),
            "replay" => Some(word(if self.same { "same" } else { "different" })),
            _ => self.charger_limit(name).or_else(|| self.relay(name)).or_else(|| self.inverter_order(name)),
        }
    }

    /// Local time at which the next charge window begins, such as `2026-06-02T02:00:00`.
    fn next_window(&self) -> Found {
        let policy = self.checked.as_ref().map(|checked| &checked.site.policy);
        let wall = self.clock.read(self.now);
        let next = policy.filter(|_| wall.valid).and_then(|policy| window::next(&policy.schedule, wall));
        // Local seconds, read as if they were UTC, are local time.
        let local = next.and_then(|local| jiff::Timestamp::from_second(local).ok());
        local.map_or(Found::Unknown, |local| {
            Found::Word(local.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string())
        })
    }

    /// The binding reasons and those of the generator.
    fn reasons(&self) -> Vec<String> {
        let mut reasons: Vec<String> =
            self.decision.reasons.iter().map(|cause| cause.reason.to_string()).collect();
        if let Some(reason) = self.decision.generator.reason.map(|reason| reason.to_string())
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
        reasons
    }

    /// The sum of what the inverters were told.
    fn battery_order(&self) -> Watts {
        let told: Vec<[Watts; 3]> = (0..self.devices.wiring().inverters.len())
            .filter_map(|index| self.devices.inverter(index))
            .collect();
        if told.is_empty() { self.decision.battery_order } else { told.into_iter().flatten().sum() }
    }

    fn pv_limit(&self) -> Option<Watts> {
        match self.devices.holds(ActuatorKind::PvLimit(0)) {
            Some(Some(Order::Limit(limit))) => limit,
            Some(_) => None,
            None => self.decision.pv_limit,
        }
    }

    /// `relay.NAME` of the load with this name.
    fn relay(&self, name: &str) -> Option<Found> {
        let load = name.strip_prefix("relay.")?;
        let loads = &self.checked.as_ref()?.loads;
        let place = loads.iter().position(|known| known == load)?;
        let held = self.devices.holds(ActuatorKind::Load(u8::try_from(place).ok()?))?;
        Some(Found::Flag(held == Some(Order::Run(true))))
    }

    /// `charger.NAME.charge_limit_current`.
    fn charger_limit(&self, name: &str) -> Option<Found> {
        let device = name.strip_prefix("charger.")?.strip_suffix(".charge_limit_current")?;
        let chargers = &self.devices.wiring().chargers;
        let place = chargers.iter().position(|wired| wired.name == device)?;
        Some(self.decision.chargers.get(place).copied().map_or_else(|| word("none"), amperes))
    }

    /// `inverter.NAME.order`, with or without its phase.
    fn inverter_order(&self, name: &str) -> Option<Found> {
        let rest = name.strip_prefix("inverter.")?;
        let (rest, phase) = match rest.rsplit_once('.') {
            Some((rest, "l1")) => (rest, Some(0)),
            Some((rest, "l2")) => (rest, Some(1)),
            Some((rest, "l3")) => (rest, Some(2)),
            _ => (rest, None),
        };
        let device = rest.strip_suffix(".order")?;
        let index = self.devices.wiring().inverters.iter().position(|wired| wired.spec.name == device)?;
        let power = self.devices.inverter(index)?;
        match phase {
            Some(phase) => power.get::<usize>(phase).copied().map(watts),
            None => Some(watts(power.into_iter().sum())),
        }
    }
}

fn watts(power: Watts) -> Found {
    Found::Number(f64::from(power.0))
}

fn amperes(current: MilliAmps) -> Found {
    Found::Number(f64::from(current.0) / 1_000.0)
}

fn percent(soc: Soc) -> Found {
    Found::Number(f64::from(soc.centi()) / 100.0)
}

fn seconds(millis: i64) -> Found {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 ms")]
    Found::Number(millis as f64 / 1_000.0)
}

fn word(text: &str) -> Found {
    Found::Word(text.to_owned())
}
