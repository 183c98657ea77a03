//! Who may charge the battery with how much current: solar chargers first, the inverter with what they leave.
//!
//! What the BMS allows is one budget. DC loads that are measured, and what the inverter draws from the DC bus, leave
//! the battery out, so they add to what solar chargers may make. Several chargers share by equal headroom: each gets
//! the same part of the way from what it makes to what it could make, so one that runs flat out is not held back and
//! a cloud over one roof makes room on the other. Where DC-coupled PV may be fed into the grid the chargers are not
//! held back at all: what the battery cannot take leaves by the inverter.

use arrayvec::ArrayVec;

use crate::control::policy::MAX_CHARGERS;
use crate::control::units::MilliAmps;

/// Limits are told in steps of this.
const STEP: i64 = 100;
/// A budget beyond this share of what all chargers can make holds nobody back, in percent.
const ALL: i64 = 95;
/// An inverter does not charge with less than this.
const LEAST: MilliAmps = MilliAmps(1_000);

/// A solar charger as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charger {
    /// The most it can make.
    pub rating: MilliAmps,
    /// What it makes; unknown counts as all it can.
    pub makes: Option<MilliAmps>,
}

/// What there is to share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What the battery may be charged with.
    pub battery: MilliAmps,
    /// As much of it as the voltage limit leaves to the inverter.
    pub inverter: MilliAmps,
    /// What measured DC loads take.
    pub dc_load: MilliAmps,
    /// What the inverter takes from the DC bus, negative while it charges.
    pub drawn: MilliAmps,
    /// DC-coupled PV may be fed into the grid.
    pub feed_in: bool,
}

/// Who got what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    /// The inverter, in whole amperes.
    pub inverter: MilliAmps,
    /// Each solar charger, in their order.
    pub chargers: ArrayVec<MilliAmps, MAX_CHARGERS>,
}

/// Shares a budget.
#[must_use]
pub fn share(budget: Budget, chargers: &[Charger]) -> Shared {
    let makes = |charger: &Charger| charger.makes.unwrap_or(charger.rating).max(MilliAmps::ZERO);
    // A battery that must not be charged at all is not the place where DC loads find more.
    let beside = if budget.battery > MilliAmps::ZERO { budget.dc_load } else { MilliAmps::ZERO };
    let made: MilliAmps = chargers.iter().map(makes).sum();
    let whole = |current: MilliAmps| {
        let steps = i64::from(current.0).checked_div(1_000).unwrap_or(0);
        MilliAmps::saturated(steps.saturating_mul(1_000))
    };
    let left = budget.battery.min(budget.inverter) + beside - made;
    let inverter = if left <= LEAST { MilliAmps::ZERO } else { whole(left) };
    let ratings: MilliAmps = chargers.iter().map(|charger| charger.rating).sum();
    let solar = budget.battery + beside + budget.drawn.max(MilliAmps::ZERO);
    let free = budget.feed_in || solar >= ratings.scaled(ALL, 100);
    let chargers = if free {
        chargers.iter().take(MAX_CHARGERS).map(|charger| charger.rating).collect()
    } else {
        by_headroom(solar, ratings, made, chargers.iter().map(|charger| (charger.rating, makes(charger))))
    };
    Shared { inverter, chargers }
}

/// Each gets the same part of its way from what it makes to its rating; where even what they make is too much, each
/// loses the same part of that.
fn by_headroom(
    solar: MilliAmps,
    ratings: MilliAmps,
    made: MilliAmps,
    chargers: impl Iterator<Item = (MilliAmps, MilliAmps)>,
) -> ArrayVec<MilliAmps, MAX_CHARGERS> {
    let (mut due, mut given) = (MilliAmps::ZERO, MilliAmps::ZERO);
    let (more, room) = (i64::from((solar - made).0), i64::from((ratings - made).0));
    chargers
        .take(MAX_CHARGERS)
        .map(|(rating, makes)| {
            due += if more >= 0 {
                makes + (rating - makes).scaled(more, room)
            } else {
                makes.scaled(i64::from(solar.0), i64::from(made.0))
            };
            // Rounded together, so that the parts never sum to more than the whole.
            let part = rounded(due) - given;
            given += part;
            part
        })
        .collect()
}

fn rounded(current: MilliAmps) -> MilliAmps {
    let steps = i64::from(current.0).saturating_add(STEP.wrapping_shr(1)).checked_div(STEP).unwrap_or(0);
    MilliAmps::saturated(steps.saturating_mul(STEP))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "numbers of a test, far from the ends of their range")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn budget(battery: i32) -> Budget {
        Budget {
            battery: MilliAmps(battery),
            inverter: MilliAmps(battery),
            dc_load: MilliAmps::ZERO,
            drawn: MilliAmps::ZERO,
            feed_in: false,
        }
    }

    fn chargers(list: &[(i32, i32)]) -> Vec<Charger> {
        let charger = |&(rating, makes)| Charger { rating: MilliAmps(rating), makes: Some(MilliAmps(makes)) };
        list.iter().map(charger).collect()
    }

    #[track_caller]
    fn splits(total: i32, list: &[(i32, i32)], expected: &[i32]) {
        let shared = share(budget(total), &chargers(list));
        assert_eq!(shared.chargers.iter().map(|limit| limit.0).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn ess_s52_solar_chargers_share_by_equal_headroom() {
        splits(120_000, &[(100_000, 10_000), (35_000, 4_000), (15_000, 3_000)], &[79_700, 28_000, 12_300]);
        splits(120_000, &[(100_000, 10_000), (35_000, 14_500), (15_000, 3_000)], &[78_000, 29_900, 12_100]);
        splits(120_000, &[(100_000, 70_000), (35_000, 30_000), (15_000, 12_000)], &[76_300, 31_100, 12_600]);
        splits(120_000, &[(100_000, 10_000), (35_000, 35_000), (15_000, 15_000)], &[70_000, 35_000, 15_000]);
    }

    #[test]
    fn what_they_make_is_cut_in_proportion_when_it_is_too_much() {
        splits(50_000, &[(100_000, 75_000), (35_000, 25_000)], &[37_500, 12_500]);
    }

    #[test]
    fn a_charger_that_says_nothing_counts_with_all_it_can_make() {
        let silent = [Charger { rating: MilliAmps(30_000), makes: None }];
        assert_eq!(share(budget(45_000), &silent).inverter, MilliAmps(15_000));
    }

    #[test]
    fn a_battery_that_must_not_be_charged_leaves_nothing_for_dc_loads_to_add() {
        let all = Budget { dc_load: MilliAmps(10_000), ..budget(0) };
        let shared = share(all, &chargers(&[(100_000, 0)]));
        assert_eq!((shared.inverter, shared.chargers[0]), (MilliAmps::ZERO, MilliAmps::ZERO));
    }

    proptest! {
        #[test]
        fn together_they_never_get_more_than_there_is_and_none_more_than_it_can(
            battery in 0i32..500_000,
            list in proptest::collection::vec((1i32..200_000, 0i32..250_000), 1..=MAX_CHARGERS),
        ) {
            let list: Vec<(i32, i32)> = list.into_iter().map(|(rating, makes)| (rating, makes.min(rating))).collect();
            let shared = share(budget(battery), &chargers(&list));
            let given: i64 = shared.chargers.iter().map(|limit| i64::from(limit.0)).sum();
            let ratings: i64 = list.iter().map(|(rating, _)| i64::from(*rating)).sum();
            let free = i64::from(battery) >= ratings * ALL / 100;
            prop_assert!(free || given <= i64::from(battery) + STEP);
            for (limit, (rating, _)) in shared.chargers.iter().zip(&list) {
                prop_assert!(limit.0 >= 0 && i64::from(limit.0) <= i64::from(*rating) + STEP);
            }
            let made: i64 = list.iter().map(|(_, makes)| i64::from(*makes)).sum();
            prop_assert!(i64::from(shared.inverter.0) <= (i64::from(battery) - made).max(0));
        }
    }
}
