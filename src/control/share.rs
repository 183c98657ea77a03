//! Who does how much: from the site's target to phases, and from phases to inverters.
//!
//! All splits are exact: the parts sum to the whole, the remainder of a division goes to the last part that can
//! take it.

use arrayvec::ArrayVec;

use super::policy::{MAX_INVERTERS, PhaseMode};
use super::units::Watts;
use super::wiring::InverterWiring;

/// Sum of three phases.
#[must_use]
pub fn total([l1, l2, l3]: [Watts; 3]) -> Watts {
    l1 + l2 + l3
}

/// Two powers per phase joined phase by phase.
#[must_use]
pub fn both(a: [Watts; 3], b: [Watts; 3], join: impl Fn(Watts, Watts) -> Watts) -> [Watts; 3] {
    let ([a1, a2, a3], [b1, b2, b3]) = (a, b);
    [join(a1, b1), join(a2, b2), join(a3, b3)]
}

/// Inverter power per phase that brings the grid to its setpoint.
///
/// `load` is what grid and inverters carry together per phase, `controlled` the phases with an inverter. In
/// [`PhaseMode::Total`] the phases without one are spread over the others, and only phases that need the same
/// direction as the whole site get a share, so that no inverter charges while another discharges.
#[must_use]
pub fn allocate(mode: PhaseMode, load: [Watts; 3], setpoint: Watts, controlled: [bool; 3]) -> [Watts; 3] {
    let count = controlled.iter().filter(|yes| **yes).count();
    let Some(count) = i64::try_from(count).ok().filter(|count| *count > 0) else {
        return [Watts::ZERO; 3];
    };
    if mode == PhaseMode::BalancedExport {
        return balanced(load, setpoint, controlled);
    }
    let mut net = spread(load, setpoint, controlled, count);
    if mode == PhaseMode::Total {
        let mut left = total(net);
        let wanted = left;
        for part in &mut net {
            let same = (part.0 > 0) == (wanted.0 > 0) && part.0 != 0;
            *part = match (same, wanted.0 > 0) {
                (false, _) => Watts::ZERO,
                (true, true) => (*part).min(left),
                (true, false) => (*part).max(left),
            };
            left -= *part;
        }
    }
    net
}

/// What a phase has too much of is charged there; what is left to do for the sum is discharged where there is load, and
/// charged evenly where nothing else is left.
fn balanced(load: [Watts; 3], setpoint: Watts, controlled: [bool; 3]) -> [Watts; 3] {
    let mut parts = [Watts::ZERO; 3];
    for ((part, load), yes) in parts.iter_mut().zip(load).zip(controlled) {
        if yes {
            *part = load.min(Watts::ZERO);
        }
    }
    let wanted = total(load) - setpoint - total(parts);
    if wanted <= Watts::ZERO {
        return scale(parts, total(parts) + wanted, controlled);
    }
    let mut left = wanted;
    for ((part, load), yes) in parts.iter_mut().zip(load).zip(controlled) {
        if yes && load > Watts::ZERO {
            let more = load.min(left);
            *part += more;
            left -= more;
        }
    }
    // An exporting setpoint, or load on phases that nobody controls: evenly, beyond what the own loads take.
    if left > Watts::ZERO { scale(parts, total(parts) + left, controlled) } else { parts }
}

/// Each controlled phase's own need, with its part of the setpoint and of the phases nobody controls.
fn spread(load: [Watts; 3], setpoint: Watts, controlled: [bool; 3], count: i64) -> [Watts; 3] {
    let others: Watts =
        load.into_iter().zip(controlled).filter(|(_, yes)| !yes).map(|(watts, _)| watts).sum::<Watts>()
            - setpoint;
    let mut net = [Watts::ZERO; 3];
    let mut given = Watts::ZERO;
    let mut seen: i64 = 0;
    for ((part, load), yes) in net.iter_mut().zip(load).zip(controlled) {
        if yes {
            seen = seen.saturating_add(1);
            // Cumulative shares, so that they sum to the whole.
            let due = others.scaled(seen, count);
            *part = load + (due - given);
            given = due;
        }
    }
    net
}

/// The same directions per phase, scaled to a new total. Where phases go in different directions, those against the new
/// total give way first. Phases without a share take part only when there is nothing to scale; then the controlled phases
/// share evenly.
#[must_use]
pub fn scale(phases: [Watts; 3], to: Watts, controlled: [bool; 3]) -> [Watts; 3] {
    let from = total(phases);
    let straight = phases.iter().all(|part| part.0 == 0 || (part.0 > 0) == (from.0 > 0));
    if from == to {
        return phases;
    }
    if from.0 != 0 && straight {
        let mut seen = Watts::ZERO;
        let mut given = Watts::ZERO;
        return phases.map(|part| {
            seen += part;
            let due = to.scaled(i64::from(seen.0), i64::from(from.0));
            let share = due - given;
            given = due;
            share
        });
    }
    // Mixed directions: what works against the new total gives way first, so that no phase is driven against another.
    let missing = to - from;
    let against = |part: Watts| part.0 != 0 && (part.0 > 0) != (missing.0 > 0);
    let sum: Watts = phases.iter().copied().filter(|part| against(*part)).sum();
    let less = if missing.0 > 0 { missing.min(-sum) } else { missing.max(-sum) };
    let (mut seen, mut given) = (Watts::ZERO, Watts::ZERO);
    let phases = phases.map(|part| {
        if !against(part) {
            return part;
        }
        seen += part;
        let due = less.scaled(i64::from(seen.0), i64::from(sum.0));
        let share = due - given;
        given = due;
        part + share
    });
    // Nothing more to give way: every controlled phase takes the same of the rest.
    let from = total(phases);
    let count = i64::try_from(controlled.iter().filter(|yes| **yes).count()).unwrap_or(0);
    let missing = to - from;
    let mut seen: i64 = 0;
    let mut given = Watts::ZERO;
    let mut out = phases;
    for (part, yes) in out.iter_mut().zip(controlled) {
        if yes {
            seen = seen.saturating_add(1);
            let due = missing.scaled(seen, count);
            *part += due - given;
            given = due;
        }
    }
    out
}

/// How many phases an inverter feeds.
fn phase_count(inverter: &InverterWiring) -> i64 {
    i64::try_from(inverter.spec.phases.iter().filter(|yes| **yes).count()).unwrap_or(0)
}

/// What an inverter can do on one of its phases, in the direction of `sign`.
fn capability(inverter: &InverterWiring, phase: usize, discharge: bool) -> Watts {
    if !inverter.spec.phases.get(phase).copied().unwrap_or(false) {
        return Watts::ZERO;
    }
    let rating = if discharge { inverter.spec.max_discharge } else { inverter.spec.max_charge };
    rating.scaled(1, phase_count(inverter))
}

/// What the inverters that answer can do together on each phase, both as positive numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Able {
    /// Into the battery.
    pub charge: [Watts; 3],
    /// Out of the battery.
    pub discharge: [Watts; 3],
}

impl Able {
    /// Of these inverters; `through` is what passes to the loads on their outputs, beside the battery's power, and
    /// `authority` the most that may be ordered.
    #[must_use]
    pub fn of(
        inverters: &[InverterWiring],
        usable: impl Fn(usize) -> bool,
        through: Watts,
        authority: Watts,
    ) -> Self {
        let mut able = Self::default();
        for (_, inverter) in inverters.iter().enumerate().filter(|(at, _)| usable(*at)) {
            for (phase, (charge, discharge)) in able.charge.iter_mut().zip(&mut able.discharge).enumerate() {
                *charge += capability(inverter, phase, false);
                *discharge += capability(inverter, phase, true);
            }
        }
        let feeds = able.charge.map(|most| most > Watts::ZERO);
        let extra = scale([Watts::ZERO; 3], through, feeds);
        for ((charge, discharge), extra) in able.charge.iter_mut().zip(&mut able.discharge).zip(extra) {
            *charge += extra.max(Watts::ZERO);
            *discharge += (-extra).max(Watts::ZERO);
            // No phase is driven against another by more than may be ordered at all.
            (*charge, *discharge) = ((*charge).min(authority), (*discharge).min(authority));
        }
        able
    }

    /// The same where each phase must also stay inside a range of its own; what its inverters cannot do stays undone.
    #[must_use]
    pub fn within(&self, ranges: &[(Watts, Watts); 3]) -> Self {
        let mut able = *self;
        let parts = able.charge.iter_mut().zip(&mut able.discharge).zip(ranges);
        for ((charge, discharge), (low, high)) in parts {
            let most = *discharge;
            *discharge = most.min(*high).max(-*charge);
            *charge = (*charge).min(-*low).max(-*discharge);
        }
        able
    }

    /// Keeps each phase inside what its inverters can do. With `share` the others take over what one cannot, as
    /// far as they can.
    #[must_use]
    pub fn fit(&self, phases: [Watts; 3], share: bool) -> [Watts; 3] {
        let mut out = phases;
        for ((part, charge), discharge) in out.iter_mut().zip(self.charge).zip(self.discharge) {
            *part = (*part).max(-charge).min(discharge);
        }
        let cut = total(phases) - total(out);
        if share && cut != Watts::ZERO { self.add(out, cut) } else { out }
    }

    /// What may really be ordered: each phase inside what its inverters can do, the total inside its range, and
    /// with `share`, where only the total counts, no phase against another.
    #[must_use]
    pub fn feasible(&self, phases: [Watts; 3], share: bool, (low, high): (Watts, Watts)) -> [Watts; 3] {
        let straight = if share { one_way(phases) } else { phases };
        let inside = self.fit(straight, share);
        let allowed = total(inside).min(high).max(low);
        if allowed == total(inside) {
            return inside;
        }
        let feeds = both(self.charge, self.discharge, Watts::max).map(|most| most > Watts::ZERO);
        let scaled = self.fit(scale(inside, allowed, feeds), false);
        if total(scaled) == allowed { scaled } else { self.spread(allowed) }
    }

    /// Puts a total on the phases in proportion to what their inverters can do.
    #[must_use]
    pub fn spread(&self, total: Watts) -> [Watts; 3] {
        let rest = self.fit([Watts::ZERO; 3], false);
        self.add(rest, total - self::total(rest))
    }

    /// Adds power to the phases in proportion to the room that is left on each.
    fn add(&self, phases: [Watts; 3], more: Watts) -> [Watts; 3] {
        let mut room = [Watts::ZERO; 3];
        for (at, ((room, charge), discharge)) in
            room.iter_mut().zip(self.charge).zip(self.discharge).enumerate()
        {
            let part = phases.get(at).copied().unwrap_or(Watts::ZERO);
            *room = if more > Watts::ZERO { discharge - part } else { charge + part };
        }
        let all = total(room);
        let more = more.min(all).max(-all);
        let (mut seen, mut given) = (Watts::ZERO, Watts::ZERO);
        let mut out = phases;
        for (part, room) in out.iter_mut().zip(room) {
            seen += room;
            let due = more.scaled(i64::from(seen.0), i64::from(all.0));
            *part += due - given;
            given = due;
        }
        out
    }
}

/// The same total without phases that work against it.
fn one_way(phases: [Watts; 3]) -> [Watts; 3] {
    let whole = total(phases);
    let kept = phases.map(|part| if (part.0 > 0) == (whole.0 > 0) { part } else { Watts::ZERO });
    scale(kept, whole, [true; 3])
}

/// Splits the power of each phase over the inverters that feed it, in proportion to what each can do.
#[must_use]
pub fn over_inverters(
    phases: [Watts; 3],
    inverters: &[InverterWiring],
    usable: impl Fn(usize) -> bool,
) -> ArrayVec<[Watts; 3], MAX_INVERTERS> {
    let mut orders: ArrayVec<[Watts; 3], MAX_INVERTERS> =
        inverters.iter().take(MAX_INVERTERS).map(|_| [Watts::ZERO; 3]).collect();
    for (phase, power) in phases.into_iter().enumerate().filter(|(_, power)| *power != Watts::ZERO) {
        let can = |at: usize, inverter: &InverterWiring| {
            if usable(at) { capability(inverter, phase, power.0 > 0) } else { Watts::ZERO }
        };
        let all: Watts = inverters.iter().enumerate().map(|(at, inverter)| can(at, inverter)).sum();
        let mut seen = Watts::ZERO;
        let mut given = Watts::ZERO;
        for (at, (inverter, order)) in inverters.iter().zip(orders.iter_mut()).enumerate() {
            seen += can(at, inverter);
            let due = power.scaled(i64::from(seen.0), i64::from(all.0));
            if let Some(slot) = order.get_mut(phase) {
                *slot = due - given;
            }
            given = due;
        }
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn watts(phases: [i32; 3]) -> [Watts; 3] {
        phases.map(Watts)
    }

    #[track_caller]
    fn check(mode: PhaseMode, load: [i32; 3], setpoint: i32, controlled: [bool; 3], expected: [i32; 3]) {
        assert_eq!(allocate(mode, watts(load), Watts(setpoint), controlled), watts(expected));
    }

    const ALL: [bool; 3] = [true; 3];

    #[test]
    fn the_total_is_regulated_without_flow_from_phase_to_phase() {
        use PhaseMode::Total;
        check(Total, [600, -100, 200], 0, ALL, [600, 0, 100]);
        check(Total, [300, 400, 200], 0, ALL, [300, 400, 200]);
        check(Total, [600, -100, 200], 50, ALL, [584, 0, 66]);
        check(Total, [-2000, 500, 300], 0, ALL, [-1200, 0, 0]);
        check(Total, [1000, 1000, 1000], -600, ALL, [1200, 1200, 1200]);
    }

    #[test]
    fn phases_without_an_inverter_are_carried_by_the_others() {
        use PhaseMode::Total;
        check(Total, [-300, 750, 200], 0, [true, true, false], [0, 650, 0]);
        check(Total, [100, -200, 150], 0, [true, false, false], [50, 0, 0]);
    }

    #[test]
    fn balanced_export_lets_no_phase_feed_in_and_then_serves_the_sum() {
        use PhaseMode::BalancedExport;
        check(BalancedExport, [600, -100, 200], 0, ALL, [600, -100, 200]);
        check(BalancedExport, [-1000, 400, 300], 0, ALL, [-1000, 400, 300]);
        check(BalancedExport, [-1000, 400, 300], 700, ALL, [-1000, 0, 0]);
        check(BalancedExport, [600, 300, 300], 0, [true, false, false], [1200, 0, 0]);
    }

    #[test]
    fn phases_that_go_different_ways_are_not_driven_apart_by_a_narrow_total() {
        assert_eq!(scale(watts([1, 0, -1_505]), Watts(-2), ALL), watts([1, 0, -3]));
        assert_eq!(scale(watts([900, -600, 300]), Watts(300), ALL), watts([675, -600, 225]));
        assert_eq!(scale(watts([900, -600, 0]), Watts(1_500), ALL), watts([1_100, 200, 200]));
    }

    #[test]
    fn a_phase_that_must_be_relieved_is_while_the_others_charge() {
        let able = Able { charge: watts([3_000; 3]), discharge: watts([3_000; 3]) };
        let all = (Watts::MIN, Watts::MAX);
        let tight = able.within(&[(Watts(1_320), Watts(9_000)), all, all]);
        let given = tight.feasible(watts([-1_000; 3]), true, (Watts(-3_000), Watts(9_000)));
        assert_eq!((given[0], total(given)), (Watts(1_320), Watts(-3_000)));
        let given = tight.feasible(watts([0; 3]), true, (Watts(0), Watts(0)));
        assert_eq!((given[0], total(given)), (Watts(1_320), Watts(0)));
        let beyond = able.within(&[(Watts(5_000), Watts(9_000)), all, all]);
        assert_eq!(beyond.fit(watts([0; 3]), false)[0], Watts(3_000), "what it cannot do stays undone");
    }

    #[test]
    fn individual_phases_each_take_their_own() {
        check(PhaseMode::Individual, [100, -200, 150], -300, ALL, [200, -100, 250]);
    }

    #[test]
    fn d23_what_is_ordered_stays_in_its_range_and_no_phase_works_against_the_total() {
        let able = Able { charge: watts([3_000, 0, 0]), discharge: watts([5_000, 0, 0]) };
        let range = (Watts(0), Watts(5_000));
        assert_eq!(able.feasible(watts([-68, 68, 0]), false, range), watts([0, 0, 0]));
        let able = Able { charge: watts([3_000; 3]), discharge: watts([3_000; 3]) };
        let held = (Watts(-5_000), Watts(0));
        assert!(total(able.feasible(watts([1_000, -1_000, 1_000]), false, held)) <= Watts(0));
        let mixed = able.feasible(watts([-16, 24, -34]), true, (Watts(-9_000), Watts(9_000)));
        assert_eq!((mixed[1], total(mixed)), (Watts(0), Watts(-26)));
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole_and_no_phase_works_against_another(
            load in proptest::array::uniform3(-20_000i32..20_000),
            setpoint in -20_000i32..20_000,
            controlled in proptest::array::uniform3(any::<bool>()),
            to in -30_000i32..30_000,
        ) {
            prop_assume!(controlled.contains(&true));
            let parts = allocate(PhaseMode::Total, watts(load), Watts(setpoint), controlled);
            prop_assert_eq!(total(parts), total(watts(load)) - Watts(setpoint));
            prop_assert!(!(parts.iter().any(|p| p.0 > 0) && parts.iter().any(|p| p.0 < 0)));
            prop_assert_eq!(total(scale(parts, Watts(to), controlled)), Watts(to));
        }
    }
}
