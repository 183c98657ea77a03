//! An LFP battery and the limits its BMS gives.

use super::params::Params;

/// Rested voltage of one LFP cell over its charge. The last point is what a rested full cell keeps, not the
/// surface charge of the moment at which charging ends.
const OCV: &[(f64, f64)] = &[
    (0.00, 2.60),
    (0.02, 2.873),
    (0.05, 3.050),
    (0.10, 3.189),
    (0.15, 3.211),
    (0.20, 3.231),
    (0.30, 3.267),
    (0.40, 3.290),
    (0.50, 3.299),
    (0.60, 3.303),
    (0.70, 3.309),
    (0.80, 3.325),
    (0.90, 3.342),
    (0.95, 3.344),
    (0.98, 3.348),
    (0.99, 3.369),
    (1.00, 3.450),
];
/// Share of the charge current allowed over the charge: full cells take ever less.
const CHARGE_TAPER: &[(f64, f64)] = &[(0.94, 1.0), (0.97, 0.4), (0.99, 0.1), (1.0, 0.0)];
/// Share of the discharge current allowed over the charge.
const DISCHARGE_TAPER: &[(f64, f64)] = &[(0.0, 0.0), (0.005, 0.1), (0.03, 1.0)];
/// Share of the charge current allowed over the temperature.
const CHARGE_COLD: &[(f64, f64)] =
    &[(0.0, 0.0), (2.0, 0.25), (5.0, 0.5), (10.0, 1.0), (40.0, 1.0), (45.0, 0.5), (50.0, 0.25), (55.0, 0.0)];
/// Share of the discharge current allowed over the temperature.
const DISCHARGE_COLD: &[(f64, f64)] = &[
    (-10.0, 0.0),
    (0.0, 0.25),
    (5.0, 0.5),
    (10.0, 1.0),
    (40.0, 1.0),
    (45.0, 0.5),
    (50.0, 0.25),
    (55.0, 0.0),
];
/// Voltage of a cell that makes capacity in Wh into Ah.
const NOMINAL_CELL: f64 = 3.2;
/// CVL per cell.
const CHARGE_CELL: f64 = 3.5;

fn along(table: &[(f64, f64)], x: f64) -> f64 {
    let Some(first) = table.first() else { return 0.0 };
    let mut before = *first;
    for &point in table {
        if x <= point.0 {
            let width = point.0 - before.0;
            return if width > 0.0 {
                before.1 + (point.1 - before.1) * (x - before.0) / width
            } else {
                point.1
            };
        }
        before = point;
    }
    before.1
}

/// The battery's state: all of its memory is its charge.
#[derive(Clone, Debug)]
pub struct Battery {
    /// 0 to 1.
    pub soc: f64,
    /// At the terminals, V.
    pub voltage: f64,
    /// Discharge positive, A.
    pub current: f64,
}

impl Battery {
    /// A rested battery.
    pub fn new(params: &Params, soc: f64) -> Self {
        Self { soc, voltage: along(OCV, soc) * params.battery_cells, current: 0.0 }
    }

    /// CCL, A.
    pub fn charge_limit(&self, params: &Params) -> f64 {
        params.battery_max_charge_current
            * along(CHARGE_TAPER, self.soc)
            * along(CHARGE_COLD, params.battery_temperature)
    }

    /// DCL, A.
    pub fn discharge_limit(&self, params: &Params) -> f64 {
        params.battery_max_discharge_current
            * along(DISCHARGE_TAPER, self.soc)
            * along(DISCHARGE_COLD, params.battery_temperature)
    }

    /// CVL, V.
    pub fn charge_voltage(params: &Params) -> f64 {
        CHARGE_CELL * params.battery_cells
    }

    /// Takes this much power (discharge positive) out of the terminals for a while; gives what really flowed.
    pub fn step(&mut self, params: &Params, power: f64, seconds: f64) -> f64 {
        let rest = along(OCV, self.soc) * params.battery_cells;
        let r = params.battery_resistance.max(1e-6);
        // P = (rest - I R) I; the smaller root is the one a battery takes. Past the peak no current gives P.
        let power = power.min(0.99 * rest * rest / (4.0 * r));
        let current = (rest - (rest * rest - 4.0 * r * power).max(0.0).sqrt()) / (2.0 * r);
        let amp_hours = params.battery_capacity / (NOMINAL_CELL * params.battery_cells);
        let counted = if current < 0.0 { current * params.battery_coulombic } else { current };
        self.soc = (self.soc - counted * seconds / 3_600.0 / amp_hours).clamp(0.0, 1.0);
        self.current = current;
        self.voltage = rest - current * r;
        self.voltage * current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_costs_a_few_percent_and_the_terminals_sag_under_load() {
        let params = Params::default();
        let mut battery = Battery::new(&params, 0.5);
        let rest = battery.voltage;
        let mut taken = 0.0;
        for _ in 0..3_600 {
            taken += battery.step(&params, 2_000.0, 1.0) / 3_600.0;
        }
        assert!(battery.voltage < rest && battery.current > 38.0);
        let mut given = 0.0;
        while battery.soc < 0.5 {
            given -= battery.step(&params, -2_000.0, 1.0) / 3_600.0;
        }
        let efficiency = taken / given;
        assert!((0.95..0.98).contains(&efficiency), "{efficiency}");
    }

    #[test]
    fn the_bms_closes_the_limits_toward_full_empty_and_frost() {
        let mut params = Params::default();
        let mut battery = Battery::new(&params, 0.5);
        assert_eq!((battery.charge_limit(&params), battery.discharge_limit(&params)), (100.0, 150.0));
        battery.soc = 1.0;
        assert_eq!(battery.charge_limit(&params), 0.0);
        battery.soc = 0.0;
        assert_eq!(battery.discharge_limit(&params), 0.0);
        params.battery_temperature = -5.0;
        battery.soc = 0.5;
        assert_eq!(battery.charge_limit(&params), 0.0);
        assert!((1.0..150.0).contains(&battery.discharge_limit(&params)));
    }
}
