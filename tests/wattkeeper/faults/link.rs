//! Connections: made when needed, replaced when stale, never in quick succession, and without writes while observing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::fake::{Fake, Part, TIMEOUT, at_once, good, link_in_memory, options, pacer, read, write};
use wattkeeper::device::exchange::{Failure, Function, Request};
use wattkeeper::modbus::dial::memory;
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::{Link, LinkOptions};
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
        let request = Request { unit: 1, function, address: 0, count: 1, words: vec![1] };
        assert_eq!(link.exchange(&request, TIMEOUT).await, Err(Failure::Observing), "{function:?}");
    }
    assert_eq!((fake.asked(), fake.connections()), (0, 0));
    assert!(link.exchange(&read(1, 2), TIMEOUT).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn connection_that_the_device_closed_while_idle_is_replaced_without_a_lost_poll() {
    let fake = Fake::new(|k, q| vec![Part::After(0, good(k, q)), Part::Close]);
    let mut link = link_in_memory(&fake);
    for _ in 0..5 {
        assert!(link.exchange(&read(1, 2), TIMEOUT).await.is_ok());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(fake.connections(), 5);
    assert!(!link.take_broke(), "closing an idle connection is no restart");
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_is_away_is_dialled_ever_more_rarely_and_found_again() {
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
        assert_eq!(link.exchange(&read(1, 2), TIMEOUT).await, Err(Failure::Unreachable));
    }
    let gaps: Vec<u128> = dialled.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    let state = link.state();
    let refused = Trouble::Connect(std::io::ErrorKind::ConnectionRefused);
    assert_eq!((state.borrow().up, state.borrow().last_trouble), (false, Some(refused)));
}

#[tokio::test(start_paused = true)]
async fn connecting_has_its_own_deadline() {
    // The listener's backlog is full and nobody accepts.
    let (dial, _listener) = memory();
    let mut links: Vec<Link> =
        (0..5).map(|_| Link::new(options(Framing::Tcp), Arc::new(dial.clone()), pacer())).collect();
    for link in &mut links {
        let start = Instant::now();
        assert!(link.exchange(&read(1, 2), TIMEOUT).await.is_err());
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
        assert!(link.exchange(&read(1, 2), TIMEOUT).await.is_ok());
    }
    assert_eq!(start.elapsed(), Duration::from_millis(1_600));
}

#[tokio::test(start_paused = true)]
async fn counters_tell_what_happened() {
    let fake = Fake::new(|k, q| if k == 2 { vec![] } else { vec![Part::After(10, good(k, q))] });
    let mut link = link_in_memory(&fake);
    for _ in 0..3 {
        let _ = link.exchange(&read(1, 2), TIMEOUT).await;
    }
    assert!(link.exchange(&write(1, 3), TIMEOUT).await.is_ok());
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
    let request =
        Request { unit: 1, function: Function::ReadDiscreteInputs, address: 0, count: 10, words: vec![] };
    let heard = link.exchange(&request, TIMEOUT).await;
    assert_eq!(heard, Ok(vec![1, 0, 1, 0, 0, 0, 0, 0, 0, 1]));
}
