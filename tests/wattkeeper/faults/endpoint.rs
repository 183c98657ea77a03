//! Whole endpoints: several devices on one connection, orders, silence, and a graceful end.

use std::time::Duration;

use tokio::time::Instant;

use super::fake::{Part, options};
use super::running::{DEFINITION, asked, fake, order, run, run_as, values};
use wattkeeper::control::units::Mono;
use wattkeeper::device::exchange::Failure;
use wattkeeper::device::order::{DeviceOrder, OrderPhase};
use wattkeeper::modbus::dial::{Dial, memory};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::LinkOptions;

#[tokio::test(start_paused = true)]
async fn n5_devices_behind_one_gateway_share_a_connection_and_each_keeps_its_pace() {
    let (fake, _) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    let events = site.within(Duration::from_secs(60)).await;
    for device in 10..13 {
        let polls = values(&events, device);
        assert!((59..=61).contains(&polls), "device {device}: {polls} polls in a minute");
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn n5_silent_unit_is_asked_rarely_and_the_others_keep_their_pace() {
    let (fake, seen) = fake(|unit, _| (unit == 3).then(Vec::new));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    let events = site.within(Duration::from_secs(120)).await;
    for device in 10..12 {
        let polls = values(&events, device);
        assert!(polls >= 117, "device {device}: {polls} polls in two minutes");
    }
    let tries = asked(&seen, |request| request[6] == 3);
    assert!((6..=10).contains(&tries), "the silent unit was asked {tries} times");
}

#[tokio::test(start_paused = true)]
async fn n5_unit_that_was_silent_is_heard_again_within_half_a_minute() {
    let start = Instant::now();
    let back = Duration::from_secs(100);
    let (fake, _) = fake(move |unit, _| (unit == 3 && start.elapsed() < back).then(Vec::new));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 3]);
    assert_eq!(values(&site.within(back).await, 11), 0);
    assert!(values(&site.within(Duration::from_secs(31)).await, 11) > 0);
}

#[tokio::test(start_paused = true)]
async fn order_is_written_once_and_before_the_next_reads() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    site.within(Duration::from_millis(2_500)).await;
    let before = seen.lock().unwrap().len();
    site.handle.order(12, order(OrderPhase::Command, 7)).unwrap();
    assert_eq!(site.wrote(7).await, Ok(()));
    assert_eq!(seen.lock().unwrap()[before][6..], [3, 6, 0, 10, 0, 50]);
    site.within(Duration::from_secs(60)).await;
    assert_eq!(asked(&seen, |request| request[7] >= 5), 1, "an endpoint never repeats an order by itself");
}

#[tokio::test(start_paused = true)]
async fn observing_endpoint_writes_nothing_even_when_its_sessions_would() {
    let (fake, seen) = fake(|_, _| None);
    let observing = LinkOptions { writes: false, ..options(Framing::Tcp) };
    let mut site = run(fake.in_memory(), observing, &[1]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Err(Failure::Observing));
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(1)).await;
    site.task.await.unwrap();
    assert_eq!(asked(&seen, |request| request[7] >= 5), 0);
}

#[tokio::test(start_paused = true)]
async fn orders_are_taken_while_the_endpoint_waits_for_an_answer() {
    let (fake, _) = fake(|_, _| Some(vec![]));
    let site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    for seq in 0..1_000 {
        site.handle.order(10, order(OrderPhase::Command, seq)).unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stop_releases_then_closes() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Ok(()));
    let start = Instant::now();
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(5)).await;
    assert_eq!(site.wrote(2).await, Ok(()));
    site.task.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(seen.lock().unwrap().last().unwrap()[6..], [1, 6, 0, 10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn n2_stop_does_not_wait_for_a_dead_device_beyond_its_deadline() {
    let (dial, _listener) = memory();
    let site = run(dial, options(Framing::Tcp), &[1]);
    let start = Instant::now();
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(5)).await;
    site.task.await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(5_001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn endpoint_ends_when_nobody_holds_it() {
    let (fake, _) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    site.within(Duration::from_secs(3)).await;
    drop(site.handle);
    site.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn n1_order_to_an_endpoint_that_is_away_fails_at_once_and_says_so() {
    let (dial, listener) = memory();
    drop(listener);
    let mut site = run(dial, options(Framing::Tcp), &[1, 2]);
    site.handle.order(11, order(OrderPhase::Command, 1)).unwrap();
    let start = Instant::now();
    assert_eq!(site.wrote(1).await, Err(Failure::Unreachable));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(!site.handle.state().borrow().up);
}

#[tokio::test(start_paused = true)]
async fn n6_endpoint_that_comes_back_is_heard_within_its_longest_pause() {
    let start = Instant::now();
    let (fake, _) = fake(move |_, _| (start.elapsed() < Duration::from_secs(300)).then(|| vec![Part::Close]));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2]);
    let away = site.within(Duration::from_secs(300)).await;
    assert_eq!(values(&away, 10) + values(&away, 11), 0);
    let back = site.within(Duration::from_secs(12)).await;
    assert!(values(&back, 10) > 0 && values(&back, 11) > 0);
    assert!(site.handle.state().borrow().up);
}

#[tokio::test(start_paused = true)]
async fn m4_order_that_is_too_late_is_not_written_and_reported() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    site.within(Duration::from_secs(2)).await;
    let late = DeviceOrder { expires: Mono(1), ..order(OrderPhase::Command, 1) };
    site.handle.order(10, late).unwrap();
    assert_eq!(site.wrote(1).await, Err(Failure::Expired));
    assert_eq!(asked(&seen, |request| request[7] >= 5), 0);
}

#[tokio::test(start_paused = true)]
async fn m4_order_that_grew_old_while_connecting_is_not_written() {
    // The listener's backlog is full: dialling takes its whole 3 s, and works the second time.
    let (dial, mut listener) = memory();
    for _ in 0..4 {
        dial.dial().await.unwrap();
    }
    let mut site = run(dial, options(Framing::Tcp), &[1]);
    let brief = DeviceOrder { expires: Mono(1_500), ..order(OrderPhase::Command, 1) };
    site.handle.order(10, brief).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let accept = tokio::spawn(async move { while listener.accept().await.is_some() {} });
    assert_eq!(site.wrote(1).await, Err(Failure::Expired));
    accept.abort();
}

#[tokio::test]
async fn endpoint_works_over_a_real_socket() {
    let (fake, _) = fake(|_, _| None);
    let dial = fake.on_tcp().await;
    let patient = DEFINITION.replace("100ms", "2s");
    let mut site = run_as(&patient, dial, options(Framing::Tcp), &[1, 2]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Ok(()));
    let report = site.reports.recv().await.unwrap();
    assert!(!report.events.is_empty());
}
