//! Every state that a small generator can reach, whatever is heard: not sampled, all of them.
//!
//! Time goes in steps of five seconds. In each, the charge is low or high, the engine is heard still, turning or
//! not at all, and an operator, a fault or the local switch may interfere. Ages beyond what the timers measure
//! are the same age, so the states are finitely many; what must never happen is checked at each edge.

use std::collections::{HashSet, VecDeque};

use super::*;

const TICK: i64 = 5;
/// No timer of a run or a pause is longer; older is equally old.
const HORIZON: i64 = 20;
/// Nor does silence of the feedback mean more than this.
const SILENCE: i64 = 80;

fn small() -> GeneratorPolicy {
    let five = Span::secs(TICK);
    GeneratorPolicy {
        soc: soc(30, 70, 0, 0),
        rest: Span::secs(10),
        min_off: Span::secs(15),
        min_run: Span::secs(20),
        start_timeout: five,
        attempts: 2,
        crank_rest: five,
        warm_up: five,
        cool_down: five,
        stop_time: Span::ZERO,
        stop_timeout: Span::secs(10),
        running_lost_debounce: five,
        ..GeneratorPolicy::default()
    }
}

/// What an outside observer keeps to judge by, independent of the generator's own books.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
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

#[derive(Clone, Copy)]
struct Word {
    charge: i64,
    engine: Option<bool>,
    manual: Manual,
    fault: bool,
    local: bool,
    acknowledge: bool,
}

fn words() -> Vec<Word> {
    let mut words = Vec::new();
    for charge in [20, 80] {
        for engine in [Some(false), Some(true), None] {
            for (manual, fault, local, acknowledge) in [
                (Manual::Auto, false, false, false),
                (Manual::Auto, false, false, true),
                (Manual::Run, false, false, false),
                (Manual::Off, false, false, false),
                (Manual::Auto, true, false, false),
                (Manual::Auto, false, true, false),
            ] {
                words.push(Word { charge, engine, manual, fault, local, acknowledge });
            }
        }
    }
    words
}

/// Seen from `now`, with ages that no timer tells apart made equal, and without counters.
fn canonical(mut genset: Genset, now: Mono) -> Genset {
    let age = |moment: &mut Mono, horizon: i64| *moment = Mono(moment.since(now).0.max(-horizon * 1_000));
    let waits = if genset.state == GensetState::Boot { 30 } else { 15 };
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
        *since = (*since).max(heard - Span::secs(15));
    }
    flags.into_iter().for_each(|moment| age(moment, SILENCE));
    (genset.starts, genset.run_time) = (0, Span::ZERO);
    genset
}

/// One step of generator and observer; panics when something happened that never may.
fn step(policy: &GeneratorPolicy, genset: Genset, seen: Observer, word: Word) -> (Genset, Observer) {
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
    let confirmed = view.starts > 0 && view.command;

    let story = || format!("{before:?} -> {view:?}");
    if rises {
        let off = cap(seen.off);
        assert!(off >= policy.rest.whole_secs(), "{off} s after the last command: {}", story());
        let crank = before == GensetState::CrankRest;
        assert!(crank || off >= policy.min_off.whole_secs(), "{off} s after the last run: {}", story());
    }
    let forgiven = word.acknowledge && before == GensetState::Lockout;
    let mut cranks = if forgiven { 0 } else { seen.cranks };
    if view.state == GensetState::Starting && before != GensetState::Starting
        || (rises && confirmed && before != GensetState::External)
    {
        cranks += 1;
        assert!(cranks <= policy.attempts, "cranked once more: {}", story());
    }
    let stops = view.state == GensetState::CoolDown
        || view.state == GensetState::Stopping
        || view.state == GensetState::Resting
        || view.state == GensetState::Stopped;
    let ran = before == GensetState::Running || before == GensetState::WarmUp;
    if ran && stops && next.lost_at == genset.lost_at {
        let operator = word.manual == Manual::Off || seen.manual_run || genset.waived;
        let run = cap(seen.run);
        assert!(operator || run >= policy.min_run.whole_secs(), "after {run} s of a run: {}", story());
    }
    let withheld = matches!(
        view.state,
        GensetState::Starting
            | GensetState::CrankRest
            | GensetState::WarmUp
            | GensetState::CoolDown
            | GensetState::Stopping
    );
    assert!(!(withheld && view.load_permit), "loaded too early: {}", story());
    assert!(!(word.fault && view.command), "runs in fault: {}", story());
    assert!(!(word.local && view.command), "commands a set in local mode: {}", story());
    assert!(!(word.manual == Manual::Off && rises), "started against an operator: {}", story());

    if confirmed {
        cranks = 0;
    }
    let taken_over = before == GensetState::External && view.command;
    let seen = Observer {
        off: if falls { 0 } else { cap(seen.off) },
        run: if confirmed || taken_over { 0 } else { cap(seen.run) },
        cranks,
        manual_run: word.manual == Manual::Run,
    };
    (canonical(next, now), seen)
}

#[test]
fn no_series_of_words_leads_a_small_generator_astray() {
    let policy = small();
    let start = Observer { off: HORIZON, run: HORIZON, cranks: 0, manual_run: false };
    let key = |genset: &Genset, seen: &Observer| (postcard::to_stdvec(genset).unwrap(), *seen);
    let mut known = HashSet::new();
    let mut queue = VecDeque::from([(Genset::default(), start)]);
    let mut reached = std::collections::BTreeSet::new();
    known.insert(key(&Genset::default(), &start));
    let words = words();
    let mut edges = 0_u64;
    while let Some((genset, seen)) = queue.pop_front() {
        reached.insert(genset.state);
        for word in &words {
            edges += 1;
            let (next, seen) = step(&policy, genset, seen, *word);
            if known.insert(key(&next, &seen)) {
                queue.push_back((next, seen));
            }
        }
        assert!(known.len() < 2_000_000, "the states do not end: {:?}", genset);
    }
    println!("{} states, {edges} steps", known.len());
    assert_eq!(reached.len(), 12, "every state but fuel-stop is reached: {reached:?}");
}
