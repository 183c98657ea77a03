//! What the battery can stand now: limits of BMS, voltage and temperature, as AC power.

use serde::{Deserialize, Serialize};

use crate::control::policy::{BatteryPolicy, GuardKind};
use crate::control::reading::{Reading, Stage};
use crate::control::reason::{Reason, Source};
use crate::control::units::{DeciCelsius, MilliAmps, MilliVolts, Mono, Span, Watts};

/// A temperature that left its window must come back this far inside.
const TEMPERATURE_BACK: DeciCelsius = DeciCelsius(20);
/// A battery keeps its temperature this long: a word as old as this still says something about it.
const TEMPERATURE_KEEPS: Span = Span::secs(300);

/// What the limits look at.
#[derive(Clone, Copy, Debug)]
pub struct LimitInputs {
    /// Terminal voltage.
    pub voltage: Option<Reading<MilliVolts>>,
    /// Temperature.
    pub temperature: Option<Reading<DeciCelsius>>,
    /// CCL.
    pub charge_limit: Option<MilliAmps>,
    /// DCL.
    pub discharge_limit: Option<MilliAmps>,
    /// CVL.
    pub charge_voltage: Option<MilliVolts>,
    /// How far the BMS may be trusted; `None` when none was ever heard and none is required.
    pub bms: Option<Stage>,
    /// DC-coupled PV charging the battery that discharging may count on.
    pub pv_dc: Watts,
    /// The most there may be of it, which is charge already.
    pub pv_dc_most: Watts,
    /// Measured loads on the DC bus: what they take does not reach the battery.
    pub load_dc: Watts,
    /// Whether the inverter alone carries the site.
    pub island: bool,
}

/// The limits, positive numbers at the AC side, each with the reason for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most charge.
    pub charge: Option<(Watts, Reason)>,
    /// Most discharge.
    pub discharge: Option<(Watts, Reason)>,
    /// Where a BMS speaks: its charge current as it may be used, and what the voltage limit leaves of it.
    pub current: Option<(MilliAmps, MilliAmps)>,
    /// Where a BMS speaks: most charge of the battery from all sources together, at the DC side.
    pub battery: Option<Watts>,
}

/// What the limits remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitMemory {
    under_voltage: bool,
    out_of_window: bool,
    temperature: Option<Reading<DeciCelsius>>,
    /// Share of the CCL that the voltage limit leaves, in thousandths.
    taper: i32,
    /// A CVL was heard: from then on its absence allows no charge.
    ceiling_seen: bool,
    at: Mono,
}

impl Default for LimitMemory {
    fn default() -> Self {
        Self {
            under_voltage: false,
            out_of_window: false,
            temperature: None,
            taper: 1_000,
            ceiling_seen: false,
            at: Mono::ZERO,
        }
    }
}

impl LimitMemory {
    /// Whether the voltage limit holds the charge back now.
    #[must_use]
    pub fn tapering(&self) -> bool {
        self.taper < 1_000
    }

    /// The limits in force, most important cause first.
    pub fn step(&mut self, policy: &BatteryPolicy, inputs: &LimitInputs, now: Mono) -> Limits {
        let mut limits = Limits { charge: None, discharge: None, current: None, battery: None };
        self.bms(policy, inputs, now, &mut limits);
        self.voltage_floor(policy, inputs, &mut limits);
        self.temperature(policy, inputs, now, &mut limits);
        self.at = now;
        limits
    }

    fn bms(&mut self, policy: &BatteryPolicy, inputs: &LimitInputs, now: Mono, limits: &mut Limits) {
        let Some(stage) = inputs.bms else { return };
        let lost = (Watts::ZERO, Reason::BmsLost);
        limits.current = Some((MilliAmps::ZERO, MilliAmps::ZERO));
        limits.battery = Some(Watts::ZERO);
        if stage == Stage::Safe {
            limits.charge = Some(lost);
            if !(inputs.island && policy.island_without_bms) {
                limits.discharge = Some(lost);
            }
            return;
        }
        // A declared BMS whose limit is missing allows nothing.
        let (percent, of) = if stage == Stage::Degraded { (50, 100) } else { (100, 100) };
        let told = inputs.charge_limit.unwrap_or(MilliAmps::ZERO);
        // To some makers' packs 0 A does not mean stop, but no more than to keep them full.
        let (told, ceiling) = match policy.at_zero_charge {
            Some((voltage, current)) if inputs.charge_limit == Some(MilliAmps::ZERO) => {
                (current, inputs.charge_voltage.map(|limit| limit.min(voltage)).or(Some(voltage)))
            }
            Some(_) | None => (told, inputs.charge_voltage),
        };
        // A voltage is never invented: the operator's own only lowers one that the BMS gives.
        let ceiling = ceiling.map(|limit| policy.max_charge_voltage.map_or(limit, |most| limit.min(most)));
        let ccl = told.scaled(percent, of);
        let dcl = inputs.discharge_limit.unwrap_or(MilliAmps::ZERO).scaled(percent, of);
        let Some(voltage) = inputs.voltage.map(|reading| reading.value).filter(|volts| volts.0 > 0) else {
            limits.charge = Some(lost);
            limits.discharge = Some(lost);
            return;
        };
        let tapered = self.taper_charge(ccl, voltage, ceiling, now);
        let reason = match ceiling {
            Some(limit) if tapered < ccl => Reason::VoltCeiling(limit),
            Some(_) | None => Reason::BmsCcl(ccl),
        };
        let (charge, discharge) = match policy.guard {
            // The incumbent's numbers: 97 % charging, 90 % discharging, 7 A of margin.
            GuardKind::VictronCompatible => (
                voltage.times(tapered).scaled(100, 97),
                voltage.times((dcl - MilliAmps(7_000)).max(MilliAmps::ZERO)).scaled(90, 100),
            ),
            // Cautious on both sides: losses never push the battery beyond what its BMS allows.
            GuardKind::Standard => (voltage.times(tapered), voltage.times(dcl).scaled(90, 100)),
        };
        let charge = charge.scaled(i64::from(policy.bms_charge_centi), 10_000);
        let discharge = discharge.scaled(i64::from(policy.bms_discharge_centi), 10_000);
        let share = |current: MilliAmps| current.scaled(i64::from(policy.bms_charge_centi), 10_000);
        limits.current = Some((share(ccl), share(tapered)));
        limits.battery = Some(charge);
        let beside = if charge > Watts::ZERO { inputs.load_dc } else { Watts::ZERO };
        limits.charge = Some(((charge + beside - inputs.pv_dc_most).max(Watts::ZERO), reason));
        let dc = inputs.pv_dc.scaled(90, 100) - inputs.load_dc;
        limits.discharge = Some(((discharge + dc).max(Watts::ZERO), Reason::BmsDcl(dcl)));
    }

    /// Holds the voltage at the CVL by integrating: quickly down while above it, slowly up while below.
    /// A proportional taper would hunt, because the voltage answers the current within one sample.
    fn taper_charge(
        &mut self,
        ccl: MilliAmps,
        voltage: MilliVolts,
        limit: Option<MilliVolts>,
        now: Mono,
    ) -> MilliAmps {
        let Some(limit) = limit.filter(|limit| limit.0 > 0) else {
            self.taper = 1_000;
            return if self.ceiling_seen { MilliAmps::ZERO } else { ccl };
        };
        self.ceiling_seen = true;
        let elapsed = i32::try_from(now.since(self.at).0.clamp(0, 2_000)).unwrap_or(0);
        let per_second =
            |thousandths: i32| thousandths.saturating_mul(elapsed).checked_div(1_000).unwrap_or(0);
        if voltage > limit.scaled(101, 100) {
            self.taper = 0;
        } else if voltage > limit {
            self.taper = self.taper.saturating_sub(per_second(200));
        } else if voltage < limit.scaled(995, 1_000) {
            self.taper = self.taper.saturating_add(per_second(20));
        }
        self.taper = self.taper.clamp(0, 1_000);
        ccl.scaled(i64::from(self.taper), 1_000)
    }

    fn voltage_floor(&mut self, policy: &BatteryPolicy, inputs: &LimitInputs, limits: &mut Limits) {
        let Some(floor) = policy.voltage_floor else { return };
        let Some(voltage) = inputs.voltage.map(|reading| reading.value) else {
            // A floor that nobody can see may have been passed.
            let unseen = Reason::Stale(Source::Battery, Stage::Safe);
            if limits.discharge.is_none_or(|(most, _)| most > Watts::ZERO) {
                limits.discharge = Some((Watts::ZERO, unseen));
            }
            return;
        };
        if voltage <= floor {
            self.under_voltage = true;
        } else if voltage >= floor.scaled(102, 100) {
            self.under_voltage = false;
        }
        if self.under_voltage {
            limits.discharge = Some((Watts::ZERO, Reason::VoltFloor(voltage)));
        }
    }

    fn temperature(&mut self, policy: &BatteryPolicy, inputs: &LimitInputs, now: Mono, limits: &mut Limits) {
        let Some((coldest, hottest)) = policy.temperature else { return };
        self.temperature = inputs.temperature.or(self.temperature);
        let known = self.temperature.filter(|reading| reading.age(now) <= TEMPERATURE_KEEPS);
        let Some(at) = known.map(|reading| reading.value) else {
            let off = (Watts::ZERO, Reason::Stale(Source::Battery, Stage::Safe));
            limits.charge = Some(off);
            limits.discharge = Some(off);
            return;
        };
        if at < coldest || at > hottest {
            self.out_of_window = true;
        } else if at >= coldest + TEMPERATURE_BACK && at <= hottest - TEMPERATURE_BACK {
            self.out_of_window = false;
        }
        if self.out_of_window {
            let off = (Watts::ZERO, Reason::TempDerate(at));
            limits.charge = Some(off);
            limits.discharge = Some(off);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::units::Span;

    fn inputs(volts: i32, ccl: i32, dcl: i32) -> LimitInputs {
        LimitInputs {
            voltage: Some(Reading { value: MilliVolts(volts), asked_at: Mono::ZERO }),
            temperature: None,
            charge_limit: Some(MilliAmps(ccl)),
            discharge_limit: Some(MilliAmps(dcl)),
            charge_voltage: None,
            bms: Some(Stage::Good),
            pv_dc: Watts::ZERO,
            pv_dc_most: Watts::ZERO,
            load_dc: Watts::ZERO,
            island: false,
        }
    }

    fn watts(limit: Option<(Watts, Reason)>) -> i32 {
        limit.map_or(i32::MAX, |(watts, _)| watts.0)
    }

    #[test]
    fn the_compatible_limits_are_the_incumbents_numbers() {
        let policy = BatteryPolicy { guard: GuardKind::VictronCompatible, ..BatteryPolicy::default() };
        let limits = |ccl, dcl| {
            let limits = LimitMemory::default().step(&policy, &inputs(12_000, ccl, dcl), Mono::ZERO);
            (watts(limits.charge), watts(limits.discharge))
        };
        assert_eq!(limits(30_000, 50_000), (371, 464));
        assert_eq!(limits(55_000, 35_000), (680, 302));
        assert_eq!(limits(65_000, 5_000), (804, 0));
    }

    #[test]
    fn d20_a_silent_bms_stops_both_directions_on_grid_and_only_charge_in_island() {
        let policy = BatteryPolicy::default();
        let silent =
            |island| LimitInputs { bms: Some(Stage::Safe), island, ..inputs(51_200, 100_000, 100_000) };
        let on_grid = LimitMemory::default().step(&policy, &silent(false), Mono::ZERO);
        assert_eq!((watts(on_grid.charge), watts(on_grid.discharge)), (0, 0));
        let island = LimitMemory::default().step(&policy, &silent(true), Mono::ZERO);
        assert_eq!((watts(island.charge), watts(island.discharge)), (0, i32::MAX));
    }

    #[test]
    fn d20_a_declared_bms_without_a_limit_allows_nothing() {
        let missing = LimitInputs { charge_limit: None, discharge_limit: None, ..inputs(51_200, 0, 0) };
        let limits = LimitMemory::default().step(&BatteryPolicy::default(), &missing, Mono::ZERO);
        assert_eq!((watts(limits.charge), watts(limits.discharge)), (0, 0));
    }

    #[test]
    fn a_pack_to_which_no_amperes_do_not_mean_stop_is_kept_full_at_its_makers_voltage() {
        let quirk = Some((MilliVolts(55_000), MilliAmps(40_000)));
        let policy = BatteryPolicy { at_zero_charge: quirk, ..BatteryPolicy::default() };
        let charge = |volts, limit| {
            let mut memory = LimitMemory { at: Mono::ZERO, ..LimitMemory::default() };
            let at = LimitInputs { charge_limit: limit, ..inputs(volts, 0, 0) };
            watts(memory.step(&policy, &at, Mono::ZERO + Span::secs(1)).charge)
        };
        assert_eq!(charge(50_000, Some(MilliAmps::ZERO)), 2_000);
        assert_eq!(charge(55_600, Some(MilliAmps::ZERO)), 0, "one percent above its voltage: at once");
        assert_eq!(charge(50_000, None), 0, "a limit that is not told is none of its quirks");
    }

    #[test]
    fn the_operators_charge_voltage_lowers_the_one_of_the_bms_and_invents_none() {
        let policy =
            BatteryPolicy { max_charge_voltage: Some(MilliVolts(54_000)), ..BatteryPolicy::default() };
        let charge = |limit: Option<i32>| {
            let at = LimitInputs { charge_voltage: limit.map(MilliVolts), ..inputs(55_000, 100_000, 0) };
            watts(LimitMemory::default().step(&policy, &at, Mono::ZERO + Span::secs(1)).charge)
        };
        assert_eq!(charge(Some(56_000)), 0);
        assert_eq!(charge(None), 5_500);
    }

    #[test]
    fn measured_dc_loads_make_room_for_charge_and_take_from_discharge() {
        let dc = LimitInputs { load_dc: Watts(500), ..inputs(50_000, 100_000, 100_000) };
        let limits = LimitMemory::default().step(&BatteryPolicy::default(), &dc, Mono::ZERO);
        assert_eq!((watts(limits.charge), watts(limits.discharge)), (5_500, 4_000));
    }

    #[test]
    fn discharge_returns_only_two_percent_above_the_voltage_floor() {
        let policy = BatteryPolicy { voltage_floor: Some(MilliVolts(48_000)), ..BatteryPolicy::default() };
        let mut memory = LimitMemory::default();
        let mut allowed = |volts| {
            let limits = memory.step(&policy, &inputs(volts, 100_000, 100_000), Mono::ZERO);
            watts(limits.discharge) > 0
        };
        assert_eq!([48_100, 48_000, 48_900, 48_960].map(&mut allowed), [true, false, false, true]);
    }

    #[test]
    fn charge_ends_at_the_charge_voltage_limit_and_returns_slowly() {
        let policy = BatteryPolicy::default();
        let mut memory = LimitMemory::default();
        let mut charge = |second, volts| {
            let at = LimitInputs { charge_voltage: Some(MilliVolts(56_000)), ..inputs(volts, 100_000, 0) };
            watts(memory.step(&policy, &at, Mono::ZERO + Span::secs(second)).charge)
        };
        assert_eq!(charge(1, 55_000), 5_500);
        assert_eq!(charge(2, 56_100), 4_488);
        assert_eq!(charge(3, 56_600), 0, "more than one percent above: at once");
        assert_eq!(charge(4, 55_000), 110);
    }
}
