//! A state folder of its own for each test, and records that tell which one they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use wattkeeper::control::site::{Keepsake, Manual};
use wattkeeper::control::units::{MilliJoules, Mono};
use wattkeeper::store::{self, Keeper, KeeperEvent, Opened, Record, Stamp};

pub const SITE: &str = "Hut";
/// Long enough for any disk.
pub const LONG: Duration = Duration::from_secs(60);

/// Removed with everything in it when dropped.
pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    pub fn new() -> Self {
        Self::within(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// In memory where the system offers that, for many of them.
    pub fn fast() -> Self {
        let memory = Path::new("/dev/shm");
        Self::within(if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) })
    }

    fn within(root: &Path) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("state-{}-{number}", std::process::id());
        Self { path: root.join(name) }
    }

    /// One that holds this record, closed.
    pub fn holding(record: &Record) -> Self {
        let folder = Self::new();
        assert!(folder.open().keeper.close(Some(record.clone()), LONG));
        folder
    }

    #[track_caller]
    pub fn open(&self) -> Opened {
        store::open(&self.path, SITE, &stamp()).unwrap()
    }

    pub fn file(&self) -> PathBuf {
        self.beside("")
    }

    pub fn beside(&self, ending: &str) -> PathBuf {
        self.path.join(format!("wattkeeper.db{ending}"))
    }

    /// Runs SQL in the closed file, as a person would.
    #[track_caller]
    pub fn sql(&self, sql: &str) {
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

pub fn stamp() -> Stamp {
    Stamp { boot: "b00t".into(), boottime_ms: 77_000, utc_ms: 1_780_000_000_000, trusted: true }
}

/// The record of this minute: everything in it rises with the minute.
pub fn record(minute: i64) -> Record {
    let mut keepsake = Keepsake { at: Mono(minute * 60_000), ..Keepsake::default() };
    keepsake.manual = Manual::Run;
    keepsake.manual_until = Some(Mono(minute * 60_000 + 3_600_000));
    keepsake.full_at = Some(Mono(minute * 30_000));
    keepsake.ledger.grid_import = MilliJoules(minute * 1_000_003);
    keepsake.ledger.load = MilliJoules(minute * 2_000_003);
    Record { stamp: stamp(), keepsake, wear: Vec::new() }
}

/// Waits for the word that this record is safe.
#[track_caller]
pub fn safe(keeper: &mut Keeper, seq: u32) {
    while next(keeper) != KeeperEvent::Safe(seq) {}
}

/// The next event; a minute without one is a failure.
#[track_caller]
pub fn next(keeper: &mut Keeper) -> KeeperEvent {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, keeper.next()).await }).unwrap()
}
