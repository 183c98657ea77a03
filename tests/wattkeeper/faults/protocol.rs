//! Each way in which an answer can be wrong, once: no wrong value ever, one lost poll at most, then all is well.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::fake::{
    Fake, Part, TIMEOUT, at_once, good, good_of, good_rtu, link_in_memory, options, pacer, read, write,
};
use wattkeeper::device::exchange::{Failure, Request};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::Link;

pub type Bad = fn(u16, &[u8]) -> Vec<Part>;

/// The right answer with one byte changed.
fn with(k: u16, request: &[u8], at: usize, byte: u8) -> Vec<Part> {
    let mut frame = good(k, request);
    frame[at] = byte;
    at_once(frame)
}

pub const FAULTS: [(&str, Bad); 20] = [
    ("silence", |_, _| vec![]),
    ("late reply", |k, q| vec![Part::After(150, good(k, q))]),
    ("very late reply", |k, q| vec![Part::After(1_500, good(k, q))]),
    ("partial frame, rest late", |k, q| {
        let frame = good(k, q);
        vec![Part::After(0, frame[..9].to_vec()), Part::After(150, frame[9..].to_vec())]
    }),
    ("one byte at a time", |k, q| good(k, q).into_iter().map(|byte| Part::After(2, vec![byte])).collect()),
    ("wrong unit", |k, q| with(k, q, 6, 9)),
    ("wrong function", |k, q| with(k, q, 7, 4)),
    ("transaction id 0", |k, q| {
        let mut frame = good(k, q);
        frame[..2].fill(0);
        at_once(frame)
    }),
    ("length 0xFFFF", |k, q| {
        let mut frame = good(k, q);
        frame[4..6].fill(0xFF);
        at_once(frame)
    }),
    ("length 0", |k, q| with(k, q, 5, 0)),
    ("wrong protocol", |k, q| with(k, q, 3, 7)),
    ("byte count beyond the frame", |k, q| with(k, q, 8, 40)),
    ("odd byte count", |k, q| with(k, q, 8, 3)),
    ("duplicate with the reply", |k, q| vec![Part::After(0, [good(k, q), good(k, q)].concat())]),
    ("duplicate after the reply", |k, q| vec![Part::After(0, good(k, q)), Part::After(5, good(k, q))]),
    ("too few registers", |k, q| at_once(good_of(k, q, Some(1)))),
    ("too many registers", |k, q| at_once(good_of(k, q, Some(20)))),
    ("close instead of a reply", |_, _| vec![Part::Close]),
    ("close after the reply", |k, q| vec![Part::After(0, good(k, q)), Part::Close]),
    ("bytes that are no Modbus", |_, _| at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
];

/// Polls and counts the good ones; a value of another question fails.
async fn poll(link: &mut Link, fake: &Fake, polls: u32, pace: Duration) -> u32 {
    let mut good = 0;
    for _ in 0..polls {
        if let Ok(words) = link.exchange(&read(1, 2), TIMEOUT).await {
            let last = fake.asked() - 1;
            assert_eq!(words, [1_000 + last; 2], "the answer to another question");
            good += 1;
        }
        tokio::time::sleep(pace).await;
    }
    good
}

/// Answers wrongly once, at the request with this number.
pub fn once(bad: Bad, at: u16) -> Fake {
    Fake::new(move |k, q| if k == at { bad(k, q) } else { at_once(good(k, q)) })
}

#[tokio::test(start_paused = true)]
async fn each_single_fault_costs_one_poll_at_most_and_never_gives_a_wrong_value() {
    for (name, bad) in FAULTS {
        for at in [0, 1, 4] {
            let fake = once(bad, at);
            let mut link = link_in_memory(&fake);
            let good = poll(&mut link, &fake, 8, Duration::from_secs(1)).await;
            assert!(good >= 7, "{name} at request {at}: {good} of 8 polls good");
            assert!(fake.connections() <= 2, "{name}: {} connections", fake.connections());
        }
    }
}

#[tokio::test]
async fn each_single_fault_over_real_sockets_costs_one_poll_at_most() {
    let each = FAULTS.map(|(name, bad)| async move {
        let fake = once(bad, 2);
        let dial = fake.on_tcp().await;
        let mut link = Link::new(options(Framing::Tcp), Arc::new(dial), pacer());
        let good = poll(&mut link, &fake, 6, Duration::ZERO).await;
        assert!(good >= 5, "{name}: {good} of 6 polls good");
    });
    let tasks = each.map(tokio::spawn);
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn fault_in_every_answer_never_gives_a_wrong_value_and_never_storms_the_device() {
    for (name, bad) in FAULTS {
        let fake = Fake::new(bad);
        let mut link = link_in_memory(&fake);
        let (start, mut good) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(60) {
            good += poll(&mut link, &fake, 1, Duration::from_millis(100)).await;
        }
        // Where the device answers at all, each answer may need a connection, 200 ms apart; else they get rare.
        let most = if good > 0 { 301 } else { 13 };
        assert!(fake.connections() <= most, "{name}: {} connections in a minute", fake.connections());
    }
}

#[tokio::test(start_paused = true)]
async fn latency_beyond_the_deadline_gives_no_value_until_it_is_over() {
    let fake = Fake::new(|k, q| vec![Part::After(if k < 5 { 120 } else { 0 }, good(k, q))]);
    let mut link = link_in_memory(&fake);
    assert_eq!(poll(&mut link, &fake, 5, Duration::from_secs(1)).await, 0);
    assert_eq!(poll(&mut link, &fake, 5, Duration::from_secs(1)).await, 5);
}

#[tokio::test(start_paused = true)]
async fn short_answer_to_a_long_question_is_an_error_and_no_panic() {
    let fake = Fake::new(|k, q| at_once(good_of(k, q, Some(1))));
    let mut link = link_in_memory(&fake);
    assert_eq!(link.exchange(&read(1, 10), TIMEOUT).await, Err(Failure::OutOfStep));
}

#[tokio::test(start_paused = true)]
async fn write_confirmed_with_another_value_is_an_error() {
    let fake = Fake::new(|_, q| {
        let mut echo = q.to_vec();
        if echo[11] == 0x01 {
            echo[11] = 0x02;
        }
        at_once(echo)
    });
    let mut link = link_in_memory(&fake);
    assert_eq!(link.exchange(&write(1, 0x1201), TIMEOUT).await, Err(Failure::OutOfStep));
    assert_eq!(link.exchange(&write(1, 0x1200), TIMEOUT).await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn exception_is_an_answer_and_keeps_the_connection() {
    let fake = Fake::new(|k, q| match k {
        1 => {
            at_once(wattkeeper::modbus::frame::tcp(u16::from_be_bytes([q[0], q[1]]), q[6], &[q[7] | 0x80, 6]))
        }
        _ => at_once(good(k, q)),
    });
    let mut link = link_in_memory(&fake);
    let question: Request = read(1, 2);
    assert!(link.exchange(&question, TIMEOUT).await.is_ok());
    assert_eq!(link.exchange(&question, TIMEOUT).await, Err(Failure::Exception(6)));
    assert!(link.exchange(&question, TIMEOUT).await.is_ok());
    assert_eq!(fake.connections(), 1);
    assert_eq!(link.state().borrow().exceptions().nth(6), Some((6, 1)));
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
        link_in_memory(&fake).exchange(&read(1, 2), TIMEOUT).await
    })
}

proptest! {
    /// Debug builds of the Modbus crate assert on what they decode: nothing may get that far.
    #[test]
    fn whatever_a_device_sends_is_an_error_or_fits_the_question(
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
