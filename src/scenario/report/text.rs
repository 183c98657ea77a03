//! For a person at a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::super::format::words::spoken;
use super::super::judge::Failure;
use super::{CaseResult, Summary, Verdict, draw};

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Whether a stream wants colour: a terminal, and nobody set `NO_COLOR`.
#[must_use]
pub fn wants_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The whole report: what did not pass in full, and the counts.
#[must_use]
pub fn render(summary: &Summary, color: bool) -> String {
    let mut text = String::new();
    for case in summary.cases.iter().filter(|case| !case.passed()) {
        text.push_str(&render_case(case, color));
        text.push('\n');
    }
    let (passed, failed, refused) = summary.counts();
    let paint = if failed + refused == 0 { GREEN } else { RED };
    let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    let _infallible =
        writeln!(text, "{}", painted(&format!("{passed} passed, {failed} failed{refused}"), paint, color));
    text
}

/// One case: a line when it passed, everything about it when not.
#[must_use]
pub fn render_case(case: &CaseResult, color: bool) -> String {
    match &case.verdict {
        Verdict::Passed => format!("{}  {}\n", painted("ok  ", GREEN, color), case.name),
        Verdict::Failed(failures) => {
            let mut text = format!("{}  {}\n", painted("FAIL", RED, color), case.name);
            for failure in failures {
                text.push_str(&render_failure(&case.file, failure, color));
            }
            text
        }
        Verdict::Refused(mistakes) => {
            let mut text = format!("{}  {}\n", painted("WRONG", RED, color), case.name);
            for mistake in mistakes {
                let _infallible = writeln!(text, "  {}", mistake.to_string().replace('\n', "\n  "));
            }
            text
        }
    }
}

fn render_failure(file: &str, failure: &Failure, color: bool) -> String {
    let place = format!("{file}:{}", failure.line);
    let step =
        failure.step.map_or_else(|| "over the whole case".to_owned(), |line| format!("step in line {line}"));
    let mut text = format!("  {place}: {}\n", failure.subject);
    let _infallible = writeln!(text, "      expected  {}", failure.expected);
    let when = painted(&format!("at {}, {step}", spoken(failure.at)), DIM, color);
    let _infallible = writeln!(text, "      found     {}  {when}", painted(&failure.found, RED, color));
    for line in draw::lines(&failure.drawing, failure.at) {
        let _infallible = writeln!(text, "      {}", painted(&line, DIM, color));
    }
    text
}

fn painted(text: &str, paint: &str, color: bool) -> String {
    if color { format!("{paint}{text}{PLAIN}") } else { text.to_owned() }
}
