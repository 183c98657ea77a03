//! PV curtailment: how much the AC-coupled PV that takes orders may make, so that the export limit holds.
//!
//! The battery goes first: the limit leaves room for the loads, for all the charge that the battery may take now, and
//! for the export that is allowed. So a curtailed PV never empties the battery, and a rising load is served by PV.
//! A limit falls at once and rises slowly; what the meter showed is paired with the PV of the same moment, because a
//! meter that is late would else tell of surplus that is no longer there. Where each phase has a limit of its own, PV that
//! feeds several phases alike makes no more than the fullest of them has room for.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::share;
use super::units::{Mono, Watts};

/// A limit rises by this share of the rating per second, in percent.
const RISE: i64 = 10;
/// A rise smaller than this share of the rating is not worth an order, in percent.
const WORTH: i64 = 1;
/// A fall smaller than this share of the rating is not worth an order, in tenths of a percent.
const WORTH_FALL: i64 = 2;
/// PV samples kept, to find the one of the meter's moment.
const KEPT: usize = 12;

/// What curtailment remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Curtail {
    limit: Option<Watts>,
    at: Mono,
    /// What the PV made, newest last.
    made: ArrayVec<(Mono, [Watts; 3]), KEPT>,
    /// Loads of the site, those on the inverters' outputs included, by the newest meter sample.
    loads: Option<[Watts; 3]>,
    metered: Mono,
}

/// What the meter showed, and what the inverters were doing.
#[derive(Clone, Copy, Debug)]
pub struct Metered {
    /// When it was true.
    pub moment: Mono,
    /// Grid power per phase, import positive.
    pub grid: [Watts; 3],
    /// Power of all inverters per phase, feeding the site positive.
    pub inverters: [Watts; 3],
}

/// What may leave the PV besides the loads.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Most export.
    pub export: Watts,
    /// Most AC power that the inverters may take for charging, as a positive number.
    pub charge: Watts,
    /// Loads that are sure to be there when the meter is not to be believed.
    pub sure: Watts,
    /// The most that the PV which takes orders can make.
    pub rating: Watts,
    /// What each phase has room for, besides its loads; none where the phases have no limits of their own.
    pub phases: Option<[PhaseRoom; 3]>,
}

/// What one phase has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseRoom {
    /// Export and charge together.
    pub beside: Watts,
    /// The part of the PV that feeds this phase, in thousandths.
    pub share: i64,
}

impl Curtail {
    /// Takes in what the PV that takes orders makes.
    pub fn pv_heard(&mut self, made: [Watts; 3], asked_at: Mono) {
        if self.made.last().is_some_and(|(at, _)| asked_at <= *at) {
            return;
        }
        if self.made.is_full() {
            self.made.remove(0);
        }
        let _full = self.made.try_push((asked_at, made));
    }

    /// Takes in a meter sample: the loads are what grid, inverters and PV bring together.
    pub fn meter_heard(&mut self, seen: Metered) {
        if seen.moment <= self.metered {
            return;
        }
        self.metered = seen.moment;
        let then = self.made.iter().rev().find(|(at, _)| *at <= seen.moment).or(self.made.first());
        let add = |a, b| share::both(a, b, |a, b| a + b);
        self.loads = then.map(|(_, made)| add(add(seen.grid, seen.inverters), *made));
    }

    /// The meter is not to be believed any more.
    pub fn forget(&mut self) {
        self.loads = None;
    }

    /// The limit in force from now on; none where there is room for all the PV can make, or nothing to keep to.
    pub fn step(&mut self, room: Option<Room>, now: Mono) -> Option<Watts> {
        let elapsed = now.since(self.at).0.clamp(0, 10_000);
        self.at = now;
        let Some(room) = room.filter(|room| room.rating > Watts::ZERO) else {
            self.limit = None;
            return None;
        };
        let loads = self.loads.map_or(room.sure, share::total).max(Watts::ZERO);
        let wanted = (loads + room.charge + room.export).min(self.fullest(&room)).max(Watts::ZERO);
        let before = self.limit.unwrap_or(room.rating);
        let rise = room.rating.scaled(RISE.saturating_mul(elapsed), 100_000);
        let next = if wanted < before - room.rating.scaled(WORTH_FALL, 1_000) {
            wanted
        } else if wanted > before + room.rating.scaled(WORTH, 100) {
            wanted.min(before + rise)
        } else {
            before
        };
        self.limit = (next < room.rating).then_some(next);
        self.limit
    }
}

impl Curtail {
    /// The most that leaves room on every phase.
    fn fullest(&self, room: &Room) -> Watts {
        let Some(phases) = room.phases else { return Watts::MAX };
        // Without a meter no load is sure to be on any phase.
        let loads = self.loads.unwrap_or_default();
        let of = |(room, load): (PhaseRoom, Watts)| {
            let all = (load + room.beside).max(Watts::ZERO);
            (room.share > 0).then(|| all.scaled(1_000, room.share))
        };
        phases.into_iter().zip(loads).filter_map(of).min().unwrap_or(Watts::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::units::Span;

    const ROOM: Room =
        Room { export: Watts(3_000), charge: Watts(0), sure: Watts(0), rating: Watts(6_000), phases: None };

    fn one(watts: i32) -> [Watts; 3] {
        [Watts(watts), Watts::ZERO, Watts::ZERO]
    }

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    fn seen(second: i64, grid: i32, inverters: i32) -> Metered {
        Metered { moment: at(second), grid: one(grid), inverters: one(inverters) }
    }

    #[test]
    fn a_full_battery_leaves_loads_and_allowed_export_and_a_limit_falls_at_once() {
        let mut curtail = Curtail::default();
        curtail.pv_heard(one(6_000), at(1));
        curtail.meter_heard(seen(1, -5_500, 0));
        assert_eq!(curtail.step(Some(ROOM), at(1)), Some(Watts(3_500)));
    }

    #[test]
    fn a_limit_rises_slowly_and_ends_where_all_the_pv_has_room() {
        let mut curtail = Curtail::default();
        curtail.pv_heard(one(6_000), at(1));
        curtail.meter_heard(seen(1, -5_500, 0));
        curtail.step(Some(ROOM), at(1));
        curtail.pv_heard(one(3_500), at(2));
        curtail.meter_heard(seen(2, -500, 0));
        assert_eq!(curtail.step(Some(ROOM), at(2)), Some(Watts(4_100)), "a tenth of 6 kW in a second");
        assert_eq!(curtail.step(Some(ROOM), at(60)), None);
    }

    #[test]
    fn what_the_battery_can_take_is_not_curtailed() {
        let mut curtail = Curtail::default();
        curtail.pv_heard(one(6_000), at(1));
        curtail.meter_heard(seen(1, -5_500, 0));
        assert_eq!(curtail.step(Some(Room { charge: Watts(2_500), ..ROOM }), at(1)), None);
    }

    #[test]
    fn a_late_meter_is_paired_with_the_pv_of_its_moment() {
        let mut curtail = Curtail::default();
        for (second, made) in [(1, 6_000), (2, 6_000), (3, 3_500), (4, 3_500)] {
            curtail.pv_heard(one(made), at(second));
        }
        curtail.meter_heard(seen(2, -5_500, 0));
        assert_eq!(curtail.step(Some(ROOM), at(4)), Some(Watts(3_500)), "not 1000 W less");
    }

    #[test]
    fn without_a_meter_only_what_is_sure_to_be_used_and_the_allowed_export_remain() {
        let mut curtail = Curtail::default();
        curtail.pv_heard(one(6_000), at(1));
        curtail.meter_heard(seen(1, -1_000, 0));
        curtail.forget();
        let zero = Room { export: Watts::ZERO, sure: Watts(400), ..ROOM };
        assert_eq!(curtail.step(Some(zero), at(2)), Some(Watts(400)));
    }

    #[test]
    fn three_phase_pv_leaves_the_phase_with_the_least_load_without_export() {
        let mut curtail = Curtail::default();
        curtail.pv_heard([Watts(2_000); 3], at(1));
        let grid = [Watts(-1_900), Watts(-1_500), Watts(-1_000)];
        curtail.meter_heard(Metered { moment: at(1), grid, inverters: [Watts::ZERO; 3] });
        let third = PhaseRoom { beside: Watts::ZERO, share: 333 };
        let room = Room { export: Watts(9_000), phases: Some([third; 3]), ..ROOM };
        assert_eq!(
            curtail.step(Some(room), at(1)),
            Some(Watts(300)),
            "three times the 100 W of the first phase"
        );
        let charged = PhaseRoom { beside: Watts(500), ..third };
        let room = Room { phases: Some([charged, third, third]), ..room };
        let limit = curtail.step(Some(room), at(11)).unwrap();
        assert_eq!(limit, Watts(1_501), "now the second is the fullest");
    }

    #[test]
    fn without_an_export_limit_nothing_is_curtailed() {
        let mut curtail = Curtail::default();
        curtail.pv_heard(one(6_000), at(1));
        curtail.meter_heard(seen(1, -5_500, 0));
        assert_eq!(curtail.step(None, at(1)), None);
    }
}
