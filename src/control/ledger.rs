//! Energy by direction, integrated from power in millijoules, so that nothing is rounded away.

use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::units::{MilliJoules, Mono, Span, Watts};

/// A power older than this is not integrated: the energy of an unknown time is unknown.
const OLDEST: Span = Span::secs(10);

/// What was counted since the ledger began. Only ever rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    at: Option<Mono>,
    /// From the utility.
    pub grid_import: MilliJoules,
    /// To the utility.
    pub grid_export: MilliJoules,
    /// Into the battery.
    pub battery_charge: MilliJoules,
    /// Out of the battery.
    pub battery_discharge: MilliJoules,
    /// From PV.
    pub pv: MilliJoules,
    /// By the loads.
    pub load: MilliJoules,
    /// From the generator.
    pub generator: MilliJoules,
}

/// Powers of one moment; unknown ones are not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Powers {
    /// Import positive.
    pub grid: Option<Reading<Watts>>,
    /// Discharge positive.
    pub battery: Option<Reading<Watts>>,
    /// AC and DC together.
    pub pv: Option<Reading<Watts>>,
    /// Consumption.
    pub load: Option<Reading<Watts>>,
    /// Output.
    pub generator: Option<Reading<Watts>>,
}

impl Ledger {
    /// The same sums, counting from the next call on: what flowed meanwhile is not known.
    #[must_use]
    pub fn after_absence(self) -> Self {
        Self { at: None, ..self }
    }

    /// Adds the time since the last call at these powers.
    pub fn add(&mut self, powers: &Powers, now: Mono) {
        let elapsed = self.at.map_or(Span::ZERO, |before| now.since(before)).max(Span::ZERO).min(OLDEST);
        self.at = Some(now);
        let energy = |power: Option<Reading<Watts>>| {
            power
                .filter(|reading| reading.age(now) <= OLDEST)
                .map_or(MilliJoules::ZERO, |reading| reading.value.over(elapsed))
        };
        let (grid, battery) = (energy(powers.grid), energy(powers.battery));
        self.grid_import += grid.max(MilliJoules::ZERO);
        self.grid_export += (-grid).max(MilliJoules::ZERO);
        self.battery_discharge += battery.max(MilliJoules::ZERO);
        self.battery_charge += (-battery).max(MilliJoules::ZERO);
        self.pv += energy(powers.pv).max(MilliJoules::ZERO);
        self.load += energy(powers.load).max(MilliJoules::ZERO);
        self.generator += energy(powers.generator).max(MilliJoules::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn import_and_export_are_counted_apart_and_silence_is_not_counted() {
        let mut ledger = Ledger::default();
        for second in 0..=3_600 {
            let now = Mono::ZERO + Span::secs(second);
            let power = Watts(if second <= 1_800 { 1_000 } else { -500 });
            let heard = if second <= 2_700 { now } else { Mono::ZERO + Span::secs(2_700) };
            let grid = Some(Reading { value: power, asked_at: heard });
            ledger.add(&Powers { grid, ..Powers::default() }, now);
        }
        assert_eq!(ledger.grid_import, MilliJoules(1_000 * 1_800 * 1_000));
        assert_eq!(ledger.grid_export, MilliJoules(500 * 910 * 1_000));
    }
}
