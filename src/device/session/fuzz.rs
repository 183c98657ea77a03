//! Whatever comes over the wire and whatever is ordered, a session neither panics nor gives up.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use super::tests::{Bench, Device};
use super::*;
use crate::device::order::{ControlKind, OrderPhase, Values};

/// What a device, or what stands between, may do to a question.
#[derive(Clone, Debug)]
enum Fate {
    Words(u16),
    Wrong(Vec<u16>),
    Fails(Failure),
    Reconnects,
    Ordered(DeviceOrder),
}

fn fates() -> impl proptest::strategy::Strategy<Value = Vec<Fate>> {
    use proptest::prelude::*;
    let failure = prop_oneof![
        (0..12_u8).prop_map(Failure::Exception),
        Just(Failure::Timeout),
        Just(Failure::OutOfStep),
        Just(Failure::Unreachable)
    ];
    let order = (0..5_usize, any::<[i32; 3]>(), any::<bool>(), 0..3_u8, any::<u32>(), 0..100_000_i64)
        .prop_map(|(kind, watts, flag, channel, seq, expires)| DeviceOrder {
            control: ControlKind::ALL[kind],
            channel,
            values: Values {
                power: watts.map(Watts),
                setpoint: Watts(watts[0]),
                limit: flag.then_some(Watts(watts[1])),
                run: flag,
            },
            phase: if watts[2] % 4 == 0 { OrderPhase::Release } else { OrderPhase::Command },
            seq,
            expires: Mono(expires),
        });
    let fate = prop_oneof![
        6 => prop_oneof![Just(0), Just(1), Just(0x5375), any::<u16>()].prop_map(Fate::Words),
        1 => proptest::collection::vec(any::<u16>(), 0..5).prop_map(Fate::Wrong),
        2 => failure.prop_map(Fate::Fails),
        1 => Just(Fate::Reconnects),
        2 => order.prop_map(Fate::Ordered),
    ];
    proptest::collection::vec(fate, 0..300)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_a_device_answers_the_session_goes_on(fates in fates(), writes: bool) {
        for name in crate::device::library::names() {
            let options = SessionOptions { writes, ..SessionOptions::default() };
            let mut bench = Bench::new(name, options, Device::default());
            for fate in &fates {
                let asked = bench.session.next(bench.now);
                proptest::prop_assert!(asked.as_ref().is_none_or(|ask| writes || !ask.request.function.writes()));
                let answer = match fate {
                    Fate::Reconnects => {
                        bench.session.reconnected(bench.now);
                        continue;
                    }
                    Fate::Ordered(order) => {
                        bench.session.order(*order, bench.now);
                        Err(Failure::Timeout)
                    }
                    Fate::Words(word) => Ok(vec![*word; asked.as_ref().map_or(0, |ask| usize::from(ask.request.count))]),
                    Fate::Wrong(words) => Ok(words.clone()),
                    Fate::Fails(failure) => Err(*failure),
                };
                match asked {
                    Some(ask) => {
                        bench.session.answered(ask.token, answer, bench.now, bench.now, &mut bench.events);
                    }
                    None => bench.now = bench.session.next_due().max(bench.now + Span(1)).min(bench.now + Span(5_000)),
                }
            }
            // After all that, a device that answers is heard again within the time that refused points wait.
            for unit in [1, 100, 228, 225] {
                bench.device.set(unit, 0, &[0; 5_000]);
            }
            bench.device.set(1, 40_000, &Chain::blank(&[1, 103, 121, 123]).1);
            bench.device.set(1, 0xA000, &[7]);
            bench.events.clear();
            for _ in 0..130 {
                bench.run(Span::millis(20));
                bench.now = bench.now + Span::secs(5);
            }
            let heard = bench.events.iter().any(|event| matches!(event, SessionEvent::Heard(_)));
            proptest::prop_assert!(heard, "{name}");
        }
    }
}
