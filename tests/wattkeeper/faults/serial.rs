//! RTU frames in a TCP stream: nothing on the wire says which question an answer belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::sync::{Mutex, mpsc};

use super::fake::{Fake, Part, at_once, good_rtu, link_in_memory, options, pacer, read, request, write};
use wattkeeper::device::exchange::Failure;
use wattkeeper::modbus::dial::{Memory, memory};
use wattkeeper::modbus::frame::{Framing, crc};
use wattkeeper::modbus::link::Link;

/// A serial server: requests of all connections wait in one line, and what comes back goes to the newest
/// connection. Request number `late` takes `lateness` milliseconds.
fn serial_server(late: u16, lateness: u64, asked: &Arc<AtomicU16>) -> Memory {
    let (dial, mut listener) = memory();
    let newest: Arc<Mutex<Option<WriteHalf<DuplexStream>>>> = Arc::default();
    let (line, mut requests) = mpsc::channel::<Vec<u8>>(10);
    let (to, asked) = (Arc::clone(&newest), Arc::clone(asked));
    tokio::spawn(async move {
        while let Some(question) = requests.recv().await {
            let k = asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(if k == late { lateness } else { 5 })).await;
            if let Some(write) = to.lock().await.as_mut() {
                let _ = write.write_all(&good_rtu(k, &question)).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Some(stream) = listener.accept().await {
            let (mut read, write) = tokio::io::split(stream);
            *newest.lock().await = Some(write);
            let line = line.clone();
            tokio::spawn(async move {
                while let Some(question) = request(Framing::RtuOverTcp, &mut read).await {
                    let _ = line.send(question).await;
                }
            });
        }
    });
    dial
}

#[tokio::test(start_paused = true)]
async fn b18_late_serial_answer_is_never_taken_for_the_next_one() {
    // The later one is still on its way when the quiet time is over and the line is asked again.
    for (lateness, most_lost) in [(350, 1), (900, 2)] {
        for late in [0, 3] {
            let asked: Arc<AtomicU16> = Arc::default();
            let dial = serial_server(late, lateness, &asked);
            let mut link = Link::new(options(Framing::RtuOverTcp), Arc::new(dial), pacer());
            let mut lost = 0;
            for poll in 0..12 {
                match link.exchange(&read(1, 2)).await {
                    Ok(words) => assert_eq!(words, [999 + asked.load(Ordering::SeqCst); 2], "poll {poll}"),
                    Err(_) => lost += 1,
                }
            }
            assert!(lost <= most_lost, "request {late}, {lateness} ms late: {lost} polls lost");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p3_damaged_serial_answer_costs_one_poll() {
    let fake = Fake::serial(|k, q| {
        let mut frame = good_rtu(k, q);
        if k == 1 {
            frame[3] ^= 0x10;
        }
        at_once(frame)
    });
    let mut link = link_in_memory(&fake);
    let mut results = Vec::new();
    for _ in 0..4 {
        results.push(link.exchange(&read(1, 2)).await.err());
    }
    assert_eq!(results, [None, Some(Failure::OutOfStep), None, None]);
}

#[tokio::test(start_paused = true)]
async fn serial_exceptions_and_writes_are_checked_like_reads() {
    let fake = Fake::serial(|k, q| match k {
        0 => {
            let mut frame = vec![q[0], q[1] | 0x80, 2];
            frame.extend(crc(&frame).to_le_bytes());
            at_once(frame)
        }
        1 => at_once(q.to_vec()),
        _ => {
            let mut frame = q[..6].to_vec();
            frame[5] ^= 1;
            frame.extend(crc(&frame).to_le_bytes());
            vec![Part::After(0, frame)]
        }
    });
    let mut link = link_in_memory(&fake);
    assert_eq!(link.exchange(&read(1, 2)).await, Err(Failure::Exception(2)));
    assert_eq!(link.exchange(&write(1, 7)).await, Ok(vec![]));
    assert_eq!(link.exchange(&write(1, 7)).await, Err(Failure::OutOfStep));
}
