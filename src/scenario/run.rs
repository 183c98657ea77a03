//! Plays cases: each twice, and what differs fails.

use std::path::{Path, PathBuf};

use crate::control::units::{Mono, Span};
use crate::device::mistake::Mistake;

use super::format::value::Chance;
use super::format::{Case, read};
use super::judge::{Failure, Judge};
use super::report::{CaseResult, Summary, Verdict};
use super::timeline::Timeline;
use super::world::World;

/// What to play.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only cases that carry one of these tags; all when empty.
    pub tags: Vec<String>,
}

/// How far a run of files has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Files that were played.
    pub done: usize,
    /// Files in all.
    pub of: usize,
    /// The case that just ended.
    pub case: &'a CaseResult,
}

/// Plays scenario files in the order in which they were named; a folder means every `.toml` below it.
/// `progress` hears of each case as it ends.
pub fn run_files(paths: &[PathBuf], options: &Options, progress: &mut dyn FnMut(Progress<'_>)) -> Summary {
    let mut summary = Summary::default();
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files);
    }
    for (done, file) in files.iter().enumerate() {
        for case in run_file(file, options) {
            progress(Progress { done: done + 1, of: files.len(), case: &case });
            summary.cases.push(case);
        }
    }
    summary
}

/// Files below a folder in the order of their names, or the file itself.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(folder) = std::fs::read_dir(path) else {
        files.push(path.to_path_buf());
        return;
    };
    let mut inside: Vec<PathBuf> = folder.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    inside.sort();
    for path in inside {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
            collect(&path, files);
        }
    }
}

/// Plays one file.
#[must_use]
pub fn run_file(path: &Path, options: &Options) -> Vec<CaseResult> {
    match std::fs::read_to_string(path) {
        Ok(text) => run_text(&text, path, options),
        Err(error) => {
            let mistake = Mistake {
                file: path.display().to_string(),
                line: 0,
                key: String::new(),
                cause: format!("the file cannot be read: {error}"),
                way_out: "name a scenario file, or a folder that holds some".to_owned(),
            };
            vec![refused_file(path, vec![mistake])]
        }
    }
}

/// Plays a file's text; `path` names it and anchors what it refers to.
#[must_use]
pub fn run_text(text: &str, path: &Path, options: &Options) -> Vec<CaseResult> {
    let wanted =
        |case: &&Case| options.tags.is_empty() || case.tags.iter().any(|tag| options.tags.contains(tag));
    match read::cases(text, path) {
        Ok(cases) => cases.iter().filter(wanted).map(run_case).collect(),
        Err(mistakes) => vec![refused_file(path, mistakes)],
    }
}

fn refused_file(path: &Path, mistakes: Vec<Mistake>) -> CaseResult {
    let file = path.display().to_string();
    CaseResult {
        name: file.clone(),
        file,
        tags: Vec::new(),
        source: None,
        line: 1,
        verdict: Verdict::Refused(mistakes),
        looked: 0,
        simulated: 0.0,
    }
}

fn run_case(case: &Case) -> CaseResult {
    let (verdict, looked, end) = match played(case) {
        Ok((failures, looked, end)) if failures.is_empty() => (Verdict::Passed, looked, end),
        Ok((failures, looked, end)) => (Verdict::Failed(failures), looked, end),
        Err(mut mistakes) => {
            mistakes.sort_by_key(|mistake| mistake.line);
            (Verdict::Refused(mistakes), 0, Span::ZERO)
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 ms")]
    let simulated = end.0 as f64 / 1_000.0;
    CaseResult {
        file: case.file.clone(),
        name: case.name.clone(),
        tags: case.tags.clone(),
        source: case.source.clone(),
        line: case.line,
        verdict,
        looked,
        simulated,
    }
}

/// Failures, how many expectations were looked at, and the simulated time.
fn played(case: &Case) -> Result<(Vec<Failure>, u64, Span), Vec<Mistake>> {
    let timeline = Timeline::of(case)?;
    let first = play(case, &timeline, None, &mut |_, _, _| {})?;
    let resumed = if speaks_of_replay(&timeline) {
        let ticks = u64::try_from(first.len()).unwrap_or(1).max(1);
        let cut = Chance::new(case.seed).bits() % ticks;
        let again = play(case, &timeline, usize::try_from(cut).ok(), &mut |_, _, _| {})?;
        difference(&first, &again)
    } else {
        None
    };
    let mut judge: Option<Judge<'_>> = None;
    let second = play(case, &timeline, None, &mut |tick, at, world| {
        if resumed.is_some_and(|resumed| tick >= resumed) {
            world.differs();
        }
        let judge = judge.get_or_insert_with(|| Judge::new(case, &timeline, &world.context()));
        judge.look(at, &|name| world.show(name));
    })?;
    let (mut failures, looked) = judge.map_or_else(|| (Vec::new(), 0), |judge| judge.finish(timeline.end));
    if let Some(tick) = difference(&first, &second) {
        let at = Span(case.tick.0.saturating_mul(i64::try_from(tick).unwrap_or(i64::MAX)));
        failures.insert(
            0,
            Failure {
                line: case.line,
                step: None,
                at,
                subject: "two runs of this case".to_owned(),
                expected: "the same decisions, bit for bit".to_owned(),
                found: "different ones from this tick on".to_owned(),
                drawing: Vec::new(),
            },
        );
    }
    Ok((failures, looked, timeline.end))
}

/// One run. `look` is called after each decision; the fingerprints of all decisions come back.
fn play<'a>(
    case: &'a Case,
    timeline: &Timeline<'a>,
    cut: Option<usize>,
    look: &mut dyn FnMut(usize, Span, &mut World<'a>),
) -> Result<Vec<u64>, Vec<Mistake>> {
    let mut world = World::new(case)?;
    let mut happens = timeline.happens.iter().peekable();
    let mut prints = Vec::new();
    let mut at = Span::ZERO;
    while at <= timeline.end {
        world.advance(Mono::ZERO + at);
        if cut == Some(prints.len()) {
            world.cut();
        }
        while let Some(occurrence) = happens.next_if(|occurrence| occurrence.at <= at) {
            world.happen(occurrence.step)?;
        }
        prints.push(world.decide());
        look(prints.len() - 1, at, &mut world);
        at += case.tick;
    }
    Ok(prints)
}

fn speaks_of_replay(timeline: &Timeline<'_>) -> bool {
    timeline.looks.iter().any(|look| look.expect.subject.name == "replay")
}

/// The first tick in which two runs decided differently.
fn difference(first: &[u64], second: &[u64]) -> Option<usize> {
    let length = first.len().max(second.len());
    (0..length).find(|tick| first.get(*tick) != second.get(*tick))
}
