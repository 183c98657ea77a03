//! One seed, one house: a shipped profile with other wishes, a plant to go with it, and what will go wrong.

use wattkeeper::control::policy::Control;
use wattkeeper::control::policy::{
    BatteryPolicy, Condition, GeneratorPolicy, GuardKind, OnLoss, Pace, PhaseMode, Policy, QuietHours,
};
use wattkeeper::control::site::SiteConfig;
use wattkeeper::control::units::{DeciCelsius, MilliVolts, Soc, Span, WattHours, Watts};
use wattkeeper::profile::{self, Checked, DeviceConfig, Overrides};

use super::faults::{Fault, faults, rarities};
use super::people;

/// How long a house is lived in, in seconds: rounds of faults, each with a quiet end that shows the recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    pub rounds: i64,
    pub round: i64,
    /// The quiet end of a round.
    pub quiet: i64,
    /// Faults of a round: at least, and less than.
    pub faults: (i64, i64),
}

impl Stay {
    /// Two hours, crowded: twelve such houses make a day that sees much.
    pub const VISIT: Self = Self { rounds: 1, round: 7_200, quiet: 1_500, faults: (25, 60) };
    /// A week.
    pub const WEEK: Self = Self { rounds: 7, round: 86_400, quiet: 7_200, faults: (15, 60) };

    pub fn seconds(self) -> i64 {
        self.rounds * self.round
    }

    /// For how long there have been no faults; none while there may be.
    pub fn quiet_for(self, second: i64) -> Option<i64> {
        let since = second.rem_euclid(self.round) - (self.round - self.quiet);
        (since >= 0).then_some(since)
    }
}

/// A splitmix64 generator: the same everywhere.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` up to, not including, `high`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low) as u64) as i64
    }

    pub fn percent(&mut self, chance: i64) -> bool {
        self.range(0, 100) < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.range(0, from.len() as i64) as usize]
    }
}

/// Everything a run is made of.
#[derive(Clone)]
pub struct House {
    pub seed: u64,
    pub profile: &'static str,
    pub config: SiteConfig,
    /// Its devices, where they are spoken to through sessions and registers.
    pub devices: Vec<DeviceConfig>,
    pub stay: Stay,
    /// Local second of the day at which it begins.
    pub begins: i64,
    /// Of the plant, by dotted name.
    pub plant: Vec<(&'static str, f64)>,
    /// Steps of the reported charge, in 0.01 %.
    pub soc_step: i64,
    pub faults: Vec<Fault>,
}

/// A second inverter for the house with one.
const SECOND: &str = r#"
[device.east]
definition = "inverters/victron-gx"
address = "192.0.2.20:502"
roles = ["inverter"]
phases = ["l2"]
max_charge = "2 kW"
max_discharge = "2 kW"
"#;

impl House {
    pub fn new(seed: u64, stay: Stay) -> Self {
        let mut dice = Dice::new(seed);
        let profile = dice.pick(&[
            "demo",
            "demo",
            "self-consumption",
            "backup",
            "off-grid",
            "off-grid",
            "two",
            "supervise",
        ]);
        let checked = checked(profile);
        let mut config = checked.site;
        // Two inverters would share one simulated register map; and values no register can say need no registers.
        let devices = if profile != "two" && dice.percent(40) { checked.devices } else { Vec::new() };
        let inverters = config.wiring.inverters.len();
        vary(&mut config.policy, &mut dice, profile);
        let three = profile == "demo" || profile == "two";
        let each = if profile == "demo" { 3_000.0 } else { 5_000.0 };
        let grid = config.policy.grid.connected;
        let capacity = dice.range(2_000, 14_000) as f64;
        if config.policy.battery.capacity.is_some() {
            config.policy.battery.capacity = Some(WattHours(capacity as i64));
        }
        let soc = charge(&config.policy, &mut dice);
        let begins = if stay == Stay::WEEK { 0 } else { dice.range(0, 86_400) };
        let mut plant = vec![
            ("phases", if three { 3.0 } else { 1.0 }),
            ("start", begins as f64 / 3_600.0),
            ("inverter.count", inverters as f64),
            ("inverter.max_charge", each),
            ("inverter.max_discharge", each),
            ("battery.capacity", capacity),
            ("battery.soc", soc),
            ("battery.temperature", if dice.percent(10) { dice.range(-5, 12) as f64 } else { 20.0 }),
            ("pv.peak", if grid { dice.range(0, 9_000) as f64 } else { 0.0 }),
            ("load.base", dice.range(150, 1_500) as f64),
            ("load.noise", dice.range(0, 30) as f64),
            ("load.appliances", 1.0),
            ("load.out_share", if grid { dice.pick(&[0.0, 0.0, 0.3]) } else { 1.0 }),
            ("generator.warm_up", dice.range(0, 30) as f64),
            ("generator.tank", 500.0),
        ];
        if !grid {
            plant.push(("grid.present", 0.0));
        }
        if !grid || dice.percent(25) {
            plant.push(("pv.dc.peak", dice.range(0, 5_000) as f64));
        }
        let mut faults = faults(&mut dice, &config, devices.len(), stay);
        let soc_step = dice.pick(&[1, 10, 100]);
        faults.extend(rarities(&mut dice, &config, devices.len(), stay));
        faults.sort_by_key(|fault| fault.from);
        // Drawn last, so that what was drawn before stays what it was for its seed.
        let battery = &mut config.policy.battery;
        battery.adaptive_floor = battery.guard == GuardKind::VictronCompatible && dice.percent(60);
        config.policy.grid.feed_in_dc = dice.percent(15);
        faults.extend(people::drawn(&mut dice, stay));
        faults.sort_by_key(|fault| fault.from);
        Self { seed, profile, config, devices, stay, begins, plant, soc_step, faults }
    }

    /// Whether values travel as registers.
    pub fn wired(&self) -> bool {
        !self.devices.is_empty()
    }
}

/// A charge at which something is about to happen, more often than not.
fn charge(policy: &Policy, dice: &mut Dice) -> f64 {
    let floor = i64::from(policy.battery.floor.centi()) / 100;
    let start = policy.generator.as_ref().and_then(|generator| generator.soc).map(|soc| soc.start / 100);
    let near = dice.range(-2, 6);
    let charge = match dice.range(0, 3) {
        0 => floor + near,
        1 => start.unwrap_or(floor) + near,
        _ => dice.range(2, 100),
    };
    charge.clamp(2, 100) as f64
}

fn checked(profile: &str) -> Checked {
    let mut set = vec!["control=\"on\"".to_owned()];
    if profile == "supervise" {
        set.push("device.gx.mode=\"supervise\"".to_owned());
    }
    let overrides = Overrides { set, ..Overrides::default() };
    let checked = match profile {
        "two" => {
            let text = format!("{}{SECOND}", profile::shipped("self-consumption").unwrap());
            profile::load_text("two inverters", &text, None, &overrides)
        }
        "supervise" => profile::load_shipped("self-consumption", &overrides),
        shipped => profile::load_shipped(shipped, &overrides),
    };
    checked.unwrap()
}

fn vary(policy: &mut Policy, dice: &mut Dice, profile: &str) {
    if dice.percent(8) {
        policy.control = Control::Observe;
    }
    if dice.percent(30) {
        policy.authority = Watts(dice.range(500, 9_000) as i32);
    }
    if dice.percent(30) {
        policy.phases = PhaseMode::Individual;
    }
    battery(&mut policy.battery, dice);
    let grid = &mut policy.grid;
    grid.setpoint = Watts(dice.pick(&[0, 0, 30, 50, -100, 400]));
    grid.import_limit = dice.percent(30).then(|| Watts(dice.range(1_000, 6_000) as i32));
    grid.export_limit = dice.percent(30).then(|| Watts(dice.pick(&[0, 500, 3_000])));
    let regulator = &mut policy.regulator;
    regulator.ramp = dice.pick(&[None, Some(Watts(1_000)), Some(Watts(400))]);
    regulator.meter_lag = dice.pick(&[None, Some(Span::ZERO), Some(Span::millis(300))]);
    regulator.trim = dice.percent(70);
    if let Some(generator) = &mut policy.generator {
        vary_generator(generator, dice);
        if profile == "off-grid" {
            generator.load = generator.load.filter(|_| dice.percent(50));
        }
    }
}

fn battery(battery: &mut BatteryPolicy, dice: &mut Dice) {
    battery.floor = Soc::percent(dice.pick(&[0, 5, 10, 15, 20, 30, 50, 70]));
    battery.absolute_floor = Soc::percent(dice.pick(&[0, 3, 5])).min(battery.floor);
    battery.island_reserve = Soc::percent(dice.pick(&[3, 5, 10]));
    if dice.percent(30) {
        battery.guard = GuardKind::VictronCompatible;
    }
    battery.keep_charged = dice.percent(4);
    battery.recharge = dice.percent(80);
    battery.recharge_pace = dice.pick(&[None, Some(Pace::Full), Some(Pace::Power(Watts(700)))]);
    if battery.capacity.is_none() && dice.percent(70) {
        battery.capacity = Some(WattHours(1));
    }
    battery.max_charge = dice.percent(20).then(|| Watts(dice.range(300, 3_000) as i32));
    battery.max_discharge = dice.percent(20).then(|| Watts(dice.range(300, 3_000) as i32));
    battery.voltage_floor = dice.percent(25).then(|| MilliVolts(dice.range(44_000, 51_000) as i32));
    battery.temperature = dice.percent(25).then_some((DeciCelsius(20), DeciCelsius(450)));
    battery.bms = dice.pick(&[None, None, Some(true)]);
    battery.island_without_bms = dice.percent(70);
}

fn vary_generator(generator: &mut GeneratorPolicy, dice: &mut Dice) {
    let start = dice.range(1_000, 7_000);
    generator.soc = Some(Condition {
        start,
        start_for: Span::secs(dice.range(0, 120)),
        stop: start + dice.pick(&[100, 300, 1_500]),
        stop_for: Span::secs(dice.range(0, 120)),
        quiet: None,
    });
    generator.quiet = dice.percent(40).then_some(QuietHours { from: 79_200, to: 25_200 });
    generator.quiet_blocks = dice.percent(30);
    generator.min_run = Span::secs(dice.pick(&[0, 120, 300, 600, 1_800]));
    generator.max_run = Span::secs(dice.pick(&[0, 7_200]));
    generator.min_off = Span::secs(dice.pick(&[0, 60, 300, 600]));
    generator.rest = Span::secs(dice.pick(&[10, 30, 120]));
    generator.attempts = dice.pick(&[1, 2, 3]);
    generator.crank_rest = Span::secs(dice.pick(&[10, 60]));
    generator.warm_up = Span::secs(dice.pick(&[0, 20, 60]));
    generator.cool_down = Span::secs(dice.pick(&[0, 30, 120]));
    generator.on_loss = dice.pick(&[OnLoss::Keep, OnLoss::Start, OnLoss::Stop]);
    generator.auto_off_immediate = dice.percent(30);
}
