//! The SQLite file: made, read, written.
//!
//! Exclusive locking keeps SQLite's index of the log in our own memory instead of a mapped file, which a stranger
//! could truncate under us. No trigger and no view of a file ever runs.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::record::{Mistake, Rows};
use super::tables::{self, MOST_TEXT};
use super::{Found, Loss, Start, aside};

/// The file's name in the state folder.
pub(super) const NAME: &str = "wattkeeper.db";
/// What a new file is called until it is whole.
const NEW: &str = ".new";
/// What the file's rows mean.
pub(super) const SCHEMA: i64 = 1;
/// "wkpr": tells our file from another program's.
const APPLICATION: i32 = 0x776B_7072;
/// The file and its log are never larger than this unless something else wrote them.
const LARGEST: u64 = 4 << 20;
/// One text, and one row.
const LONGEST: i32 = 128 << 10;
/// Bytes in a page. Small, because every page that a record touches is written whole: half the bytes of 4 KiB.
const PAGE: i64 = 1024;
/// Pages that SQLite holds in memory.
const CACHE: i64 = 256;
/// Pages in the log before they are moved into the file.
const LOG: i64 = 400;
/// Wait for another program that reads the file.
const BUSY: Duration = Duration::from_millis(500);

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is none.
    #[error("it is not there")]
    Missing,
    /// It is damaged, or was never ours.
    #[error("{0}")]
    Damaged(String),
    /// It is another site's.
    #[error("it belongs to the site \"{0}\"")]
    Foreign(String),
    /// A newer version wrote it.
    #[error("its schema is {0}")]
    Newer(i64),
    /// It was removed or replaced while we had it open.
    #[error("someone else has moved, replaced or changed it")]
    Moved,
    /// The folder is a new one, and another process was faster.
    #[error("another wattkeeper has taken the folder")]
    Held,
    /// SQLite could not.
    #[error("{0}")]
    Sqlite(#[source] rusqlite::Error),
    /// The file system could not.
    #[error("{0}")]
    Files(#[from] std::io::Error),
    /// More than would be read back.
    #[error("there is more to remember than fits")]
    TooMuch,
    /// A record of ours has no text.
    #[error("{0}")]
    Text(#[from] serde_json::Error),
}

impl From<rusqlite::Error> for Trouble {
    /// What the disk could not do may pass; what SQLite cannot make sense of is damage.
    fn from(error: rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error_code() else { return Self::Damaged(error.to_string()) };
        match code {
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::OutOfMemory
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::OperationInterrupted
            | ErrorCode::SystemIoFailure => Self::Sqlite(error),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<Mistake> for Trouble {
    fn from(mistake: Mistake) -> Self {
        Self::Damaged(mistake.to_string())
    }
}

/// What a file held.
#[derive(Debug)]
pub(super) struct Content {
    pub found: Found,
    pub starts: Vec<Start>,
}

impl Default for Content {
    fn default() -> Self {
        Self { found: Found::Nothing, starts: Vec::new() }
    }
}

/// What tells that somebody else has touched a file or its log: device, number, length, time of change.
type Marks = [Option<(u64, u64, u64, i64, i64)>; 2];

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct File {
    db: Connection,
    path: PathBuf,
    /// How file and log looked when we last touched them.
    marks: Marks,
    /// What it is known to hold; none before the first full record.
    written: Option<Rows>,
}

impl File {
    /// Opens what is there and reads it.
    pub fn open(path: &Path, site: &str) -> Result<(Self, Content), Trouble> {
        let log = beside(path, "-wal");
        if !path.try_exists()? {
            let remains = log.try_exists()? || beside(path, NEW).try_exists()?;
            let why = "only remains of it are there".to_owned();
            return Err(if remains { Trouble::Damaged(why) } else { Trouble::Missing });
        }
        for part in [path, &log] {
            let found = match fs::metadata(part) {
                Ok(found) => found,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            if !found.is_file() || found.len() > LARGEST {
                return Err(Trouble::Damaged(format!("{} is not a file of ours", part.display())));
            }
        }
        if !ours(path)? {
            return Err(Trouble::Damaged("it is not a file of this program".to_owned()));
        }
        let db = connect(path)?;
        let content = load(&db, site)?;
        Ok((Self { db, path: path.to_owned(), marks: marks(path)?, written: None }, content))
    }

    /// Makes a new one, in place of what is set aside. It has its name only once it is whole.
    pub fn create(path: &Path, site: &str, loss: Option<&Loss>) -> Result<Self, Trouble> {
        let new = beside(path, NEW);
        let made = fill(&new, site, loss).and_then(|()| {
            if let Some(loss) = loss {
                aside::move_to(path, &loss.set_aside)?;
            }
            fs::rename(&new, path)?;
            sync_folder(path)?;
            let db = connect(path)?;
            Ok(Self { db, path: path.to_owned(), marks: marks(path)?, written: None })
        });
        if made.is_err() {
            clear_new(&new)?;
        }
        made
    }

    /// Moves the whole log into the file, so that nothing rests on pages that an earlier error may have lost.
    pub fn settle(&mut self) -> Result<(), Trouble> {
        let busy: i64 = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        self.marks = marks(&self.path)?;
        if busy == 0 { Ok(()) } else { Err(Trouble::Moved) }
    }

    /// Writes all of it in one transaction: what differs from what the file is known to hold, or everything.
    pub fn save(&mut self, rows: Option<&Rows>, starts: Option<&[Start]>) -> Result<(), Trouble> {
        if marks(&self.path)? != self.marks {
            return Err(Trouble::Moved);
        }
        if rows.is_some_and(|rows| rows.size() > MOST_TEXT) {
            return Err(Trouble::TooMuch);
        }
        let before = self.written.take();
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let Some(rows) = rows {
            if before.is_none() {
                change.execute_batch(
                    "DELETE FROM remembered; DELETE FROM counters; DELETE FROM wear;
                     DELETE FROM meta WHERE name IN ('lost_to', 'lost_why')",
                )?;
            }
            tables::put(&change, before.as_ref().unwrap_or(&Rows::default()), rows)?;
        }
        if let Some(starts) = starts {
            tables::put_starts(&change, starts)?;
        }
        change.commit()?;
        self.marks = marks(&self.path)?;
        self.written = rows.cloned().or(before);
        Ok(())
    }
}

/// The path with something after its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes a rename or a removal in this file's folder outlive a power cut.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes a file under its first name, with all tables and no record.
fn fill(new: &Path, site: &str, loss: Option<&Loss>) -> Result<(), Trouble> {
    clear_new(new)?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let mut db = connect(new)?;
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    change.execute_batch(tables::SQL)?;
    change.pragma_update(None, "application_id", APPLICATION)?;
    change.pragma_update(None, "user_version", SCHEMA)?;
    let note = |name: &str, value: &str| {
        change.execute("INSERT INTO meta (name, value) VALUES (?1, ?2)", (name, value))
    };
    note("site", site)?;
    if let Some(loss) = loss {
        note("lost_to", &loss.set_aside.to_string_lossy())?;
        note("lost_why", &loss.why)?;
    }
    change.commit()?;
    db.close().map_err(|(_, error)| error.into())
}

fn clear_new(new: &Path) -> std::io::Result<()> {
    ["", "-wal", "-journal"].iter().try_for_each(|part| remove(&beside(new, part)))
}

fn marks(path: &Path) -> std::io::Result<Marks> {
    let mut marks = Marks::default();
    for (mark, part) in marks.iter_mut().zip([path, &beside(path, "-wal")]) {
        *mark = match fs::metadata(part) {
            Ok(found) => Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
    }
    Ok(marks)
}

/// Whether a file begins as ours do. Seen before SQLite opens it, which would make a file of an empty one.
fn ours(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::new();
    fs::File::open(path)?.take(72).read_to_end(&mut head)?;
    Ok(head.starts_with(b"SQLite format 3\0") && head.ends_with(&APPLICATION.to_be_bytes()))
}

fn connect(path: &Path) -> Result<Connection, Trouble> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    // Before the first read, so that the log's index never becomes a file.
    db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    db.pragma_update(None, "page_size", PAGE)?;
    db.pragma_update(None, "cell_size_check", true)?;
    db.pragma_update(None, "cache_size", CACHE)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.query_row(&format!("PRAGMA wal_autocheckpoint = {LOG}"), [], |_| Ok(()))?;
    Ok(db)
}

fn load(db: &Connection, site: &str) -> Result<Content, Trouble> {
    let number = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Trouble::Damaged(verdict));
    }
    match number("user_version")? {
        SCHEMA => {}
        newer if newer > SCHEMA => return Err(Trouble::Newer(newer)),
        other => return Err(Trouble::Damaged(format!("there never was a schema {other}"))),
    }
    let meta = |name: &str| {
        let found =
            db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get::<_, String>(0));
        match found {
            Ok(value) => Ok(Some(value)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(error) => Err(Trouble::from(error)),
        }
    };
    match meta("site")? {
        Some(name) if name == site => {}
        Some(name) => return Err(Trouble::Foreign(name)),
        None => return Err(Trouble::Damaged("it does not say whose it is".to_owned())),
    }
    let loss = match (meta("lost_to")?, meta("lost_why")?) {
        (Some(set_aside), Some(why)) => Some(Loss { set_aside: set_aside.into(), why }),
        (_, _) => None,
    };
    let rows = tables::read_rows(db)?;
    let found = match loss {
        _ if !rows.is_empty() => Found::Record(Box::new(rows.record()?)),
        Some(loss) => Found::Lost(loss),
        None => Found::Nothing,
    };
    Ok(Content { found, starts: tables::read_starts(db)? })
}
