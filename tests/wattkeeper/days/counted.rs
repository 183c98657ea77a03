//! Energy and engine counters, kept a second time: exact while the process lives, never counted twice, and across
//! a restart what was safe.

use wattkeeper::control::genset::GensetView;
use wattkeeper::control::ledger::Ledger;
use wattkeeper::control::units::{Mono, Span};

use super::known::Known;

/// A power older than this is not counted, and no longer a time than this is.
const OLDEST: Span = Span::secs(10);

#[derive(Clone, Default)]
pub struct Counted {
    at: Option<Mono>,
    /// The same for the engine, whose time counts from the process's beginning on.
    engine_at: Mono,
    /// Import, export, charge, discharge, in mJ.
    energy: [i64; 4],
    starts: u32,
    run_time: Span,
}

impl Counted {
    /// The process begins again: time before does not count.
    pub fn begin(&mut self, now: Mono) {
        self.at = None;
        self.engine_at = now;
    }

    pub fn check(
        &mut self,
        now: Mono,
        known: &Known,
        ledger: &Ledger,
        engine: &GensetView,
    ) -> Result<(), String> {
        let elapsed = self.at.map_or(Span::ZERO, |at| now.since(at));
        self.at = Some(now);
        let grid = known.power(&known.wiring.grid.power);
        let battery = known.reading(known.wiring.battery.power);
        for (place, power) in [grid, battery].into_iter().enumerate() {
            let Some((watts, at)) = power else { continue };
            if now.since(at) <= OLDEST {
                let energy = watts.clamp(-i64::from(i32::MAX), i64::from(i32::MAX)) * elapsed.min(OLDEST).0;
                self.energy[2 * place] = self.energy[2 * place].saturating_add(energy.max(0));
                self.energy[2 * place + 1] = self.energy[2 * place + 1].saturating_add((-energy).max(0));
            }
        }
        let told = [ledger.grid_import, ledger.grid_export, ledger.battery_discharge, ledger.battery_charge];
        // Words at the end of what a number can say may differ by one.
        let differs = |(told, counted): (i64, i64)| told.abs_diff(counted) > counted.unsigned_abs() >> 30;
        if told.map(|energy| energy.0).into_iter().zip(self.energy).any(differs) {
            return Err(format!("the ledger says {told:?}, counted were {:?} mJ", self.energy));
        }
        let elapsed = now.since(self.engine_at);
        self.engine_at = now;
        let rise = engine.run_time - self.run_time;
        let starts = self.starts..=self.starts + 1;
        if !starts.contains(&engine.starts) || rise < Span::ZERO || rise > elapsed {
            return Err(format!(
                "{} starts after {}, {} ms of running more within {} ms",
                engine.starts, self.starts, rise.0, elapsed.0
            ));
        }
        (self.starts, self.run_time) = (engine.starts, engine.run_time);
        Ok(())
    }
}
