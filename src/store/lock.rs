//! One process per state folder.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The lock on a folder, held while this lives. The folder itself is locked: that leaves no file behind, and works
/// where nothing can be written.
#[derive(Debug)]
pub(super) struct Lock {
    folder: File,
}

impl Lock {
    /// Takes it; none when another process has it.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let folder = File::open(folder)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Self { folder })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether it is still the lock of what is at this path now.
    pub fn holds(&self, folder: &Path) -> io::Result<bool> {
        let (held, found) = (self.folder.metadata()?, std::fs::metadata(folder)?);
        Ok((held.dev(), held.ino()) == (found.dev(), found.ino()))
    }
}
