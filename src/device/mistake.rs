//! A mistake in a file that a person wrote: where, what, and the way out.

use std::fmt;

/// One mistake. Loaders collect all of them; none stops at the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as the person named it, or `environment` or `command line`.
    pub file: String,
    /// Line from 1; 0 when the place is no file.
    pub line: usize,
    /// Dotted key, as far as it is known.
    pub key: String,
    /// What is wrong.
    pub cause: String,
    /// What to do about it; applied, it makes this mistake go away.
    pub way_out: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.file, self.line)?;
        } else {
            write!(f, "{}: ", self.file)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n    way out: {}", self.cause, self.way_out)
    }
}
