//! For build servers: JUnit's XML, as its readers agree on it.

use std::fmt::Write as _;

use super::{CaseResult, Summary, Verdict, text};

/// The whole report.
#[must_use]
pub fn render(summary: &Summary) -> String {
    let (_, failed, refused) = summary.counts();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _infallible = writeln!(
        xml,
        "<testsuites><testsuite name=\"wattkeeper\" tests=\"{}\" failures=\"{failed}\" errors=\"{refused}\">",
        summary.cases.len()
    );
    for case in &summary.cases {
        xml.push_str(&render_case(case));
    }
    xml.push_str("</testsuite></testsuites>\n");
    xml
}

fn render_case(case: &CaseResult) -> String {
    let head = format!(
        "<testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
        escaped(&case.file),
        escaped(&case.name),
        escaped(&case.file),
        case.line
    );
    let (tag, message) = match &case.verdict {
        Verdict::Passed => return format!("{head}/>\n"),
        Verdict::Failed(failures) => {
            let first = failures.first().map(|failure| {
                format!("{}:{}: {} is not {}", case.file, failure.line, failure.subject, failure.expected)
            });
            ("failure", first.unwrap_or_default())
        }
        Verdict::Refused(mistakes) => {
            ("error", mistakes.first().map(ToString::to_string).unwrap_or_default())
        }
    };
    let body = escaped(&text::render_case(case, false));
    format!("{head}><{tag} message=\"{}\">{body}</{tag}></testcase>\n", escaped(&message))
}

/// Text inside XML; characters that XML 1.0 cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
