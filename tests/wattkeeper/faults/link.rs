//! Connections: made when needed, replaced when stale, never in quick succession, and without writes while observing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::fake::{Fake, Part, ask, at_once, good, good_rtu, link_in_memory, options, pacer, read, write};
use wattkeeper::control::units::Span;
use wattkeeper::device::exchange::{Failure, Function, Request};
use wattkeeper::device::order::Ask;
use wattkeeper::modbus::dial::memory;
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::{Link, LinkOptions};
use wattkeeper::modbus::pacer::Pacer;
use wattkeeper::modbus::state::Trouble;

#[tokio::test(start_paused = true)]
async fn observing_link_refuses_every_function_that_writes_and_sends_nothing() {
    let fake = Fake::new(|k, q| at_once(good(k, q)));
    let observing = LinkOptions { writes: false, ..options(Framing::Tcp) };
    let mut link = Link::new(observing, Arc::new(fake.in_memory()), pacer());
    for function in [
        Function::WriteSingleCoil,
        Function::WriteSingleRegister,
        Function::WriteMultipleCoils,
        Function::WriteMultipleRegisters,
    ] {
        let write = ask(Request { unit: 1, function, address: 0, count: 1, words: vec![1] });
        assert_eq!(link.exchange(&write).await, Err(Failure::Observing), "{function:?}");
    }
    assert_eq!((fake.asked(), fake.connections()), (0, 0));
    assert!(link.exchange(&read(1, 2)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn b16_connection_that_the_device_closed_while_idle_is_replaced_without_a_lost_poll() {
    let fake = Fake::new(|k, q| vec![Part::After(0, good(k, q)), Part::Close]);
    let mut link = link_in_memory(&fake);
    for _ in 0..5 {
        assert!(link.exchange(&read(1, 2)).await.is_ok());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.connections(), 5);
    assert!(!link.take_broke(), "closing an idle connection is no restart");
}

#[tokio::test(start_paused = true)]
async fn b12_device_that_repeats_every_reply_loses_no_poll_however_fast_it_is_asked() {
    let fake = Fake::new(|k, q| at_once(good(k, q).repeat(2)));
    let mut link = link_in_memory(&fake);
    let start = Instant::now();
    for k in 0..10 {
        assert_eq!(link.exchange(&read(1, 2)).await, Ok(vec![1_000 + k; 2]));
    }
    assert_eq!((fake.connections(), start.elapsed()), (10, Duration::from_millis(1_800)), "200 ms apart");
}

#[tokio::test(start_paused = true)]
async fn n1_endpoint_that_is_away_is_dialled_ever_more_rarely_and_found_again() {
    let (dial, listener) = memory();
    drop(listener);
    let mut link = Link::new(options(Framing::Tcp), Arc::new(dial), pacer());
    let start = Instant::now();
    let mut dialled = Vec::new();
    for _ in 0..9 {
        if let Some(until) = link.shut_until() {
            tokio::time::sleep_until(until).await;
        }
        dialled.push(start.elapsed().as_millis());
        assert_eq!(link.exchange(&read(1, 2)).await, Err(Failure::Unreachable));
    }
    let gaps: Vec<u128> = dialled.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    let state = link.state();
    let refused = Trouble::Connect(std::io::ErrorKind::ConnectionRefused);
    assert_eq!((state.borrow().up, state.borrow().last_trouble), (false, Some(refused)));
}

#[tokio::test(start_paused = true)]
async fn n2_connecting_has_its_own_deadline() {
    // The listener's backlog is full and nobody accepts.
    let (dial, _listener) = memory();
    let mut links: Vec<Link> =
        (0..5).map(|_| Link::new(options(Framing::Tcp), Arc::new(dial.clone()), pacer())).collect();
    for link in &mut links {
        let start = Instant::now();
        assert!(link.exchange(&read(1, 2)).await.is_err());
        assert!(start.elapsed() <= Duration::from_secs(3));
    }
    let last = links.pop().unwrap().state().borrow().last_trouble;
    assert_eq!(last, Some(Trouble::Connect(std::io::ErrorKind::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn gap_and_settling_time_are_kept() {
    let fake = Fake::new(|k, q| at_once(good(k, q)));
    let slow = LinkOptions {
        gap: Duration::from_millis(50),
        settle: Duration::from_millis(1_500),
        ..options(Framing::Tcp)
    };
    let mut link = Link::new(slow, Arc::new(fake.in_memory()), pacer());
    let start = Instant::now();
    for _ in 0..3 {
        assert!(link.exchange(&read(1, 2)).await.is_ok());
    }
    assert_eq!(start.elapsed(), Duration::from_millis(1_600));
}

/// A clock that leaps ahead once, as if the process had been stopped meanwhile.
fn leaping() -> (Pacer, Arc<AtomicI64>) {
    let (usual, leap) = (pacer(), Arc::new(AtomicI64::new(0)));
    let ahead = Arc::clone(&leap);
    let now = move || usual.now() + Span::millis(ahead.load(Ordering::SeqCst));
    (Pacer { now: Arc::new(now), speed: 1 }, leap)
}

#[tokio::test(start_paused = true)]
async fn m4_process_that_sleeps_between_decision_and_writing_writes_only_what_still_holds() {
    let waits = [
        (
            "the gap after an answer",
            LinkOptions { gap: Duration::from_millis(50), ..options(Framing::Tcp) },
            true,
        ),
        (
            "the device's settling time",
            LinkOptions { settle: Duration::from_millis(50), ..options(Framing::Tcp) },
            false,
        ),
    ];
    for (wait, options, connected) in waits {
        for pause in [1, 3, 10, 60, 600] {
            let fake = Fake::new(|k, q| at_once(good(k, q)));
            let (pacer, leap) = leaping();
            let mut link = Link::new(options.clone(), Arc::new(fake.in_memory()), pacer.clone());
            if connected {
                assert!(link.exchange(&read(1, 2)).await.is_ok());
            }
            let before = fake.asked();
            let order = Ask { expires: pacer.now() + Span::secs(2), ..write(1, 50) };
            let asleep = async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                leap.store(pause * 1_000, Ordering::SeqCst);
            };
            let (written, ()) = tokio::join!(link.exchange(&order), asleep);
            if pause < 2 {
                assert_eq!((written, fake.asked()), (Ok(vec![]), before + 1), "{pause} s within {wait}");
            } else {
                assert_eq!(
                    (written, fake.asked()),
                    (Err(Failure::Expired), before),
                    "{pause} s within {wait}"
                );
                assert!(link.exchange(&read(1, 2)).await.is_ok(), "the connection is still good");
                assert_eq!(fake.connections(), 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn m4_order_that_grew_old_while_a_serial_line_was_flushed_is_not_written() {
    let fake = Fake::serial(|k, q| match k {
        0 => vec![],
        _ => vec![Part::After(80, good_rtu(k, q))],
    });
    let clock = pacer();
    let mut link = Link::new(options(Framing::RtuOverTcp), Arc::new(fake.in_memory()), clock.clone());
    assert_eq!(link.exchange(&read(1, 2)).await, Err(Failure::Timeout));
    // The quiet time of the line and the flushing read come first.
    let order = Ask { expires: clock.now() + Span::millis(550), ..write(1, 50) };
    assert_eq!(link.exchange(&order).await, Err(Failure::Expired));
    assert_eq!(fake.asked(), 2, "the silent question and the flushing one");
}

#[tokio::test(start_paused = true)]
async fn counters_tell_what_happened() {
    let fake = Fake::new(|k, q| if k == 2 { vec![] } else { vec![Part::After(10, good(k, q))] });
    let mut link = link_in_memory(&fake);
    for _ in 0..3 {
        let _ = link.exchange(&read(1, 2)).await;
    }
    assert!(link.exchange(&write(1, 3)).await.is_ok());
    let state = link.state().borrow().clone();
    let requests: Vec<_> = state.requests().filter(|(_, count)| *count > 0).collect();
    assert_eq!(requests, [(Function::ReadHoldingRegisters, 3), (Function::WriteSingleRegister, 1)]);
    let troubles: Vec<_> = state.troubles().filter(|(_, count)| *count > 0).collect();
    assert_eq!(troubles, [("timeout", 1)]);
    assert_eq!((state.connects, state.answers, state.last_round_trip_us), (2, 3, 10_000));
    assert!(state.up && state.last_answer.is_some());
}

#[tokio::test(start_paused = true)]
async fn bits_come_back_one_by_one() {
    let fake = Fake::new(|_, q| {
        at_once(wattkeeper::modbus::frame::tcp(
            u16::from_be_bytes([q[0], q[1]]),
            q[6],
            &[q[7], 2, 0b101, 0b10],
        ))
    });
    let mut link = link_in_memory(&fake);
    let bits = ask(Request {
        unit: 1,
        function: Function::ReadDiscreteInputs,
        address: 0,
        count: 10,
        words: vec![],
    });
    let heard = link.exchange(&bits).await;
    assert_eq!(heard, Ok(vec![1, 0, 1, 0, 0, 0, 0, 0, 0, 1]));
}
