//! What devices answer beside values: exceptions, silence, sentinels, and words that cannot be.

use super::*;

#[test]
fn p8_a_missing_service_is_left_alone_and_the_others_go_on() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.device.away.insert(225);
    bench.run(Span::secs(60));
    let asked = |unit: u8| bench.device.asked.iter().filter(|(_, request)| request.unit == unit).count();
    assert!(asked(225) <= 7, "1, 2, 4, 8, 16, 30 s: {}", asked(225));
    assert!(asked(228) >= 60);
    assert_eq!(bench.heard("battery.soc"), None, "silence is not a value");
    bench.device.away.clear();
    bench.run(Span::secs(31));
    assert_eq!(bench.heard("battery.soc"), Some(Some(5_530)));
}

#[test]
fn a_silent_unit_costs_the_others_one_short_deadline_at_a_time() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.device.silent.insert(225);
    bench.run(Span::secs(60));
    let silent = bench.device.asked.iter().filter(|(_, request)| request.unit == 225).count();
    assert!(silent <= 10, "{silent}");
    bench.device.silent.clear();
    bench.run(Span::secs(11));
    assert_eq!(bench.heard("battery.soc"), Some(Some(5_530)), "back within ten seconds");
}

#[test]
fn p5_an_illegal_address_costs_one_point_and_not_the_device() {
    let mut device = gx();
    device.words.remove(&(100, 850));
    for at in 890..=901 {
        device.words.remove(&(100, at)); // an old firmware without the last PV registers
    }
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), device);
    bench.run(Span::secs(10));
    assert_eq!(
        bench.session.absent().collect::<BTreeSet<_>>(),
        ["pv.dc.power", "pv.power"].map(String::from).into()
    );
    assert_eq!(bench.heard("grid.power"), Some(Some(900)));
    assert_eq!(bench.heard("load.out.power.l3"), Some(Some(0)));
    let before = bench.device.asked.len();
    bench.run(Span::secs(10));
    let refused = |request: &Request| (request.address..request.address + request.count).contains(&890);
    assert!(
        !bench.device.asked[before..].iter().any(|(_, request)| refused(request)),
        "it is not asked again"
    );
    bench.device.set(100, 850, &[700]);
    bench.run(Span::secs(60));
    bench.session.reconnected(bench.now);
    bench.run(Span::secs(1));
    assert_eq!(bench.heard("pv.dc.power"), Some(Some(700)), "a new connection tries again");
}

#[test]
fn d17_nothing_is_repeated_without_a_new_order() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    bench.order(power(1_500, 1, Mono(60_000)));
    bench.run(Span::secs(30));
    assert_eq!(bench.device.writes().len(), 2, "setup and one command");
}

#[test]
fn p14_a_write_that_is_accepted_and_not_taken_is_contradicted() {
    let mut device = gx();
    device.set(100, 2902, &[3]);
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), device);
    bench.device.ignores_writes = true;
    bench.order(power(1_500, 1, Mono(60_000)));
    bench.run(Span::secs(1));
    assert_eq!(bench.results(), [(1, Ok(()), true)]);
}

#[test]
fn p5_a_refused_point_is_asked_for_again_after_ten_minutes_and_not_before() {
    let mut device = gx();
    device.words.remove(&(100, 850));
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), device);
    bench.leap(Mono(60_000));
    bench.device.set(100, 850, &[700]); // it was only starting up
    bench.leap(Mono(590_000));
    assert_eq!(bench.heard("pv.dc.power"), None);
    bench.leap(Mono(610_000));
    assert_eq!(bench.heard("pv.dc.power"), Some(Some(700)));
    assert_eq!(bench.session.absent().count(), 0);
}

#[test]
fn p5_a_read_whose_function_or_count_is_refused_is_taken_apart_too() {
    for code in [1, 2, 3] {
        let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
        bench.device.refuses = Some((100, 872, code));
        bench.run(Span::secs(5));
        let absent: BTreeSet<String> = bench.session.absent().collect();
        assert_eq!(absent, ["load.in.power", "load.in.power.l1"].map(String::from).into(), "{code}");
        assert_eq!(bench.heard("grid.power"), Some(Some(900)), "{code}");
        assert_eq!(bench.heard("load.in.power.l2"), Some(Some(0)), "{code}");
    }
}

#[test]
fn p6_a_read_that_the_device_fails_at_is_tried_ever_more_rarely_and_the_others_go_on() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.device.refuses = Some((100, 826, 4));
    bench.leap(Mono(120_000));
    let asked = |bench: &Bench, address: u16| {
        bench.device.asked.iter().filter(|(_, request)| request.address == address).count()
    };
    assert!(asked(&bench, 826) <= 8, "after 2, 4, 8, 16, 32, 32 s: {}", asked(&bench, 826));
    assert_eq!(bench.heard("grid.present"), None, "a refusal is no value");
    assert!(asked(&bench, 256) >= 120);
    assert_eq!(bench.session.absent().count(), 0, "the point is there, the device is not well");
    bench.device.refuses = None;
    bench.leap(Mono(160_000));
    assert_eq!(bench.heard("grid.present"), Some(Some(1)));
}

#[test]
fn p7_a_busy_device_is_asked_again_within_a_second_and_loses_nothing() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.device.refuses = Some((100, 826, 6));
    bench.leap(Mono(10_000));
    let asked = bench.device.asked.iter().filter(|(_, request)| request.address == 826).count();
    assert!((13..=17).contains(&asked), "five quick ones, then its usual pace: {asked}");
    bench.device.refuses = None;
    bench.leap(Mono(11_500));
    assert_eq!(bench.heard("grid.present"), Some(Some(1)));
}

#[test]
fn p14_an_echo_that_differs_is_a_failed_write_and_is_not_repeated() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    bench.order(command(ControlKind::GridSetpoint, Values::default(), 1, Mono(60_000)));
    let ask = bench.session.next(bench.now).unwrap();
    assert!(ask.request.function.writes());
    bench.session.answered(ask.token, Err(Failure::OutOfStep), bench.now, bench.now, &mut bench.events);
    bench.run(Span::secs(10));
    assert_eq!(bench.results(), [(1, Err(Failure::OutOfStep), false)]);
    assert!(bench.device.writes().is_empty(), "only a decision writes again");
}

#[test]
fn d2_a_scale_factor_that_is_not_told_or_cannot_be_makes_its_value_unknown_at_once() {
    let factor = 40_069 + 15;
    for bad in [0x8000, 11, 0xFFF5, 0x7FFF, 0xFFFF - 99] {
        let mut bench = Bench::new("pv/sunspec", SessionOptions::default(), pv());
        bench.run(Span::secs(2));
        assert_eq!(bench.heard("pv.power"), Some(Some(4_210)));
        bench.device.set(1, factor, &[bad]);
        bench.run(Span::secs(2));
        assert_eq!(bench.heard("pv.power"), Some(None), "factor {bad:#x}");
    }
}

#[test]
fn d19_charge_and_discharge_limits_of_nothing_are_heard_as_nothing_with_the_next_read() {
    let mut device = gx();
    device.set(225, 305, &[568, 0, 1_000, 1_500]);
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), device);
    bench.run(Span::secs(1));
    assert_eq!(bench.heard("battery.charge_limit_current"), Some(Some(100_000)));
    bench.device.set(225, 307, &[0, 0]);
    bench.run(Span::secs(5));
    for name in ["battery.charge_limit_current", "battery.discharge_limit_current"] {
        assert_eq!(bench.heard(name), Some(Some(0)), "{name}: a limit of zero, not an unknown one");
    }
}
