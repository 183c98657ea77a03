//! Dashboards against the table of metrics: what a query asks for must be exported.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::table::{Kind, Metric, TABLE};

/// Labels that Prometheus adds to every series.
const SCRAPED: [&str; 2] = ["job", "instance"];
/// Words of PromQL that look like names.
const KEYWORDS: [&str; 12] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "inf",
];

/// The names and labels that a query uses.
#[derive(Debug, Default, PartialEq)]
struct Used {
    /// Each metric with the labels of its selector.
    metrics: Vec<(String, BTreeSet<String>)>,
    /// Labels of groupings.
    grouped: BTreeSet<String>,
}

/// Reads a query as far as names and labels go; values, ranges and arithmetic are skipped.
fn used(query: &str) -> Used {
    let mut used = Used::default();
    let mut rest = query;
    let mut last_word = "";
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let (word, after) = self::word(rest);
            rest = after;
            let next = rest.trim_start();
            let called = next.starts_with('(') || ["by", "without"].contains(&self::word(next).0);
            if !called && !KEYWORDS.contains(&word) {
                used.metrics.push((word.to_owned(), BTreeSet::new()));
            }
            last_word = word;
        } else if first == '('
            && ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&last_word)
        {
            let (inside, after) = rest[1..].split_once(')').expect("a list of labels ends");
            used.grouped.extend(inside.split(',').map(|label| label.trim().to_owned()));
            rest = after;
            last_word = "";
        } else if first == '{' {
            let (inside, after) = rest[1..].split_once('}').expect("a selector ends");
            let (_, labels) = used.metrics.last_mut().expect("a selector follows a name");
            for part in inside.split("\",").filter(|part| !part.trim().is_empty()) {
                labels.insert(word(part.trim()).0.to_owned());
            }
            rest = after;
        } else if first == '[' {
            rest = rest.split_once(']').expect("a range ends").1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else {
            if !first.is_whitespace() {
                last_word = "";
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    used
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// The metric that a series belongs to.
fn exported(series: &str) -> Option<&'static Metric> {
    TABLE.iter().map(|id| id.spec()).find(|spec| match spec.kind {
        Kind::Summary => {
            [format!("{}_sum", spec.name), format!("{}_count", spec.name)].contains(&series.to_owned())
        }
        Kind::Gauge | Kind::Counter => spec.name == series,
    })
}

/// What is wrong with a query and the legend that goes with it.
fn mistakes(query: &str, legend: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let used = used(query);
    let mut known: BTreeSet<&str> = SCRAPED.into();
    for (series, labels) in &used.metrics {
        let Some(spec) = exported(series) else {
            mistakes.push(format!("{series} is not exported"));
            continue;
        };
        known.extend(spec.labels);
        for label in labels.iter().filter(|label| !spec.labels.contains(&label.as_str())) {
            if !SCRAPED.contains(&label.as_str()) {
                mistakes.push(format!("{series} has no label {label}"));
            }
        }
    }
    let shown = legend
        .split("{{")
        .skip(1)
        .filter_map(|part| part.split_once("}}"))
        .map(|(label, _)| label.to_owned());
    let grouped = used.grouped.clone();
    for label in grouped.iter().cloned().chain(shown.clone()).filter(|label| !known.contains(label.as_str()))
    {
        mistakes.push(format!("no metric of this query has the label {label}"));
    }
    if !grouped.is_empty() {
        for label in shown.filter(|label| !grouped.contains(label)) {
            mistakes.push(format!("the grouping drops {label}, which the legend shows"));
        }
    }
    mistakes
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("grafana/dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.display().to_string(), read(&path))).collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

#[test]
fn the_reader_of_queries_finds_names_labels_and_groupings() {
    let query = r#"sum by (device, kind) (rate(ess_a_total{job="$job", kind=~"x,y"}[5m])) / on(device) 3.6e6 * ess_b"#;
    let used = used(query);
    let labels = |list: &[&str]| list.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(
        used.metrics,
        [("ess_a_total".to_owned(), labels(&["job", "kind"])), ("ess_b".to_owned(), BTreeSet::new())]
    );
    assert_eq!(used.grouped, labels(&["device", "kind"]));
}

#[test]
fn a_query_for_what_is_not_exported_is_a_mistake() {
    for (query, legend, mistake) in [
        ("ess_battery_soc_percent", "", "ess_battery_soc_percent is not exported"),
        ("ess_tick_duration_seconds", "", "ess_tick_duration_seconds is not exported"),
        ("ess_device_up{devices=\"gx\"}", "", "ess_device_up has no label devices"),
        ("sum by (phase) (ess_device_up)", "", "no metric of this query has the label phase"),
        ("ess_device_up", "{{battery}}", "no metric of this query has the label battery"),
        (
            "sum by (device) (ess_modbus_errors_total)",
            "{{kind}}",
            "the grouping drops kind, which the legend shows",
        ),
    ] {
        assert_eq!(mistakes(query, legend), [mistake]);
    }
}

#[test]
fn every_query_of_every_dashboard_asks_for_what_is_exported() {
    let mut queries = 0;
    for (file, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let (query, legend) =
                    (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap());
                assert_eq!(mistakes(query, legend), [""; 0], "{file}, panel {}: {query}", panel["title"]);
                assert!(query.contains("$job") && query.contains("$instance"), "{file}: {query} mixes sites");
                queries += 1;
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if let Some(metric) = variable["definition"].as_str() {
                let asked = metric.trim_start_matches("label_values(");
                assert!(exported(word(asked).0).is_some(), "{file}: {metric}");
            }
        }
    }
    assert!(queries > 40, "only {queries} queries were found");
}

#[test]
fn every_panel_explains_itself_and_has_its_own_place() {
    for (file, dashboard) in dashboards() {
        assert!(dashboard["uid"].as_str().unwrap().starts_with("ess-"), "{file}");
        let mut ids = BTreeSet::new();
        let mut cells = BTreeSet::new();
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: id of {title} is not its own");
            let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for x in place("x")..place("x") + place("w") {
                assert!(x < 24, "{file}: {title} is too wide");
                for y in place("y")..place("y") + place("h") {
                    assert!(cells.insert((x, y)), "{file}: {title} lies on another panel");
                }
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().is_some_and(|words| !words.is_empty()), "{file}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(
                defaults["unit"].as_str().is_some_and(|unit| !unit.is_empty()),
                "{file}: {title} has no unit"
            );
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {title}");
            if panel["type"] == "timeseries" {
                assert_eq!(defaults["custom"]["spanNulls"], false, "{file}: {title} hides gaps");
            }
        }
    }
}
