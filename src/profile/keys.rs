//! Every key a profile may hold: where it goes, what it accepts, what it means.
//!
//! One table. Reading, the search for the nearest known key, the defaults and the reference page all come from
//! it, so none of them can disagree. Defaults are those of `control::policy` and of the drafts; they are read
//! from there and written nowhere else.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::draft::{self, DeviceDraft, Draft, Field, WindowDraft};
use super::load::LoadDraft;
use super::measure::Measure::{Count, Current, Duration, Energy, Percent, Power, Ramp, Temperature, Voltage};
use super::timed::{OutageDraft, SlotDraft};
use super::value::Kind::{self, Amount, Clock, Flag, Moment, Pace, Phases, Text, Texts, Word, Words};
use super::value::{SHARE, Typed};

/// One key of some part `D` of a profile.
pub struct Key<D: 'static> {
    /// Dotted, with `NAME` where the operator chooses.
    pub path: &'static str,
    /// What it accepts.
    pub kind: Kind,
    /// Whether `"none"` is accepted.
    pub optional: bool,
    /// What it means, in a sentence.
    pub help: &'static str,
    get: fn(&D) -> Option<Typed>,
    set: fn(&mut D, &Typed) -> bool,
}

impl<D> Key<D> {
    /// What holds when nobody says anything: the value in a part that nobody has touched.
    #[must_use]
    pub fn default_value(&self, untouched: &D) -> Option<Typed> {
        (self.get)(untouched)
    }

    /// Puts a value in its place; false when the value has the wrong shape, which reading excludes.
    pub fn set(&self, part: &mut D, typed: &Typed) -> bool {
        (self.set)(part, typed)
    }
}

const fn optional<D, F: Field>(_: fn(&D) -> &F) -> bool {
    F::OPTIONAL
}

/// Rows of a table: path, kind, place, meaning.
macro_rules! rows {
    ($part:ty; $($path:literal, $kind:expr, $($place:ident).+, $help:expr;)*) => {
        &[$(Key {
            path: $path,
            kind: $kind,
            optional: optional(|part: &$part| &part.$($place).+),
            help: $help,
            get: |part| part.$($place).+.typed(),
            set: |part, typed| match Field::take(typed) {
                Some(value) => { part.$($place).+ = value; true }
                None => false,
            },
        }),*]
    };
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const UP_TO_10_MW: Kind = Amount(Power, 0, 10_000_000);
const UP_TO_A_DAY: Kind = Amount(Duration, 0, 24 * HOUR);
const UP_TO_AN_HOUR: Kind = Amount(Duration, 0, HOUR);
const STAGE: Kind = Amount(Duration, 200, HOUR);
const SAMPLES: Kind = Amount(Count, 1, 100);
const LOAD: Kind = Amount(Power, -1_000_000, 10_000_000);
const AMPERES: Kind = Amount(Current, -10_000_000, 10_000_000);
const VOLTS: Kind = Amount(Voltage, 1_000, 1_500_000);

/// Keys of the site and its policy.
pub static SITE: &[Key<Draft>] = rows! { Draft;
    "schema", Amount(Count, 1, 1), schema, "Layout of this file.";
    "control", Word(draft::CONTROL), policy.control, "Whether orders are written to devices; \"on\" needs `authority`.";
    "authority", Amount(Power, 0, 1_000_000), policy.authority, "The most power all inverter orders together may ask for, in either direction.";
    "phases", Word(draft::PHASE_MODE), policy.phases, "What zero at the grid means: in total, each phase by itself, or first no phase that exports (balanced-export).";
    "listen", Text, listen, "Address and port of page, metrics and API.";
    "plan_file", Text, plan_file, "A file in which another program writes a plan, as JSON; relative to this file.";
    "site.name", Text, name, "Name of the site, as page and metrics show it.";
    "site.timezone", Text, policy.timezone, "IANA time zone of schedules and quiet hours.";

    "policy.battery.capacity", Amount(Energy, 1, 1_000_000_000), policy.battery.capacity, "Usable capacity.";
    "policy.battery.chemistry", Word(draft::CHEMISTRY), chemistry, "What its cells are made of; with `cells` it tells which voltages can be meant.";
    "policy.battery.cells", Amount(Count, 1, 400), cells, "How many cells in series.";
    "policy.battery.guard", Word(draft::GUARD), policy.battery.guard, "Rules that guard the minimum charge.";
    "policy.battery.adaptive_floor", Flag, policy.battery.adaptive_floor, "Raise the floor by 5 % a day while the battery is never full; only with guard = \"victron-compatible\".";
    "policy.battery.keep_charged", Flag, policy.battery.keep_charged, "Keep the battery full for an outage: no discharge while the grid is there.";
    "policy.battery.floor", SHARE, policy.battery.floor, "Minimum charge while the grid is there, in %; 0 means none.";
    "policy.battery.shave_floor", SHARE, policy.battery.shave_floor, "Down to here the battery may discharge for the import limit alone, in %; unset means the floor.";
    "policy.battery.bms_charge_share", Amount(Percent, 100, 10_000), policy.battery.bms_charge_centi, "How much of the BMS's charge limit is used, in %.";
    "policy.battery.bms_discharge_share", Amount(Percent, 100, 10_000), policy.battery.bms_discharge_centi, "How much of the BMS's discharge limit is used, in %.";
    "policy.battery.max_charge_voltage", VOLTS, policy.battery.max_charge_voltage, "The highest charge voltage, whatever higher one the BMS gives.";
    "policy.battery.zero_charge.voltage", VOLTS, zero_charge_voltage, "What a charge limit of 0 A means to this maker's pack: charge up to this voltage; unset means stop.";
    "policy.battery.zero_charge.current", Amount(Current, 0, 10_000_000), zero_charge_current, "And with this current.";
    "policy.battery.absolute_floor", SHARE, policy.battery.absolute_floor, "Never discharged below this, in no mode, in %.";
    "policy.battery.island_reserve", SHARE, policy.battery.island_reserve, "Never discharged below this without grid, in %.";
    "policy.battery.resume", Amount(Percent, 10, 2_000), policy.battery.resume_centi, "Discharge resumes this far above the floor, in %.";
    "policy.battery.recharge", Flag, policy.battery.recharge, "Whether falling far below the floor charges from the grid.";
    "policy.battery.recharge_below", Amount(Percent, 100, 5_000), policy.battery.recharge_below_centi, "How far below the floor that begins, in %.";
    "policy.battery.recharge_power", Pace, policy.battery.recharge_pace, "How hard that pulls; unset means a tenth of the capacity per hour.";
    "policy.battery.max_charge", UP_TO_10_MW, policy.battery.max_charge, "The operator's limit on charging.";
    "policy.battery.max_discharge", UP_TO_10_MW, policy.battery.max_discharge, "The operator's limit on discharging.";
    "policy.battery.voltage_floor", VOLTS, policy.battery.voltage_floor, "No discharge at or below this voltage.";
    "policy.battery.temperature_min", Amount(Temperature, -400, 800), temperature_min, "Neither charge nor discharge below this temperature.";
    "policy.battery.temperature_max", Amount(Temperature, -400, 800), temperature_max, "Neither charge nor discharge above this temperature.";
    "policy.battery.bms", Word(draft::BMS), bms, "Whether a BMS must speak: from the start, never, or once one was heard.";
    "policy.battery.island_without_bms", Flag, policy.battery.island_without_bms, "In island, go on discharging to the voltage floor when the BMS falls silent.";

    "policy.grid.connected", Flag, policy.grid.connected, "Whether the site has a grid connection at all.";
    "policy.grid.setpoint", Amount(Power, -1_000_000, 1_000_000), policy.grid.setpoint, "Wanted power at the grid connection; import is positive.";
    "policy.grid.shave", Word(draft::SHAVE), policy.grid.shave, "When the battery may discharge for the import limit: down to shave_floor, or always above island_reserve.";
    "policy.grid.meter_lost", Word(draft::METER_LOST), policy.grid.meter_lost, "While the meter is lost: passive orders nothing, internal goes on steering the inverters' own inputs to the setpoint.";
    "policy.grid.import_limit", UP_TO_10_MW, policy.grid.import_limit, "The most import, in total.";
    "policy.grid.export_limit", UP_TO_10_MW, policy.grid.export_limit, "The most export, in total, as a positive number.";
    "policy.grid.import_limit_phase", Amount(Current, 0, 10_000_000), policy.grid.import_limit_phase, "The most import of each phase: what its fuse carries.";
    "policy.grid.export_limit_phase", Amount(Current, 0, 10_000_000), policy.grid.export_limit_phase, "The most export of each phase, as a positive number.";
    "policy.grid.export_voltage", Amount(Voltage, 90_000, 300_000), policy.grid.export_voltage, "Export falls while any phase of the grid is at or above this voltage.";
    "policy.grid.import_contract", UP_TO_10_MW, import_contract, "The most import that contract and main fuse allow; import_limit has to keep it.";
    "policy.grid.export_contract", UP_TO_10_MW, export_contract, "The most export that the contract allows; export_limit has to keep it.";
    "policy.grid.feed_in_ac", Flag, policy.grid.feed_in_ac, "Whether AC-coupled PV may feed the grid; else it is curtailed to what the site uses.";
    "policy.grid.feed_in_dc", Flag, policy.grid.feed_in_dc, "Whether DC-coupled PV that neither loads nor battery take may feed the grid, through the inverter.";
    "policy.grid.stable_for", UP_TO_AN_HOUR, policy.grid.stable_for, "The grid must have been back this long before island operation ends.";

    "policy.regulator.meter_lag", Amount(Duration, 0, 10 * SECOND), policy.regulator.meter_lag, "Age of the grid meter's value when it is asked for; unset lowers the gain.";
    "policy.regulator.deadband", Amount(Power, 0, 10_000), policy.regulator.deadband, "Changes smaller than this are not ordered.";
    "policy.regulator.ramp", Amount(Ramp, 1, 1_000_000), policy.regulator.ramp, "Steepest change of an order that is not protective.";
    "policy.regulator.direction_hold", Amount(Duration, 0, MINUTE), policy.regulator.direction_hold, "How long a wish to reverse between charge and discharge must persist.";
    "policy.regulator.trim", Flag, policy.regulator.trim, "Whether a slow integral removes what measurement offsets leave.";
    "policy.regulator.longest_cycle", Amount(Duration, SECOND, MINUTE), policy.regulator.longest_cycle, "Decide at least this often, also without fresh data.";
    "policy.regulator.shortest_cycle", Amount(Duration, 20, 10 * SECOND), policy.regulator.shortest_cycle, "Decide at most this often.";

    "policy.trust.meter.held", STAGE, policy.trust.meter.held, "Grid meter: good until this age.";
    "policy.trust.meter.degraded", STAGE, policy.trust.meter.degraded, "Grid meter: held until this age.";
    "policy.trust.meter.safe", STAGE, policy.trust.meter.safe, "Grid meter: degraded until this age, then safe.";
    "policy.trust.meter.samples", SAMPLES, policy.trust.meter.samples, "Grid meter: fresh samples that make it good again.";
    "policy.trust.meter.over", UP_TO_AN_HOUR, policy.trust.meter.over, "Grid meter: time those samples must span.";
    "policy.trust.inverter.held", STAGE, policy.trust.inverter.held, "Inverter: good until this age.";
    "policy.trust.inverter.degraded", STAGE, policy.trust.inverter.degraded, "Inverter: held until this age.";
    "policy.trust.inverter.safe", STAGE, policy.trust.inverter.safe, "Inverter: degraded until this age, then safe.";
    "policy.trust.inverter.samples", SAMPLES, policy.trust.inverter.samples, "Inverter: fresh samples that make it good again.";
    "policy.trust.inverter.over", UP_TO_AN_HOUR, policy.trust.inverter.over, "Inverter: time those samples must span.";
    "policy.trust.soc.held", STAGE, policy.trust.soc.held, "State of charge: good until this age.";
    "policy.trust.soc.degraded", STAGE, policy.trust.soc.degraded, "State of charge: held until this age.";
    "policy.trust.soc.safe", STAGE, policy.trust.soc.safe, "State of charge: degraded until this age, then safe.";
    "policy.trust.soc.samples", SAMPLES, policy.trust.soc.samples, "State of charge: fresh samples that make it good again.";
    "policy.trust.soc.over", UP_TO_AN_HOUR, policy.trust.soc.over, "State of charge: time those samples must span.";
    "policy.trust.bms.held", STAGE, policy.trust.bms.held, "BMS limits: good until this age.";
    "policy.trust.bms.degraded", STAGE, policy.trust.bms.degraded, "BMS limits: held until this age.";
    "policy.trust.bms.safe", STAGE, policy.trust.bms.safe, "BMS limits: degraded until this age, then safe.";
    "policy.trust.bms.samples", SAMPLES, policy.trust.bms.samples, "BMS limits: fresh samples that make them good again.";
    "policy.trust.bms.over", UP_TO_AN_HOUR, policy.trust.bms.over, "BMS limits: time those samples must span.";
    "policy.trust.pv.held", STAGE, policy.trust.pv.held, "PV: good until this age.";
    "policy.trust.pv.degraded", STAGE, policy.trust.pv.degraded, "PV: held until this age.";
    "policy.trust.pv.safe", STAGE, policy.trust.pv.safe, "PV: degraded until this age, then safe.";
    "policy.trust.pv.samples", SAMPLES, policy.trust.pv.samples, "PV: fresh samples that make it good again.";
    "policy.trust.pv.over", UP_TO_AN_HOUR, policy.trust.pv.over, "PV: time those samples must span.";
    "policy.trust.generator.held", STAGE, policy.trust.generator.held, "Generator: good until this age.";
    "policy.trust.generator.degraded", STAGE, policy.trust.generator.degraded, "Generator: held until this age.";
    "policy.trust.generator.safe", STAGE, policy.trust.generator.safe, "Generator: degraded until this age, then safe.";
    "policy.trust.generator.samples", SAMPLES, policy.trust.generator.samples, "Generator: fresh samples that make it good again.";
    "policy.trust.generator.over", UP_TO_AN_HOUR, policy.trust.generator.over, "Generator: time those samples must span.";

    "policy.trust.balance", Flag, policy.trust.balance, "Every PV inverter and generator of the site is measured: a grid meter that leaves a consumption below zero, or another one than is measured, is not believed.";

    "policy.generator.auto", Flag, generator.policy.auto, "Whether conditions may start the generator by themselves.";
    "policy.generator.start.for", UP_TO_AN_HOUR, generator.start_for, "Start delay of every condition that has none of its own.";
    "policy.generator.stop.for", UP_TO_AN_HOUR, generator.stop_for, "Stop delay of every condition that has none of its own.";
    "policy.generator.soc.start", SHARE, generator.soc.start, "Start at or below this charge, in %.";
    "policy.generator.soc.stop", SHARE, generator.soc.stop, "Stop at or above this charge, in %.";
    "policy.generator.soc.start_for", UP_TO_AN_HOUR, generator.soc.start_for, "The charge must be that low this long.";
    "policy.generator.soc.stop_for", UP_TO_AN_HOUR, generator.soc.stop_for, "The charge must be that high this long.";
    "policy.generator.soc.quiet.start", SHARE, generator.soc.quiet_start, "Start at or below this charge in quiet hours, in %.";
    "policy.generator.soc.quiet.stop", SHARE, generator.soc.quiet_stop, "Stop at or above this charge in quiet hours, in %.";
    "policy.generator.load.start", LOAD, generator.load.start, "Start at or above this load.";
    "policy.generator.load.stop", LOAD, generator.load.stop, "Stop at or below this load.";
    "policy.generator.load.start_for", UP_TO_AN_HOUR, generator.load.start_for, "The load must be that high this long.";
    "policy.generator.load.stop_for", UP_TO_AN_HOUR, generator.load.stop_for, "The load must be that low this long.";
    "policy.generator.load.quiet.start", LOAD, generator.load.quiet_start, "Start at or above this load in quiet hours.";
    "policy.generator.load.quiet.stop", LOAD, generator.load.quiet_stop, "Stop at or below this load in quiet hours.";
    "policy.generator.current.start", AMPERES, generator.current.start, "Start at or above this battery discharge current.";
    "policy.generator.current.stop", AMPERES, generator.current.stop, "Stop at or below this battery discharge current.";
    "policy.generator.current.start_for", UP_TO_AN_HOUR, generator.current.start_for, "The current must be that high this long.";
    "policy.generator.current.stop_for", UP_TO_AN_HOUR, generator.current.stop_for, "The current must be that low this long.";
    "policy.generator.current.quiet.start", AMPERES, generator.current.quiet_start, "Start at or above this current in quiet hours.";
    "policy.generator.current.quiet.stop", AMPERES, generator.current.quiet_stop, "Stop at or below this current in quiet hours.";
    "policy.generator.voltage.start", VOLTS, generator.voltage.start, "Start at or below this battery voltage.";
    "policy.generator.voltage.stop", VOLTS, generator.voltage.stop, "Stop at or above this battery voltage.";
    "policy.generator.voltage.start_for", UP_TO_AN_HOUR, generator.voltage.start_for, "The voltage must be that low this long.";
    "policy.generator.voltage.stop_for", UP_TO_AN_HOUR, generator.voltage.stop_for, "The voltage must be that high this long.";
    "policy.generator.voltage.quiet.start", VOLTS, generator.voltage.quiet_start, "Start at or below this voltage in quiet hours.";
    "policy.generator.voltage.quiet.stop", VOLTS, generator.voltage.quiet_stop, "Stop at or above this voltage in quiet hours.";
    "policy.generator.quiet.from", Clock, generator.quiet_from, "Quiet hours begin, local time.";
    "policy.generator.quiet.to", Clock, generator.quiet_to, "Quiet hours end, local time.";
    "policy.generator.quiet.blocks", Flag, generator.policy.quiet_blocks, "Quiet hours block normal starts instead of only changing thresholds.";
    "policy.generator.min_run", UP_TO_A_DAY, generator.policy.min_run, "Minimum run: a floor, never a timer.";
    "policy.generator.max_run", Amount(Duration, 0, 30 * 24 * HOUR), generator.policy.max_run, "Alarm after running this long; 0 is off.";
    "policy.generator.min_off", UP_TO_A_DAY, generator.policy.min_off, "Minimum time between stop and next start.";
    "policy.generator.rest", UP_TO_AN_HOUR, generator.policy.rest, "Pause between engine still and the next crank.";
    "policy.generator.start_timeout", Amount(Duration, 5 * SECOND, 10 * MINUTE), generator.policy.start_timeout, "A start attempt without confirmation ends after this.";
    "policy.generator.attempts", Amount(Count, 1, 10), generator.policy.attempts, "Start attempts before lock-out.";
    "policy.generator.crank_rest", Amount(Duration, SECOND, 30 * MINUTE), generator.policy.crank_rest, "Pause between attempts.";
    "policy.generator.warm_up", Amount(Duration, 0, 30 * MINUTE), generator.policy.warm_up, "The engine runs this long without load first.";
    "policy.generator.cool_down", Amount(Duration, 0, 10 * MINUTE), generator.policy.cool_down, "The engine runs this long without load last.";
    "policy.generator.stop_time", Amount(Duration, 0, 10 * MINUTE), generator.policy.stop_time, "Shortest time in stopping.";
    "policy.generator.stop_timeout", Amount(Duration, 5 * SECOND, 30 * MINUTE), generator.policy.stop_timeout, "Alarm when the engine still turns after this.";
    "policy.generator.ac_gone_hold", Amount(Duration, 0, MINUTE), generator.policy.ac_gone_hold, "Generator voltage must be gone this long to count as gone.";
    "policy.generator.running_lost_debounce", Amount(Duration, 0, MINUTE), generator.policy.running_lost_debounce, "A missing feedback shorter than this is no loss.";
    "policy.generator.loss_timeout", Amount(Duration, 10 * SECOND, 24 * HOUR), generator.policy.loss_timeout, "Silence of a condition's source for this long is a loss.";
    "policy.generator.on_loss", Word(draft::ON_LOSS), generator.policy.on_loss, "What such a loss does.";
    "policy.generator.feedback", Flag, generator.feedback, "Whether anything tells that the engine turns; unset follows the devices.";
    "policy.generator.auto_off_immediate", Flag, generator.policy.auto_off_immediate, "Switching automatic starts off ends a run before its minimum.";
    "policy.generator.rating", Amount(Power, 1, 10_000_000), generator.policy.rating, "The most power the generator may deliver.";
    "policy.generator.breaker", Amount(Power, 1, 10_000_000), generator.breaker, "What the breaker behind it carries; rating may not be more.";
};

/// Keys of one device.
pub static DEVICE: &[Key<DeviceDraft>] = rows! { DeviceDraft;
    "device.NAME.definition", Text, definition, "A shipped definition's name, or a path beginning with ./ or /.";
    "device.NAME.address", Text, address, "Host and port; without it the device is its signals only.";
    "device.NAME.unit", Amount(Count, 0, 255), unit, "Modbus unit id of the device's main unit.";
    "device.NAME.framing", Word(draft::FRAMING), framing, "Modbus TCP, or RTU frames through a transparent gateway.";
    "device.NAME.roles", Words(draft::ROLES), roles, "The parts it plays.";
    "device.NAME.mode", Word(draft::MODE), mode, "Who keeps the fast loop: we (direct), or the device (supervise).";
    "device.NAME.lag", Amount(Duration, 0, 10 * SECOND), lag, "Age of a meter's value when it is asked for.";
    "device.NAME.dead_time", Amount(Duration, 0, 30 * SECOND), dead_time, "From an order to the inverter's first reaction.";
    "device.NAME.response", Amount(Duration, 0, 30 * SECOND), response, "Time constant of the inverter's reaction.";
    "device.NAME.resolution", Amount(Power, 1, 10_000), resolution, "The smallest step the inverter takes.";
    "device.NAME.max_charge", UP_TO_10_MW, max_charge, "The most the inverter can charge.";
    "device.NAME.max_discharge", UP_TO_10_MW, max_discharge, "The most the inverter can discharge.";
    "device.NAME.phases", Phases, phases, "The phases it is wired to.";
    "device.NAME.rating", UP_TO_10_MW, rating, "The most a PV inverter can make.";
    "device.NAME.max_current", Amount(Current, 1_000, 10_000_000), max_current, "The most a solar charger can make.";
    "device.NAME.contact", Amount(Count, 1, 64), contact, "Relay channel of the generator's start contact, from 1.";
    "device.NAME.running_input", Amount(Count, 1, 64), running_input, "Input channel that tells that the engine turns, from 1.";
    "device.NAME.poll", Amount(Duration, 100, MINUTE), poll, "How often the fast points are read.";
};

/// Keys of one charge window.
pub static WINDOW: &[Key<WindowDraft>] = rows! { WindowDraft;
    "policy.schedule.NAME.days", Words(draft::DAYS), days, "Days on which the window begins; monthly is the first of each month.";
    "policy.schedule.NAME.start", Clock, start, "Local time at which it begins.";
    "policy.schedule.NAME.duration", Amount(Duration, MINUTE, 24 * HOUR), duration, "How long it lasts.";
    "policy.schedule.NAME.target", SHARE, target, "Charge to here, in %; unset means full.";
    "policy.schedule.NAME.allow_discharge", Flag, allow_discharge, "Whether the battery may discharge above the target inside the window.";
};

/// Keys of one slot of the plan.
pub static SLOT: &[Key<SlotDraft>] = rows! { SlotDraft;
    "policy.plan.NAME.start", Moment, start, "When the slot of the plan begins.";
    "policy.plan.NAME.duration", Amount(Duration, MINUTE, 24 * HOUR), duration, "How long it lasts.";
    "policy.plan.NAME.target", Amount(Percent, 100, 10_000), target, "The charge to be at when it ends, in %; the battery is charged or discharged to it.";
    "policy.plan.NAME.setpoint", Amount(Power, -1_000_000, 1_000_000), setpoint, "Instead of a target: steer the grid to this, import positive.";
    "policy.plan.NAME.power", Amount(Power, -1_000_000, 1_000_000), power, "Instead of a target: this much battery power, discharge positive.";
    "policy.plan.NAME.max_charge", UP_TO_10_MW, caps.max_charge, "The most charge inside the slot.";
    "policy.plan.NAME.max_discharge", UP_TO_10_MW, caps.max_discharge, "The most discharge inside the slot.";
    "policy.plan.NAME.export_limit", UP_TO_10_MW, caps.export_limit, "The most export inside the slot, as a positive number; it only lowers the site's.";
    "policy.plan.NAME.no_grid_charge", Flag, caps.no_grid_charge, "Inside the slot the battery is charged by what is left over alone.";
    "policy.plan.NAME.no_battery_export", Flag, caps.no_battery_export, "Inside the slot the battery serves the loads alone.";
};

/// Keys of one load on a relay.
pub static LOAD_KEYS: &[Key<LoadDraft>] = rows! { LoadDraft;
    "policy.load.NAME.relay", Text, relay, "The device whose relay switches the load.";
    "policy.load.NAME.channel", Amount(Count, 1, 64), channel, "Which of its relays, from 1; unset means the first.";
    "policy.load.NAME.mode", Word(draft::LOAD_MODE), policy.mode, "shed: on unless the rest needs the power; deferrable: off unless PV makes more than the house takes.";
    "policy.load.NAME.power", Amount(Power, 1, 1_000_000), policy.power, "What it takes while it is on.";
    "policy.load.NAME.soc", SHARE, policy.soc, "Off at or below this charge, in %; unset: the charge does not matter.";
    "policy.load.NAME.soc_back", Amount(Percent, 10, 5_000), policy.soc_back_centi, "On again this far above it, in %.";
    "policy.load.NAME.min_on", UP_TO_A_DAY, policy.min_on, "Shortest time on, except where something is protected.";
    "policy.load.NAME.min_off", UP_TO_A_DAY, policy.min_off, "Shortest time off.";
};

/// Keys of one announced outage.
pub static OUTAGE: &[Key<OutageDraft>] = rows! { OutageDraft;
    "policy.outage.NAME.start", Moment, start, "When the announced outage begins.";
    "policy.outage.NAME.duration", Amount(Duration, MINUTE, 7 * 24 * HOUR), duration, "How long it lasts.";
    "policy.outage.NAME.prepare", UP_TO_A_DAY, prepare, "How long before it the battery begins to be charged.";
    "policy.outage.NAME.min_soc", SHARE, min_soc, "The charge to have when it begins, in %.";
};

/// The key of a named unit of a device.
pub const UNITS: (&str, Kind, &str) = (
    "device.NAME.units.NAME",
    Amount(Count, 0, 255),
    "Modbus unit id of one of the units its definition names.",
);

/// The key that names the profiles a file builds on.
pub const EXTENDS: (&str, Kind, &str) = (
    "extends",
    Texts,
    "Profiles this one builds on: shipped names, or paths beginning with ./ or /; later ones win.",
);

/// A key as documentation shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Dotted, with `NAME` where the operator chooses.
    pub path: &'static str,
    /// What it accepts, in words.
    pub accepts: String,
    /// The default as TOML; none when unset.
    pub default: Option<String>,
    /// What it means, in a sentence.
    pub help: &'static str,
    /// Its kind, for readers.
    pub(super) kind: Kind,
    /// Whether `"none"` is accepted.
    pub(super) optional: bool,
}

/// All keys, made once: reading looks them up for every line.
pub(super) fn table() -> &'static [KeyDoc] {
    static TABLE: LazyLock<Vec<KeyDoc>> = LazyLock::new(keys);
    &TABLE
}

/// The overlay that a path belongs to, and the key inside it.
pub(super) fn overlaid(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("overlay.")?.split_once('.')
}

/// Whether an overlay may lie over a key: wishes and limits of the policy, and handing back to observing.
pub(super) fn may_overlay(path: &str) -> bool {
    path.starts_with("policy.") || path == "control"
}

/// The key that a dotted path means, with the operator's names in place of `NAME`.
pub(super) fn lookup(path: &str) -> Option<&'static KeyDoc> {
    static PLACES: LazyLock<BTreeMap<&str, &KeyDoc>> =
        LazyLock::new(|| table().iter().map(|key| (key.path, key)).collect());
    PLACES.get(pattern(path).as_str()).copied()
}

/// Every table that keys lie in, with the first of them.
pub(super) fn tables() -> &'static BTreeMap<&'static str, &'static KeyDoc> {
    static TABLES: LazyLock<BTreeMap<&str, &KeyDoc>> = LazyLock::new(|| {
        let mut tables = BTreeMap::new();
        for key in table() {
            for above in key.path.match_indices('.').filter_map(|(end, _)| key.path.get(..end)) {
                tables.entry(above).or_insert(key);
            }
        }
        tables
    });
    &TABLES
}

/// The first key below this dotted path; none when it is no table.
pub(super) fn first_below(path: &str) -> Option<&'static KeyDoc> {
    tables().get(pattern(path).as_str()).copied()
}

/// A path with `NAME` wherever the operator chooses.
pub(super) fn pattern(path: &str) -> String {
    let mut words: Vec<&str> = path.split('.').collect();
    let named: &[usize] = match words.as_slice() {
        ["device", _, "units", ..] => &[1, 3],
        ["device", ..] => &[1],
        ["policy", "schedule" | "plan" | "outage" | "load", ..] => &[2],
        _ => &[],
    };
    for at in named {
        if let Some(word) = words.get_mut(*at) {
            *word = "NAME";
        }
    }
    words.join(".")
}

/// Every key, in the order of the documentation.
#[must_use]
pub fn keys() -> Vec<KeyDoc> {
    fn doc<D>(key: &Key<D>, untouched: &D) -> KeyDoc {
        let default = key.default_value(untouched).filter(|_| key.path != "schema");
        KeyDoc {
            path: key.path,
            accepts: key.kind.accepts(),
            default: default.map(|typed| key.kind.print(&typed)),
            help: key.help,
            kind: key.kind,
            optional: key.optional,
        }
    }
    let extra = |(path, kind, help): (&'static str, Kind, &'static str)| KeyDoc {
        path,
        accepts: kind.accepts(),
        default: None,
        help,
        kind,
        optional: false,
    };
    fn docs<D: Default>(keys: &[Key<D>]) -> impl Iterator<Item = KeyDoc> {
        let untouched = D::default();
        keys.iter().map(move |key| doc(key, &untouched))
    }
    let (schema, site) = SITE.split_at(1);
    let mut all: Vec<KeyDoc> = docs(schema).collect();
    all.push(extra(EXTENDS));
    all.extend(docs(site));
    all.extend(docs(DEVICE));
    all.push(extra(UNITS));
    all.extend(docs(WINDOW));
    all.extend(docs(SLOT));
    all.extend(docs(OUTAGE));
    all.extend(docs(LOAD_KEYS));
    all
}

/// The reference page of all keys, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = "| key | accepts | default | meaning |\n|---|---|---|---|\n".to_owned();
    page.push_str(
        "| `overlay.NAME.KEY` | what the key takes | | What holds instead while the overlay NAME is on: any key of \
         `policy`, and `control = \"observe\"`. `wattkeeper overlay NAME --for 12h` puts it on. |\n",
    );
    for key in keys() {
        let default = key.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let accepts = if key.optional { format!("{}, or \"none\"", key.accepts) } else { key.accepts };
        page.push_str(&format!("| `{}` | {accepts} | {default} | {} |\n", key.path, key.help));
    }
    page
}
