//! Limits of the connection that each phase has by itself, and the grid's voltage as a limit of export.

use serde::{Deserialize, Serialize};

use crate::control::image::Image;
use crate::control::ladder::Ladder;
use crate::control::policy::Policy;
use crate::control::reason::{Reason, Tier};
use crate::control::units::{MilliAmps, MilliVolts, Mono, Span, Watts};
use crate::control::wiring::Wiring;

use super::Memory;
use super::known::Known;

/// A phase whose voltage nobody measures has this.
const NOMINAL: MilliVolts = MilliVolts(230_000);
/// A voltage that was heard holds this long.
const KEEPS: Span = Span::secs(10);
/// Room for export falls and rises by these shares of all there is, in percent of a second.
const FALLS: i64 = 10;
const RISES: i64 = 2;
/// It rises once the voltage is this share below its ceiling, in thousandths.
const CLEAR: i64 = 995;

/// Range of inverter power of each phase.
pub(super) type Ranges = [(Watts, Watts); 3];

/// The newest word about each phase's voltage.
pub(super) fn voltages(wiring: &Wiring, image: &Image, now: Mono) -> [Option<MilliVolts>; 3] {
    let heard = |id| {
        let recent = image.volts(id).filter(|reading| reading.age(now) <= KEEPS);
        recent.map(|reading| reading.value).filter(|volts| volts.0 > 0)
    };
    let wired = &wiring.grid.voltage;
    let one = heard(wired.total);
    wired.phase.map(|id| heard(id).or(one))
}

/// The power of a current on a phase.
pub(super) fn power(limit: MilliAmps, volts: Option<MilliVolts>) -> Watts {
    volts.unwrap_or(NOMINAL).times(limit)
}

/// What each phase's inverters may do so that its own limits hold; none where there are none, or nothing is known of
/// the loads. `shaves` says whether the battery may discharge for an import limit.
pub(super) fn ranges(policy: &Policy, memory: &Memory, known: &Known, shaves: bool) -> Option<Ranges> {
    let grid = &policy.grid;
    if grid.import_limit_phase.is_none() && grid.export_limit_phase.is_none() || known.sensed.island {
        return None;
    }
    let load = memory.regulator.load()?;
    let mut ranges = [(Watts::MIN, Watts::MAX); 3];
    let phases = ranges.iter_mut().zip(load).zip(known.grid_volts).zip(known.controlled);
    for (((range, load), volts), controlled) in phases.filter(|(_, controlled)| *controlled) {
        debug_assert!(controlled);
        let low = grid.import_limit_phase.map_or(Watts::MIN, |limit| load - power(limit, volts));
        let high = grid.export_limit_phase.map_or(Watts::MAX, |limit| load + power(limit, volts));
        *range = (if shaves { low } else { low.min(Watts::ZERO) }, high);
    }
    Some(ranges)
}

/// Keeps the sum inside what the phases leave together; says which phase is the tightest.
pub(super) fn rung(ladder: &mut Ladder, policy: &Policy, ranges: &Ranges, controlled: [bool; 3]) {
    let (mut low, mut high) = (Some(Watts::ZERO), Some(Watts::ZERO));
    let (mut neediest, mut fullest) = ((0u8, Watts::MIN), (0u8, Watts::MAX));
    for (at, ((least, most), _)) in (0u8..).zip(ranges.iter().zip(controlled).filter(|(_, yes)| *yes)) {
        low = low.filter(|_| *least > Watts::MIN).map(|sum| sum + *least);
        high = high.filter(|_| *most < Watts::MAX).map(|sum| sum + *most);
        if *least > neediest.1 {
            neediest = (at, *least);
        }
        if *most < fullest.1 {
            fullest = (at, *most);
        }
    }
    if !controlled.contains(&true) {
        return;
    }
    if let Some((low, limit)) = low.zip(policy.grid.import_limit_phase) {
        ladder.at_least(Tier::Connection, low, Reason::ImportLimitPhase(neediest.0, limit));
    }
    if let Some((high, limit)) = high.zip(policy.grid.export_limit_phase) {
        ladder.at_most(Tier::Connection, high, Reason::ExportLimitPhase(fullest.0, limit));
    }
}

/// What the grid's voltage leaves of export. The voltage answers the export within a sample, so the room is integrated:
/// down while the voltage is too high, slowly up while it is clearly below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRoom {
    room: Option<Watts>,
    at: Mono,
}

impl ExportRoom {
    /// The room in force from now on; none where nothing limits it. `most` is all that the site could ever export.
    pub(super) fn step(
        &mut self,
        ceiling: Option<MilliVolts>,
        volts: [Option<MilliVolts>; 3],
        export: Watts,
        most: Watts,
        now: Mono,
    ) -> Option<(Watts, MilliVolts)> {
        let elapsed = now.since(self.at).0.clamp(0, 2_000);
        self.at = now;
        let ceiling = ceiling?;
        let Some(highest) = volts.into_iter().flatten().max() else {
            // A voltage that nobody can see may be too high.
            self.room = Some(Watts::ZERO);
            return Some((Watts::ZERO, ceiling));
        };
        let share = |percent: i64| most.scaled(percent.saturating_mul(elapsed), 100_000);
        if highest >= ceiling {
            let now = self.room.unwrap_or(most).min(export.max(Watts::ZERO));
            self.room = Some((now - share(FALLS)).max(Watts::ZERO));
        } else if highest < ceiling.scaled(CLEAR, 1_000) {
            self.room = self.room.map(|room| room + share(RISES)).filter(|room| *room < most);
        }
        self.room.map(|room| (room, highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_export_falls_while_the_voltage_is_high_and_comes_back_slowly() {
        let mut room = ExportRoom::default();
        let ceiling = Some(MilliVolts(253_000));
        let mut step = |second: i64, volts: Option<i32>, export: i32| {
            let volts = [volts.map(MilliVolts), None, None];
            let now = Mono::ZERO + Span::secs(second);
            room.step(ceiling, volts, Watts(export), Watts(10_000), now).map(|(room, _)| room.0)
        };
        assert_eq!(step(1, Some(250_000), 5_000), None);
        assert_eq!(step(2, Some(253_500), 5_000), Some(4_000), "a tenth of all there is in a second");
        assert_eq!(step(3, Some(253_500), 4_000), Some(3_000));
        assert_eq!(step(4, Some(252_500), 3_000), Some(3_000), "near the ceiling it rests");
        assert_eq!(step(5, Some(250_000), 3_000), Some(3_200));
        assert_eq!(step(6, None, 3_000), Some(0), "what nobody sees may be too high");
    }
}
