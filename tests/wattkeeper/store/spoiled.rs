//! Files that cannot be believed: damaged, impossible, of another site, of another version.

use std::fs;

use rusqlite::Connection;
use wattkeeper::store::{self, Found, Loss, OpenError, Rows};

use super::folder::{Folder, LONG, SITE, record, stamp};

/// Opens a spoiled file: it must be set aside, and a new one must work.
#[track_caller]
fn check_lost(folder: &Folder, why: &str) {
    let opened = folder.open();
    let Found::Lost(loss) = &opened.found else { panic!("{:?} is no loss", opened.found) };
    assert!(loss.why.contains(why), "{} is not {why}", loss.why);
    assert!(loss.set_aside.exists(), "{} is kept", loss.set_aside.display());
    assert!(opened.keeper.close(Some(record(3)), LONG));
    let again = folder.open();
    assert_eq!(again.found, Found::Record(Box::new(record(3))));
    assert!(again.keeper.close(None, LONG));
}

#[test]
fn s5_a_file_of_garbage_is_set_aside_and_the_start_is_a_loss() {
    for garbage in [&b""[..], b"SQLite format 3\0", &[0; 4096], &[0xFF; 10_000], b"{}"] {
        let folder = Folder::new();
        fs::create_dir_all(&folder.path).unwrap();
        fs::write(folder.file(), garbage).unwrap();
        check_lost(&folder, "");
        assert!(fs::read(folder.beside(".corrupt-1")).unwrap() == garbage, "kept as it was");
    }
}

#[test]
fn s5_a_folder_or_a_lonely_log_in_place_of_the_file_is_set_aside() {
    let folder = Folder::new();
    fs::create_dir_all(folder.file()).unwrap();
    check_lost(&folder, "not a file of ours");
    let folder = Folder::holding(&record(1));
    fs::rename(folder.file(), folder.beside("-wal")).unwrap();
    let opened = folder.open();
    assert!(matches!(opened.found, Found::Lost(_)), "{:?}", opened.found);
    assert!(folder.beside(".corrupt-1-wal").exists());
    assert!(opened.keeper.close(None, LONG));
}

#[test]
fn s5_a_loss_is_a_loss_again_until_something_is_written_down() {
    let folder = Folder::holding(&record(1));
    fs::write(folder.file(), b"gone").unwrap();
    for _ in 0..2 {
        let opened = folder.open();
        assert!(
            matches!(&opened.found, Found::Lost(Loss { why, .. }) if why.contains("not a file of this program"))
        );
        assert!(opened.keeper.close(None, LONG));
    }
    assert!(!folder.beside(".corrupt-2").exists(), "it was lost once only");
}

#[test]
fn s5_of_damaged_files_the_last_three_are_kept() {
    let folder = Folder::new();
    for number in 1..=5 {
        fs::create_dir_all(&folder.path).unwrap();
        fs::write(folder.file(), format!("garbage {number}")).unwrap();
        check_lost(&folder, "");
    }
    let kept: Vec<_> = (1..=5).map(|number| folder.beside(&format!(".corrupt-{number}")).exists()).collect();
    assert_eq!(kept, [false, false, true, true, true]);
}

#[test]
fn s5_what_was_changed_or_cannot_be_parsed_makes_the_whole_a_loss() {
    for (sql, why) in [
        ("UPDATE counters SET value = value + 1 WHERE name = 'pv_mj'", "checksum"),
        ("UPDATE counters SET value = 'much' WHERE name = 'pv_mj'", ""),
        ("UPDATE remembered SET json = '{' WHERE section = 'guard'", "checksum"),
        ("UPDATE remembered SET json = x'FF00' WHERE section = 'guard'", ""),
        ("DELETE FROM remembered WHERE section = 'stamp'", "checksum"),
        ("DELETE FROM remembered WHERE section = 'seal'", "checksum"),
        ("DROP TABLE counters", "no such table"),
        ("DROP TABLE starts", "no such table"),
        ("DELETE FROM meta", "whose it is"),
        ("PRAGMA application_id = 7", "not a file of this program"),
        ("PRAGMA user_version = 0", "never was a schema 0"),
        ("INSERT INTO remembered VALUES ('x', printf('%.*c', 200000, 'x'))", ""),
    ] {
        let folder = Folder::holding(&record(2));
        folder.sql(sql);
        check_lost(&folder, why);
    }
}

#[test]
fn s5_a_flipped_bit_anywhere_is_noticed_or_changes_nothing() {
    let folder = Folder::holding(&record(2));
    let whole = fs::read(folder.file()).unwrap();
    for at in (0..whole.len()).step_by(61) {
        let copy = Folder::new();
        fs::create_dir_all(&copy.path).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(copy.file(), bytes).unwrap();
        match store::open(&copy.path, SITE, &stamp()).map(|opened| opened.found) {
            Ok(Found::Record(found)) => assert_eq!(*found, record(2), "bit of byte {at}"),
            Ok(Found::Lost(_)) | Err(OpenError::Newer { .. }) => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn s5_values_that_cannot_be_are_not_believed() {
    let rows = Rows::of(&record(5)).unwrap();
    assert_eq!(rows.record().unwrap(), record(5));
    let century = 101 * 366 * 86_400_000_i64;
    let with = |section: &str, json: &str| {
        let mut rows = rows.clone();
        rows.remembered.insert(section.to_owned(), json.to_owned());
        rows.record().map(drop).map_err(|mistake| mistake.to_string())
    };
    assert_eq!(with("at", "300000"), Ok(()));
    for (section, json) in [
        ("at", "-1"),
        ("at", &century.to_string()),
        ("full_at", "86400000"),
        ("full_at", "-5"),
        ("manual_until", &i64::MAX.to_string()),
        ("guard", &format!("{{\"surplus_since\":{century}0}}")),
        ("genset", &format!("{{\"stopped_at\":{century}0}}")),
        ("guard", "7"),
        ("guard", "{}},\"at\":{\"x\":1"),
        ("bms_seen", "\"yes\""),
        ("alarms", "[\"no-such-alarm\"]"),
        ("stamp", "[]]"),
        ("unheard_of", "{"),
    ] {
        assert!(with(section, json).is_err(), "{section} = {json}");
    }
    let mut negative = rows.clone();
    negative.counters.insert("load_mj".to_owned(), -1);
    assert_eq!(negative.record().unwrap_err().to_string(), "counter \"load_mj\" is negative");
}

#[test]
fn s8_what_this_version_does_not_know_is_ignored_and_what_it_misses_has_its_default() {
    let mut rows = Rows::of(&record(5)).unwrap();
    rows.remembered.insert("moon_phase".to_owned(), "{\"full\":[true]}".to_owned());
    rows.remembered.insert("guard".to_owned(), "{\"moods\":3}".to_owned());
    rows.remembered.insert("ledger".to_owned(), "[37, 5]".to_owned());
    rows.remembered.remove("full_at");
    rows.remembered.remove("genset");
    rows.counters.insert("hydrogen_mj".to_owned(), 5);
    rows.counters.remove("load_mj");
    let mut expected = record(5);
    expected.keepsake.full_at = None;
    expected.keepsake.ledger.load = Default::default();
    assert_eq!(rows.record().unwrap(), expected);
    let folder = Folder::holding(&record(5));
    folder.sql(
        "ALTER TABLE counters ADD COLUMN unit TEXT; ALTER TABLE starts ADD COLUMN version TEXT;
         CREATE TABLE forecasts (at INTEGER); INSERT INTO meta VALUES ('colour', 'green')",
    );
    let opened = folder.open();
    assert_eq!(opened.found, Found::Record(Box::new(record(5))));
    assert!(opened.keeper.close(Some(record(6)), LONG), "and it can be written");
    assert_eq!(folder.open().found, Found::Record(Box::new(record(6))));
}

#[test]
fn s8_a_newer_schema_is_refused_and_left_as_it_is() {
    let folder = Folder::holding(&record(5));
    folder.sql("PRAGMA user_version = 2");
    let refused = store::open(&folder.path, SITE, &stamp()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { schema: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("Install that version again"), "{refused}");
    let version: i64 = Connection::open(folder.file())
        .unwrap()
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 2);
}

#[test]
fn s9_the_memory_of_another_site_is_set_aside_under_its_name() {
    let folder = Folder::holding(&record(5));
    let opened = store::open(&folder.path, "Barn/../1", &stamp()).unwrap();
    assert_eq!(
        opened.found,
        Found::Lost(Loss {
            set_aside: folder.beside(".of-Hut"),
            why: "it belongs to the site \"Hut\"".to_owned()
        })
    );
    assert!(opened.keeper.close(Some(record(1)), LONG));
    let opened = folder.open();
    let Found::Lost(loss) = &opened.found else { panic!("{:?}", opened.found) };
    assert_eq!(loss.set_aside, folder.beside(".of-Barn----1"), "no name leaves the folder");
    assert!(opened.keeper.close(None, LONG));
}
