//! The house: what its devices say of it, and what becomes of orders.
//!
//! Either values go straight in and orders straight to the plant: that is where several inverters, lies of a single
//! sensor and words that no register can say are at home. Or both travel through sessions, recipes and registers of
//! fake devices (`wire`): there the plant does what its registers say, and exchanges go wrong.

use wattkeeper::control::orders::Actor;
use wattkeeper::control::policy::{Control, Policy, QuietHours};
use wattkeeper::control::schedule::lease::Lease;
use wattkeeper::control::signal::{Phase, Quantity, SignalId};
use wattkeeper::control::site::{Command, Input, OperatorOrder, Order, Outcome};
use wattkeeper::control::units::{Mono, Soc, Span, Wall, Watts};
use wattkeeper::control::wiring::{ActuatorKind, Wiring};
use wattkeeper::plant::Plant;
use wattkeeper::plant::fake::World as Field;
use wattkeeper::plant::physics::{Flows, Params, total};

use super::faults::{self, Answer, Fault, How, What};
use super::setup::{Dice, House};
use super::wire::Wire;

/// Values that come and go together, because one device says them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Meter,
    Presence,
    Soc,
    Bms,
    Battery,
    FirstInverter,
    OtherInverters,
    Pv,
    Engine,
    Contact,
}

impl Group {
    pub const ALL: [Self; 10] = [
        Self::Meter,
        Self::Presence,
        Self::Soc,
        Self::Bms,
        Self::Battery,
        Self::FirstInverter,
        Self::OtherInverters,
        Self::Pv,
        Self::Engine,
        Self::Contact,
    ];

    /// Whether a value of it can be nonsense that is told from sense.
    pub fn has_nonsense(self) -> bool {
        self == Self::Soc || self == Self::Meter
    }
}

struct Tap {
    signal: SignalId,
    quantity: Quantity,
    phase: Phase,
    inverter: usize,
    group: Group,
    last: Option<(Option<i64>, Mono)>,
}

/// The house.
pub struct World {
    pub field: Field,
    pub policy: Policy,
    wiring: Wiring,
    taps: Vec<Tap>,
    wire: Option<Wire>,
    faults: Vec<Fault>,
    next: usize,
    active: Vec<Fault>,
    soc_step: i64,
    midnight: i64,
    wall_shift: i64,
    winter: bool,
    /// Quiet hours as the house has them.
    quiet: Option<QuietHours>,
    setpoint: Option<(f64, i64)>,
    /// What a stuck contact was told; it follows once it is free.
    contact: Option<bool>,
    on: bool,
    dice: Dice,
}

/// Midnight of a summer day in Berlin.
const MIDNIGHT: i64 = 1_780_005_600;

impl World {
    pub fn new(house: &House) -> Self {
        let mut plant = Plant::new(Params::default(), house.seed);
        for (name, value) in &house.plant {
            plant.set(name, *value).unwrap();
        }
        plant.settle();
        let wiring = house.config.wiring.clone();
        let place = |device: Option<&str>| {
            wiring.inverters.iter().position(|wired| Some(wired.spec.name.as_str()) == device).unwrap_or(0)
        };
        let tap = |(signal, known): (SignalId, &wattkeeper::control::signal::Signal)| {
            let inverter = place(known.device.as_deref());
            Some(Tap {
                signal,
                quantity: known.quantity,
                phase: known.phase,
                inverter,
                group: group(known.quantity, inverter)?,
                last: None,
            })
        };
        let wired = wired(&wiring);
        let taps = house.config.signals.iter().filter(|(id, _)| wired.contains(id)).filter_map(tap).collect();
        let mut field = Field::new(plant);
        let wire = house.wired().then(|| Wire::new(house, &mut field));
        Self {
            field,
            policy: house.config.policy.clone(),
            wiring,
            taps,
            wire,
            faults: house.faults.clone(),
            next: 0,
            active: Vec::new(),
            soc_step: house.soc_step,
            midnight: MIDNIGHT + house.begins,
            wall_shift: 0,
            winter: false,
            quiet: house.config.policy.generator.as_ref().and_then(|generator| generator.quiet),
            setpoint: None,
            contact: None,
            on: house.config.policy.control == Control::On,
            dice: Dice::new(house.seed ^ 0xDEAD_BEEF),
        }
    }

    /// One second passes. What happened, in the order in which the site hears of it; the faults that began are
    /// returned. Sessions belong to the process: they ask only while it is awake.
    pub fn second(&mut self, second: i64, now: Mono, awake: bool, out: &mut Vec<Input>) -> Vec<Fault> {
        out.clear();
        let first = self.next;
        while let Some(fault) = self.faults.get(self.next).copied().filter(|fault| fault.from <= second) {
            self.next += 1;
            self.begin(fault, out);
        }
        let ended: Vec<Fault> = self.active.extract_if(.., |fault| fault.to <= second).collect();
        for fault in ended {
            self.end(fault.what, out);
        }
        self.supervised(second);
        self.field.plant.step_steady(1.0);
        if let Some(wire) = &mut self.wire {
            self.field.step(0.0);
            wire.passed(&self.field.plant, &self.active);
        } else {
            self.say(now, second, out);
        }
        if awake {
            self.exchange(now, out);
        }
        out.push(Input::Wall(self.wall(second)));
        self.faults[first..self.next].to_vec()
    }

    fn wall(&self, second: i64) -> Wall {
        let valid = !self.is(|what| *what == What::WallInvalid);
        let offset = if self.winter { 3_600 } else { 7_200 };
        Wall { utc: self.midnight + second + self.wall_shift, offset, valid }
    }

    /// Whether such a fault lasts.
    pub fn is(&self, kind: impl Fn(&What) -> bool) -> bool {
        self.active.iter().any(|fault| kind(&fault.what))
    }

    /// What the disk does instead of its work.
    pub fn disk(&self) -> Option<faults::Disk> {
        self.active.iter().find_map(|fault| if let What::Disk(how) = fault.what { Some(how) } else { None })
    }

    /// The process begins: nothing was said to it yet.
    pub fn process_begins(&mut self) {
        for tap in &mut self.taps {
            tap.last = None;
        }
        if let Some(wire) = &mut self.wire {
            wire.process_begins();
        }
    }

    /// Whatever sessions want to ask now, and what they learn.
    pub fn exchange(&mut self, now: Mono, out: &mut Vec<Input>) {
        let Some(wire) = &mut self.wire else { return };
        let contact = self.field.plant.flows().generator_contact;
        wire.exchange(now, &mut self.field, &self.active, out);
        let told = self.field.plant.flows().generator_contact;
        if told != contact && self.is(|what| *what == What::ContactStuck) {
            self.contact = Some(told);
            self.field.plant.set_contact(contact);
        }
    }

    /// What went wrong on the wire, if anything did.
    pub fn trouble(&mut self) -> Option<String> {
        self.wire.as_mut()?.trouble.take()
    }

    fn begin(&mut self, fault: Fault, out: &mut Vec<Input>) {
        match fault.what {
            What::Reboot | What::Wire(..) => {
                if let Some(wire) = &mut self.wire {
                    wire.begin(fault.what, &mut self.field);
                }
            }
            What::GridGone if !self.policy.grid.connected => return,
            What::GridGone => self.set("grid.present", 0.0),
            What::Charge(charge) => self.set("battery.soc", charge.clamp(100, 10_000) as f64 / 100.0),
            What::FailedStarts(count) => self.set("generator.fail_starts", count as f64),
            What::GeneratorFault => self.set("generator.fault", 2.0),
            What::ChargeLimit(amps) => self.set("battery.charge_limit_current", amps as f64),
            What::DischargeLimit(amps) => self.set("battery.discharge_limit_current", amps as f64),
            What::WallJump(seconds) => self.wall_shift += seconds,
            What::WinterTime => self.winter = !self.winter,
            What::QuietNow => {
                let second = self.wall(fault.from).second_of_day();
                let [from, to] = [-1_800, 3_600].map(|away| (second + away).rem_euclid(86_400));
                self.quiet_hours(Some(QuietHours { from, to }), out);
            }
            What::Authority(watts) => {
                self.policy.authority = Watts(watts);
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::Observe if self.on => {
                self.policy.control = Control::Observe;
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::FloorNear(away) => {
                let soc = (self.field.plant.flows().soc * 100.0).round() as i64;
                self.policy.battery.floor = Soc::percent((soc + away).clamp(0, 100) as u16);
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::ReserveNear(away) => {
                let soc = (self.field.plant.flows().soc * 100.0).round() as i64;
                self.policy.battery.island_reserve = Soc::percent((soc + away).clamp(0, 100) as u16);
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::Floor(percent) => {
                self.policy.battery.floor = Soc::percent(percent);
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::Setpoint(watts) => {
                self.policy.grid.setpoint = Watts(watts);
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::Manual(manual, lasts) => out.push(Input::Operator(
                OperatorOrder::Generator { manual, lasts: lasts.map(Span::secs) },
                Actor::default(),
            )),
            What::Auto(auto) => {
                out.push(Input::Operator(OperatorOrder::GeneratorAuto(auto), Actor::default()))
            }
            What::Acknowledge => {
                out.push(Input::Operator(OperatorOrder::GeneratorAcknowledge, Actor::default()))
            }
            What::Battery(order) => {
                out.push(Input::Operator(OperatorOrder::Battery(Some(order)), Actor::default()))
            }
            What::Release => out.push(Input::Operator(OperatorOrder::Battery(None), Actor::default())),
            What::Lease(steer, lasts) => {
                let lease = Lease { now: Some(steer), lasts: Some(Span::secs(lasts)), ..Lease::default() };
                out.push(Input::Lease(Box::new(lease)));
            }
            _ => {}
        }
        self.active.push(fault);
    }

    fn end(&mut self, what: What, out: &mut Vec<Input>) {
        match what {
            What::Wire(device, _) => {
                if let Some(wire) = &self.wire {
                    wire.end(device, &mut self.field);
                }
            }
            What::Observe if self.on && !self.is(|what| *what == What::Observe) => {
                self.policy.control = Control::On;
                out.push(Input::Reload(Box::new(self.policy.clone())));
            }
            What::QuietNow => self.quiet_hours(self.quiet, out),
            What::GridGone => self.set("grid.present", 1.0),
            What::ContactStuck if !self.is(|what| *what == What::ContactStuck) => {
                if let Some(told) = self.contact.take() {
                    self.field.plant.set_contact(told);
                }
            }
            What::FailedStarts(_) => self.set("generator.fail_starts", 0.0),
            What::GeneratorFault => self.set("generator.fault", 0.0),
            What::ChargeLimit(_) => self.field.plant.release("battery.charge_limit_current").unwrap(),
            What::DischargeLimit(_) => self.field.plant.release("battery.discharge_limit_current").unwrap(),
            _ => {}
        }
    }

    fn quiet_hours(&mut self, hours: Option<QuietHours>, out: &mut Vec<Input>) {
        if let Some(generator) = &mut self.policy.generator {
            generator.quiet = hours;
            out.push(Input::Reload(Box::new(self.policy.clone())));
        }
    }

    fn set(&mut self, name: &str, value: f64) {
        self.field.plant.set(name, value).unwrap();
    }

    /// A device that keeps the fast loop itself steers to the setpoint it holds, for as long as it holds it.
    fn supervised(&mut self, second: i64) {
        let Some((setpoint, heard)) = self.setpoint else { return };
        if second - heard > 60 {
            self.setpoint = None;
            self.field.plant.release_inverter();
            return;
        }
        let flows = self.field.plant.flows();
        let net = total(flows.load_in) - total(flows.pv);
        self.field.plant.order_inverter([net - setpoint, 0.0, 0.0]);
    }

    fn say(&mut self, now: Mono, second: i64, out: &mut Vec<Input>) {
        let plant = &self.field.plant;
        let off: i64 =
            self.active.iter().map(|fault| if let What::SocOff(off) = fault.what { off } else { 0 }).sum();
        let panel_off = self.active.iter().any(|fault| fault.what == What::PanelOff);
        for tap in &mut self.taps {
            let truth = value(plant, tap);
            let mut value = Some((truth * tap.quantity.unit().steps() as f64).round() as i64);
            match tap.quantity {
                Quantity::BatterySoc => {
                    let step = self.soc_step;
                    value = value.map(|soc| ((soc + off) / step * step).clamp(0, 10_000));
                }
                Quantity::GeneratorMode if panel_off => value = Some(0),
                _ => {}
            }
            let mut sample = Some((value, now - Span::millis(40)));
            for fault in &self.active {
                let how = match fault.what {
                    What::Values(group, how) if group == tap.group => how,
                    What::Switch => How::Silent,
                    _ => continue,
                };
                sample = match (how, sample) {
                    (How::Silent, _) => None,
                    (How::Flapping(period), sample) => sample.filter(|_| second / period % 2 == 0),
                    (How::Flaky, sample) => sample.filter(|_| second % 2 == 0),
                    (How::LostPhase, sample) => {
                        sample.map(|(value, at)| (value.filter(|_| tap.phase != Phase::L3), at))
                    }
                    (How::Sentinel, sample) => sample.map(|(_, at)| (None, at)),
                    (How::Garbage, sample) => {
                        let noise = self.dice.pick(&[i64::MAX, i64::MIN, 65_535, -1, 10_001]);
                        sample.map(|(_, at)| (Some(noise), at))
                    }
                    (How::Frozen, sample) => {
                        sample.map(|(value, at)| (tap.last.map_or(value, |(last, _)| last), at))
                    }
                    (How::Stuck, sample) => tap.last.or(sample),
                };
            }
            if let Some((value, asked_at)) = sample {
                tap.last = sample;
                out.push(Input::Heard { signal: tap.signal, value, asked_at });
            }
        }
    }

    /// An order arrives, and how that ended, if anybody says so.
    pub fn take(&mut self, command: &Command, second: i64, now: Mono) -> Option<Outcome> {
        if let Some(wire) = &mut self.wire {
            wire.order(command, now);
            return None;
        }
        let spec = &self.wiring.actuators[usize::from(command.actuator)];
        let answers = self.active.iter().find_map(|fault| match fault.what {
            What::Orders(actuator, answer) if actuator == command.actuator => Some(answer),
            What::Switch => Some(Answer::Failed),
            _ => None,
        });
        match answers {
            Some(Answer::Refused) => return Some(Outcome::Refused(10)),
            Some(Answer::Failed) => return Some(Outcome::Failed),
            Some(Answer::Contradicted) => return Some(Outcome::Contradicted),
            Some(Answer::Nothing) => return None,
            None => {}
        }
        let stuck = self.active.iter().any(|fault| fault.what == What::ContactStuck);
        match (spec.kind, command.order) {
            (ActuatorKind::InverterPower(at), Order::Power(power)) => {
                let power = power.map(|phase| f64::from(phase.0));
                self.field.plant.order_one_inverter(usize::from(at), Some(power));
            }
            (ActuatorKind::GridSetpoint, Order::Setpoint(watts)) => {
                self.setpoint = Some((f64::from(watts.0), second));
            }
            (ActuatorKind::GridSetpoint, Order::Release) => {
                self.setpoint = None;
                self.field.plant.release_inverter();
            }
            (ActuatorKind::GeneratorRun, Order::Run(run)) if stuck => self.contact = Some(run),
            (ActuatorKind::GeneratorRun, Order::Run(run)) => self.field.plant.set_contact(run),
            _ => {}
        }
        Some(Outcome::Acknowledged)
    }
}

/// Every signal that plays a part; what no decision looks at is not told.
fn wired(wiring: &Wiring) -> Vec<SignalId> {
    let (grid, battery, generator) = (&wiring.grid, &wiring.battery, &wiring.generator);
    let powers = wiring.inverters.iter().map(|inverter| &inverter.power);
    let powers = powers.chain(wiring.pv.iter().map(|pv| &pv.power));
    let powers = powers.chain([&grid.power, &wiring.load, &wiring.load_out]);
    let mut all: Vec<Option<SignalId>> =
        powers.flat_map(|power| power.phase.into_iter().chain([power.total])).collect();
    all.extend([grid.present, battery.soc, battery.voltage, battery.current, battery.power]);
    all.extend([battery.temperature, battery.charge_limit, battery.discharge_limit, battery.charge_voltage]);
    all.extend([generator.running, generator.power, generator.ac_present, generator.contact]);
    all.extend([generator.mode, generator.fault, wiring.pv_dc]);
    all.into_iter().flatten().collect()
}

fn group(quantity: Quantity, inverter: usize) -> Option<Group> {
    use Quantity as Q;
    Some(match quantity {
        Q::GridPower => Group::Meter,
        Q::GridPresent => Group::Presence,
        Q::BatterySoc => Group::Soc,
        Q::BatteryChargeLimitCurrent | Q::BatteryDischargeLimitCurrent | Q::BatteryChargeLimitVoltage => {
            Group::Bms
        }
        Q::BatteryVoltage | Q::BatteryCurrent | Q::BatteryPower | Q::BatteryTemperature => Group::Battery,
        Q::InverterPower | Q::LoadOutPower if inverter == 0 => Group::FirstInverter,
        Q::InverterPower => Group::OtherInverters,
        Q::PvPower | Q::PvDcPower => Group::Pv,
        Q::GeneratorRunning | Q::GeneratorAcPresent | Q::GeneratorPower => Group::Engine,
        Q::GeneratorContact | Q::GeneratorMode | Q::GeneratorFault => Group::Contact,
        _ => return None,
    })
}

/// The truth behind a value, in the unit people write.
fn value(plant: &Plant, tap: &Tap) -> f64 {
    use Quantity as Q;
    let f: &Flows = plant.flows();
    let of = |phases: [f64; 3]| match tap.phase {
        Phase::Total => total(phases),
        Phase::L1 => phases[0],
        Phase::L2 => phases[1],
        Phase::L3 => phases[2],
    };
    let flag = |yes: bool| f64::from(u8::from(yes));
    match tap.quantity {
        Q::GridPower => of(f.grid),
        Q::GridPresent => flag(f.grid_present),
        Q::BatterySoc => f.soc * 100.0,
        Q::BatteryVoltage => f.battery_voltage,
        Q::BatteryCurrent => f.battery_current,
        Q::BatteryPower => f.battery_power,
        Q::BatteryTemperature => f.battery_temperature,
        Q::BatteryChargeLimitCurrent => f.ccl,
        Q::BatteryDischargeLimitCurrent => f.dcl,
        Q::BatteryChargeLimitVoltage => f.cvl,
        Q::InverterPower => of(plant.inverter_power(tap.inverter)),
        Q::LoadOutPower => of(f.load_out),
        Q::PvPower => of(f.pv),
        Q::PvDcPower => f.pv_dc,
        Q::GeneratorRunning => flag(f.generator_running),
        Q::GeneratorAcPresent => flag(f.generator_ac_present),
        Q::GeneratorPower => of(f.generator),
        Q::GeneratorContact => flag(f.generator_contact),
        Q::GeneratorMode => 1.0,
        Q::GeneratorFault => f.generator_fault,
        _ => 0.0,
    }
}
