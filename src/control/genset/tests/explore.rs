//! Every state that a small generator can reach, whatever is heard: not sampled, all of them.
//!
//! Time goes in steps of ten seconds. In each, the charge is low or high, the engine is heard still, turning or
//! not at all, and an operator, a fault or the local switch may interfere. Ages beyond what the timers measure
//! are the same age, so the states are finitely many; what must never happen is checked at each edge.

use std::collections::{BTreeSet, HashSet};

use super::*;

const TICK: i64 = 10;
/// No timer of a run or a pause is longer; older is equally old.
const HORIZON: i64 = 30;
/// Nor does silence of the feedback mean more than this.
const SILENCE: i64 = 70;

fn small() -> GeneratorPolicy {
    let tick = Span::secs(TICK);
    GeneratorPolicy {
        soc: soc(30, 70, 0, 0),
        rest: Span::secs(20),
        min_off: Span::secs(30),
        min_run: Span::secs(30),
        start_timeout: tick,
        attempts: 2,
        crank_rest: tick,
        warm_up: tick,
        cool_down: tick,
        stop_time: Span::ZERO,
        stop_timeout: tick,
        running_lost_debounce: tick,
        ..GeneratorPolicy::default()
    }
}

/// What an outside observer keeps to judge by, independent of the generator's own books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Observer {
    /// Seconds since the command fell, at most [`HORIZON`].
    off: i64,
    /// Seconds since the engine was confirmed, at most [`HORIZON`].
    run: i64,
    /// Cranks since the last confirmed start or acknowledgement.
    cranks: u8,
    /// The operator asked it to run at the last step.
    manual_run: bool,
}

#[derive(Clone, Copy, Debug)]
struct Word {
    charge: i64,
    engine: Option<bool>,
    manual: Manual,
    fault: bool,
    local: bool,
    acknowledge: bool,
}

/// Nothing is heard of the engine, and nobody interferes.
const SILENT: Word =
    Word { charge: 0, engine: None, manual: Manual::Auto, fault: false, local: false, acknowledge: false };

fn words() -> Vec<Word> {
    let mut words = Vec::new();
    for charge in [20, 80] {
        words.push(Word { charge, ..SILENT });
        for engine in [Some(false), Some(true)] {
            for (manual, fault, local, acknowledge) in [
                (Manual::Auto, false, false, false),
                (Manual::Auto, false, false, true),
                (Manual::Run, false, false, false),
                (Manual::Off, false, false, false),
                (Manual::Auto, true, false, false),
                (Manual::Auto, false, true, false),
            ] {
                // At a high charge nothing is wanted that a fault or a switch could forbid.
                if charge == 20 || !(fault || local || acknowledge) {
                    words.push(Word { charge, engine, manual, fault, local, acknowledge });
                }
            }
        }
    }
    words
}

/// Seen from `now`, with ages that no timer tells apart made equal, and without counters.
fn canonical(mut genset: Genset, now: Mono) -> Genset {
    let age = |moment: &mut Mono, horizon: i64| *moment = Mono(moment.since(now).0.max(-horizon * 1_000));
    let waits = if genset.state == GensetState::Boot { 30 } else { 20 };
    age(&mut genset.since, waits);
    let moments =
        [&mut genset.at, &mut genset.run_since, &mut genset.stopped_at, &mut genset.automatic_since];
    moments.into_iter().flatten().for_each(|moment| age(moment, HORIZON));
    // Remembered for an hour, which here is for ever.
    genset.lost_at = genset.lost_at.map(|_| Mono::ZERO);
    genset.attempted_at = Mono::ZERO;
    genset.latches.moments().for_each(|moment| age(moment, 0));
    let mut flags: Vec<&mut Mono> = genset.feedback.moments().collect();
    for flag in flags.chunks_mut(2) {
        let (heard, since) = (*flag[1], &mut *flag[0]);
        *since = (*since).max(heard - Span::secs(20));
    }
    flags.into_iter().for_each(|moment| age(moment, SILENCE));
    (genset.starts, genset.run_time) = (0, Span::ZERO);
    genset
}

/// One step of generator and observer; an error when something happened that never may.
fn step(
    policy: &GeneratorPolicy,
    genset: Genset,
    seen: Observer,
    word: Word,
) -> Result<(Genset, Observer), String> {
    let now = Mono(TICK * 1_000);
    let slot = |value: i64| Slot::Value { value, asked_at: now };
    let inputs = GensetInputs {
        soc: Some(Reading { value: Soc::percent(word.charge as u16), asked_at: now }),
        running: word.engine.map_or(Slot::Never, |on| slot(i64::from(on))),
        contact: slot(0),
        mode: slot(if word.local { 2 } else { 1 }),
        fault: slot(if word.fault { 2 } else { 0 }),
        manual: word.manual,
        ..GensetInputs::default()
    };
    let before = genset.state;
    let mut next = genset;
    if word.acknowledge {
        next.acknowledge();
    }
    let view = next.step(policy, &inputs, now, &mut |_| {});
    let cap = |seconds: i64| (seconds + TICK).min(HORIZON);
    let rises = view.command && !before.commands();
    let falls = !view.command && before.commands();
    // An engine that turns already is taken over, not cranked.
    let taken_over = rises && view.state != GensetState::Starting;
    let confirmed = before == GensetState::Starting && view.starts > 0 || taken_over;

    let never = |fine: bool, what: &dyn Fn() -> String| {
        if fine { Ok(()) } else { Err(format!("{}: {before:?} -> {view:?}", what())) }
    };
    if rises {
        let off = cap(seen.off);
        never(off >= policy.rest.whole_secs(), &|| format!("{off} s after the last command"))?;
        let crank = before == GensetState::CrankRest;
        never(crank || off >= policy.min_off.whole_secs(), &|| format!("{off} s after the last run"))?;
    }
    let forgiven = word.acknowledge && before == GensetState::Lockout;
    let mut cranks = if forgiven { 0 } else { seen.cranks };
    if view.state == GensetState::Starting && before != GensetState::Starting {
        cranks += 1;
        never(cranks <= policy.attempts, &|| "cranked once more".to_owned())?;
    }
    let stops = view.state == GensetState::CoolDown
        || view.state == GensetState::Stopping
        || view.state == GensetState::Resting
        || view.state == GensetState::Stopped;
    let ran = before == GensetState::Running || before == GensetState::WarmUp;
    if ran && stops && next.lost_at == genset.lost_at {
        let operator = word.manual == Manual::Off || seen.manual_run || genset.waived;
        let run = cap(seen.run);
        never(operator || run >= policy.min_run.whole_secs(), &|| format!("after {run} s of a run"))?;
    }
    let withheld = matches!(
        view.state,
        GensetState::Starting
            | GensetState::CrankRest
            | GensetState::WarmUp
            | GensetState::CoolDown
            | GensetState::Stopping
    );
    never(!(withheld && view.load_permit), &|| "loaded too early".to_owned())?;
    never(!(word.fault && view.command), &|| "runs in fault".to_owned())?;
    never(!(word.local && view.command), &|| "commands a set in local mode".to_owned())?;
    never(!(word.manual == Manual::Off && rises), &|| "started against an operator".to_owned())?;

    if confirmed {
        cranks = 0;
    }
    let seen = Observer {
        off: if falls { 0 } else { cap(seen.off) },
        run: if confirmed { 0 } else { cap(seen.run) },
        cranks,
        manual_run: word.manual == Manual::Run,
    };
    Ok((canonical(next, now), seen))
}

#[test]
fn no_series_of_words_leads_a_small_generator_astray() {
    let policy = small();
    let start = Observer { off: HORIZON, run: HORIZON, cranks: 0, manual_run: false };
    let words = words();
    let mut known = HashSet::new();
    // Every state found, and the one it was found from, so that a failure can tell its story.
    let mut found = vec![(Genset::default(), start, 0_usize)];
    let mut reached = BTreeSet::new();
    let mut place = 0;
    while let Some((genset, seen, _)) = found.get(place).copied() {
        reached.insert(genset.state);
        for word in &words {
            match step(&policy, genset, seen, *word) {
                Ok((next, seen)) => {
                    if known.insert((postcard::to_stdvec(&next).unwrap(), seen)) {
                        found.push((next, seen, place));
                    }
                }
                Err(what) => panic!("{what}\nwith {word:?} after {}", story(&found, place)),
            }
        }
        place += 1;
        assert!(place < 500_000, "the states do not end: {genset:?}");
    }
    println!("{place} states, {} steps", place * words.len());
    assert_eq!(reached.len(), 12, "every state but fuel-stop is reached: {reached:?}");
}

/// The states that led to this one.
fn story(found: &[(Genset, Observer, usize)], mut place: usize) -> String {
    let mut states = Vec::new();
    while place != 0 {
        let (genset, seen, before) = found[place];
        states.push(format!("{} (attempts {}, {seen:?})", genset.state.name(), genset.attempts));
        place = before;
    }
    states.reverse();
    states.join("\n")
}
