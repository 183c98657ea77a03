//! What the store writes: `cargo bench --bench store`, also in a debug build (`cargo run` builds no bench).
//!
//! A site with one battery and one inverter is simulated for a second between two records, so that everything in
//! them moves as it does in life; the counted bytes are the kernel's (`write_bytes` of `/proc/self/io`). A file system
//! writes its journal besides: `WATTKEEPER_FOLDER` on a disk of its own and `WATTKEEPER_SPACING` (ms between records)
//! let the disk's own counter be read.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/wattkeeper/bench_site.rs"]
#[allow(dead_code)]
mod bench_site;

use std::path::Path;
use std::time::{Duration, Instant};

use wattkeeper::control::units::{Mono, Span};
use wattkeeper::plant::physics::Params;
use wattkeeper::store::{self, KeeperEvent, Record, Stamp, Wear};

/// Records in a run: several turns of the log.
const RECORDS: u32 = 600;

fn main() {
    let folder = std::env::var("WATTKEEPER_FOLDER");
    let folder = folder.unwrap_or_else(|_| concat!(env!("CARGO_TARGET_TMPDIR"), "/store-bench").to_owned());
    let _ = std::fs::remove_dir_all(&folder);
    let mut opened = store::open(Path::new(&folder), "Bench", &Stamp::default()).unwrap();
    let mut desk = bench_site::Desk::new(Params::default(), |_| {});
    let before = written();
    let spacing = std::env::var("WATTKEEPER_SPACING").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut waits = Vec::new();
    let mut size = 0;
    for seq in 1..=RECORDS {
        desk.run(1.0);
        std::thread::sleep(Duration::from_millis(spacing));
        let keepsake = desk.site.keepsake(Mono::ZERO + Span::secs(i64::from(seq)));
        let at = vec![Mono(0); 10];
        let wear = (0..4).map(|channel| Wear {
            device: "gx".into(),
            unit: "system".into(),
            address: channel,
            at: at.clone(),
        });
        let stamp = Stamp { utc_ms: 1_780_000_000_000 + i64::from(seq), ..Stamp::default() };
        let record = Record { stamp, keepsake, wear: wear.collect() };
        size = store::Rows::of(&record).unwrap().size();
        let began = Instant::now();
        opened.keeper.keep(seq, record);
        while opened.keeper.try_next() != Some(KeeperEvent::Safe(seq)) {
            std::thread::sleep(Duration::from_micros(50));
        }
        waits.push(began.elapsed());
    }
    let commit = (written() - before) / u64::from(RECORDS);
    waits.sort_unstable();
    let (half, late) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    let year = |a_minute: u64| commit as f64 * a_minute as f64 * 525_600.0 / 1e9;
    println!("{RECORDS} records of {size} bytes: {commit} bytes written each, p50 {half:?}, p99 {late:?}");
    println!("a year: {:.1} GB at one a minute, {:.1} GB at the most (three a minute)", year(1), year(3));
    opened.keeper.close(None, Duration::from_secs(10));
    let _ = std::fs::remove_dir_all(&folder);
}

/// Bytes this process has had written to a disk so far.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
    line.parse().unwrap()
}
