//! The thread that writes, and the mailbox before it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;
use tokio::sync::watch;
use tracing::{info, warn};

use super::file::{File, Trouble};
use super::lock::Lock;
use super::open::{make, recover};
use super::record::{Record, Rows};
use super::{Loss, Start, Status};

/// The first wait before another attempt, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(60);

/// A start waits this long for being noted, and no longer: a process that dies at once should be known.
const START_WAIT: Duration = Duration::from_secs(1);

/// A record on its way. The last one of a process has no number: nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Letter {
    pub seq: Option<u32>,
    pub record: Record,
}

/// Room for one letter, and for the word that there will be no more.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    letter: Option<Letter>,
    end: Option<End>,
    /// How it ended, once it has.
    done: Option<bool>,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    Badly,
}

impl Mailbox {
    /// Replaces what waits.
    pub fn put(&self, letter: Letter) {
        self.lock().letter = Some(letter);
        self.changed.notify_all();
    }

    /// Asks for the end and waits for it, at most this long. True when everything is written.
    pub fn close(&self, record: Option<Record>, within: Duration) -> bool {
        let mut inner = self.lock();
        if let Some(record) = record {
            inner.letter = Some(Letter { seq: None, record });
        }
        inner.end = Some(End::Well);
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(inner, within, |inner| inner.done.is_none());
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inner.done == Some(true)
    }

    /// Asks for the end without waiting, unless it was asked for.
    pub fn abandon(&self) {
        self.lock().end.get_or_insert(End::Badly);
        self.changed.notify_all();
    }

    /// What there is to do: at once, or at the moment given when an earlier attempt has failed. The end is always
    /// heard at once.
    fn wait(&self, retry_at: Option<Instant>) -> (Option<Letter>, Option<End>) {
        let mut inner = self.lock();
        while inner.end.is_none() {
            inner = match retry_at.map(|at| at.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None if inner.letter.is_some() => break,
                None => self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
        }
        (inner.letter.take(), inner.end)
    }

    fn finish(&self, well: bool) {
        self.lock().done = Some(well);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can be left half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the file and the folder's lock.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    site: String,
    lock: Lock,
    /// Open unless the last attempt failed: then nothing that was believed about it holds.
    file: Option<File>,
    /// What could not be read at the start: set aside before anything is written.
    unread: Option<Loss>,
    /// The newest record, and whether it is safe.
    latest: Option<Letter>,
    unsaved: bool,
    starts: Vec<Start>,
    starts_unsaved: bool,
    status: watch::Sender<Status>,
    /// The next wait, and when it ends, while attempts fail.
    wait: Duration,
    retry_at: Option<Instant>,
}

impl Writer {
    pub fn new(
        path: PathBuf,
        site: String,
        lock: Lock,
        starts: Vec<Start>,
        status: watch::Sender<Status>,
    ) -> Self {
        Self {
            path,
            site,
            lock,
            file: None,
            unread: None,
            latest: None,
            unsaved: false,
            starts,
            starts_unsaved: true,
            status,
            wait: FIRST_WAIT,
            retry_at: None,
        }
    }

    /// Takes over the file as it was opened, or begins with an attempt that has failed.
    pub fn begin(&mut self, opened: Result<File, Trouble>, unread: Option<Loss>) {
        self.unread = unread;
        match opened {
            Ok(file) => self.file = Some(file),
            Err(trouble) => {
                self.publish(Err(trouble));
            }
        }
    }

    /// Writes from now on, on a thread of its own. Comes back when the start is noted, or soon after.
    pub fn start(mut self, mailbox: Arc<Mailbox>) -> io::Result<JoinHandle<()>> {
        let (noted, heard) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("wattkeeper-store".to_owned()).spawn(move || {
            if let Some(file) = &mut self.file {
                // The process before may have ended on a disk that failed: then we read pages that it never got.
                let outcome = file.settle().and_then(|()| self.attempt());
                self.publish(outcome);
            }
            // Nobody may be waiting any more.
            let _ = noted.send(());
            let well = self.run(&mailbox);
            // The lock goes before anybody hears that we are done.
            drop(self);
            mailbox.finish(well);
        })?;
        // A disk that is slower than this is met as a trouble like any other.
        let _ = heard.recv_timeout(START_WAIT);
        Ok(thread)
    }

    /// Until the end; says whether all was written.
    fn run(&mut self, mailbox: &Mailbox) -> bool {
        loop {
            let (letter, end) = mailbox.wait(self.retry_at);
            if letter.is_some() {
                self.latest = letter;
                self.unsaved = true;
            }
            if end == Some(End::Well)
                && let Some(this) = self.starts.last_mut()
            {
                this.ended_well = true;
                self.starts_unsaved = true;
            }
            let outcome = self.attempt();
            let well = self.publish(outcome);
            if end.is_some() {
                return well;
            }
        }
    }

    /// Writes what is unsaved; everything, when the file had to be opened anew.
    fn attempt(&mut self) -> Result<(), Trouble> {
        let anew = self.file.is_none();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        let latest = self.latest.as_ref().filter(|_| anew || self.unsaved);
        let rows = latest.map(|letter| Rows::of(&letter.record)).transpose()?;
        let starts = (anew || self.starts_unsaved).then_some(self.starts.as_slice());
        if rows.is_some() || starts.is_some() {
            file.save(rows.as_ref(), starts)?;
        }
        self.file = Some(file);
        (self.unsaved, self.starts_unsaved) = (false, false);
        Ok(())
    }

    fn reopen(&mut self) -> Result<File, Trouble> {
        if let Some(folder) = self.path.parent() {
            make(folder)?;
            if !self.lock.holds(folder)? {
                self.lock = Lock::take(folder)?.ok_or(Trouble::Held)?;
            }
        }
        if let Some(loss) = &self.unread {
            let file = File::create(&self.path, &self.site, Some(loss))?;
            self.unread = None;
            return Ok(file);
        }
        let mut file = recover(&self.path, &self.site).0?;
        file.settle()?;
        Ok(file)
    }

    /// Says how it went, and when to try again. After an error no belief about the file's pages is safe: it is
    /// opened anew.
    fn publish(&mut self, outcome: Result<(), Trouble>) -> bool {
        let trouble = outcome.err().map(|trouble| advice(&self.path, &trouble));
        let well = trouble.is_none();
        match &trouble {
            Some(why) if self.retry_at.is_none() => warn!(%why, "state is not being written down"),
            None if self.retry_at.is_some() => info!("state is being written down again"),
            Some(_) | None => {}
        }
        if !well {
            self.file = None;
        }
        self.retry_at = (!well).then(|| Instant::now() + self.wait);
        self.wait = if well { FIRST_WAIT } else { (self.wait * 2).min(LAST_WAIT) };
        let seq = self.latest.as_ref().and_then(|letter| letter.seq);
        self.status.send_if_modified(|status| {
            let before = status.clone();
            status.trouble = trouble.map(|why| status.trouble.take().unwrap_or(why));
            status.safe = if well { seq.or(status.safe) } else { status.safe };
            *status != before
        });
        well
    }
}

/// What happened, why, and what to do about it.
fn advice(path: &Path, trouble: &Trouble) -> String {
    let remedy = match trouble {
        Trouble::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "Free some space on its disk",
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "Close the program that has the file open"
            }
            Some(ErrorCode::OutOfMemory) => "Give the machine more memory",
            Some(ErrorCode::SystemIoFailure) => "Check the disk and replace it if it is worn",
            Some(_) | None => {
                "Make folder and file writable for this user; a card that has turned read-only is worn out"
            }
        },
        Trouble::Files(_) => {
            "Check that the folder is there, that this user may write into it and that there is space"
        }
        Trouble::Moved => "Leave the file alone while the service runs: it is made again",
        Trouble::Held => "Stop the other one",
        Trouble::Newer(_) => "Stop the service before the file is replaced",
        Trouble::Missing | Trouble::Damaged(_) | Trouble::Foreign(_) => "It is set aside and made again",
        Trouble::Text(_) | Trouble::TooMuch => "Report this, it is a mistake in this program",
    };
    format!(
        "The state is not being written down: {}: {trouble}. {remedy}. Control goes on from memory and this is tried \
         again; what changes until then is forgotten in a power cut.",
        path.display()
    )
}
