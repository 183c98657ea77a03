//! A process that is killed, and what its records cost. Each test runs itself again as the process.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use wattkeeper::control::units::{Mono, Span};
use wattkeeper::plant::physics::Params;
use wattkeeper::store::{self, Found, Keeper, Record};

use crate::bench_site::Desk;
use crate::days::setup::Dice;

use super::cuts::{Op, parse};
use super::faults::run_again;
use super::folder::{Folder, LONG, SITE, record, safe, stamp};

/// Kills in the gate; the process's own campaign is elsewhere.
const KILLS: u64 = 25;

/// Keeps records as fast as they are safe, telling each, until somebody ends it.
fn keep_on(folder: &Path) {
    let mut opened = store::open(folder, SITE, &stamp()).unwrap();
    let Found::Record(found) = &opened.found else { panic!("{:?}", opened.found) };
    let mut minute = found.keepsake.at.0 / 60_000;
    loop {
        minute += 1;
        opened.keeper.keep(u32::try_from(minute).unwrap(), record(minute));
        safe(&mut opened.keeper, u32::try_from(minute).unwrap());
        println!("\nsafe {minute}");
    }
}

#[test]
fn s2_a_process_that_is_killed_at_any_instant_loses_nothing_that_was_safe() {
    const NAME: &str =
        "store::killed::s2_a_process_that_is_killed_at_any_instant_loses_nothing_that_was_safe";
    if let Some(folder) = std::env::var_os("WATTKEEPER_VICTIM") {
        return keep_on(Path::new(&folder));
    }
    let folder = Folder::holding(&record(1));
    let mut dice = Dice::new(2);
    for kill in 0..KILLS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env("WATTKEEPER_VICTIM", &folder.path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = told.filter_map(|line| line.strip_prefix("safe ")?.parse::<i64>().ok());
        let last = told.take(dice.range(1, 60) as usize).last().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        let opened = folder.open();
        let Found::Record(found) = &opened.found else { panic!("kill {kill}: {:?}", opened.found) };
        let minute = found.keepsake.at.0 / 60_000;
        // The pipe is read behind the writer, so more than we know of may have been safe.
        assert!(minute >= last, "kill {kill}: {minute} is older than {last}");
        assert_eq!(**found, record(minute));
        assert!(!opened.starts.last().unwrap().ended_well);
        assert!(opened.keeper.close(None, LONG));
    }
}

/// A record of a simulated site, a second after the one before.
fn keep_desk(desk: &mut Desk, keeper: &mut Keeper, seq: u32) {
    desk.run(1.0);
    let keepsake = desk.site.keepsake(Mono::ZERO + Span::secs(i64::from(seq)));
    keeper.keep(seq, Record { stamp: stamp(), keepsake, wear: Vec::new() });
    safe(keeper, seq);
}

#[test]
fn s10_three_records_a_minute_write_less_than_twenty_gigabytes_a_year() {
    const NAME: &str = "store::killed::s10_three_records_a_minute_write_less_than_twenty_gigabytes_a_year";
    const RECORDS: u32 = 300;
    if std::env::var_os("WATTKEEPER_TRACE").is_some() {
        let folder = Folder::new();
        let mut opened = folder.open();
        let mut desk = Desk::new(Params::default(), |_| {});
        (1..=RECORDS).for_each(|seq| keep_desk(&mut desk, &mut opened.keeper, seq));
        assert!(opened.keeper.close(None, LONG));
        return;
    }
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bytes-{}", std::process::id()));
    run_again(NAME, Some(&trace));
    let ops = parse(&fs::read(&trace).unwrap());
    fs::remove_file(&trace).unwrap();
    // The kernel writes the blocks of 4 KiB that a write has touched, once for each fsync.
    let (mut blocks, mut dirty) = (0, BTreeSet::new());
    for op in &ops {
        match op {
            Op::Write(path, at, bytes) => {
                dirty.extend((at / 4096..=(at + bytes.len() - 1) / 4096).map(|block| (path, block)));
            }
            Op::Sync(_) => {
                blocks += dirty.len();
                dirty.clear();
            }
            _ => {}
        }
    }
    let each = blocks * 4096 / RECORDS as usize;
    println!("{each} bytes a record");
    assert!((1_000..20_000_000_000 / (3 * 525_600)).contains(&each), "{each} bytes a record");
}
