//! A file of a person from the disk: a plain one, in UTF-8, and not too long.

use std::io::Read as _;
use std::path::Path;

use crate::device::definition::syntax::{Lines, MOST_BYTES, too_long};
use crate::device::mistake::Mistake;

/// The text of a file that a profile names. It is read with the rights of the service, so it has to end in `.toml`:
/// no mistake in a profile shows lines of another program's files.
///
/// # Errors
/// Why it has none.
pub fn read_named(path: &Path) -> Result<String, Mistake> {
    if path.extension().is_some_and(|ending| ending == "toml") {
        return read(path);
    }
    Err(Mistake {
        file: path.display().to_string(),
        line: 0,
        key: String::new(),
        cause: "it is no .toml file".to_owned(),
        way_out: "give the file a name that ends in .toml".to_owned(),
    })
}

/// The text of a file.
///
/// # Errors
/// Why it has none.
pub fn read(path: &Path) -> Result<String, Mistake> {
    let named = path.display().to_string();
    let refuse = |line: usize, cause: String, way_out: String| Mistake {
        file: named.clone(),
        line,
        key: String::new(),
        cause,
        way_out,
    };
    let other = || format!("name a profile file; ready-made ones are {}", super::names(", "));
    let unreadable = |error: std::io::Error| refuse(0, format!("it cannot be read: {error}"), other());
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(refuse(0, "it is no file".to_owned(), other()));
    }
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64;
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MOST_BYTES {
        return Err(too_long(&named, about.len()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let line = error
            .as_bytes()
            .get(..sound)
            .map_or(1, |bytes| Lines::new(&String::from_utf8_lossy(bytes)).number(sound));
        let cause = "from here on the file is not UTF-8, as letters such as ä or ° show".to_owned();
        refuse(
            line,
            cause,
            "save it as UTF-8 in your editor, or write these letters without marks".to_owned(),
        )
    })
}
