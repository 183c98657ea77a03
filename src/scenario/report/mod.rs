//! What a person, a script or a build server reads about a run.

pub mod draw;
pub mod json;
pub mod junit;
pub mod text;

use super::judge::Failure;
use crate::device::mistake::Mistake;

/// How one case ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Every expectation was met.
    Passed,
    /// Some were not.
    Failed(Vec<Failure>),
    /// The file, its profile or what it speaks of is wrong: nothing was played.
    Refused(Vec<Mistake>),
}

/// One case and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    /// The file as it was named.
    pub file: String,
    /// The case's name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its public reference.
    pub source: Option<String>,
    /// Line where it begins.
    pub line: usize,
    /// How it ended.
    pub verdict: Verdict,
    /// How many expectations were looked at, over all their repetitions.
    pub looked: u64,
    /// Simulated seconds.
    pub simulated: f64,
}

impl CaseResult {
    /// Whether every expectation was met.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }
}

/// Everything that was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// In the order of the files.
    pub cases: Vec<CaseResult>,
}

impl Summary {
    /// Whether all passed, and there was something to pass.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cases.is_empty() && self.cases.iter().all(CaseResult::passed)
    }

    /// How many passed, failed and were refused.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        self.cases.iter().fold((0, 0, 0), |(passed, failed, refused), case| match case.verdict {
            Verdict::Passed => (passed + 1, failed, refused),
            Verdict::Failed(_) => (passed, failed + 1, refused),
            Verdict::Refused(_) => (passed, failed, refused + 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::Found;
    use super::super::judge::Trace;
    use super::*;
    use crate::control::units::Span;

    /// A failed case with a drawing, and a refused one.
    fn summary() -> Summary {
        let values =
            (0i32..5).map(|at| (Span::secs(i64::from(at)), Found::Number(f64::from(at * 100)))).collect();
        let failure = Failure {
            line: 14,
            step: Some(12),
            at: Span::secs(3),
            subject: "battery.order".to_owned(),
            expected: "<= 0".to_owned(),
            found: "300".to_owned(),
            drawing: vec![Trace { name: "battery.order".to_owned(), values }],
        };
        let case = |name: &str, verdict| CaseResult {
            file: "a & b.toml".to_owned(),
            name: name.to_owned(),
            tags: Vec::new(),
            source: None,
            line: 1,
            verdict,
            looked: 3,
            simulated: 5.0,
        };
        let mistake = Mistake {
            file: "a & b.toml".to_owned(),
            line: 2,
            key: "stp".to_owned(),
            cause: "unknown key".to_owned(),
            way_out: "did you mean \"step\"?".to_owned(),
        };
        Summary {
            cases: vec![
                case("Floor <held>", Verdict::Failed(vec![failure])),
                case("Broken", Verdict::Refused(vec![mistake])),
                case("Fine", Verdict::Passed),
            ],
        }
    }

    #[test]
    fn a_failure_names_its_line_what_was_expected_and_what_was_found_and_draws_the_moment() {
        let text = text::render(&summary(), false);
        for part in [
            "a & b.toml:14",
            "expected  <= 0",
            "found     300",
            "at 3s",
            "▁▃▅▆█",
            "1 passed, 1 failed, 1 refused",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no colour was wanted");
        assert!(text::render(&summary(), true).contains('\u{1b}'));
    }

    #[test]
    fn build_servers_get_their_formats() {
        let xml = junit::render(&summary());
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{xml}");
        assert!(xml.contains("name=\"Floor &lt;held&gt;\"") && xml.contains("a &amp; b.toml:14"), "{xml}");
        let json = json::render(&summary());
        assert_eq!(json["failed"], 1);
        assert_eq!(json["cases"][0]["failures"][0]["line"], 14);
        assert_eq!(json["cases"][1]["mistakes"][0]["way_out"], "did you mean \"step\"?");
    }
}
