//! Why: the closed list of reasons, each with the numbers that made it true.
//!
//! One enum feeds log, counters, page, `explain` and the scenarios. A decision carries a fixed array of them,
//! so that a year of seconds allocates nothing; the reader makes the text.

use std::fmt;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::policy::PlanAct;
use super::reading::Stage;
use super::units::{DeciCelsius, MilliAmps, MilliVolts, Soc, Span, Watts};

/// Rungs of the ladder, most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tier {
    /// 0: ratings, authority, start-up.
    Device,
    /// 1: what the battery can stand.
    Battery,
    /// 2: what the connection can stand, island, generator.
    Connection,
    /// 3a: charging that is forced.
    ForcedCharge,
    /// 3b: reserve and floor.
    Floor,
    /// 4: an operator's order.
    Operator,
    /// 5: a scheduled window.
    Schedule,
    /// 6: an economic plan.
    Plan,
    /// 7: self-consumption toward the grid setpoint.
    Default,
    /// The regulator's own manners, below all wishes.
    Regulator,
}

impl Tier {
    /// The rungs, top first.
    pub const ALL: [Self; 10] = [
        Self::Device,
        Self::Battery,
        Self::Connection,
        Self::ForcedCharge,
        Self::Floor,
        Self::Operator,
        Self::Schedule,
        Self::Plan,
        Self::Default,
        Self::Regulator,
    ];
}

/// Inputs whose silence or nonsense is a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// The grid meter.
    Meter,
    /// Inverter telemetry.
    Inverter,
    /// State of charge.
    Soc,
    /// The BMS's limits.
    Bms,
    /// The battery's voltage or temperature, where a limit needs it.
    Battery,
    /// A PV meter.
    Pv,
    /// Generator feedback.
    Generator,
}

impl Source {
    /// Its name in reasons and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meter => "meter",
            Self::Inverter => "inverter",
            Self::Soc => "soc",
            Self::Bms => "bms",
            Self::Battery => "battery",
            Self::Pv => "pv",
            Self::Generator => "generator",
        }
    }
}

/// Which end of a range stopped an order. In our sign the high end is discharge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum End {
    /// Discharge.
    High,
    /// Charge.
    Low,
}

/// One reason and its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// No grid: setpoint, schedule and floor of the grid do not apply.
    Island,
    /// The generator feeds the site: no export, no discharge into it.
    GenActive,
    /// The BMS allows this much charge current.
    BmsCcl(MilliAmps),
    /// The BMS allows this much discharge current.
    BmsDcl(MilliAmps),
    /// A BMS was heard once and is silent now.
    BmsLost,
    /// Voltage at or below its floor.
    VoltFloor(MilliVolts),
    /// Voltage at the BMS's charge limit.
    VoltCeiling(MilliVolts),
    /// Temperature outside the window.
    TempDerate(DeciCelsius),
    /// Import must not exceed this.
    ImportLimit(Watts),
    /// Export must not exceed this.
    ExportLimit(Watts),
    /// Import of this phase, from 0, must not exceed this.
    ImportLimitPhase(u8, MilliAmps),
    /// Export of this phase, from 0, must not exceed this.
    ExportLimitPhase(u8, MilliAmps),
    /// The grid's voltage leaves room for this much export.
    ExportVolt(MilliVolts, Watts),
    /// State of charge at or below the floor.
    FloorHold {
        /// What was measured, at worst.
        soc: Soc,
        /// The floor that applies.
        floor: Soc,
    },
    /// Far below the floor: charging from the grid.
    FloorRecharge {
        /// What was measured.
        soc: Soc,
        /// Where it ends.
        floor: Soc,
    },
    /// The adaptive floor holds the battery: this charge, the floor that was learned, and the operator's.
    AdaptiveFloor {
        /// What was measured.
        soc: Soc,
        /// The floor in force.
        limit: Soc,
        /// The operator's floor.
        floor: Soc,
    },
    /// A day at the adaptive floor: charged slowly up to it.
    SlowCharge(Soc),
    /// The inverter holds a nearly empty battery up.
    Sustain,
    /// The BMS asks to be charged.
    ChargeRequest,
    /// An operator raised the floor above the charge; no grid charge because of it.
    FloorRaisedHold(Soc),
    /// Discharge is back, limited until the charge has left the floor.
    FloorEase(Watts),
    /// The battery is kept full.
    KeepCharged,
    /// The site is being commissioned; this much of it is done, in hundredths.
    Commissioning(u8),
    /// An operator's hold; this much time is left.
    OpHold(Span),
    /// An operator orders this much charge, or all there may be; time left.
    OpCharge(Option<Watts>, Span),
    /// An operator orders this much discharge; time left.
    OpDischarge(Watts, Span),
    /// An operator steers the grid to this; time left.
    OpSetpoint(Watts, Span),
    /// An operator's order waits for good inputs, or for its memory.
    OpWaits,
    /// A window charges toward its target.
    Sched {
        /// Its place in the profile.
        window: u8,
        /// Where it wants to go.
        target: Soc,
    },
    /// An economic plan's slot.
    Plan {
        /// Its place in the plan; none for what somebody leases now.
        slot: Option<u8>,
        /// What it wants.
        act: PlanAct,
    },
    /// A planned outage: charging ahead of it.
    OutagePrepare(Soc),
    /// Self-consumption toward the grid setpoint.
    SelfConsumption(Watts),
    /// DC-coupled PV makes this much more than the battery may take: it leaves by the inverter.
    FeedInDc(Watts),
    /// An input is silent.
    Stale(Source, Stage),
    /// An input speaks, but what it says cannot be.
    Implausible(Source),
    /// Somebody else writes an inverter's registers: it is left to them.
    SecondWriter,
    /// Orders wait for the first fresh samples of what they need.
    Starting(Source),
    /// The order changes only this fast.
    Ramp(Watts),
    /// A reversal between charge and discharge waits.
    DirectionHold(Span),
    /// The change is too small to order.
    Deadband(Watts),
    /// The operator's or the device's own limit.
    Saturated(End, Watts),
    /// The most this profile may order.
    Authority(Watts),
    /// The correction is damped because the meter swings.
    OscDamp(u8),
    /// Nobody declared how late the meter is: corrections are slower.
    LagUnknown,
    /// The charge jumped faster than a battery can; waiting for it to be confirmed.
    SocJump(Soc),
    /// An operator, or whoever started it without a trace, decides over it: run or off.
    GeneratorManual,
    /// State of charge at or below the start value.
    GeneratorSoc(Soc),
    /// Load at or above the start value.
    GeneratorLoad(Watts),
    /// Discharge current at or above the start value.
    GeneratorCurrent(MilliAmps),
    /// Voltage at or below the start value.
    GeneratorVoltage(MilliVolts),
    /// A condition's source is lost.
    GeneratorLoss,
    /// Minimum run not over; this much is left.
    GeneratorFloor(Span),
    /// Quiet hours.
    GeneratorQuiet,
    /// Out of attempts, lost twice, or in fault.
    GeneratorLockout,
    /// Ran longer than allowed.
    GeneratorMaxRun,
    /// The set is not in automatic mode.
    GeneratorRemoteOff,
}

impl Reason {
    /// The stable code, without arguments.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Island => "island",
            Self::GenActive => "gen-active",
            Self::BmsCcl(_) => "bms-ccl",
            Self::BmsDcl(_) => "bms-dcl",
            Self::BmsLost => "bms-lost",
            Self::VoltFloor(_) => "volt-floor",
            Self::VoltCeiling(_) => "volt-ceiling",
            Self::TempDerate(_) => "temp-derate",
            Self::ImportLimitPhase(..) => "import-limit",
            Self::ExportLimitPhase(..) => "export-limit",
            Self::ExportVolt(..) => "export-volt",
            Self::ImportLimit(_) => "import-limit",
            Self::ExportLimit(_) => "export-limit",
            Self::FloorHold { .. } => "floor-hold",
            Self::FloorRecharge { .. } => "floor-recharge",
            Self::ChargeRequest => "charge-request",
            Self::AdaptiveFloor { .. } => "adaptive-floor",
            Self::SlowCharge(_) => "slow-charge",
            Self::Sustain => "sustain",
            Self::FloorRaisedHold(_) => "floor-raised-hold",
            Self::FloorEase(_) => "floor-ease",
            Self::KeepCharged => "keep-charged",
            Self::Commissioning(_) => "commissioning",
            Self::OpHold(_) => "op-hold",
            Self::OpCharge(..) => "op-charge",
            Self::OpDischarge(..) => "op-discharge",
            Self::OpSetpoint(..) => "op-setpoint",
            Self::OpWaits => "op-waits",
            Self::Sched { .. } => "sched",
            Self::Plan { .. } => "plan",
            Self::OutagePrepare(_) => "outage-prepare",
            Self::SelfConsumption(_) => "self",
            Self::FeedInDc(_) => "feed-in-dc",
            Self::Stale(..) => "stale",
            Self::Implausible(_) => "implausible",
            Self::SecondWriter => "second-writer",
            Self::Starting(_) => "starting",
            Self::Ramp(_) => "ramp",
            Self::DirectionHold(_) => "direction-hold",
            Self::Deadband(_) => "deadband",
            Self::Saturated(..) => "saturated",
            Self::Authority(_) => "authority",
            Self::OscDamp(_) => "osc-damp",
            Self::LagUnknown => "lag-unknown",
            Self::SocJump(_) => "soc-jump",
            Self::GeneratorManual => "generator-manual",
            Self::GeneratorSoc(_) => "generator-soc",
            Self::GeneratorLoad(_) => "generator-load",
            Self::GeneratorCurrent(_) => "generator-current",
            Self::GeneratorVoltage(_) => "generator-voltage",
            Self::GeneratorLoss => "generator-loss",
            Self::GeneratorFloor(_) => "generator-floor",
            Self::GeneratorQuiet => "generator-quiet",
            Self::GeneratorLockout => "generator-lockout",
            Self::GeneratorMaxRun => "generator-max-run",
            Self::GeneratorRemoteOff => "generator-remote-off",
        }
    }

    /// What it means, with its numbers, for a person.
    #[must_use]
    pub fn words(self) -> String {
        let seconds = |span: Span| span.whole_secs();
        match self {
            Self::Island => "no grid: the inverter carries the loads".to_owned(),
            Self::GenActive => "the generator feeds the site: no export, no discharge into it".to_owned(),
            Self::BmsCcl(limit) => format!("the BMS allows {limit} of charge"),
            Self::BmsDcl(limit) => format!("the BMS allows {limit} of discharge"),
            Self::BmsLost => "the BMS is silent: its limits count as 0".to_owned(),
            Self::VoltFloor(at) => format!("battery at {at}, its floor or below"),
            Self::VoltCeiling(at) => format!("battery at its charge voltage limit of {at}"),
            Self::TempDerate(at) => format!("battery at {at}, outside its window"),
            Self::ImportLimitPhase(at, limit) => {
                format!("import of L{} must not exceed {limit}", at.saturating_add(1))
            }
            Self::ExportLimitPhase(at, limit) => {
                format!("export of L{} must not exceed {limit}", at.saturating_add(1))
            }
            Self::ExportVolt(volts, room) => {
                format!("the grid is at {volts}, which leaves room for {room} of export")
            }
            Self::ImportLimit(limit) => format!("import may not exceed {limit}"),
            Self::ExportLimit(limit) => format!("export may not exceed {limit}"),
            Self::FloorHold { soc, floor } => {
                format!("state of charge {soc} against a floor of {floor}: no discharge")
            }
            Self::FloorRecharge { soc, floor } => {
                format!("state of charge {soc} is far below the floor: charging to {floor}")
            }
            Self::ChargeRequest => "the BMS asks to be charged, from the grid too".to_owned(),
            Self::AdaptiveFloor { soc, limit, floor } => format!(
                "state of charge {soc} against an adaptive floor of {limit}, raised from {floor}: no discharge"
            ),
            Self::SlowCharge(limit) => {
                format!("a day at the adaptive floor: charged slowly up to {limit}")
            }
            Self::Sustain => "the inverter holds a nearly empty battery up: no discharge".to_owned(),
            Self::FloorRaisedHold(floor) => {
                format!("the floor was raised to {floor}, above the charge: held, not charged from the grid")
            }
            Self::FloorEase(limit) => format!("just above the floor: discharge at most {limit}"),
            Self::KeepCharged => "the battery is kept charged".to_owned(),
            Self::OpHold(left) => format!("an operator holds the battery for another {}", left.words()),
            Self::Commissioning(100) => "commissioning is over; nothing is ordered".to_owned(),
            Self::Commissioning(done) => format!("the site is being commissioned: {done} % done"),
            Self::OpCharge(Some(power), left) => {
                format!("an operator charges with {power} for another {}", left.words())
            }
            Self::OpCharge(None, left) => format!("an operator charges for another {}", left.words()),
            Self::OpDischarge(power, left) => {
                format!("an operator discharges with {power} for another {}", left.words())
            }
            Self::OpSetpoint(setpoint, left) => {
                format!("an operator steers the grid to {setpoint} for another {}", left.words())
            }
            Self::OpWaits => {
                "an operator's order waits: charge or meter are not good, or there is no grid".to_owned()
            }
            Self::Sched { window, target } => {
                format!("schedule window {window} charges to {target} and holds it")
            }
            Self::Plan { slot, act } => {
                let who = slot.map_or_else(
                    || "what is leased to a plan".to_owned(),
                    |slot| format!("slot {slot} of the plan"),
                );
                match act {
                    PlanAct::Free => format!("{who} leaves the battery to self-consumption, inside its caps"),
                    PlanAct::Target(target) => format!("{who} steers to {target}"),
                    PlanAct::Setpoint(setpoint) => format!("{who} steers the grid to {setpoint}"),
                    PlanAct::Power(power) if power < Watts::ZERO => {
                        format!("{who} charges the battery with {}", power.abs())
                    }
                    PlanAct::Power(power) => format!("{who} discharges the battery with {power}"),
                }
            }
            Self::OutagePrepare(target) => {
                format!("preparing for a planned outage: charging to {target} and holding it")
            }
            Self::SelfConsumption(setpoint) => format!("self-consumption: the grid is steered to {setpoint}"),
            Self::FeedInDc(surplus) => {
                format!("{surplus} of DC-coupled PV, more than loads and battery take, leave by the inverter")
            }
            Self::Implausible(source) => {
                format!("{} repeats itself while the inverters move: it is not believed", source.name())
            }
            Self::Stale(source, stage) => format!("{} is silent ({})", source.name(), stage.name()),
            Self::SecondWriter => {
                "somebody else writes this inverter's registers: it is left to them for five minutes"
                    .to_owned()
            }
            Self::Starting(source) => format!("waiting for the first three samples of the {}", source.name()),
            Self::Ramp(limit) => format!("the order changes by at most {limit} per second"),
            Self::DirectionHold(left) => {
                format!("between charge and discharge: {} s until the reversal", seconds(left))
            }
            Self::Deadband(band) => format!("a change below {band} is not worth an order"),
            Self::Saturated(End::High, limit) => format!("discharge limited to {limit}"),
            Self::Saturated(End::Low, limit) => format!("charge limited to {}", limit.abs()),
            Self::Authority(limit) => format!("this profile may order at most {limit}"),
            Self::OscDamp(score) => format!("the meter swings (score {score}): corrections are damped"),
            Self::LagUnknown => "the meter's lag is not declared: corrections are slower".to_owned(),
            Self::SocJump(soc) => format!("the state of charge jumped to {soc}: waiting for confirmation"),
            Self::GeneratorManual => "an operator keeps it running or off".to_owned(),
            Self::GeneratorSoc(soc) => format!("state of charge {soc} reached the start value"),
            Self::GeneratorLoad(load) => format!("load {load} reached the start value"),
            Self::GeneratorCurrent(at) => {
                format!("discharge current {at} reached the start value")
            }
            Self::GeneratorVoltage(at) => {
                format!("battery voltage {at} reached the start value")
            }
            Self::GeneratorLoss => "the source of a condition is lost".to_owned(),
            Self::GeneratorFloor(left) => format!("minimum run: {} s left", seconds(left)),
            Self::GeneratorQuiet => "quiet hours".to_owned(),
            Self::GeneratorLockout => {
                "locked out after failed starts, lost runs or a shutdown fault: acknowledge it".to_owned()
            }
            Self::GeneratorMaxRun => "it ran longer than allowed".to_owned(),
            Self::GeneratorRemoteOff => "the set is not in automatic mode".to_owned(),
        }
    }
}

impl fmt::Display for Reason {
    /// The code with its arguments: `stale(meter,held)`.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most reasons have no arguments in their code")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code();
        match self {
            Self::ImportLimit(_) | Self::ExportLimit(_) => write!(f, "{code}(total)"),
            Self::ImportLimitPhase(at, _) | Self::ExportLimitPhase(at, _) => {
                write!(f, "{code}(L{})", at.saturating_add(1))
            }
            Self::Sched { window, target } => write!(f, "{code}({window},{target})"),
            Self::Plan { slot, act } => {
                let slot = slot.map_or_else(|| "lease".to_owned(), |slot| slot.to_string());
                match act {
                    PlanAct::Free => write!(f, "{code}({slot},self)"),
                    PlanAct::Target(target) => write!(f, "{code}({slot},{target})"),
                    PlanAct::Setpoint(setpoint) => write!(f, "{code}({slot},grid {setpoint})"),
                    PlanAct::Power(power) => write!(f, "{code}({slot},battery {power})"),
                }
            }
            Self::AdaptiveFloor { limit, .. } => write!(f, "{code}({limit})"),
            Self::Stale(source, stage) => write!(f, "{code}({},{})", source.name(), stage.name()),
            Self::Implausible(source) | Self::Starting(source) => write!(f, "{code}({})", source.name()),
            Self::Saturated(End::High, _) => write!(f, "{code}(hi)"),
            Self::Saturated(End::Low, _) => write!(f, "{code}(lo)"),
            _ => f.write_str(code),
        }
    }
}

/// A reason and the rung it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The rung.
    pub tier: Tier,
    /// The reason.
    pub reason: Reason,
}

/// How many reasons one decision keeps; what comes after is dropped, least important last.
pub const MAX_REASONS: usize = 16;

/// The reasons of one decision: all that took part, and the one that bound it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons {
    all: ArrayVec<Cause, MAX_REASONS>,
    binding: u8,
}

impl Reasons {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.all.clear();
        self.binding = 0;
    }

    /// Adds one; silently full after [`MAX_REASONS`].
    pub fn push(&mut self, tier: Tier, reason: Reason) {
        let _full = self.all.try_push(Cause { tier, reason });
    }

    /// Adds one and makes it the binding one.
    pub fn bind(&mut self, tier: Tier, reason: Reason) {
        self.push(tier, reason);
        let last = self.all.len().saturating_sub(1);
        self.binding = u8::try_from(last).unwrap_or(0);
    }

    /// The one reason that bound the decision.
    #[must_use]
    pub fn binding(&self) -> Option<Cause> {
        self.all.get(usize::from(self.binding)).copied()
    }

    /// All that took part, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = Cause> + '_ {
        self.all.iter().copied()
    }

    /// Whether a code is among them.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.all.iter().any(|cause| cause.reason.code() == code)
    }
}
