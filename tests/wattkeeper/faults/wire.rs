//! Each way in which an answer can be wrong, over pipes, over sockets and through a whole endpoint: no wrong value
//! ever, one lost poll and one new connection at most, then all is well. While it lasts the device is not stormed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::fake::{Fake, link_in_memory, options, pacer, patient};
use super::kinds::{KINDS, Kind};
use super::running::run;
use wattkeeper::device::order::{Ask, SessionEvent};
use wattkeeper::modbus::link::Link;

/// What came of some polls.
#[derive(Default)]
struct Polls {
    good: u32,
    lost: u32,
}

/// Polls, and insists that each value is the answer to its own question and each confirmation that of its own write.
async fn poll(
    kind: Kind,
    ask: &Ask,
    link: &mut Link,
    fake: &Fake,
    polls: u32,
    pace: Duration,
    wrong: impl Fn(u16) -> bool,
) -> Polls {
    let mut seen = Polls::default();
    for _ in 0..polls {
        match link.exchange(ask).await {
            Ok(words) => {
                let number = fake.asked() - 1;
                if ask.request.function.writes() {
                    assert!(
                        !wrong(number),
                        "{}: a write that was confirmed wrongly counts as done",
                        kind.name
                    );
                } else {
                    let right = vec![1_000 + number; usize::from(ask.request.count)];
                    assert_eq!(words, right, "{}: the answer to another question", kind.name);
                }
                seen.good += 1;
            }
            Err(_) => seen.lost += 1,
        }
        tokio::time::sleep(pace).await;
    }
    seen
}

/// Everything that is promised of one kind.
#[track_caller]
fn survives(id: &str) {
    let kind = *KINDS.iter().find(|kind| kind.id == id).expect("a kind with this id");
    let paused =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    for at in [0, 1, 4] {
        paused().block_on(once_in_memory(kind, at));
    }
    paused().block_on(once_at_a_site(kind));
    paused().block_on(while_it_lasts(kind));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(once_over_tcp(kind));
}

async fn once_in_memory(kind: Kind, at: u16) {
    let fake = kind.fake(move |k| k == at);
    let mut link = link_in_memory(&fake);
    let seen = poll(kind, &(kind.ask)(), &mut link, &fake, 8, Duration::from_secs(1), |k| k == at).await;
    assert!(seen.lost <= 1 && seen.good >= 7, "{} at request {at}: {} polls lost", kind.name, seen.lost);
    assert!(fake.connections() <= 2, "{}: {} connections", kind.name, fake.connections());
}

async fn once_over_tcp(kind: Kind) {
    let fake = kind.fake(|k| k == 2).slower(10);
    let mut link = Link::new(options(kind.framing), Arc::new(fake.on_tcp().await), pacer());
    let seen = poll(kind, &patient((kind.ask)()), &mut link, &fake, 6, Duration::ZERO, |k| k == 2).await;
    assert!(seen.lost <= 1, "{}: {} polls lost", kind.name, seen.lost);
    assert!(fake.connections() <= 2, "{}: {} connections", kind.name, fake.connections());
}

/// Through session and endpoint, as the site sees it.
async fn once_at_a_site(kind: Kind) {
    let fake = kind.fake(|k| k == 5);
    let mut site = run(fake.in_memory(), options(kind.framing), &[1]);
    let events = site.within(Duration::from_secs(30)).await;
    let heard: Vec<i64> = events
        .iter()
        .filter_map(|(_, event)| match event {
            SessionEvent::Heard(heard) => heard.value,
            _ => None,
        })
        .collect();
    assert!(heard.len() >= 28, "{}: {} values in 30 s", kind.name, heard.len());
    // The device's values grow with each question; an old one or one heard twice would show.
    assert!(heard.is_sorted_by(|one, next| one < next), "{}: {heard:?}", kind.name);
    assert!(fake.connections() <= 2, "{}: {} connections", kind.name, fake.connections());
}

async fn while_it_lasts(kind: Kind) {
    let bad = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&bad);
    let fake = kind.fake(move |_| still.load(Ordering::SeqCst));
    let mut link = link_in_memory(&fake);
    let (start, mut good) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(60) {
        good +=
            poll(kind, &(kind.ask)(), &mut link, &fake, 1, Duration::from_millis(100), |_| true).await.good;
    }
    // Where the device answers at all, each answer may need a connection, 200 ms apart; else they get rare.
    let most = if good > 0 { 301 } else { 13 };
    assert!(fake.connections() <= most, "{}: {} connections in a minute", kind.name, fake.connections());
    bad.store(false, Ordering::SeqCst);
    // The last wrong answer may still be on its way.
    poll(kind, &(kind.ask)(), &mut link, &fake, 1, Duration::from_secs(2), |_| false).await;
    let seen = poll(kind, &(kind.ask)(), &mut link, &fake, 5, Duration::from_secs(1), |_| false).await;
    assert_eq!((seen.good, seen.lost), (5, 0), "{}: not well again", kind.name);
}

#[test]
fn b01_late_reply_is_lost_and_never_taken_for_the_next_one() {
    survives("B01");
}

#[test]
fn b02_latency_beyond_the_deadline_gives_no_value_until_it_is_over() {
    survives("B02");
}

#[test]
fn b03_frame_whose_rest_comes_late_is_lost_as_a_whole() {
    survives("B03");
}

#[test]
fn b04_reply_that_comes_byte_by_byte_is_a_reply() {
    survives("B04");
}

#[test]
fn b05_reply_of_another_unit_is_nobodys_value() {
    survives("B05");
}

#[test]
fn b06_reply_to_another_function_is_nobodys_value() {
    survives("B06");
}

#[test]
fn b07_device_that_ignores_transaction_ids_gives_no_value() {
    survives("B07");
}

#[test]
fn b08_reply_that_announces_64_kib_is_not_waited_for() {
    survives("B08");
}

#[test]
fn b09_reply_of_length_zero_ends_the_connection() {
    survives("B09");
}

#[test]
fn b10_reply_of_another_protocol_ends_the_connection() {
    survives("B10");
}

#[test]
fn b11_byte_count_beyond_the_frame_is_no_value() {
    survives("B11");
}

#[test]
fn b12_reply_sent_twice_is_heard_once() {
    survives("B12");
}

#[test]
fn b13_reply_with_too_few_registers_is_no_value_and_no_panic() {
    survives("B13");
}

#[test]
fn b14_reply_with_too_many_registers_is_no_value() {
    survives("B14");
}

#[test]
fn b15_write_confirmed_with_another_value_is_not_done() {
    survives("B15");
}

#[test]
fn b16_device_that_closes_instead_of_answering_costs_one_poll() {
    survives("B16");
}

#[test]
fn b17_exception_reply_costs_one_poll_and_no_connection() {
    survives("B17");
}

#[test]
fn b18_late_reply_of_a_serial_gateway_costs_one_poll() {
    survives("B18");
}

#[test]
fn n3_connection_that_has_gone_silent_is_replaced() {
    survives("N3");
}

#[test]
fn n4_answer_far_later_than_its_deadline_is_lost_and_never_taken_for_another() {
    survives("N4");
}

#[test]
fn n6_device_that_keeps_no_connection_is_dialled_for_each_poll_and_loses_none() {
    survives("N6");
}

#[test]
fn n8_two_replies_in_one_segment_are_one_value() {
    survives("N8");
}

#[test]
fn p1_reply_repeated_a_little_later_is_never_the_next_value() {
    survives("P1");
}

#[test]
fn p3_bytes_that_are_no_modbus_end_the_connection() {
    survives("P3");
}

#[test]
fn p4_odd_byte_count_is_no_value() {
    survives("P4");
}
