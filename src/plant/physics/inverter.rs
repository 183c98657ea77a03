//! One battery inverter as an actuator: dead time, lag, slew, rating and its own watchdog.

use std::collections::VecDeque;

use super::params::Params;
use super::{Three, zip};

/// Orders under way are bounded; more than this within one dead time replace the newest.
const ORDERS: usize = 1_024;

/// The inverter's memory. Powers are per phase and feed the bus when positive.
#[derive(Clone, Debug, Default)]
pub struct Inverter {
    /// Orders that were heard and not yet acted upon, with the moment they were heard, µs.
    under_way: VecDeque<(u64, Option<Three>)>,
    /// When the last order was heard, µs.
    heard: Option<u64>,
    /// The order in force, at the AC input; none is pass-through.
    pub order: Option<Three>,
    /// What it turns from DC into AC.
    pub output: Three,
}

impl Inverter {
    /// Hears an order; `None` sends it into pass-through.
    pub fn hear(&mut self, now: u64, order: Option<Three>) {
        self.heard = Some(now);
        if self.under_way.len() >= ORDERS {
            self.under_way.pop_back();
        }
        self.under_way.push_back((now, order));
    }

    /// Forgets all orders: a reboot.
    pub fn forget(&mut self) {
        self.under_way.clear();
        self.heard = None;
        self.order = None;
    }

    /// Brings the order in force up to date. Where the watchdog acts the output drops at once: the device
    /// opens its bridge and does not glide.
    pub fn listen(&mut self, params: &Params, now: u64, dead_time: f64) {
        let dead = (dead_time * 1e6) as u64;
        while let Some((heard, order)) = self.under_way.front().copied() {
            if heard.saturating_add(dead) > now {
                break;
            }
            self.order = order;
            self.under_way.pop_front();
        }
        let silent = self.heard.map_or(0, |heard| now.saturating_sub(heard));
        let limit = (params.inverter_watchdog * 1e6) as u64;
        if limit > 0 && silent >= limit && self.heard.is_some() {
            self.forget();
            self.output = [0.0; 3];
        }
    }

    /// What it wants to turn from DC into AC so that its AC input carries the order.
    pub fn wanted(&self, params: &Params, behind: Three) -> Three {
        let Some(order) = self.order else { return [0.0; 3] };
        let step = params.inverter_resolution.max(1.0);
        let mut wanted =
            zip(order, behind, |order, behind| (order / step).round() * step + behind + params.inverter_bias);
        for (phase, wanted) in wanted.iter_mut().enumerate() {
            if !params.has_inverter(phase) {
                *wanted = 0.0;
            }
        }
        zip(wanted, wanted, |wanted, _| rated(params, wanted))
    }

    /// Moves the output toward a target. `seconds` of `None` gets there at once.
    pub fn follow(&mut self, params: &Params, target: Three, seconds: Option<f64>) {
        let Some(seconds) = seconds else {
            self.output = target;
            return;
        };
        let share =
            if params.inverter_lag > 0.0 { 1.0 - (-seconds / params.inverter_lag).exp() } else { 1.0 };
        let most = if params.inverter_slew > 0.0 { params.inverter_slew * seconds } else { f64::INFINITY };
        self.output = zip(self.output, target, |now, target| {
            rated(params, now + ((target - now) * share).clamp(-most, most))
        });
    }
}

/// Inside the rating of one phase.
pub fn rated(params: &Params, power: f64) -> f64 {
    power.clamp(-params.inverter_max_charge, params.inverter_max_discharge)
}
