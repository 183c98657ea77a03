//! Answers that break the protocol, and refusals: what is discarded is named and counted, what is an answer keeps the
//! connection, and the next question is answered.

use std::time::Duration;

use proptest::prelude::*;

use super::fake::{Fake, Part, at_once, good, good_of, good_rtu, link_in_memory, options, read};
use super::running::{Running, order, run, run_as, values};
use wattkeeper::device::definition::Definition;
use wattkeeper::device::exchange::Failure;
use wattkeeper::device::order::{OrderPhase, SessionEvent};
use wattkeeper::modbus::frame::{Framing, tcp};

/// An answer that is discarded with its connection, under this name in the metrics.
async fn discarded(label: &str, bad: fn(u16, &[u8]) -> Vec<u8>) {
    let fake = Fake::new(move |k, q| at_once(if k == 1 { bad(k, q) } else { good(k, q) }));
    let mut link = link_in_memory(&fake);
    let mut results = Vec::new();
    for _ in 0..4 {
        results.push(link.exchange(&read(1, 2)).await);
    }
    let right = |number: u16| Ok(vec![1_000 + number; 2]);
    assert_eq!(results, [right(0), Err(Failure::OutOfStep), right(2), right(3)], "{label}");
    let state = link.state().borrow().clone();
    let troubles: Vec<_> = state.troubles().filter(|(_, count)| *count > 0).collect();
    assert_eq!((troubles, fake.connections()), (vec![(label, 1)], 2));
}

/// The right answer with one byte changed.
fn with(at: usize, byte: u8, k: u16, request: &[u8]) -> Vec<u8> {
    let mut frame = good(k, request);
    frame[at] = byte;
    frame
}

#[tokio::test(start_paused = true)]
async fn p1_answer_with_another_transaction_id_is_discarded_and_counted() {
    discarded("transaction", |k, q| with(1, q[1].wrapping_add(1), k, q)).await;
}

#[tokio::test(start_paused = true)]
async fn p2_answer_of_another_unit_is_discarded_and_counted() {
    discarded("unit", |k, q| with(6, 9, k, q)).await;
}

#[tokio::test(start_paused = true)]
async fn p3_header_that_cannot_be_ends_the_connection_and_is_counted() {
    discarded("frame", |k, q| with(3, 7, k, q)).await;
    for length in [0, 1, 255] {
        let fake = Fake::new(move |_, q| at_once(vec![q[0], q[1], 0, 0, 0, length]));
        let heard = link_in_memory(&fake).exchange(&read(1, 2)).await;
        assert_eq!(heard, Err(Failure::OutOfStep), "length {length} is judged before it is waited for");
    }
}

#[tokio::test(start_paused = true)]
async fn p4_byte_count_other_than_asked_rejects_the_whole_answer() {
    discarded("length", |k, q| with(8, 40, k, q)).await;
    discarded("length", |k, q| good_of(k, q, Some(1))).await;
    discarded("length", |k, q| good_of(k, q, Some(3))).await;
}

#[tokio::test(start_paused = true)]
async fn p9_answer_to_another_function_is_discarded_and_counted() {
    discarded("function", |k, q| with(7, 4, k, q)).await;
}

/// A meter with two values in one read, and a third far away.
const TWO_AND_ONE: &str = r#"
schema = 1
maker  = "Nobody"
model  = "Meter with three values"
source = "constructed"

[limits]
timeout = "100ms"
fast    = "1s"

[[point]]
signal = "grid.power.l1"
at     = "holding:0"
as     = "i16"
pace   = "fast"
source = "constructed"
words  = { raw = [1], value = 1, origin = "constructed" }

[[point]]
signal = "grid.power.l2"
at     = "holding:1"
as     = "i16"
pace   = "fast"
source = "constructed"
words  = { raw = [1], value = 1, origin = "constructed" }

[[point]]
signal = "grid.power.l3"
at     = "holding:900"
as     = "i16"
pace   = "fast"
source = "constructed"
words  = { raw = [1], value = 1, origin = "constructed" }
"#;

fn refusal(q: &[u8], code: u8) -> Vec<Part> {
    at_once(tcp(u16::from_be_bytes([q[0], q[1]]), q[6], &[q[7] | 0x80, code]))
}

fn first_and_count(q: &[u8]) -> (u16, u16) {
    (u16::from_be_bytes([q[8], q[9]]), u16::from_be_bytes([q[10], q[11]]))
}

/// What was heard of one phase.
fn heard(events: &[(usize, SessionEvent)], phase: &str) -> usize {
    let told = |event: &SessionEvent| matches!(event, SessionEvent::Heard(heard) if heard.value.is_some() && heard.phase.suffix() == phase);
    events.iter().filter(|(_, event)| told(event)).count()
}

#[tokio::test(start_paused = true)]
async fn p5_register_that_the_device_does_not_have_costs_itself_and_nothing_else() {
    let fake = Fake::new(|k, q| {
        let (first, count) = first_and_count(q);
        if (first..first + count).contains(&1) { refusal(q, 2) } else { at_once(good(k, q)) }
    });
    let mut site = run_as(TWO_AND_ONE, fake.in_memory(), options(Framing::Tcp), &[1]);
    let events = site.within(Duration::from_secs(30)).await;
    assert!(heard(&events, ".l1") >= 29 && heard(&events, ".l3") >= 29);
    assert_eq!((heard(&events, ".l2"), fake.connections()), (0, 1));
    assert_eq!(
        site.handle.state().borrow().exceptions().nth(2),
        Some((2, 2)),
        "the block, then the one in it"
    );
    assert!(site.handle.state().borrow().up, "the device is not down");
}

/// Polls of the two near values and of the far one within two minutes, where the near ones are refused with a code.
async fn refused_with(code: u8) -> (Running, usize, usize) {
    let fake = Fake::new(move |k, q| match first_and_count(q) {
        (0, _) => refusal(q, code),
        _ => at_once(good(k, q)),
    });
    let mut site = run_as(TWO_AND_ONE, fake.in_memory(), options(Framing::Tcp), &[1]);
    let events = site.within(Duration::from_secs(120)).await;
    assert_eq!((heard(&events, ".l1"), fake.connections()), (0, 1));
    let refused = site.handle.state().borrow().exceptions().nth(usize::from(code)).unwrap().1;
    (site, usize::try_from(refused).unwrap(), heard(&events, ".l3"))
}

#[tokio::test(start_paused = true)]
async fn p5_function_or_value_that_the_device_does_not_know_is_left_out() {
    for code in [1, 3] {
        let (site, refused, others) = refused_with(code).await;
        assert!((1..=2).contains(&refused), "exception {code}: asked {refused} times in two minutes");
        assert!(others >= 119, "the other read keeps its pace: {others}");
        assert!(site.handle.state().borrow().up);
    }
}

#[tokio::test(start_paused = true)]
async fn p6_device_failure_is_counted_and_the_read_asked_ever_more_rarely() {
    let (_, refused, others) = refused_with(4).await;
    assert!((5..=8).contains(&refused), "asked {refused} times in two minutes");
    assert!(others >= 119, "the other read keeps its pace: {others}");
}

#[tokio::test(start_paused = true)]
async fn p7_busy_device_is_asked_again_within_half_a_second() {
    for code in [5, 6] {
        let busy =
            Fake::new(move |k, q| if (3..6).contains(&k) { refusal(q, code) } else { at_once(good(k, q)) });
        let mut site = run(busy.in_memory(), options(Framing::Tcp), &[1]);
        let events = site.within(Duration::from_millis(10_500)).await;
        // Busy for three requests, 100 ms, 200 ms and 300 ms apart: the poll is late, not lost.
        assert_eq!((values(&events, 10), busy.asked(), busy.connections()), (11, 14, 1), "exception {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn p7_device_that_stays_busy_is_asked_at_its_usual_pace() {
    let busy = Fake::new(|_, q| refusal(q, 6));
    let mut site = run(busy.in_memory(), options(Framing::Tcp), &[1]);
    site.within(Duration::from_secs(60)).await;
    assert!((60..=66).contains(&busy.asked()), "asked {} times in a minute", busy.asked());
}

#[tokio::test(start_paused = true)]
async fn p8_unit_that_the_gateway_cannot_reach_is_left_alone_and_the_gateway_is_up() {
    for code in [10, 11] {
        let gateway = Fake::new(move |k, q| if q[6] == 2 { refusal(q, code) } else { at_once(good(k, q)) });
        let mut site = run(gateway.in_memory(), options(Framing::Tcp), &[1, 2]);
        let events = site.within(Duration::from_secs(60)).await;
        assert!(values(&events, 10) >= 59, "{} polls of the other unit", values(&events, 10));
        let refused = site.handle.state().borrow().exceptions().nth(code.into()).unwrap().1;
        assert!((4..=8).contains(&refused), "asked {refused} times in a minute");
        assert!(site.handle.state().borrow().up && gateway.connections() == 1);
    }
}

#[test]
fn p10_read_beyond_the_protocols_limit_is_refused_with_the_definition() {
    let text = TWO_AND_ONE.replace("[limits]", "[limits]\nmax-registers = 126");
    let mistakes = Definition::parse(&text, "meter.toml").unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].line == 8 && mistakes[0].way_out.contains("1 to 125"), "{}", mistakes[0]);
}

#[tokio::test(start_paused = true)]
async fn p12_value_with_its_words_swapped_is_outside_its_range_and_unknown() {
    let text = TWO_AND_ONE.replacen(
        "at     = \"holding:900\"\nas     = \"i16\"",
        "at     = \"holding:900\"\nas     = \"i32\"\nrange  = [-50000, 50000]",
        1,
    );
    let (before, last) = text.rsplit_once("raw = [1]").unwrap();
    let text = format!("{before}raw = [0, 1]{last}");
    // 2 300 W in the order of the definition, and the other way round.
    for (words, told) in [([0, 2_300], true), ([2_300, 0], false)] {
        let device = Fake::new(move |k, q| match first_and_count(q) {
            (900, _) => {
                let mut frame = good(k, q);
                for (at, word) in [9, 11].into_iter().zip(words) {
                    frame[at..at + 2].copy_from_slice(&u16::to_be_bytes(word));
                }
                at_once(frame)
            }
            _ => at_once(good(k, q)),
        });
        let mut site = run_as(&text, device.in_memory(), options(Framing::Tcp), &[1]);
        let events = site.within(Duration::from_secs(10)).await;
        assert_eq!(heard(&events, ".l3") > 0, told, "{words:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p14_write_confirmed_with_another_value_fails_and_is_not_repeated() {
    let twisting = Fake::new(|k, q| {
        let mut frame = good(k, q);
        if q[7] >= 5 {
            frame[11] ^= 1;
        }
        at_once(frame)
    });
    let mut site = run(twisting.in_memory(), options(Framing::Tcp), &[1]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Err(Failure::OutOfStep));
    let events = site.within(Duration::from_secs(10)).await;
    assert!(values(&events, 10) >= 9, "reading goes on");
    let writes = site
        .handle
        .state()
        .borrow()
        .requests()
        .filter(|(function, _)| function.writes())
        .map(|(_, count)| count)
        .sum::<u64>();
    assert_eq!((writes, twisting.connections()), (1, 2));
}

/// One poll of a device whose first answer is the right one with bytes cut out and others put in.
fn poll_mangled(serial: bool, at: usize, cut: usize, put: Vec<u8>) -> Result<Vec<u16>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async move {
        let script = move |k, q: &[u8]| {
            let mut frame = if serial { good_rtu(k, q) } else { good(k, q) };
            let at = at.min(frame.len());
            let end = (at + cut).min(frame.len());
            frame.splice(at..end, put.iter().copied());
            at_once(frame)
        };
        let fake = if serial { Fake::serial(script) } else { Fake::new(script) };
        link_in_memory(&fake).exchange(&read(1, 2)).await
    })
}

proptest! {
    /// Debug builds of the Modbus crate assert on what they decode: nothing may get that far.
    #[test]
    fn p4_whatever_a_device_sends_is_an_error_or_fits_the_question(
        serial: bool,
        at in 0_usize..14,
        cut in 0_usize..14,
        put in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(words) = poll_mangled(serial, at, cut, put) {
            prop_assert_eq!(words.len(), 2);
        }
    }
}
