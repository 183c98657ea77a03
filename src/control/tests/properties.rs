//! What holds whatever the policy, whatever is heard, whenever.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "numbers and choices of tests"
)]

use proptest::prelude::*;

use super::*;
use crate::control::decision::Decision;
use crate::control::orders::{BatteryOrder, Wish};
use crate::control::overlays::OverlayOrder;
use crate::control::policy::{
    BatteryPolicy, Caps, GridPolicy, GuardKind, LoadMode, LoadPolicy, MeterLost, Pace, PhaseMode, PlanAct,
    Shave, Steer,
};
use crate::control::reason::{Reason, Tier};
use crate::control::schedule::lease::Lease;
use crate::control::share;
use crate::control::units::MilliAmps;

fn some<T: Clone + std::fmt::Debug + 'static>(
    values: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    proptest::option::weighted(0.35, values)
}

fn watts(most: i32) -> impl Strategy<Value = Watts> {
    (0..=most).prop_map(Watts)
}

fn battery() -> impl Strategy<Value = BatteryPolicy> {
    let levels = (0u16..=10, 0u16..=15, 0u16..=80, some(0u16..=60));
    let limits = (some(watts(6_000)), some(watts(6_000)), some(44_000i32..52_000), some(Just(true)));
    let rules =
        (any::<bool>(), any::<bool>(), any::<bool>(), proptest::bool::weighted(0.05), some(watts(4_000)));
    (levels, limits, rules).prop_map(|((absolute, reserve, floor, shave), limits, rules)| {
        let (max_charge, max_discharge, voltage_floor, bms) = limits;
        let (compatible, adaptive, recharge, keep_charged, pace) = rules;
        let absolute_floor = Soc::percent(absolute);
        let island_reserve = Soc::percent(reserve).max(absolute_floor);
        let floor = Soc::percent(floor).max(island_reserve);
        BatteryPolicy {
            capacity: Some(WattHours(10_000)),
            guard: if compatible { GuardKind::VictronCompatible } else { GuardKind::Standard },
            adaptive_floor: adaptive,
            keep_charged,
            floor,
            shave_floor: shave.map(|shave| Soc::percent(shave).min(floor)),
            absolute_floor,
            island_reserve,
            recharge,
            recharge_pace: pace.map(Pace::Power),
            max_charge,
            max_discharge,
            voltage_floor: voltage_floor.map(MilliVolts),
            bms,
            ..BatteryPolicy::default()
        }
    })
}

fn grid() -> impl Strategy<Value = GridPolicy> {
    let limits = (some(watts(9_000)), some(watts(6_000)), some(0i32..32_000), some(0i32..32_000));
    let rest = (-3_000i32..3_000, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (limits, rest).prop_map(|((import, export, import_phase, export_phase), rest)| {
        let (setpoint, always, internal, feed_in_dc, feed_in_ac) = rest;
        GridPolicy {
            setpoint: Watts(setpoint),
            shave: if always { Shave::Always } else { Shave::AboveFloor },
            meter_lost: if internal { MeterLost::Internal } else { MeterLost::Passive },
            import_limit: import,
            export_limit: export,
            import_limit_phase: import_phase.map(MilliAmps),
            export_limit_phase: export_phase.map(MilliAmps),
            feed_in_dc,
            feed_in_ac,
            ..GridPolicy::default()
        }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let phases = prop_oneof![
        3 => Just(PhaseMode::Total),
        2 => Just(PhaseMode::Individual),
        2 => Just(PhaseMode::BalancedExport)
    ];
    (battery(), grid(), phases, watts(15_000), some(any::<bool>())).prop_map(
        |(battery, grid, phases, authority, load)| {
            let mut policy =
                Policy { battery, grid, phases, authority, control: Control::On, ..Policy::default() };
            policy.regulator.meter_lag = Some(Span::ZERO);
            let mode = |shed| if shed { LoadMode::Shed } else { LoadMode::Deferrable };
            policy.loads = load
                .map(|shed| LoadPolicy { mode: mode(shed), ..LoadPolicy::default() })
                .into_iter()
                .collect();
            policy
        },
    )
}

/// Something that happens; then some seconds pass.
#[derive(Clone, Debug)]
enum Happens {
    Grid([i64; 3]),
    Inverter([i64; 3]),
    Soc(Option<i64>),
    NoSoc,
    NoMeter,
    NoInverter,
    Volts(i64),
    Limits(i64, i64),
    Sun(i64),
    Behind([i64; 3]),
    Order(Option<BatteryOrder>),
    Lease(Steer),
}

fn happens() -> impl Strategy<Value = Happens> {
    let phases = |most: i64| [-most..most, -most..most, -most..most];
    let wish = prop_oneof![
        Just(Wish::Hold),
        some(watts(8_000)).prop_map(Wish::Charge),
        watts(8_000).prop_map(Wish::Discharge),
        (-6_000i32..6_000).prop_map(|setpoint| Wish::Setpoint(Watts(setpoint))),
    ];
    let order = (wish, any::<bool>()).prop_map(|(wish, use_reserve)| BatteryOrder {
        wish,
        lasts: Some(Span::secs(20)),
        use_reserve,
    });
    let act = prop_oneof![
        Just(PlanAct::Free),
        (1u16..=100).prop_map(|target| PlanAct::Target(Soc::percent(target))),
        (-6_000i32..6_000).prop_map(|setpoint| PlanAct::Setpoint(Watts(setpoint))),
        (-6_000i32..6_000).prop_map(|power| PlanAct::Power(Watts(power))),
    ];
    let caps = (some(watts(3_000)), some(watts(3_000)), some(watts(3_000)), any::<bool>(), any::<bool>());
    let steer = (act, caps).prop_map(
        |(act, (max_charge, max_discharge, export_limit, no_grid_charge, no_export))| {
            let caps = Caps {
                max_charge,
                max_discharge,
                export_limit,
                no_grid_charge,
                no_battery_export: no_export,
            };
            Steer { act, caps }
        },
    );
    prop_oneof![
        6 => phases(8_000).prop_map(Happens::Grid),
        4 => phases(3_000).prop_map(Happens::Inverter),
        4 => some(0i64..=10_000).prop_map(Happens::Soc),
        1 => Just(Happens::NoSoc),
        1 => Just(Happens::NoMeter),
        1 => Just(Happens::NoInverter),
        2 => (40_000i64..58_000).prop_map(Happens::Volts),
        2 => (0i64..200_000, 0i64..200_000).prop_map(|(charge, discharge)| Happens::Limits(charge, discharge)),
        2 => (0i64..6_000).prop_map(Happens::Sun),
        1 => phases(3_000).prop_map(Happens::Behind),
        3 => some(order).prop_map(Happens::Order),
        3 => steer.prop_map(Happens::Lease),
    ]
}

fn story() -> impl Strategy<Value = Vec<(Happens, i64)>> {
    proptest::collection::vec((happens(), prop_oneof![5 => 1i64..4, 1 => 4i64..40]), 1..14)
}

impl House {
    fn lives(&mut self, happens: &Happens) {
        let wiring = self.wiring();
        let now = Mono::ZERO + Span::secs(self.second);
        match happens {
            Happens::Grid(phases) => drop(self.grid(*phases)),
            Happens::Inverter(phases) => drop(self.inverter(0, *phases)),
            Happens::Soc(soc) => drop(self.tell(wiring.battery.soc, *soc)),
            Happens::NoSoc => drop(self.hush(wiring.battery.soc)),
            Happens::NoMeter => {
                for id in wiring.grid.power.phase.into_iter().chain([wiring.grid.power.total]) {
                    self.hush(id);
                }
            }
            Happens::NoInverter => {
                let power = wiring.inverters[0].power;
                for id in power.phase.into_iter().chain([power.total]) {
                    self.hush(id);
                }
            }
            Happens::Volts(volts) => drop(self.tell(wiring.battery.voltage, Some(*volts))),
            Happens::Limits(charge, discharge) => {
                self.tell(wiring.battery.charge_limit, Some(*charge));
                self.tell(wiring.battery.discharge_limit, Some(*discharge));
            }
            Happens::Sun(power) => drop(self.tell(wiring.pv_dc, Some(*power))),
            Happens::Behind(phases) => drop(self.tell_power(wiring.load_out, *phases)),
            Happens::Order(order) => {
                let order = OperatorOrder::Battery(*order);
                self.site.handle(now, &Input::Operator(order, Actor::default()));
            }
            Happens::Lease(steer) => {
                let lease = Lease { lasts: Some(Span::secs(20)), now: Some(*steer), ..Lease::default() };
                self.site.handle(now, &Input::Lease(Box::new(lease)));
                self.site.handle(now, &Input::Overlay(Box::<OverlayOrder>::default()));
            }
        }
    }
}

fn drop<T>(_: T) {}

fn house(policy: &Policy) -> House {
    let three = [[true, true, true], [true, false, false]];
    House::new(&three, |own, _| *own = policy.clone()).at_rest()
}

/// Every decision of a story.
fn decisions(policy: &Policy, story: &[(Happens, i64)], mut look: impl FnMut(&House, &Decision)) -> House {
    let mut house = house(policy);
    house.after(6);
    for (happens, seconds) in story {
        house.lives(happens);
        for _ in 0..*seconds {
            house.after(1);
            look(&house, house.site.decision());
        }
    }
    house
}

fn check(policy: &Policy, house: &House, decision: &Decision) -> Result<(), TestCaseError> {
    let order = decision.battery_order;
    let parts: Watts = decision.inverters.iter().copied().map(share::total).sum();
    prop_assert_eq!(parts, order, "parts sum to the whole");
    prop_assert!(order.abs() <= policy.authority, "{} beyond the authority", order);
    for (inverter, wired) in decision.inverters.iter().zip(&house.site.config().wiring.inverters) {
        for (part, feeds) in inverter.iter().zip(wired.spec.phases) {
            prop_assert!(part.abs() <= policy.authority, "a phase is driven against another");
            prop_assert!(feeds || *part == Watts::ZERO, "a phase without an inverter");
        }
    }
    let (mut low, mut high) = (Watts::MIN, Watts::MAX);
    for rung in &decision.ladder {
        prop_assert!(rung.low <= rung.high, "{:?} is empty", rung);
        prop_assert!(rung.low >= low && rung.high <= high, "{:?} reopens", rung);
        (low, high) = (rung.low, rung.high);
    }
    let manner = |reason: Reason| matches!(reason, Reason::Ramp(_) | Reason::DirectionHold(_));
    let binding = decision.reasons.binding();
    prop_assert!(binding.is_some(), "an order without a reason");
    let moving = binding.is_some_and(|cause| manner(cause.reason)) || decision.moving;
    if decision.ready && !moving {
        prop_assert!(
            order >= low && order <= high,
            "{} outside {}..{}: {:?}",
            order,
            low,
            high,
            decision.reasons
        );
    }
    for cut in &decision.overruled {
        prop_assert!(cut.by <= cut.tier, "{:?}: a lower rung cut a higher one", cut);
    }
    if binding.is_some_and(|cause| cause.tier == Tier::Default) {
        prop_assert!(decision.overruled.is_empty(), "cut, and yet nothing bound");
    }
    Ok(())
}

proptest! {
    #[test]
    fn limits_hold_nothing_reopens_and_every_order_has_its_reason(policy in policy(), story in story()) {
        let mut broken = Ok(());
        decisions(&policy, &story, |house, decision| {
            if broken.is_ok() {
                broken = check(&policy, house, decision);
            }
        });
        broken?;
    }

    #[test]
    fn the_same_inputs_give_the_same_bits_also_from_a_snapshot(policy in policy(), story in story(), cut in 0usize..40) {
        let mut first = Vec::new();
        decisions(&policy, &story, |_, decision| first.push(postcard::to_stdvec(decision).unwrap()));
        let mut again = house(&policy);
        again.after(6);
        let mut at = 0;
        for (happens, seconds) in &story {
            again.lives(happens);
            for _ in 0..*seconds {
                if at == cut {
                    let config = again.site.config().clone();
                    again.site = Site::restore(config, &again.site.snapshot()).unwrap();
                }
                again.after(1);
                prop_assert_eq!(&postcard::to_stdvec(again.site.decision()).unwrap(), &first[at], "second {}", at);
                at += 1;
            }
        }
    }

    #[test]
    fn a_charge_or_a_meter_that_becomes_unknown_adds_neither_discharge_nor_export(
        policy in policy(),
        story in story(),
        meter in any::<bool>(),
    ) {
        // Who says so goes on by the inverters' own inputs, toward the setpoint.
        let mut policy = policy;
        policy.grid.meter_lost = MeterLost::Passive;
        // What feeds in behind the inverters has to come through them when the battery cannot take it.
        let loads = |happens: Happens| match happens {
            Happens::Behind(phases) => Happens::Behind(phases.map(i64::abs)),
            other => other,
        };
        // A plan or an order that charged ends with the charge it was given for: then the profile's own rules are back.
        let own = |happens: &Happens| !matches!(happens, Happens::Order(_) | Happens::Lease(_));
        let story: Vec<(Happens, i64)> = story
            .into_iter()
            .filter(|(happens, _)| own(happens))
            .map(|(happens, seconds)| (loads(happens), seconds))
            .collect();
        let mut known = decisions(&policy, &story, |_, _| {});
        let mut blind = decisions(&policy, &story, |_, _| {});
        let wiring = blind.wiring();
        if meter {
            for id in wiring.grid.power.phase.into_iter().chain([wiring.grid.power.total]) {
                blind.tell(id, None);
            }
        } else {
            blind.tell(wiring.battery.soc, None);
        }
        // What DC-coupled PV makes passes through the inverter, and not out of the battery.
        let sun = |happens: &Happens| if let Happens::Sun(power) = happens { Some(*power) } else { None };
        let sun = story.iter().rev().find_map(|(happens, _)| sun(happens)).unwrap_or(0);
        let through = i32::try_from(sun).unwrap();
        for second in 0..20 {
            let (with, without) = (known.order(1), blind.order(1));
            prop_assert!(
                without <= with.max(through) + 1,
                "second {}: {} W with it, {} W without: {}", second, with, without, blind.why()
            );
        }
    }
}
