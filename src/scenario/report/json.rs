//! For scripts.

use serde_json::{Value, json};

use super::super::compare::Found;
use super::super::judge::Failure;
use super::{CaseResult, Summary, Verdict};

/// The whole report.
#[must_use]
pub fn render(summary: &Summary) -> Value {
    let (passed, failed, refused) = summary.counts();
    let cases: Vec<Value> = summary.cases.iter().map(case).collect();
    json!({ "passed": passed, "failed": failed, "refused": refused, "cases": cases })
}

fn case(case: &CaseResult) -> Value {
    let verdict = match &case.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed(_) => "failed",
        Verdict::Refused(_) => "refused",
    };
    let mut value = json!({
        "file": case.file,
        "name": case.name,
        "tags": case.tags,
        "source": case.source,
        "line": case.line,
        "verdict": verdict,
        "looked": case.looked,
        "simulated_seconds": case.simulated,
    });
    match &case.verdict {
        Verdict::Passed => {}
        Verdict::Failed(failures) => value["failures"] = failures.iter().map(failure).collect(),
        Verdict::Refused(mistakes) => {
            value["mistakes"] = mistakes
                .iter()
                .map(|mistake| {
                    json!({
                        "file": mistake.file,
                        "line": mistake.line,
                        "key": mistake.key,
                        "cause": mistake.cause,
                        "way_out": mistake.way_out,
                    })
                })
                .collect();
        }
    }
    value
}

fn failure(failure: &Failure) -> Value {
    let signals: serde_json::Map<String, Value> = failure
        .drawing
        .iter()
        .map(|trace| {
            (trace.name.clone(), trace.values.iter().map(|(at, found)| json!([at.0, value(found)])).collect())
        })
        .collect();
    json!({
        "line": failure.line,
        "step": failure.step,
        "at_ms": failure.at.0,
        "subject": failure.subject,
        "expected": failure.expected,
        "found": failure.found,
        "signals": signals,
    })
}

fn value(found: &Found) -> Value {
    match found {
        Found::Unknown => Value::Null,
        Found::Number(number) => json!(number),
        Found::Flag(flag) => json!(flag),
        Found::Word(word) => json!(word),
        Found::List(list) => json!(list),
    }
}
