//! The start: lock, read, note the start, begin to write.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;
use tracing::warn;

use super::file::{self, Content, File, SCHEMA, Trouble, beside};
use super::lock::Lock;
use super::tables::STARTS;
use super::writer::{Mailbox, Writer};
use super::{Found, Keeper, Loss, Opened, Stamp, Start, Status, Way, aside};

/// Why a site cannot start with this state folder.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the folder.
    #[error(
        "another wattkeeper uses the state folder {}: two of them would spoil each other's memory and orders. \
         Stop the other one (systemctl stop wattkeeper), or give this site a folder of its own",
        .0.display()
    )]
    Busy(PathBuf),
    /// A newer version wrote the file.
    #[error(
        "{} was written by a newer version of wattkeeper (schema {schema}, this one knows {SCHEMA}): it would be \
         misread. Install that version again, or move the file away to start without its memory",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: i64,
    },
    /// The folder cannot be used at all.
    #[error("the state folder {} cannot be used: {source}. Create it and make it this user's", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No thread could be started.
    #[error("the thread that writes the state cannot be started: {0}. Allow the service more tasks")]
    Thread(io::Error),
}

/// Takes the folder's lock, reads what is there, notes this start and starts the thread that writes.
///
/// What cannot be written is no obstacle: the keeper says so and goes on trying.
///
/// # Errors
/// See [`OpenError`]. Damage is none: what is damaged is set aside and [`Found::Lost`].
pub fn open(folder: &Path, site: &str, now: &Stamp) -> Result<Opened, OpenError> {
    let refused = |source| OpenError::Folder { folder: folder.to_owned(), source };
    make(folder).map_err(refused)?;
    let lock = Lock::take(folder).map_err(refused)?.ok_or_else(|| OpenError::Busy(folder.to_owned()))?;
    let path = folder.join(file::NAME);
    let read = read(&path, site).map_err(|schema| OpenError::Newer { path: path.clone(), schema })?;
    let (found, earlier) = (read.content.found, read.content.starts);
    let mut starts = earlier.clone();
    starts.push(Start { stamp: now.clone(), ended_well: false });
    starts.drain(..starts.len().saturating_sub(STARTS));
    let (status, receiver) = watch::channel(Status::default());
    let mut writer = Writer::new(path, site.to_owned(), lock, starts, status);
    writer.begin(read.file, read.unread);
    let mailbox = Arc::new(Mailbox::default());
    let thread = writer.start(Arc::clone(&mailbox)).map_err(OpenError::Thread)?;
    let keeper = Keeper { way: Way::Disk { mailbox, thread }, status: receiver, told: Status::default() };
    Ok(Opened { keeper, found, starts: earlier })
}

/// How the reading at the start went.
struct Read {
    file: Result<File, Trouble>,
    content: Content,
    /// What nobody could read, and must not be written over before somebody has.
    unread: Option<Loss>,
}

/// Reads the file, from a copy where it cannot be opened for writing. `Err` is a newer schema.
fn read(path: &Path, site: &str) -> Result<Read, i64> {
    let trouble = match recover(path, site) {
        (Err(Trouble::Newer(schema)), _) => return Err(schema),
        (Err(trouble), None) => trouble,
        (file, content) => return Ok(Read { file, content: content.unwrap_or_default(), unread: None }),
    };
    warn!(%trouble, path = %path.display(), "state cannot be opened for writing");
    let file = Err(trouble);
    match read_copy(path, site) {
        Ok(content) => Ok(Read { file, content, unread: None }),
        Err(Trouble::Newer(schema)) => Err(schema),
        Err(why) => {
            let set_aside = aside::for_damaged(path).unwrap_or_else(|_| path.to_owned());
            let loss = Loss { set_aside, why: why.to_string() };
            let content = Content { found: Found::Lost(loss.clone()), starts: Vec::new() };
            Ok(Read { file, content, unread: Some(loss) })
        }
    }
}

/// Opens the file for writing, or makes a new one in place of what is missing, damaged or another's. What was found
/// is told even when no new one could be made.
pub(super) fn recover(path: &Path, site: &str) -> (Result<File, Trouble>, Option<Content>) {
    let (set_aside, why) = match File::open(path, site) {
        Ok((file, content)) => return (Ok(file), Some(content)),
        Err(Trouble::Missing) => return (File::create(path, site, None), Some(Content::default())),
        Err(Trouble::Damaged(why)) => (aside::for_damaged(path), why),
        Err(Trouble::Foreign(name)) => (Ok(aside::for_site(path, &name)), Trouble::Foreign(name).to_string()),
        Err(trouble) => return (Err(trouble), None),
    };
    let set_aside = match set_aside {
        Ok(set_aside) => set_aside,
        Err(error) => return (Err(error.into()), None),
    };
    let loss = Loss { set_aside, why };
    warn!(why = %loss.why, set_aside = %loss.set_aside.display(), "state cannot be used and is set aside");
    let made = File::create(path, site, Some(&loss));
    (made, Some(Content { found: Found::Lost(loss), starts: Vec::new() }))
}

/// Reads copies of the file and its log, where the file itself cannot be opened for writing.
fn read_copy(path: &Path, site: &str) -> Result<Content, Trouble> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("wattkeeper-{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&folder)?;
    let copy = folder.join(file::NAME);
    let content = copy_parts(path, &copy).and_then(|()| File::open(&copy, site)).map(|(_, content)| content);
    // What is left behind there harms nobody.
    let _ = fs::remove_dir_all(&folder);
    content
}

fn copy_parts(path: &Path, copy: &Path) -> Result<(), Trouble> {
    fs::copy(path, copy)?;
    let log = beside(path, "-wal");
    if log.try_exists()? {
        fs::copy(log, beside(copy, "-wal"))?;
    }
    Ok(())
}

/// Makes the folder if there is none, ours alone.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
