//! One seed, one day: a shipped profile with other wishes, a house to go with it, and what will go wrong.

use wattkeeper::control::policy::{
    BatteryPolicy, Condition, GeneratorPolicy, GuardKind, OnLoss, Pace, PhaseMode, Policy, QuietHours,
};
use wattkeeper::control::site::{Manual, SiteConfig};
use wattkeeper::control::units::{DeciCelsius, MilliVolts, Soc, Span, WattHours, Watts};
use wattkeeper::profile::{self, Overrides};

use super::world::Group;

/// Faults end here; what is left of the day shows the recovery.
pub const QUIET_FROM: i64 = 79_200;
/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A splitmix64 generator: the same everywhere.
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

/// How a group of values misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Silent,
    /// The device answers that it does not know.
    Sentinel,
    /// The last value for ever, with fresh stamps.
    Frozen,
    /// The last sample for ever, stamp and all.
    Stuck,
    /// Every other second only.
    Flaky,
    /// Its third phase alone is unknown.
    LostPhase,
    /// What no device of this kind can mean.
    Garbage,
}

/// How a device takes orders meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Refused,
    Failed,
    Contradicted,
    /// Nobody says how it ended.
    Nothing,
}

/// What goes wrong, or is done by somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Values(Group, How),
    /// The sensor is off by this much, in 0.01 %.
    SocOff(i64),
    GridGone,
    FailedStarts(i64),
    GeneratorFault,
    PanelOff,
    ContactStuck,
    Orders(u8, Answer),
    /// The BMS allows this much, in A.
    ChargeLimit(i64),
    DischargeLimit(i64),
    WallJump(i64),
    WallInvalid,
    Floor(u16),
    Setpoint(i32),
    Restore,
    Manual(Manual, Option<i64>),
    Auto(bool),
    Acknowledge,
}

/// One of them, from second to second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub from: i64,
    pub to: i64,
    pub what: What,
}

/// Everything a day is made of.
pub struct Day {
    pub seed: u64,
    pub profile: &'static str,
    pub config: SiteConfig,
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

impl Day {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let profile = dice.pick(&["demo", "self-consumption", "backup", "off-grid", "two", "supervise"]);
        let mut config = site(profile);
        let inverters = config.wiring.inverters.len();
        vary(&mut config.policy, &mut dice, profile);
        let three = profile == "demo" || profile == "two";
        let each = if profile == "demo" { 3_000.0 } else { 5_000.0 };
        let grid = config.policy.grid.connected;
        let capacity = dice.range(2_000, 14_000) as f64;
        if config.policy.battery.capacity.is_some() {
            config.policy.battery.capacity = Some(WattHours(capacity as i64));
        }
        let mut plant = vec![
            ("phases", if three { 3.0 } else { 1.0 }),
            ("start", 0.0),
            ("inverter.count", inverters as f64),
            ("inverter.max_charge", each),
            ("inverter.max_discharge", each),
            ("battery.capacity", capacity),
            ("battery.soc", dice.range(2, 100) as f64),
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
        let faults = faults(&mut dice, &config);
        let soc_step = dice.pick(&[1, 10, 100]);
        Self { seed, profile, config, plant, soc_step, faults }
    }
}

fn site(profile: &str) -> SiteConfig {
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
    checked.unwrap().site
}

fn vary(policy: &mut Policy, dice: &mut Dice, profile: &str) {
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
    let start = dice.range(1_000, 5_000);
    generator.soc = Some(Condition {
        start,
        start_for: Span::secs(dice.range(0, 120)),
        stop: start + dice.pick(&[100, 300, 1_500]),
        stop_for: Span::secs(dice.range(0, 120)),
        quiet: None,
    });
    generator.quiet = dice.percent(40).then_some(QuietHours { from: 79_200, to: 25_200 });
    generator.quiet_blocks = dice.percent(30);
    generator.min_run = Span::secs(dice.pick(&[0, 300, 600, 1_800]));
    generator.max_run = Span::secs(dice.pick(&[0, 7_200]));
    generator.min_off = Span::secs(dice.pick(&[0, 60, 600]));
    generator.rest = Span::secs(dice.pick(&[10, 30, 120]));
    generator.attempts = dice.pick(&[1, 2, 3]);
    generator.crank_rest = Span::secs(dice.pick(&[10, 60]));
    generator.warm_up = Span::secs(dice.pick(&[0, 20, 60]));
    generator.cool_down = Span::secs(dice.pick(&[0, 30, 120]));
    generator.on_loss = dice.pick(&[OnLoss::Keep, OnLoss::Start, OnLoss::Stop]);
    generator.auto_off_immediate = dice.percent(30);
}

fn faults(dice: &mut Dice, config: &SiteConfig) -> Vec<Fault> {
    let mut faults = Vec::new();
    let actuators = config.wiring.actuators.len() as i64;
    let generator = config.policy.generator.is_some();
    for _ in 0..dice.range(15, 45) {
        let from = dice.range(30, QUIET_FROM - 60);
        let lasts = match dice.range(0, 3) {
            0 => dice.range(1, 20),
            1 => dice.range(20, 400),
            _ => dice.range(400, 5_000),
        };
        let what = match dice.range(0, 26) {
            0..=9 => {
                let how = [
                    How::Silent,
                    How::Sentinel,
                    How::Frozen,
                    How::Stuck,
                    How::Flaky,
                    How::LostPhase,
                    How::Garbage,
                ];
                let group = dice.pick(&Group::ALL);
                What::Values(group, dice.pick(if group.has_nonsense() { &how } else { &how[..6] }))
            }
            10 => What::SocOff(dice.range(-4_000, 4_000)),
            11 | 12 => What::GridGone,
            13 => What::ChargeLimit(dice.pick(&[0, 5, 30])),
            14 => What::DischargeLimit(dice.pick(&[0, 5, 30])),
            15 | 16 => {
                let answers = [Answer::Refused, Answer::Failed, Answer::Contradicted, Answer::Nothing];
                What::Orders(dice.range(0, actuators.max(1)) as u8, dice.pick(&answers))
            }
            17 => What::WallJump(dice.pick(&[-86_400, -3_600, 3_600, 40_000_000])),
            18 => What::WallInvalid,
            19 | 20 => What::Floor(dice.pick(&[0, 5, 10, 20, 30, 50, 80, 100])),
            21 => What::Setpoint(dice.range(-500, 500) as i32),
            22 => What::Restore,
            _ if !generator => What::Restore,
            23 => dice.pick(&[What::GeneratorFault, What::PanelOff, What::ContactStuck]),
            24 => What::FailedStarts(dice.range(1, 6)),
            _ => {
                let lasts = dice.pick(&[None, Some(60), Some(900)]);
                let manual = dice.pick(&[Manual::Run, Manual::Off, Manual::Auto]);
                let auto = dice.percent(50);
                dice.pick(&[What::Manual(manual, lasts), What::Auto(auto), What::Acknowledge])
            }
        };
        faults.push(Fault { from, to: (from + lasts).min(QUIET_FROM), what });
    }
    let closing = [What::Manual(Manual::Auto, None), What::Auto(true), What::Acknowledge];
    faults.extend(closing.map(|what| Fault { from: QUIET_FROM, to: QUIET_FROM, what }));
    faults.sort_by_key(|fault| fault.from);
    faults
}
