//! The tables of the file: the only SQL that touches rows.

use rusqlite::{Connection, Transaction};

use super::file::Trouble;
use super::record::Rows;
use super::{Stamp, Start};

/// All text in it together.
pub(super) const MOST_TEXT: usize = 128 << 10;
/// Starts that are remembered.
pub(super) const STARTS: usize = 16;

/// The row that holds [`Rows::seal`].
const SEAL: &str = "seal";

/// All of them, empty.
pub(super) const SQL: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE remembered (section TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE wear (device TEXT, unit TEXT, address INTEGER, at TEXT NOT NULL,
                   PRIMARY KEY (device, unit, address)) WITHOUT ROWID;
CREATE TABLE starts (id INTEGER PRIMARY KEY, boot TEXT NOT NULL, boottime_ms INTEGER NOT NULL,
                     utc_ms INTEGER NOT NULL, trusted INTEGER NOT NULL, ended_well INTEGER NOT NULL);
";

/// All rows, if their checksum says so.
pub(super) fn read_rows(db: &Connection) -> Result<Rows, Trouble> {
    let mut rows = Rows::default();
    let mut left = MOST_TEXT;
    let mut afford = |texts: &[&String]| {
        let length: usize = texts.iter().map(|text| text.len()).sum();
        left = left.checked_sub(length.saturating_add(16)).ok_or("it holds more than a site remembers")?;
        Ok::<(), &str>(())
    };
    let too_much = |why: &str| Trouble::Damaged(why.to_owned());
    let mut query = db.prepare("SELECT section, json FROM remembered")?;
    for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (section, json): (String, String) = row?;
        afford(&[&section, &json]).map_err(too_much)?;
        rows.remembered.insert(section, json);
    }
    let mut query = db.prepare("SELECT name, value FROM counters")?;
    for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (name, value): (String, i64) = row?;
        afford(&[&name]).map_err(too_much)?;
        rows.counters.insert(name, value);
    }
    let mut query = db.prepare("SELECT device, unit, address, at FROM wear")?;
    for row in query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))? {
        let (key, at): ((String, String, i64), String) = row?;
        afford(&[&key.0, &key.1, &at]).map_err(too_much)?;
        rows.wear.insert(key, at);
    }
    let seal = rows.remembered.remove(SEAL);
    if seal.is_none() && rows.is_empty() {
        return Ok(rows);
    }
    let fits = seal.is_some_and(|seal| seal == rows.seal());
    if fits { Ok(rows) } else { Err(too_much("its checksum does not fit what it holds")) }
}

/// The starts, oldest first.
pub(super) fn read_starts(db: &Connection) -> Result<Vec<Start>, Trouble> {
    let mut query = db.prepare(
        "SELECT boot, boottime_ms, utc_ms, trusted, ended_well FROM starts ORDER BY id DESC LIMIT ?1",
    )?;
    let limit = i64::try_from(STARTS).unwrap_or(i64::MAX);
    let found = query.query_map([limit], |row| {
        let stamp =
            Stamp { boot: row.get(0)?, boottime_ms: row.get(1)?, utc_ms: row.get(2)?, trusted: row.get(3)? };
        Ok(Start { stamp, ended_well: row.get(4)? })
    })?;
    let mut starts = found.collect::<Result<Vec<_>, _>>()?;
    starts.reverse();
    Ok(starts)
}

/// Writes what differs.
pub(super) fn put(change: &Transaction<'_>, before: &Rows, rows: &Rows) -> Result<(), Trouble> {
    let mut upsert = change.prepare("INSERT OR REPLACE INTO remembered (section, json) VALUES (?1, ?2)")?;
    for (section, json) in &rows.remembered {
        if before.remembered.get(section) != Some(json) {
            upsert.execute((section, json))?;
        }
    }
    upsert.execute((SEAL, rows.seal()))?;
    let mut upsert = change.prepare("INSERT OR REPLACE INTO counters (name, value) VALUES (?1, ?2)")?;
    for (name, value) in &rows.counters {
        if before.counters.get(name) != Some(value) {
            upsert.execute((name, value))?;
        }
    }
    let mut upsert =
        change.prepare("INSERT OR REPLACE INTO wear (device, unit, address, at) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, at) in &rows.wear {
        if before.wear.get(key) != Some(at) {
            upsert.execute((&key.0, &key.1, key.2, at))?;
        }
    }
    let mut forget = change.prepare("DELETE FROM wear WHERE device = ?1 AND unit = ?2 AND address = ?3")?;
    for key in before.wear.keys().filter(|key| !rows.wear.contains_key(*key)) {
        forget.execute((&key.0, &key.1, key.2))?;
    }
    Ok(())
}

/// Writes all of them.
pub(super) fn put_starts(change: &Transaction<'_>, starts: &[Start]) -> Result<(), Trouble> {
    change.execute("DELETE FROM starts", [])?;
    let mut insert = change.prepare(
        "INSERT INTO starts (boot, boottime_ms, utc_ms, trusted, ended_well) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Start { stamp, ended_well } in starts {
        insert.execute((&stamp.boot, stamp.boottime_ms, stamp.utc_ms, stamp.trusted, ended_well))?;
    }
    Ok(())
}
