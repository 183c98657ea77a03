//! What may stand in the state file, fed with anything.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use wattkeeper::store::{self, Found, OpenError, Record, Rows, Stamp};

use crate::store::folder;

/// Names of rows, one of them of something that is kept elsewhere.
const SECTIONS: [&str; 11] = [
    "stamp",
    "at",
    "guard",
    "bms_seen",
    "genset",
    "manual",
    "manual_until",
    "auto",
    "alarms",
    "full_at",
    "ledger",
];

/// Decodes bytes as rows. The first byte chooses which one they become; all others are as they are written.
pub fn store(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest).into_owned();
    let mut rows = Rows::default();
    rows.remembered.insert("stamp".to_owned(), "{}".to_owned());
    rows.remembered.insert("at".to_owned(), "1000".to_owned());
    let number = rest.iter().take(8).fold(0, |number, byte| number << 8 | i64::from(*byte));
    match usize::from(*first) % 16 {
        11 => drop(rows.counters.insert("pv_mj".to_owned(), number)),
        12 => drop(rows.wear.insert(("gx".to_owned(), "floor".to_owned(), number), text)),
        13 => drop(rows.wear.insert((text.clone(), text, 0), "[1]".to_owned())),
        section => {
            let section = SECTIONS.get(section).map_or_else(|| text.clone(), |section| (*section).to_owned());
            rows.remembered.insert(section, text);
        }
    }
    if let Ok(record) = rows.record() {
        let again = Rows::of(&record).unwrap();
        assert_eq!(again.record().unwrap(), record, "what is believed is written and read the same");
    }
}

/// Every row of a good record, each as the bytes that become it.
pub fn seeds() -> Vec<Vec<u8>> {
    let rows = Rows::of(&folder::record(3)).unwrap();
    let sections = (0_u8..).zip(SECTIONS);
    let mut seeds: Vec<Vec<u8>> = sections
        .filter_map(|(at, section)| Some([&[at], rows.remembered.get(section)?.as_bytes()].concat()))
        .collect();
    for (_, number) in rows.counters {
        seeds.push([&[11], &number.to_be_bytes()[..]].concat());
    }
    seeds.push(b"\x0c[1000,2000]".to_vec());
    seeds
}

/// Opens bytes as the whole file, or as a change to a good one when they are few.
pub fn store_file(folder: &Path, good: &[u8], bytes: &[u8]) {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let mut file = good.to_vec();
    for change in bytes.chunks_exact(4) {
        let [high, low, length, value] = change else { return };
        let at = usize::from(*high) << 8 | usize::from(*low);
        let reach = file.len().min(at + usize::from(*length));
        file.iter_mut().take(reach).skip(at).for_each(|byte| *byte ^= value);
    }
    fs::write(folder.join("wattkeeper.db"), if good.is_empty() { bytes } else { &file }).unwrap();
    match store::open(folder, "Hut", &Stamp::default()) {
        Ok(opened) => {
            if let Found::Record(found) = &opened.found {
                assert!(Rows::of(found).unwrap().record().is_ok());
            }
            assert!(opened.keeper.close(Some(Record::default()), folder::LONG));
        }
        Err(OpenError::Newer { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

/// Anything, and things that look like what we write.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = "[0-9]{1,20}|\\{\"(state|at|since|stopped_at|boot|utc_ms)\":[-0-9\"a-z]{1,22}\\}|null|true|\"[a-z-]{1,12}\"|\\[[0-9,]{0,40}\\]";
    let worded = (any::<u8>(), words).prop_map(|(first, text)| [&[first], text.as_bytes()].concat());
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), worded]
}

proptest! {
    #[test]
    fn no_row_can_make_the_store_panic(bytes in bytes()) {
        store(&bytes);
    }
}

#[test]
fn a_ledger_among_the_sections_cannot_tell_the_counters_where_they_stopped() {
    let ledger = r#"{"at":0,"grid_import":0,"grid_export":0,"battery_charge":0,"battery_discharge":0,"pv":0,"load":0,"generator":0}"#;
    let mut rows = Rows::of(&folder::record(3)).unwrap();
    let good = rows.record().unwrap();
    rows.remembered.insert("ledger".to_owned(), ledger.to_owned());
    assert_eq!(rows.record().unwrap(), good);
}

#[test]
fn no_file_can_make_the_store_panic_or_refuse_to_start() {
    let kept = folder::Folder::holding(&folder::record(3));
    let good = fs::read(kept.file()).unwrap();
    let folder = folder::Folder::fast();
    let mut dice = crate::days::setup::Dice::new(7);
    for _ in 0..150 {
        let length = dice.range(0, 40);
        let bytes: Vec<u8> = (0..length).map(|_| dice.range(0, 256) as u8).collect();
        let good = if dice.percent(90) { &good[..] } else { &[] };
        store_file(&folder.path, good, &bytes);
    }
}

#[test]
fn a_hostile_row_costs_less_than_a_mebibyte() {
    let deep = "[".repeat(100_000);
    let wide = format!("[{}0]", "0,".repeat(50_000));
    let objects = format!("{{{}\"a\":0}}", "\"a\":{},".repeat(15_000));
    for text in [deep, wide, objects, "\"".repeat(100_000), "9".repeat(100_000)] {
        for first in 0..16 {
            let bytes = [&[first], text.as_bytes()].concat();
            let used = allocation_counter::measure(|| store(&bytes));
            assert!(used.bytes_max < 1 << 20, "{first}: {used:?}");
        }
    }
}
