//! Files that cannot be used are kept for whoever wants to know why, a few of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file::beside;

/// Damaged files that are kept; the oldest goes first.
const KEPT: usize = 3;
/// What belongs to a file of SQLite's.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// Where a damaged file goes: under the next number.
pub(super) fn for_damaged(path: &Path) -> io::Result<PathBuf> {
    let next = numbers(path)?.last().map_or(1, |last| last.saturating_add(1));
    Ok(numbered(path, next))
}

/// Where the file of another site goes: under that site's name.
pub(super) fn for_site(path: &Path, site: &str) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let name: String = site.chars().take(40).map(plain).collect();
    beside(path, &format!(".of-{name}"))
}

/// Moves a file and what belongs to it, in place of what was there, and drops the oldest of too many.
///
/// The log goes first: without its file it is nothing, but beside a new file it would be taken for that one's.
pub(super) fn move_to(path: &Path, to: &Path) -> io::Result<()> {
    clear(to)?;
    for part in PARTS.iter().rev() {
        match fs::rename(beside(path, part), beside(to, part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let numbers = numbers(path)?;
    for old in numbers.iter().take(numbers.len().saturating_sub(KEPT)) {
        clear(&numbered(path, *old))?;
    }
    Ok(())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    beside(path, &format!(".corrupt-{number}"))
}

/// The numbers in use, lowest first.
fn numbers(path: &Path) -> io::Result<Vec<u32>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
    let stem = format!("{}.corrupt-", name.to_string_lossy());
    let mut numbers: Vec<u32> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(&stem)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn clear(path: &Path) -> io::Result<()> {
    for part in PARTS.map(|part| beside(path, part)) {
        match fs::symlink_metadata(&part) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&part)?,
            Ok(_) => fs::remove_file(&part)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
