//! What outlives the process: one SQLite file in the state folder, and one thread that writes it.
//!
//! Control never waits for it. [`Keeper::keep`] puts the newest record into a mailbox of depth one; what a disk does
//! with it, and how long that takes, is heard later as [`KeeperEvent`]s. What cannot be written is tried again from
//! memory, at growing intervals, until it can. The thread is the only one that touches the file while we run.
//!
//! # The file
//!
//! `wattkeeper.db`, readable with the `sqlite3` tool once we have stopped, or as a copy together with its `-wal`:
//!
//! | table | columns | holds |
//! |---|---|---|
//! | `meta` | `name`, `value` | `site`: whose it is; `lost_to`, `lost_why`: what was set aside just before, until the first record |
//! | `remembered` | `section`, `json` | one row per field of [`Keepsake`](crate::control::site::Keepsake) (guard, genset, alarms, orders, ..), `stamp` for [`Stamp`], `seal` for the checksum of all rows |
//! | `counters` | `name`, `value` | energy by direction; the unit ends the name (`_mj`: millijoules) |
//! | `wear` | `device`, `unit`, `address`, `at` | moments of recent writes to a register that wears, site time in ms |
//! | `starts` | `boot`, `boottime_ms`, `utc_ms`, `trusted`, `ended_well` | the last 16 starts of the process |
//!
//! `PRAGMA user_version` is the schema. Within one schema unknown rows, fields, columns and tables are ignored and
//! missing ones have their defaults, so a new word in a section needs a new schema; a newer schema is refused. A file that is damaged, or whose contents cannot be
//! true, is set aside whole as `wattkeeper.db.corrupt-N`, one of another site as `wattkeeper.db.of-SITE`.

mod aside;
mod file;
mod lock;
mod open;
mod record;
mod tables;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub use open::{OpenError, open};
pub use record::{Mistake, Record, Rows, Stamp, Wear};
use writer::{Letter, Mailbox};

/// An earlier start of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// When.
    pub stamp: Stamp,
    /// Whether that process ended by [`Keeper::close`].
    pub ended_well: bool,
}

/// A memory that cannot be used, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Where it is kept for inspection.
    pub set_aside: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// What was found at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a new site.
    Nothing,
    /// What was written down last.
    Record(Box<Record>),
    /// There was a memory, but it cannot be used: the cautious case.
    Lost(Loss),
}

/// An opened store.
#[derive(Debug)]
pub struct Opened {
    /// Writes down from now on.
    pub keeper: Keeper,
    /// What was found.
    pub found: Found,
    /// Earlier starts of the process, newest last, at most the last 16.
    pub starts: Vec<Start>,
}

/// What became of what was to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperEvent {
    /// The record of this number is safe, and with it all before.
    Safe(u32),
    /// Nothing is being written down. Said once; it is tried again until it works.
    Failed {
        /// What happened, why, what to do.
        why: String,
    },
    /// Records are being written down again.
    Healed,
}

/// What the writer last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Status {
    safe: Option<u32>,
    trouble: Option<String>,
}

/// Who writes down.
#[derive(Debug)]
enum Way {
    /// A thread with a file.
    Disk { mailbox: Arc<Mailbox>, thread: JoinHandle<()> },
    /// Nobody: what is kept is safe at once, until the process ends.
    Memory(watch::Sender<Status>),
}

/// Has records written down. Dropped without [`close`](Self::close), it counts as a process that died.
#[derive(Debug)]
pub struct Keeper {
    way: Way,
    status: watch::Receiver<Status>,
    told: Status,
}

/// A keeper for tests and demonstrations: confirms at once, writes nothing.
#[must_use]
pub fn memory() -> Keeper {
    let (sender, status) = watch::channel(Status::default());
    Keeper { way: Way::Memory(sender), status, told: Status::default() }
}

impl Keeper {
    /// Has this record written down. Never waits: a record that waits is replaced, and safe when this one is.
    pub fn keep(&self, seq: u32, record: Record) {
        match &self.way {
            Way::Disk { mailbox, .. } => mailbox.put(Letter { seq: Some(seq), record }),
            Way::Memory(status) => {
                status.send_modify(|status| status.safe = Some(seq));
            }
        }
    }

    /// The next thing that became of what was kept. Nothing is lost when this is dropped half way.
    pub async fn next(&mut self) -> KeeperEvent {
        loop {
            if let Some(event) = self.try_next() {
                return event;
            }
            if self.status.changed().await.is_err() && self.told.trouble.is_some() {
                return std::future::pending().await;
            }
        }
    }

    /// The same, when it is known already.
    pub fn try_next(&mut self) -> Option<KeeperEvent> {
        let now = self.status.borrow().clone();
        if self.told.safe != now.safe {
            self.told.safe = now.safe;
            return now.safe.map(KeeperEvent::Safe);
        }
        let trouble = now.trouble.or_else(|| (!self.alive()).then(|| GONE.to_owned()));
        let event = match (&self.told.trouble, &trouble) {
            (None, Some(why)) => Some(KeeperEvent::Failed { why: why.clone() }),
            (Some(_), None) => Some(KeeperEvent::Healed),
            (None, None) | (Some(_), Some(_)) => None,
        };
        self.told.trouble = trouble;
        event
    }

    /// Whether the writer is there. It never ends by itself, so without it something is broken in here.
    #[must_use]
    pub fn alive(&self) -> bool {
        match &self.way {
            Way::Disk { thread, .. } => !thread.is_finished(),
            Way::Memory(_) => true,
        }
    }

    /// Writes a last record, notes that this process ended well, and gives the folder free. Waits at most this long
    /// and says whether all that is done.
    pub fn close(self, record: Option<Record>, within: Duration) -> bool {
        match &self.way {
            Way::Disk { mailbox, .. } => mailbox.close(record, within),
            Way::Memory(_) => true,
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Way::Disk { mailbox, .. } = &self.way {
            mailbox.abandon();
        }
    }
}

/// Why nothing is written down once the writer is gone.
const GONE: &str = "The state is no longer being written down: the thread that writes it has ended, which is a mistake in \
                    this program. Control goes on; restart the service and report this.";
