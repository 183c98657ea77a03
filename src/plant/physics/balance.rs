//! Who feeds whom: the balance of one step, on the grid, on the generator, and alone.

use super::battery::Battery;
use super::inverter::{Inverter, rated};
use super::plant::Plant;
use super::{Three, total, zip};

/// An empty battery carries the site again from here.
const RESTART_SOC: f64 = 0.05;
/// The generator is not asked for more than this share of its rating when it charges.
const GENERATOR_SHARE: f64 = 0.95;

/// Rounds of correction on the generator: each leaves at most two thirds of what was left.
const CORRECTIONS: usize = 24;

/// What the battery side allows in this step, as DC power at the inverters, W.
struct Room {
    /// Most that may be drawn.
    out: f64,
    /// Most that may be put in, as a positive number.
    into: f64,
    /// What DC-coupled PV could give.
    sun: f64,
    efficiency: f64,
}

impl Room {
    /// DC power behind this AC power; both feed the bus when positive.
    fn dc(&self, ac: f64) -> f64 {
        if ac > 0.0 { ac / self.efficiency } else { ac * self.efficiency }
    }

    fn dc_of(&self, inverters: &[Inverter]) -> f64 {
        inverters.iter().flat_map(|inverter| inverter.output).map(|ac| self.dc(ac)).sum()
    }

    /// Scales what is too much: charging gets what the sun leaves of the limit, discharging gets the sun too.
    fn clip(&self, inverters: &mut [Inverter]) {
        let drawn = self.dc_of(inverters);
        let (most, least) = (self.out + self.sun, -(self.into - self.sun).max(0.0));
        if drawn > most {
            scale(inverters, drawn - most, |ac| self.dc(ac).max(0.0));
        } else if drawn < least {
            scale(inverters, least - drawn, |ac| (-self.dc(ac)).max(0.0));
        }
    }
}

/// Takes `excess` of DC power from those outputs that `part` counts, in proportion.
fn scale(inverters: &mut [Inverter], excess: f64, part: impl Fn(f64) -> f64) {
    let counted: f64 = inverters.iter().flat_map(|inverter| inverter.output).map(&part).sum();
    if counted <= 0.0 {
        return;
    }
    let keep = (1.0 - excess / counted).clamp(0.0, 1.0);
    let outputs = inverters.iter_mut().flat_map(|inverter| &mut inverter.output);
    for ac in outputs.filter(|ac| part(**ac) > 0.0) {
        *ac *= keep;
    }
}

impl Plant {
    /// Works out who carries what for this step, and lets the battery live through it.
    pub(super) fn dispatch(&mut self, seconds: f64, steady: bool) {
        let ccl = self.pins.ccl.unwrap_or_else(|| self.battery.charge_limit(&self.params));
        let dcl = self.pins.dcl.unwrap_or_else(|| self.battery.discharge_limit(&self.params));
        let room = Room {
            // A BMS that allows nothing opens its contactor; a limit above that is the controller's to keep.
            out: if dcl <= 0.0 || self.battery.soc <= 0.0 { 0.0 } else { f64::INFINITY },
            into: if self.battery.soc >= 1.0 { 0.0 } else { ccl.max(0.0) * self.battery.voltage },
            sun: self.sun_dc(),
            efficiency: self.params.inverter_efficiency,
        };
        let (load_in, load_out) = self.wanted_load();
        let wanted = total(load_in) + total(load_out);
        self.flows.grid_present = self.pins.grid_present;
        self.flows.load_in = load_in;
        self.flows.load_out = load_out;
        self.flows.pv = self.sun_ac(seconds, steady);
        self.flows.grid = [0.0; 3];
        self.flows.generator = [0.0; 3];
        self.flows.island = false;
        self.flows.blackout = false;
        let dead_time = if steady { 0.0 } else { self.params.inverter_dead_time };
        for inverter in &mut self.inverters {
            inverter.listen(&self.params, self.clock, dead_time);
        }
        let generator = self.generator.offers() && self.params.generator_load_permit >= 0.5;
        let pace = (!steady).then_some(seconds);
        if self.pins.grid_present {
            self.empty = false;
            self.on_grid(&room, pace);
        } else if generator {
            self.empty = false;
            self.on_generator(&room, pace);
        } else {
            self.alone(&room);
        }
        self.flows.unserved = (wanted - total(self.flows.load())).max(0.0);
        self.settle_battery(&room, seconds, ccl, dcl);
    }

    fn on_grid(&mut self, room: &Room, pace: Option<f64>) {
        let count = self.inverters.len().max(1) as f64;
        let behind = self.flows.load_out.map(|watts| watts / count);
        for inverter in &mut self.inverters {
            let wanted = inverter.wanted(&self.params, behind);
            inverter.follow(&self.params, wanted, pace);
        }
        self.clip(room);
        let fed = zip(self.flows.pv, self.flows.inverter_ac, |pv, ac| pv + ac);
        self.flows.grid = zip(self.flows.load(), fed, |load, fed| load - fed);
    }

    /// The generator carries the loads and charges; where it is too small the inverters help at once.
    fn on_generator(&mut self, room: &Room, pace: Option<f64>) {
        let rating = self.params.generator_rating;
        let net = total(self.flows.load()) - total(self.flows.pv);
        let charge =
            self.params.generator_charge_limit.min(rating * GENERATOR_SHARE - net).max(-net).max(0.0);
        let target = self.spread(-charge);
        for inverter in &mut self.inverters {
            inverter.follow(&self.params, target, pace);
        }
        self.clip(room);
        let given = net - total(self.flows.inverter_ac);
        if given < 0.0 {
            self.curtail(-given);
        }
        // What the lag or the battery still owes is corrected at once, by the inverters' own power assist. A phase at
        // its rating cannot take its share; the others get it in the next round.
        for _ in 0..CORRECTIONS {
            let given = total(self.flows.load()) - total(self.flows.pv) - total(self.flows.inverter_ac);
            let correction = if given > rating { given - rating } else { given.min(0.0) };
            if correction.abs() < 1e-6 {
                break;
            }
            let each = self.spread(correction);
            for inverter in &mut self.inverters {
                inverter.output = zip(inverter.output, each, |now, more| rated(&self.params, now + more));
            }
            self.clip(room);
        }
        let fed = zip(self.flows.pv, self.flows.inverter_ac, |pv, ac| pv + ac);
        self.flows.generator = zip(self.flows.load(), fed, |load, fed| load - fed);
    }

    /// No source but the battery: the inverters carry whatever is left of the loads after the sun.
    fn alone(&mut self, room: &Room) {
        if self.battery.soc >= RESTART_SOC {
            self.empty = false;
        }
        let net = total(self.flows.load()) - total(self.flows.pv);
        if room.dc(net) > room.out + room.sun {
            self.empty = true;
        }
        if self.empty {
            for inverter in &mut self.inverters {
                inverter.output = [0.0; 3];
            }
            self.flows.inverter_ac = [0.0; 3];
            self.flows.pv = [0.0; 3];
            self.flows.load_in = [0.0; 3];
            self.flows.load_out = [0.0; 3];
            self.flows.blackout = true;
            return;
        }
        self.flows.island = true;
        let count = self.inverters.len().max(1) as f64;
        for phase in 0..3 {
            self.carry(phase, count);
        }
        // A full battery takes nothing more: AC-coupled PV is throttled by frequency.
        let surplus = -room.dc_of(&self.inverters);
        let refused = surplus - room.into;
        if refused > 0.0 {
            self.curtail(refused / room.efficiency);
            for phase in 0..3 {
                self.carry(phase, count);
            }
        }
        self.flows.inverter_ac = self.output();
    }

    /// Lets the inverters of one phase carry it alone; what they cannot is shed or throttled.
    fn carry(&mut self, phase: usize, count: f64) {
        let flows = &mut self.flows;
        let (most, least) = if self.params.has_inverter(phase) {
            (self.params.inverter_max_discharge * count, -self.params.inverter_max_charge * count)
        } else {
            flows.pv[phase] = 0.0;
            (0.0, 0.0)
        };
        let net = flows.load_in[phase] + flows.load_out[phase] - flows.pv[phase];
        if net > most {
            // Protected loads stay longest.
            let from_in = (net - most).min(flows.load_in[phase].max(0.0));
            flows.load_in[phase] -= from_in;
            flows.load_out[phase] -= net - most - from_in;
        } else if net < least {
            let from_pv = (least - net).min(flows.pv[phase]);
            flows.pv[phase] -= from_pv;
            flows.load_in[phase] += least - net - from_pv;
        }
        let carried = flows.load_in[phase] + flows.load_out[phase] - flows.pv[phase];
        for inverter in &mut self.inverters {
            inverter.output[phase] = carried / count;
        }
    }

    /// Takes this much from the AC-coupled PV, evenly by what each phase gives.
    fn curtail(&mut self, watts: f64) {
        let pv = total(self.flows.pv);
        if pv > 0.0 {
            let keep = (1.0 - watts / pv).clamp(0.0, 1.0);
            self.flows.pv = self.flows.pv.map(|pv| pv * keep);
        }
    }

    /// A total evenly over the phases that have an inverter and over the inverters: what each one gets.
    fn spread(&self, watts: f64) -> Three {
        let mut each = [0.0; 3];
        let with = (0..3).filter(|phase| self.params.has_inverter(*phase)).count().max(1) as f64;
        for (phase, each) in each.iter_mut().enumerate() {
            if self.params.has_inverter(phase) {
                *each = watts / with / self.inverters.len().max(1) as f64;
            }
        }
        each
    }

    /// What all inverters together turn from DC into AC.
    fn output(&self) -> Three {
        self.inverters.iter().fold([0.0; 3], |sum, inverter| zip(sum, inverter.output, |sum, one| sum + one))
    }

    fn clip(&mut self, room: &Room) {
        room.clip(&mut self.inverters);
        self.flows.inverter_ac = self.output();
    }

    fn settle_battery(&mut self, room: &Room, seconds: f64, ccl: f64, dcl: f64) {
        let drawn = room.dc_of(&self.inverters);
        let idle = self.params.inverter_idle * self.inverters.len() as f64;
        let sun = room.sun.min((room.into + drawn).max(0.0));
        let power = self.battery.step(&self.params, drawn + idle - sun, seconds);
        let flows = &mut self.flows;
        flows.pv_dc = sun;
        flows.pv_dc_available = room.sun;
        flows.soc = self.battery.soc;
        flows.battery_voltage = self.battery.voltage;
        flows.battery_current = self.battery.current;
        flows.battery_power = power;
        flows.battery_temperature = self.params.battery_temperature;
        flows.ccl = ccl;
        flows.dcl = dcl;
        flows.cvl = self.pins.cvl.unwrap_or_else(|| Battery::charge_voltage(&self.params));
        flows.grid_voltage = if self.pins.grid_present { self.pins.grid_voltage } else { 0.0 };
        flows.grid_frequency = if self.pins.grid_present { self.pins.grid_frequency } else { 0.0 };
        flows.generator_running = self.generator.turns();
        flows.generator_ac_present = self.generator.offers();
        flows.generator_contact = self.generator.contact;
        flows.generator_fuel = self.generator.fuel;
        flows.generator_fault = self.generator.fault;
        flows.generator_seconds = self.generator.seconds;
        flows.generator_starts = self.generator.starts;
        flows.generator_cranks = self.generator.cranks;
    }

    fn wanted_load(&self) -> (Three, Three) {
        let house = self.house.load(&self.params);
        let share = self.params.load_out_share;
        let (mut side, mut out) = ([0.0; 3], [0.0; 3]);
        for phase in 0..self.params.phase_count() {
            let whole = self.pins.load[phase].unwrap_or(house[phase]);
            out[phase] = self.pins.load_out[phase].unwrap_or(whole * share);
            side[phase] = self.pins.load_in[phase].unwrap_or(whole - whole * share);
            if !self.params.has_inverter(phase) {
                side[phase] += out[phase];
                out[phase] = 0.0;
            }
        }
        (side, out)
    }

    fn sun_ac(&mut self, seconds: f64, steady: bool) -> Three {
        let light = self.sky.light(&self.params, self.hour());
        let available = self.pins.pv.unwrap_or(self.params.pv_peak * light);
        self.flows.pv_available = available;
        // The lag belongs to limits; sun and clouds are already as fast as they are.
        let share = if steady || self.params.pv_lag <= 0.0 {
            1.0
        } else {
            1.0 - (-seconds / self.params.pv_lag).exp()
        };
        let from = self.pv_held.min(available.max(self.params.pv_peak));
        self.pv_held = match self.pv_limit {
            Some(limit) => from + (limit - from) * share,
            None if from >= 0.99 * available => f64::INFINITY,
            None => from + (available - from) * share,
        };
        let power = self.pv_held.min(available);
        let count = self.params.phase_count() as f64;
        self.params.wired().map(|wired| wired * power / count)
    }

    fn sun_dc(&self) -> f64 {
        let light = self.sky.light(&self.params, self.hour());
        self.pins.pv_dc.unwrap_or(self.params.pv_dc_peak * light)
    }
}
