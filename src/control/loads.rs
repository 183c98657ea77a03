//! Loads on relays: those that are shed so that the rest keeps running, and those that run when there is a surplus.
//!
//! A *shed* load is on unless the charge is low or the import limit is broken; a *deferrable* one is off unless PV makes
//! more than the house takes and the battery has had its part. What protects acts at once, whatever the minimum times
//! say; all else waits for its delay and for the load's minimum on and off time, so that no compressor is ruined by a
//! cloud. What is not known switches nothing on.

use serde::{Deserialize, Serialize};

use super::policy::{LoadMode, LoadPolicy};
use super::units::{Mono, Soc, Span, Watts};

/// A surplus must hold this long before a load runs on it, and be gone this long before it ends.
const SURPLUS_FOR: Span = Span::secs(30);
/// An import limit must be broken this long, and have room for the load this long.
const BROKEN_FOR: Span = Span::secs(3);
const ROOM_FOR: Span = Span::secs(60);
/// A deferrable load ends when it takes more than this part of itself from elsewhere, in percent.
const BORROWED: i64 = 20;

/// What loads look at.
#[derive(Clone, Copy, Debug)]
pub struct LoadInputs {
    /// State of charge, only while it is good.
    pub soc: Option<Soc>,
    /// What is left over: PV less the loads, before the battery takes anything. None while the meter is not good.
    pub surplus: Option<Watts>,
    /// Grid power, import positive; none while the meter is not good.
    pub grid: Option<Watts>,
    /// The most import.
    pub import_limit: Option<Watts>,
}

/// Why a load is as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadReason {
    /// Nothing speaks against it.
    #[default]
    Free,
    /// There is enough left over, this much.
    Surplus(Watts),
    /// Not enough is left over.
    NoSurplus,
    /// The charge is too low.
    LowSoc(Soc),
    /// The import limit is broken, or would be.
    ImportLimit,
    /// It must stay on for this much longer.
    MinOn(Span),
    /// It must stay off for this much longer.
    MinOff(Span),
    /// What it hangs on is not known.
    Unknown,
}

impl LoadReason {
    /// Its kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Surplus(_) => "surplus",
            Self::NoSurplus => "no-surplus",
            Self::LowSoc(_) => "low-soc",
            Self::ImportLimit => "import-limit",
            Self::MinOn(_) => "min-on",
            Self::MinOff(_) => "min-off",
            Self::Unknown => "unknown",
        }
    }

    /// For a person.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Free => "nothing speaks against it".to_owned(),
            Self::Surplus(watts) => format!("{watts} are left over"),
            Self::NoSurplus => "too little is left over".to_owned(),
            Self::LowSoc(soc) => format!("the charge, {soc}, is too low"),
            Self::ImportLimit => "the import limit has no room for it".to_owned(),
            Self::MinOn(left) => format!("its minimum on time lasts another {}", left.words()),
            Self::MinOff(left) => format!("its minimum off time lasts another {}", left.words()),
            Self::Unknown => "state of charge or meter are not good".to_owned(),
        }
    }
}

/// One load at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadView {
    /// Whether its relay is closed.
    pub on: bool,
    /// Why.
    pub reason: LoadReason,
}

/// What is remembered of one load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    on: bool,
    /// Since when; none before the first decision, which waits for nothing.
    since: Option<Mono>,
    /// Since when a change is wanted.
    wanted_since: Option<Mono>,
    low: bool,
    broken_since: Option<Mono>,
    room_since: Option<Mono>,
}

/// What the conditions want.
#[derive(Clone, Copy)]
struct Wish {
    on: bool,
    reason: LoadReason,
    /// It protects something: neither delay nor minimum time holds it up.
    at_once: bool,
}

impl Load {
    /// One evaluation.
    pub fn step(&mut self, policy: &LoadPolicy, inputs: &LoadInputs, now: Mono) -> LoadView {
        let wish = self.wish(policy, inputs, now);
        let Some(since) = self.since else {
            self.on = wish.on;
            self.since = Some(now);
            return LoadView { on: self.on, reason: wish.reason };
        };
        if wish.on == self.on {
            self.wanted_since = None;
            return LoadView { on: self.on, reason: wish.reason };
        }
        let wanted = *self.wanted_since.get_or_insert(now);
        let (least, reason): (Span, fn(Span) -> LoadReason) =
            if self.on { (policy.min_on, LoadReason::MinOn) } else { (policy.min_off, LoadReason::MinOff) };
        let lasted = now.since(since);
        if !wish.at_once && lasted < least {
            return LoadView { on: self.on, reason: reason(least - lasted) };
        }
        if !wish.at_once && now.since(wanted) < SURPLUS_FOR {
            let before = if self.on { LoadReason::Free } else { wish.reason };
            return LoadView { on: self.on, reason: before };
        }
        self.on = wish.on;
        self.since = Some(now);
        self.wanted_since = None;
        LoadView { on: self.on, reason: wish.reason }
    }

    fn wish(&mut self, policy: &LoadPolicy, inputs: &LoadInputs, now: Mono) -> Wish {
        let off = |reason, at_once| Wish { on: false, reason, at_once };
        if self.breaks_import(policy, inputs, now) {
            return off(LoadReason::ImportLimit, true);
        }
        if let Some(least) = policy.soc {
            match inputs.soc {
                Some(soc) => {
                    let back = least.plus_centi(policy.soc_back_centi);
                    self.low = soc <= least || self.low && soc < back;
                    if self.low {
                        return off(LoadReason::LowSoc(soc), policy.mode == LoadMode::Shed);
                    }
                }
                // A load that others depend on is not cut because a battery monitor is silent.
                None if policy.mode == LoadMode::Deferrable => return off(LoadReason::Unknown, false),
                None if self.low => return off(LoadReason::Unknown, false),
                None => {}
            }
        }
        if policy.mode == LoadMode::Shed {
            return Wish { on: true, reason: LoadReason::Free, at_once: false };
        }
        let Some(surplus) = inputs.surplus else { return off(LoadReason::Unknown, false) };
        let enough =
            if self.on { surplus >= -policy.power.scaled(BORROWED, 100) } else { surplus >= policy.power };
        if enough {
            Wish { on: true, reason: LoadReason::Surplus(surplus), at_once: false }
        } else {
            off(LoadReason::NoSurplus, false)
        }
    }

    /// Whether more is drawn than the import limit allows, or would be with this load.
    fn breaks_import(&mut self, policy: &LoadPolicy, inputs: &LoadInputs, now: Mono) -> bool {
        let Some((grid, limit)) = inputs.grid.zip(inputs.import_limit) else {
            (self.broken_since, self.room_since) = (None, None);
            return false;
        };
        if self.on || self.since.is_none() {
            let over = grid > limit + limit.scaled(5, 100);
            self.broken_since = if over { self.broken_since.or(Some(now)) } else { None };
            self.room_since = None;
            return self.broken_since.is_some_and(|since| now.since(since) >= BROKEN_FOR);
        }
        let room = grid + policy.power <= limit;
        self.room_since = if room { self.room_since.or(Some(now)) } else { None };
        self.broken_since = None;
        self.room_since.is_none_or(|since| now.since(since) < ROOM_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    fn deferrable() -> LoadPolicy {
        LoadPolicy {
            mode: LoadMode::Deferrable,
            power: Watts(2_000),
            soc: Some(Soc::percent(80)),
            min_on: Span::secs(120),
            min_off: Span::secs(60),
            ..LoadPolicy::default()
        }
    }

    fn inputs(soc: u16, surplus: i32) -> LoadInputs {
        LoadInputs {
            soc: Some(Soc::percent(soc)),
            surplus: Some(Watts(surplus)),
            grid: None,
            import_limit: None,
        }
    }

    /// What the relay does at each of these seconds.
    fn plays(policy: &LoadPolicy, script: &[(i64, LoadInputs)]) -> Vec<(bool, &'static str)> {
        let mut load = Load::default();
        let show = |(second, inputs): &(i64, LoadInputs)| {
            let view = load.step(policy, inputs, at(*second));
            (view.on, view.reason.code())
        };
        script.iter().map(show).collect()
    }

    #[test]
    fn a_deferrable_load_waits_for_charge_and_surplus_and_keeps_its_minimum_times() {
        let shown = plays(
            &deferrable(),
            &[
                (0, inputs(70, 5_000)),
                (100, inputs(86, 1_900)),
                (200, inputs(86, 2_500)),
                (229, inputs(86, 2_500)),
                (230, inputs(86, 2_500)),
                (240, inputs(86, -300)),
                (250, inputs(86, -1_500)),
                (300, inputs(86, -1_500)),
                (351, inputs(86, -1_500)),
                (352, inputs(86, 5_000)),
                (400, inputs(86, 5_000)),
                (441, inputs(86, 5_000)),
            ],
        );
        let expected = [
            (false, "low-soc"),
            (false, "no-surplus"),
            (false, "surplus"),
            (false, "surplus"),
            (true, "surplus"),
            (true, "surplus"),
            (true, "min-on"),
            (true, "min-on"),
            (false, "no-surplus"),
            (false, "min-off"),
            (false, "min-off"),
            (true, "surplus"),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_deferrable_load_does_not_run_on_what_nobody_knows() {
        let blind = LoadInputs { soc: None, ..inputs(90, 9_000) };
        let unmetered = LoadInputs { surplus: None, ..inputs(90, 0) };
        assert_eq!(plays(&deferrable(), &[(0, blind), (100, unmetered)]), [(false, "unknown"); 2]);
    }

    #[test]
    fn a_shed_load_goes_at_once_when_the_charge_is_low_and_comes_back_above_it() {
        let policy =
            LoadPolicy { soc: Some(Soc::percent(30)), min_on: Span::minutes(60), ..LoadPolicy::default() };
        let silent = LoadInputs { soc: None, ..inputs(0, 0) };
        let shown = plays(
            &policy,
            &[
                (0, inputs(50, 0)),
                (10, silent),
                (20, inputs(30, 0)),
                (30, silent),
                (500, inputs(34, 0)),
                (900, inputs(35, 0)),
                (931, inputs(35, 0)),
            ],
        );
        let codes: Vec<bool> = shown.iter().map(|(on, _)| *on).collect();
        assert_eq!(codes, [true, true, false, false, false, false, true]);
    }

    #[test]
    fn a_broken_import_limit_sheds_a_load_and_it_waits_for_room() {
        let policy = LoadPolicy { power: Watts(2_000), min_off: Span::secs(60), ..LoadPolicy::default() };
        let grid = |watts: i32| LoadInputs {
            grid: Some(Watts(watts)),
            import_limit: Some(Watts(6_000)),
            ..inputs(50, 0)
        };
        let script = [
            (0, 5_000),
            (10, 7_000),
            (12, 7_000),
            (13, 7_000),
            (100, 5_000),
            (161, 5_000),
            (200, 3_900),
            (259, 3_900),
            (260, 3_900),
            (291, 3_900),
        ];
        let shown = plays(&policy, &script.map(|(second, watts)| (second, grid(watts))));
        let on: Vec<bool> = shown.iter().map(|(on, _)| *on).collect();
        assert_eq!(on, [true, true, true, false, false, false, false, false, false, true]);
    }
}
