//! One endpoint that is dead or hostile is its own affair: the others keep their period.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::fake::{Fake, Part, at_once, good, options};
use super::running::{Running, run};
use wattkeeper::modbus::dial::{Dial, Memory, memory};
use wattkeeper::modbus::endpoint::Handle;
use wattkeeper::modbus::frame::Framing;

/// Two devices at one endpoint; what they report is taken and forgotten. The endpoint lives as long as its handle.
fn unheard(dial: Memory) -> Handle {
    let Running { handle, mut reports, .. } = run(dial, options(Framing::Tcp), &[1, 2]);
    tokio::spawn(async move { while reports.recv().await.is_some() {} });
    handle
}

/// A good device and the moments at which it was polled.
fn healthy() -> (Handle, Arc<Mutex<Vec<Instant>>>) {
    let polled: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let keep = Arc::clone(&polled);
    let fake = Fake::new(move |k, q| {
        keep.lock().unwrap().push(Instant::now());
        vec![Part::After(7, good(k, q))]
    });
    (unheard(fake.in_memory()), polled)
}

/// Nobody accepts, and nobody says so: the backlog is full.
async fn black_hole() -> Memory {
    let (dial, listener) = memory();
    for _ in 0..4 {
        dial.dial().await.unwrap();
    }
    tokio::spawn(async move {
        let _kept = listener;
        std::future::pending::<()>().await;
    });
    dial
}

fn refusing() -> Memory {
    memory().0
}

/// Sends bytes without end, asked or not.
fn flooding() -> Memory {
    let (dial, mut listener) = memory();
    tokio::spawn(async move {
        while let Some(mut stream) = listener.accept().await {
            tokio::spawn(async move { while stream.write_all(&[0xA5; 512]).await.is_ok() {} });
        }
    });
    dial
}

/// Answers with frames without end: the first one fits.
fn babbling() -> Memory {
    let script = |k, q: &[u8]| vec![Part::After(0, good(k, q).repeat(200))];
    Fake::new(script).in_memory()
}

fn closing() -> Memory {
    let (dial, mut listener) = memory();
    tokio::spawn(async move { while listener.accept().await.is_some() {} });
    dial
}

fn longest_change(polled: &[Instant], period: Duration) -> Duration {
    let change = |pair: &[Instant]| (pair[1] - pair[0]).abs_diff(period);
    polled.windows(2).map(change).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn dead_and_hostile_endpoints_do_not_change_the_period_of_the_others() {
    let sites: Vec<_> = (0..4).map(|_| healthy()).collect();
    tokio::time::sleep(Duration::from_millis(10_500)).await;
    let before: Vec<usize> = sites.iter().map(|(_, polled)| polled.lock().unwrap().len()).collect();
    let silent = Fake::new(|k, q| if q[6] == 2 { vec![] } else { at_once(good(k, q)) });
    let slow = Fake::new(|k, q| good(k, q).into_iter().map(|byte| Part::After(20, vec![byte])).collect());
    let bad = [
        black_hole().await,
        refusing(),
        flooding(),
        babbling(),
        closing(),
        silent.in_memory(),
        slow.in_memory(),
        Fake::new(|_, _| vec![]).in_memory(),
    ];
    let hostile: Vec<Handle> = bad.into_iter().map(unheard).collect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        hostile.iter().all(|handle| handle.state().borrow().last_trouble.is_some()),
        "each was bad in its way"
    );
    for (site, before) in sites.iter().zip(before) {
        assert!(before >= 20, "{before} polls of two devices in 10 s");
        let polled = site.1.lock().unwrap();
        assert!(polled.len() >= before + 119, "{} polls in a minute", polled.len() - before);
        // The two devices of one endpoint take turns; each has its own rhythm of one second.
        for device in 0..2 {
            let own: Vec<Instant> = polled.iter().skip(2 + device).step_by(2).copied().collect();
            let change = longest_change(&own, Duration::from_secs(1));
            assert!(change <= Duration::from_millis(100), "a poll moved by {change:?}");
        }
    }
}
