//! Others that meddle with the file while we run.

use std::fs;

use rusqlite::Connection;
use wattkeeper::store::{self, Found, KeeperEvent, OpenError};

use super::folder::{Folder, LONG, SITE, next, record, safe, stamp};

/// Something is done to the folder between two records: it is noticed, told, and the newest record is written.
fn check_noticed(meddle: impl FnOnce(&Folder)) -> Folder {
    let folder = Folder::new();
    let mut opened = folder.open();
    opened.keeper.keep(1, record(1));
    safe(&mut opened.keeper, 1);
    meddle(&folder);
    opened.keeper.keep(2, record(2));
    let KeeperEvent::Failed { why } = next(&mut opened.keeper) else { panic!("not noticed") };
    assert!(why.contains("Leave the file alone"), "{why}");
    assert_eq!(
        [next(&mut opened.keeper), next(&mut opened.keeper)],
        [KeeperEvent::Safe(2), KeeperEvent::Healed]
    );
    let second = store::open(&folder.path, SITE, &stamp());
    assert!(matches!(second, Err(OpenError::Busy(_))), "the folder is still ours");
    assert!(opened.keeper.close(None, LONG));
    let again = folder.open();
    assert_eq!(again.found, Found::Record(Box::new(record(2))));
    assert!(again.starts.last().is_some_and(|start| start.ended_well));
    folder
}

#[test]
fn s4_a_folder_that_vanishes_is_made_again() {
    check_noticed(|folder| fs::remove_dir_all(&folder.path).unwrap());
}

#[test]
fn s5_a_file_that_is_overwritten_while_we_run_is_set_aside_and_written_anew() {
    let folder = check_noticed(|folder| fs::write(folder.file(), [7; 9_000]).unwrap());
    assert!(folder.beside(".corrupt-1").exists());
}

#[test]
fn s5_a_file_or_a_log_that_is_removed_while_we_run_is_written_anew() {
    check_noticed(|folder| fs::remove_file(folder.file()).unwrap());
    check_noticed(|folder| fs::remove_file(folder.beside("-wal")).unwrap());
}

#[test]
fn s7_a_program_that_holds_the_file_at_the_start_hides_nothing_and_is_told() {
    let folder = Folder::holding(&record(4));
    let other = Connection::open(folder.file()).unwrap();
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
    let mut opened = folder.open();
    assert_eq!(opened.found, Found::Record(Box::new(record(4))));
    let KeeperEvent::Failed { why } = next(&mut opened.keeper) else { panic!("no trouble") };
    assert!(why.contains("Close the program that has the file open"), "{why}");
    opened.keeper.keep(1, record(5));
    drop(other);
    assert_eq!(
        [next(&mut opened.keeper), next(&mut opened.keeper)],
        [KeeperEvent::Safe(1), KeeperEvent::Healed]
    );
    assert!(opened.keeper.close(None, LONG));
    assert_eq!(folder.open().found, Found::Record(Box::new(record(5))));
}
