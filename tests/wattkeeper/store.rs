//! What outlives the process: kept, found again, refused, set aside.

#[cfg(target_os = "linux")]
mod cuts;
#[cfg(target_os = "linux")]
mod faults;
pub mod folder;
#[cfg(target_os = "linux")]
mod killed;
mod meddling;
mod spoiled;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use folder::{Folder, LONG, SITE, record, safe, stamp};
use wattkeeper::control::units::Mono;
use wattkeeper::store::{self, Found, KeeperEvent, OpenError, Record, Wear};

#[test]
fn what_was_written_down_is_found_again_and_so_are_the_starts() {
    let folder = Folder::new();
    let mut first = folder.open();
    assert_eq!((first.found, first.starts.len()), (Found::Nothing, 0));
    let wear = vec![Wear { device: "gx".into(), unit: "system".into(), address: 1, at: vec![Mono(5)] }];
    let kept = Record { wear, ..record(7) };
    first.keeper.keep(1, record(6));
    safe(&mut first.keeper, 1);
    first.keeper.keep(2, kept.clone());
    assert!(first.keeper.close(None, LONG));
    let second = folder.open();
    assert_eq!(second.found, Found::Record(Box::new(kept)));
    assert_eq!(second.starts.iter().map(|start| start.ended_well).collect::<Vec<_>>(), [true]);
    assert!(second.keeper.close(Some(record(9)), LONG));
    let third = folder.open();
    assert_eq!(third.found, Found::Record(Box::new(record(9))));
    assert_eq!(third.starts.len(), 2);
    assert_eq!(third.starts[1].stamp, stamp());
}

#[test]
fn of_the_starts_the_last_sixteen_are_known() {
    let folder = Folder::new();
    for _ in 0..20 {
        assert!(folder.open().keeper.close(None, LONG));
    }
    assert_eq!(folder.open().starts.len(), 16);
}

#[test]
fn folder_and_file_are_this_users_alone() {
    let folder = Folder::new();
    let opened = folder.open();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path.clone()), 0o700);
    assert_eq!(mode(folder.file()), 0o600);
    assert_eq!(mode(folder.beside("-wal")), 0o600);
    assert!(!folder.beside("-shm").exists(), "no mapped file that others could cut under us");
    assert!(opened.keeper.close(None, LONG));
}

#[test]
fn of_records_that_come_faster_than_the_disk_the_last_one_counts() {
    let folder = Folder::new();
    let mut opened = folder.open();
    for seq in 1..=500 {
        opened.keeper.keep(seq, record(i64::from(seq)));
    }
    safe(&mut opened.keeper, 500);
    assert!(opened.keeper.close(None, LONG));
    assert_eq!(folder.open().found, Found::Record(Box::new(record(500))));
}

#[test]
fn a_keeper_in_memory_confirms_at_once() {
    let mut keeper = store::memory();
    assert_eq!(keeper.try_next(), None);
    keeper.keep(3, record(1));
    assert_eq!(keeper.try_next(), Some(KeeperEvent::Safe(3)));
    assert_eq!(keeper.try_next(), None);
    assert!(keeper.alive());
    assert!(keeper.close(Some(record(1)), Duration::ZERO));
}

#[test]
fn m2_a_second_process_is_refused_the_folder_until_the_first_has_left() {
    let folder = Folder::new();
    let first = folder.open();
    let refused = store::open(&folder.path, SITE, &stamp()).unwrap_err();
    assert!(matches!(&refused, OpenError::Busy(path) if *path == folder.path), "{refused}");
    assert!(refused.to_string().contains("Stop the other one"), "{refused}");
    assert!(first.keeper.close(None, LONG));
    assert_eq!(folder.open().found, Found::Nothing);
}

#[test]
fn a_folder_that_cannot_be_one_is_refused_with_what_to_do() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.path).unwrap();
    fs::write(folder.path.join("file"), "").unwrap();
    let refused = store::open(&folder.path.join("file"), SITE, &stamp()).unwrap_err();
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
    assert!(refused.to_string().contains("make it this user's"), "{refused}");
}

#[test]
fn every_counter_of_the_ledger_has_a_row_and_every_field_of_the_keepsake_a_section() {
    let rows = store::Rows::of(&record(1)).unwrap();
    let fields = |value: serde_json::Value| value.as_object().unwrap().len();
    let ledger = fields(serde_json::to_value(record(1).keepsake.ledger).unwrap());
    assert_eq!(rows.counters.len() + 1, ledger, "all but the moment of the last sum");
    let keepsake = fields(serde_json::to_value(record(1).keepsake).unwrap());
    assert_eq!(rows.remembered.len(), keepsake, "the stamp in place of the ledger");
}
