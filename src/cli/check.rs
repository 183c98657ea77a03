//! `wattkeeper check`: reads a profile as `run` would, and says what it means or everything that is wrong with it.

use std::path::Path;

use crate::profile::{self, Overrides, report};

/// How to show it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Show {
    /// Also where each effective value came from.
    pub origin: bool,
    /// For programs.
    pub json: bool,
}

/// What to print, and the exit code: 0 no mistake, 1 mistakes.
#[must_use]
pub fn check(profile: &str, overrides: &Overrides, show: Show) -> (String, u8) {
    let path = Path::new(profile);
    let result = match profile::shipped(profile) {
        Some(_) if !path.exists() => profile::load_shipped(profile, overrides),
        _ => profile::load(path, overrides),
    };
    let code = u8::from(result.is_err());
    if show.json {
        return (format!("{:#}\n", report::json(&result, show.origin)), code);
    }
    let page = match result {
        Err(mistakes) => report::mistakes_text(&mistakes),
        Ok(site) if show.origin => format!("{}\n{}", report::text(&site), report::origin_text(&site)),
        Ok(site) => report::text(&site),
    };
    (page, code)
}

/// The reference page of every key a profile may hold.
#[must_use]
pub fn keys() -> String {
    profile::reference()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_told_with_the_profiles_there_are() {
        let (page, code) = check("/nowhere/site.toml", &Overrides::default(), Show::default());
        assert_eq!(code, 1);
        assert!(page.contains("cannot be read") && page.contains("way out:"), "{page}");
    }
}
