//! Scripted exchanges: a device of registers on one side, a session on the other, and no wire between them.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

mod faults;
mod second_writer;
mod settings;
mod wear;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::control::signal::Phase;
use crate::device::exchange::Function;
use crate::device::library::shipped;
use crate::device::order::{ControlKind, OrderPhase, Values};

/// A device that is strict about holes, and what it was asked.
#[derive(Default)]
pub struct Device {
    /// Registers by unit, whatever the function that reads them.
    words: BTreeMap<(u8, u16), u16>,
    silent: BTreeSet<u8>,
    away: BTreeSet<u8>,
    ignores_writes: bool,
    /// What it makes of the words of a write.
    reshapes: Option<fn(&mut [u16])>,
    /// Unit, first register and exception of a read that it refuses.
    refuses: Option<(u8, u16, u8)>,
    /// So many writes are done and not answered.
    unanswered: u32,
    asked: Vec<(i64, Request)>,
}

impl Device {
    pub fn set(&mut self, unit: u8, address: u16, words: &[u16]) {
        for (at, word) in (address..).zip(words) {
            self.words.insert((unit, at), *word);
        }
    }

    fn answer(&mut self, request: &Request, now: Mono) -> Result<Answer, Failure> {
        self.asked.push((now.0, request.clone()));
        if self.silent.contains(&request.unit) {
            return Err(Failure::Timeout);
        }
        if self.away.contains(&request.unit) {
            return Err(Failure::Exception(10));
        }
        if let Some((unit, address, code)) = self.refuses
            && (unit, address) == (request.unit, request.address)
        {
            return Err(Failure::Exception(code));
        }
        let addresses = (request.address..).take(usize::from(request.count));
        let known: Option<Vec<u16>> =
            addresses.clone().map(|at| self.words.get(&(request.unit, at)).copied()).collect();
        let known = known.ok_or(Failure::Exception(2))?;
        if !request.function.writes() {
            return Ok(known);
        }
        if !self.ignores_writes {
            let mut words = request.words.clone();
            if let Some(reshape) = self.reshapes {
                reshape(&mut words);
            }
            self.set(request.unit, request.address, &words);
        }
        match self.unanswered.checked_sub(1) {
            Some(left) => {
                self.unanswered = left;
                Err(Failure::Timeout)
            }
            None => Ok(Vec::new()),
        }
    }

    fn writes(&self) -> Vec<(u16, Vec<u16>)> {
        let written = self.asked.iter().filter(|(_, request)| request.function.writes());
        written.map(|(_, request)| (request.address, request.words.clone())).collect()
    }
}

/// A session and its device, driven through time in steps of 10 ms. An answer takes no time.
pub struct Bench {
    pub session: Session,
    pub device: Device,
    pub now: Mono,
    pub events: Vec<SessionEvent>,
}

impl Bench {
    pub fn new(name: &str, options: SessionOptions, device: Device) -> Self {
        Self::of(shipped(name).unwrap(), options, device)
    }

    fn of(text: &str, options: SessionOptions, device: Device) -> Self {
        let definition = Definition::parse(text, "test").unwrap();
        Self {
            session: Session::new(Arc::new(definition), options),
            device,
            now: Mono(0),
            events: Vec::new(),
        }
    }

    pub fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            for _ in 0..200 {
                let Some(ask) = self.session.next(self.now) else { break };
                let answer = self.device.answer(&ask.request, self.now);
                self.session.answered(ask.token, answer, self.now, self.now, &mut self.events);
            }
            self.session.drain(&mut self.events);
            self.now = self.now + Span(10);
        }
    }

    /// Serves what is due until a moment, leaping from one to the next: for days and months.
    fn leap(&mut self, until: Mono) {
        loop {
            while let Some(ask) = self.session.next(self.now) {
                let answer = self.device.answer(&ask.request, self.now);
                self.session.answered(ask.token, answer, self.now, self.now, &mut self.events);
            }
            self.session.drain(&mut self.events);
            let due = self.session.next_due();
            assert!(due > self.now, "nothing to ask, and yet due");
            if due >= until {
                break;
            }
            self.now = due;
        }
        self.now = until;
    }

    fn order(&mut self, order: DeviceOrder) {
        self.session.order(order, self.now);
    }

    fn heard(&self, name: &str) -> Option<Option<i64>> {
        self.events.iter().rev().find_map(|event| match event {
            SessionEvent::Heard(heard)
                if format!("{}{}", heard.quantity.name(), heard.phase.suffix()) == name =>
            {
                Some(heard.value)
            }
            _ => None,
        })
    }

    fn results(&self) -> Vec<(u32, Result<(), Failure>, bool)> {
        let wrote = |event: &SessionEvent| match event {
            SessionEvent::Wrote { seq, result, contradicted, .. } => Some((*seq, *result, *contradicted)),
            SessionEvent::Heard(_) | SessionEvent::Foreign { .. } => None,
        };
        self.events.iter().filter_map(wrote).collect()
    }
}

fn controlling(phases: u8) -> SessionOptions {
    SessionOptions { writes: true, phases, ..SessionOptions::default() }
}

fn command(control: ControlKind, values: Values, seq: u32, expires: Mono) -> DeviceOrder {
    DeviceOrder { control, channel: 0, values, phase: OrderPhase::Command, seq, expires }
}

fn power(l1: i32, seq: u32, expires: Mono) -> DeviceOrder {
    let values = Values { power: [Watts(l1), Watts(0), Watts(0)], ..Values::default() };
    command(ControlKind::InverterPower, values, seq, expires)
}

fn gx() -> Device {
    let mut device = Device::default();
    for at in [806, 807, 826, 840, 850, 2716, 2717, 2902] {
        device.set(100, at, &[0]);
    }
    device.set(100, 868, &[0; 52]);
    device.set(228, 3, &[0; 99]);
    for (at, words) in [(256, &[0_u16; 4][..]), (261, &[0; 2]), (265, &[0; 2]), (305, &[0; 4])] {
        device.set(225, at, words);
    }
    device.set(100, 826, &[1]);
    device.set(100, 908, &[0, 1_000, 0xFFFF, 0xFF9C]);
    device.set(100, 2902, &[2]);
    device.set(228, 12, &[0xFFB5]);
    device.set(228, 26, &[5_240]);
    device.set(225, 256, &[0, 1_200, 0, 5_240]);
    device.set(225, 266, &[553]);
    device
}

#[test]
fn a_gx_is_heard_in_our_sign() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.run(Span::secs(2));
    for (name, value) in [
        ("grid.power.l1", Some(1_000)),
        ("grid.power.l2", Some(-100)),
        ("grid.power", Some(900)),
        ("grid.present", Some(1)),
        ("inverter.power.l1", Some(750)),
        ("inverter.power.l2", Some(0)),
        ("battery.power", Some(-1_200)),
        ("battery.soc", Some(5_530)),
        ("battery.temperature", None),
        ("battery.charge_limit_current", None),
    ] {
        assert_eq!(bench.heard(name), Some(value), "{name}");
    }
    bench.device.set(225, 305, &[568, 0, 0, 1_500]);
    bench.device.set(228, 26, &[0]);
    bench.run(Span::secs(6));
    assert_eq!(
        bench.heard("battery.charge_limit_current"),
        Some(Some(0)),
        "a BMS that speaks may forbid charging"
    );
    assert_eq!(bench.heard("battery.discharge_limit_current"), Some(Some(150_000)));
    assert_eq!(bench.heard("inverter.power.l2"), Some(None), "an inverter that knows nothing says 0");
    assert!(bench.session.absent().next().is_none(), "nothing that the definition reads is missing");
}

#[test]
fn fast_points_share_their_ticks_and_slow_ones_are_asked_rarely() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    bench.run(Span::secs(10));
    let times = |address: u16| -> Vec<i64> {
        bench
            .device
            .asked
            .iter()
            .filter(|(_, request)| request.address == address)
            .map(|(at, _)| *at)
            .collect()
    };
    let every_second: Vec<i64> = (0..10).map(|second| second * 1_000).collect();
    assert_eq!(times(826), every_second);
    assert_eq!(times(256), every_second);
    assert_eq!(times(2716), [0, 5_000]);
}

#[test]
fn observing_never_writes_whatever_is_ordered() {
    for name in crate::device::library::names() {
        let mut bench = Bench::new(name, SessionOptions::default(), gx());
        for (seq, control) in (0..).zip(ControlKind::ALL) {
            for phase in [OrderPhase::Command, OrderPhase::Release] {
                bench.order(DeviceOrder { phase, ..command(control, Values::default(), seq, Mono::NEVER) });
                bench.run(Span::secs(1));
            }
        }
        assert!(bench.device.writes().is_empty(), "{name}");
        assert!(bench.results().iter().all(|(_, result, _)| *result == Err(Failure::Observing)), "{name}");
    }
}

#[test]
fn direct_control_sets_the_mode_once_and_puts_back_what_was_found() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    bench.order(power(1_500, 1, Mono(10_000)));
    bench.run(Span::secs(1));
    bench.order(power(-200, 2, Mono(10_000)));
    bench.run(Span::secs(1));
    assert_eq!(
        bench.device.writes(),
        [
            (2902, vec![3]),
            (96, vec![0xFFFF, 0xFA24]), // one phase in use: the others are not written
            (96, vec![0, 200]),
        ]
    );
    assert_eq!(bench.results(), [(1, Ok(()), false), (2, Ok(()), false)]);
    let release = DeviceOrder { phase: OrderPhase::Release, ..power(0, 3, Mono(20_000)) };
    bench.order(release);
    bench.run(Span::secs(1));
    assert_eq!(bench.device.writes()[3..], [(96, vec![0, 0]), (2902, vec![2])]);
}

#[test]
fn three_phases_are_commanded_in_one_request() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(3), gx());
    let values = Values { power: [Watts(1_000), Watts(0), Watts(-250)], ..Values::default() };
    bench.order(command(ControlKind::InverterPower, values, 1, Mono(10_000)));
    bench.run(Span::secs(1));
    assert_eq!(bench.device.writes()[1..], [(96, vec![0xFFFF, 0xFC18, 0, 0, 0, 250])]);
}

#[test]
fn a_mode_left_over_from_an_earlier_run_is_not_put_back() {
    let mut device = gx();
    device.set(100, 2902, &[3]);
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), device);
    bench.order(power(500, 1, Mono(10_000)));
    bench.run(Span::secs(1));
    bench.order(DeviceOrder { phase: OrderPhase::Release, ..power(0, 2, Mono(10_000)) });
    bench.run(Span::secs(1));
    assert_eq!(bench.device.words[&(100, 2902)], 1);
}

#[test]
fn an_order_that_is_too_late_is_not_written() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    bench.order(power(1_500, 1, Mono(0)));
    bench.device.away.insert(100);
    bench.run(Span::secs(1));
    assert_eq!(bench.results(), [(1, Err(Failure::Expired), false)]);
    assert!(bench.device.writes().is_empty());
}

#[test]
fn only_the_latest_order_is_written() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    for seq in 1..=5 {
        bench.order(power(100 * i32::try_from(seq).unwrap(), seq, Mono(60_000)));
    }
    bench.run(Span::secs(1));
    assert_eq!(bench.device.writes()[1..], [(96, vec![0xFFFF, 0xFE0C])]);
    assert_eq!(bench.results(), [(5, Ok(()), false)]);
}

#[test]
fn a_setpoint_of_zero_is_sent_as_one_watt_and_release_sends_zero() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    let order = command(ControlKind::GridSetpoint, Values::default(), 1, Mono(60_000));
    bench.order(order);
    bench.run(Span::secs(1));
    bench.order(DeviceOrder { phase: OrderPhase::Release, seq: 2, ..order });
    bench.run(Span::secs(1));
    assert_eq!(bench.device.writes(), [(2716, vec![0, 1]), (2716, vec![0, 0])]);
    assert_eq!(bench.results(), [(1, Ok(()), false), (2, Ok(()), false)]);
}

#[test]
fn writes_go_before_reads() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    bench.order(command(ControlKind::GridSetpoint, Values::default(), 1, Mono(60_000)));
    let first = bench.session.next(Mono(0)).unwrap();
    assert_eq!(first.request.function, Function::WriteMultipleRegisters);
    assert_eq!(bench.session.next(Mono(0)), None, "one request at a time");
    assert_eq!(bench.session.next_due(), Mono::NEVER);
}

#[test]
fn an_answer_of_another_length_is_not_taken_for_one() {
    let mut bench = Bench::new("inverters/victron-gx", SessionOptions::default(), gx());
    let ask = bench.session.next(Mono(0)).unwrap();
    bench.session.answered(ask.token, Ok(vec![]), Mono(0), Mono(0), &mut bench.events);
    bench.session.answered(ask.token, Ok(vec![1]), Mono(0), Mono(0), &mut bench.events);
    assert!(bench.events.is_empty());
}

#[test]
fn a_reading_carries_the_moment_it_was_asked_for() {
    let mut bench = Bench::new("meters/eastron-sdm630", SessionOptions::default(), Device::default());
    bench.device.set(1, 0, &[0; 0x60]);
    let ask = bench.session.next(Mono(5_000)).unwrap();
    let answer = bench.device.answer(&ask.request, Mono(5_000));
    bench.session.answered(ask.token, answer, Mono(5_120), Mono(5_300), &mut bench.events);
    let SessionEvent::Heard(heard) = bench.events[0] else { panic!("nothing heard") };
    assert_eq!((heard.asked_at, heard.phase), (Mono(5_120), Phase::L1));
}

fn pv() -> Device {
    let mut device = Device::default();
    let (chain, words) = Chain::blank(&[1, 103, 120, 121, 122, 123]);
    device.set(1, 40_000, &words);
    let at = |model: u16, offset: u16| chain.find(model).unwrap().address + offset;
    device.set(1, at(103, 14), &[4_210, 0]);
    device.set(1, at(103, 38), &[4]);
    device.set(1, at(121, 2), &[6_000]);
    device.set(1, at(123, 5), &[10_000, 0, 0, 0, 0]);
    device.set(1, at(123, 23), &[0xFFFE]);
    device
}

fn limit(watts: Option<i32>, seq: u32) -> DeviceOrder {
    let values = Values { limit: watts.map(Watts), ..Values::default() };
    command(ControlKind::PvLimit, values, seq, Mono(600_000))
}

#[test]
fn d2_a_sunspec_inverter_is_found_and_heard_with_its_own_scale_factor() {
    let mut bench = Bench::new("pv/sunspec", SessionOptions::default(), pv());
    bench.run(Span::secs(7));
    assert_eq!(bench.heard("pv.power"), Some(Some(4_210)));
    assert_eq!(bench.heard("pv.rating"), Some(Some(6_000)));
    assert_eq!(bench.heard("pv.limit"), Some(Some(6_000)), "nothing limits it");
    bench.device.set(1, 40_069 + 14, &[4_210, 1]);
    bench.run(Span::secs(2));
    assert_eq!(bench.heard("pv.power"), Some(Some(42_100)), "value and factor come in one answer");
    bench.device.set(1, 40_069 + 14, &[0x8000, 1]);
    bench.run(Span::secs(2));
    assert_eq!(bench.heard("pv.power"), Some(None), "asleep");
}

#[test]
fn a_chain_that_moved_is_walked_again_before_it_is_believed() {
    let mut bench = Bench::new("pv/sunspec", SessionOptions::default(), pv());
    bench.run(Span::secs(2));
    let (chain, words) = Chain::blank(&[1, 120, 103, 121, 123]);
    bench.device.set(1, 40_000, &words);
    bench.device.set(1, chain.find(103).unwrap().address + 14, &[333, 0]);
    bench.events.clear();
    bench.run(Span::secs(2));
    assert_eq!(bench.heard("pv.power"), Some(Some(333)));
}

#[test]
fn a_chain_that_nonsense_on_the_line_cut_short_is_walked_again_until_it_is_whole() {
    for models in [&[1][..], &[1, 103]] {
        let mut bench = Bench::new("pv/sunspec", SessionOptions::default(), pv());
        let (_, short) = Chain::blank(models);
        let cut = 40_000 + u16::try_from(short.len()).unwrap() - 2;
        let whole: Vec<u16> = [cut, cut + 1].map(|at| bench.device.words[&(1, at)]).to_vec();
        bench.device.set(1, cut, &[0xFFFF, 0]);
        // One walk, and no more: the line is well again by the next.
        for _ in 0..models.len() + 2 {
            let ask = bench.session.next(bench.now).unwrap();
            let answer = bench.device.answer(&ask.request, bench.now);
            bench.session.answered(ask.token, answer, bench.now, bench.now, &mut bench.events);
        }
        bench.device.set(1, cut, &whole);
        bench.run(Span::secs(70));
        assert_eq!(bench.heard("pv.power"), Some(Some(4_210)), "{models:?}");
        assert_eq!(bench.heard("pv.limit"), Some(Some(6_000)), "{models:?}: the last model counts too");
    }
}

#[test]
fn a_new_limit_is_switched_off_and_on_again_and_a_repeated_one_only_refreshed() {
    let mut bench = Bench::new("pv/sunspec", controlling(3), pv());
    bench.run(Span::secs(1));
    let control = 40_000 + 2 + 67 + 52 + 28 + 32 + 46;
    for (seq, watts) in [(1, Some(3_000)), (2, Some(3_000)), (3, Some(1_501)), (4, None)] {
        bench.order(limit(watts, seq));
        bench.run(Span::secs(1));
    }
    assert_eq!(
        bench.device.writes(),
        [
            (control + 5, vec![5_000, 0, 120, 0, 1]),
            (control + 5, vec![5_000, 0, 120, 0, 1]),
            (control + 9, vec![0]),
            (control + 5, vec![2_501, 0, 120, 0, 1]), // 25.0166 %, rounded down
            (control + 9, vec![0]),
        ]
    );
    assert!(bench.results().iter().all(|(_, result, contradicted)| result.is_ok() && !contradicted));
}

#[test]
fn a_limit_before_the_chain_is_known_is_refused_and_not_guessed() {
    let mut bench = Bench::new("pv/sunspec", controlling(3), pv());
    bench.order(limit(Some(3_000), 1));
    bench.run(Span::secs(1));
    assert_eq!(bench.results(), [(1, Err(Failure::NotReady), false)]);
    assert!(bench.device.writes().is_empty());
}

fn dse() -> Device {
    let mut device = Device::default();
    for (at, count) in
        [(772, 1), (1_027, 1), (1_030, 6), (1_052, 6), (1_408, 1), (1_536, 2), (1_798, 2), (1_808, 2)]
    {
        device.set(1, at, &vec![0; count]);
    }
    device.set(1, 4_104, &[0, 0]);
    device.set(1, 2_049, &[0x1111; 25]);
    device.set(1, 772, &[1]);
    device.set(1, 1_408, &[3]);
    device.set(1, 2_050, &[0x1131]);
    device
}

#[test]
fn a_genset_is_started_by_key_and_complement_in_one_request() {
    let mut bench = Bench::new("gensets/dse-gencomm", controlling(3), dse());
    let run = |run: bool, seq: u32| {
        command(ControlKind::GeneratorRun, Values { run, ..Values::default() }, seq, Mono(60_000))
    };
    for (seq, on) in [(1, true), (2, true), (3, false)] {
        bench.order(run(on, seq));
        bench.run(Span::secs(1));
    }
    assert_eq!(bench.device.writes(), [(4_104, vec![35_732, 29_803]), (4_104, vec![35_733, 29_802])]);
    assert_eq!(bench.results().len(), 3, "the repeated one is told as done");
    assert_eq!(bench.heard("generator.running"), Some(Some(1)));
    assert_eq!(bench.heard("generator.mode"), Some(Some(1)));
    assert_eq!(bench.heard("generator.fault"), Some(Some(2)));
}

#[test]
fn each_relay_has_its_own_order() {
    let mut device = Device::default();
    device.set(1, 0, &[0; 4]); // a model with four channels
    let mut bench = Bench::new("io/moxa-iologik-e1200", controlling(3), device);
    for channel in [0, 2] {
        let values = Values { run: true, ..Values::default() };
        let order = command(ControlKind::Relay, values, u32::from(channel), Mono(60_000));
        bench.order(DeviceOrder { channel, ..order });
    }
    bench.run(Span::secs(2));
    assert_eq!(bench.device.writes(), [(0, vec![1]), (2, vec![1])]);
    let closed = |event: &SessionEvent| match event {
        SessionEvent::Heard(heard) if heard.quantity == Quantity::Relay && heard.value == Some(1) => {
            Some(heard.channel)
        }
        _ => None,
    };
    assert_eq!(bench.events.iter().filter_map(closed).collect::<BTreeSet<_>>(), [0, 2].into());
    assert_eq!(bench.session.absent().count(), 4, "two relays and two inputs that this model does not have");
}
