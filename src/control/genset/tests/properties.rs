//! What holds for every series of inputs: the property checks of the generator notes, numbered as there.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A simulated engine beside random charge, load, operator and link failures.
#[derive(Clone, Debug)]
struct World {
    policy: GeneratorPolicy,
    acts: Vec<(u16, Act)>,
}

/// What may happen, each lasting until something else does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Soc(i64),
    Load(i64),
    Manual(u8),
    Auto(bool),
    /// Whether the engine obeys: starts, keeps running, stops.
    Engine(u8),
    Mode(i64),
    Fault(i64),
    Silence(u8),
    Acknowledge,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..=100_i64).prop_map(Act::Soc),
        2 => (0..=5_000_i64).prop_map(Act::Load),
        2 => (0..3_u8).prop_map(Act::Manual),
        1 => any::<bool>().prop_map(Act::Auto),
        2 => (0..6_u8).prop_map(Act::Engine),
        1 => (0..4_i64).prop_map(|mode| Act::Mode(mode.max(1))),
        1 => prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2_i64)].prop_map(Act::Fault),
        2 => (0..16_u8).prop_map(Act::Silence),
        1 => Just(Act::Acknowledge),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let times = (0..600_i64, 0..200_i64, 0..120_i64, 0..120_i64, 0..60_i64);
    let kinds = (any::<bool>(), 0..3_u8, 1..4_u8, any::<bool>(), 0..60_i64);
    let acts = prop::collection::vec((1..120_u16, act()), 1..40);
    (times, kinds, acts).prop_map(|((min_run, min_off, rest, warm_up, cool_down), kinds, acts)| {
        let (feedback, on_loss, attempts, auto_off_immediate, delay) = kinds;
        let policy = GeneratorPolicy {
            soc: soc(30, 70, delay, delay),
            load: condition(4_000, 1_000, delay, 0),
            on_loss: [OnLoss::Keep, OnLoss::Start, OnLoss::Stop][usize::from(on_loss)],
            min_run: Span::secs(min_run),
            min_off: Span::secs(min_off),
            rest: Span::secs(rest),
            warm_up: Span::secs(warm_up),
            cool_down: Span::secs(cool_down),
            feedback,
            attempts,
            auto_off_immediate,
            ..GeneratorPolicy::default()
        };
        World { policy, acts }
    })
}

/// The engine obeys its command after some seconds, or does not.
struct Engine {
    turning: bool,
    toward: u8,
    obeys: u8,
}

impl Engine {
    fn turn(&mut self, command: bool) {
        let (starts, keeps, stops) = (self.obeys != 1, self.obeys != 2, self.obeys != 3);
        let wants = match (self.turning, command) {
            (false, true) => starts,
            (true, true) => keeps,
            (true, false) => !stops,
            (false, false) => self.obeys == 4,
        };
        self.toward = if wants == self.turning { 0 } else { self.toward + 1 };
        if self.toward > 4 {
            (self.turning, self.toward) = (wants, 0);
        }
    }
}

/// One second of a simulated series, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Second {
    view: GensetView,
    acknowledged: bool,
}

/// Plays a world; `hook` may meddle before each second.
fn play(world: &World, mut hook: impl FnMut(&mut Rig, i64)) -> (Vec<Second>, Rig) {
    let mut rig = Rig::new(world.policy.clone());
    let mut engine = Engine { turning: false, toward: 0, obeys: 0 };
    let mut seconds = Vec::new();
    let mut at = 0;
    let mut silent = 0_u8;
    let mut soc = 50;
    let mut load = 2_000;
    for (lasts, act) in &world.acts {
        match *act {
            Act::Soc(percent) => soc = percent,
            Act::Load(watts) => load = watts,
            Act::Manual(mode) => {
                rig.inputs.manual = [Manual::Auto, Manual::Run, Manual::Off][usize::from(mode)];
            }
            Act::Auto(auto) => rig.policy.auto = auto,
            Act::Engine(obeys) => engine.obeys = obeys,
            Act::Mode(mode) => rig.say("mode", &mode.to_string()),
            Act::Fault(fault) => rig.say("fault", &fault.to_string()),
            Act::Silence(mask) => silent = mask,
            Act::Acknowledge => rig.genset.acknowledge(),
        }
        for second in 0..i64::from(*lasts) {
            let said =
                |bit: u8, value: i64| if silent & bit == 0 { Said::Value(value) } else { Said::Silence };
            rig.set("soc", said(1, soc * 100));
            rig.set("load", said(2, load));
            rig.set("run", said(4, i64::from(engine.turning)));
            rig.set("ac", said(8, i64::from(engine.turning)));
            rig.set("contact", Said::Value(0));
            rig.now = Mono::ZERO + Span::secs(at);
            hook(&mut rig, at);
            let view = rig.step();
            engine.turn(view.command);
            let acknowledged = matches!(act, Act::Acknowledge) && second == 0;
            seconds.push(Second { view, acknowledged });
            at += 1;
        }
    }
    (seconds, rig)
}

fn history(world: &World) -> Vec<Second> {
    play(world, |_, _| {}).0
}

/// The seconds at which the command rises, or falls.
fn edges(history: &[Second], rising: bool) -> Vec<usize> {
    let commands = |second: &Second| second.view.command;
    (1..history.len())
        .filter(|at| commands(&history[*at]) == rising && commands(&history[at - 1]) != rising)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn property_1_the_command_never_returns_within_rest_or_minimum_off_time(world in world()) {
        let history = history(&world);
        for up in edges(&history, true) {
            let Some(down) = edges(&history, false).into_iter().rfind(|down| *down < up) else { continue };
            let off = Span::secs((up - down) as i64);
            prop_assert!(off >= world.policy.rest, "off only {off} at {up}");
            let crank = history[up - 1].view.state == GensetState::CrankRest;
            prop_assert!(crank || off >= world.policy.min_off, "off only {off} at {up}");
        }
    }

    #[test]
    fn property_2_the_command_never_falls_before_the_floor_but_for_the_listed_reasons(world in world()) {
        let history = history(&world);
        for (at, pair) in history.windows(2).enumerate() {
            let (before, after) = (pair[0].view, pair[1].view);
            let graceful = after.state == GensetState::CoolDown
                || after.state == GensetState::Stopping
                || (after.state == GensetState::Stopped || after.state == GensetState::Resting)
                    && !world.policy.feedback;
            let was_running = before.state == GensetState::Running || before.state == GensetState::WarmUp;
            if was_running && graceful && before.min_run_left > Span::secs(1) {
                // Only an operator ends it: a run taken back, off, or auto off where that is immediate.
                let operator = before.reason == Some(Reason::GeneratorManual)
                    || after.reason == Some(Reason::GeneratorManual)
                    || world.policy.auto_off_immediate;
                prop_assert!(operator, "stopped at {at} with {} left, {before:?} {after:?}", before.min_run_left);
            }
        }
    }

    #[test]
    fn property_3_an_engine_is_cranked_at_most_its_attempts_between_two_confirmed_starts(world in world()) {
        let history = history(&world);
        let mut cranks = Vec::new();
        for at in 1..history.len() {
            let (before, after) = (history[at - 1].view, history[at].view);
            if after.starts > before.starts || history[at].acknowledged {
                cranks.clear();
            } else if after.state == GensetState::Starting && before.state != GensetState::Starting {
                cranks.push(at);
            }
            // What happened more than an hour ago is forgotten.
            cranks.retain(|crank| at - crank < 3_600);
            prop_assert!(cranks.len() <= usize::from(world.policy.attempts), "cranked at {cranks:?}");
        }
    }

    #[test]
    fn property_4_the_load_is_withheld_while_the_engine_starts_warms_cools_or_stops(world in world()) {
        for second in history(&world) {
            let withheld = matches!(
                second.view.state,
                GensetState::Starting
                    | GensetState::CrankRest
                    | GensetState::WarmUp
                    | GensetState::CoolDown
                    | GensetState::Stopping
            );
            prop_assert!(!(withheld && second.view.load_permit), "{:?}", second.view);
        }
    }

    #[test]
    fn property_5_the_wall_clock_changes_nothing_without_quiet_hours(world in world(), jumps in any::<u64>()) {
        let (jumping, _) = play(&world, |rig, at| {
            let utc = at.wrapping_mul(jumps as i64 | 1).rem_euclid(4_000_000_000);
            rig.inputs.wall = Some(Wall { utc, offset: 7_200, valid: at % 7 != 0 });
        });
        prop_assert_eq!(history(&world), jumping);
    }

    #[test]
    fn property_6_a_snapshot_at_any_moment_continues_the_same(world in world(), cut in 1..400_i64) {
        let (cut_short, _) = play(&world, |rig, at| {
            if at % cut == 0 {
                let bytes = postcard::to_stdvec(&rig.genset).unwrap();
                rig.genset = postcard::from_bytes(&bytes).unwrap();
            }
        });
        prop_assert_eq!(history(&world), cut_short);
    }

    #[test]
    fn property_7_the_reason_shown_is_a_true_one_or_the_floor(world in world()) {
        let (mut rig, mut wrong) = (None, None);
        play(&world, |before, _| {
            let shown = before.view.reason;
            let code = |reason: Reason| std::mem::discriminant(&reason);
            let all: Vec<_> = before.genset.reasons().map(code).collect();
            let floor = code(Reason::GeneratorFloor(Span::ZERO));
            let ok = shown.is_none_or(|reason| code(reason) == floor || all.contains(&code(reason)));
            let running = before.view.command && before.view.state != GensetState::CoolDown;
            if !ok || (running && shown.is_none()) {
                wrong = Some(before.view);
            }
            rig = Some(before.now);
        });
        prop_assert!(wrong.is_none(), "{wrong:?} before {rig:?}");
    }

    #[test]
    fn property_8_one_dropped_sample_delays_a_start_by_at_most_one_second(
        delay in 0..30_i64, dropped in 0..60_i64, from in 1..20_i64,
    ) {
        let run = |lost: Option<i64>| {
            let policy = GeneratorPolicy { soc: soc(30, 70, delay, delay), ..base() };
            let mut rig = Rig::new(policy);
            (0..120_i64)
                .map(|second| {
                    rig.now = Mono::ZERO + Span::secs(second);
                    let charge = if second < from { 50 } else if second < 60 + from { 25 } else { 75 };
                    let cell = if lost == Some(second) { "-".to_owned() } else { charge.to_string() };
                    rig.say("soc", &cell);
                    rig.step().command
                })
                .collect::<Vec<_>>()
        };
        let (whole, gapped) = (run(None), run(Some(dropped)));
        let ups = |series: &[bool]| (1..120).filter(|at| series[*at] != series[at - 1]).collect::<Vec<_>>();
        let (whole, gapped) = (ups(&whole), ups(&gapped));
        prop_assert_eq!(whole.len(), 2);
        prop_assert_eq!(gapped.len(), 2);
        for (at, late) in whole.iter().zip(&gapped) {
            prop_assert!((0..=1).contains(&(late - at)), "{whole:?} {gapped:?}");
        }
    }

    #[test]
    fn property_9_with_nothing_heard_any_more_the_command_comes_to_rest(world in world()) {
        let mut world = world;
        world.acts.push((1, Act::Manual(0)));
        world.acts.push((1_200, Act::Silence(15)));
        world.acts.push((1_200, Act::Silence(15)));
        let history = history(&world);
        let tail = &history[history.len() - 1_200..];
        let commands: BTreeSet<_> = tail.iter().map(|second| second.view.command).collect();
        prop_assert_eq!(commands.len(), 1, "{:?}", tail[0].view);
    }

    #[test]
    fn the_announced_timer_is_never_late(world in world()) {
        // Without new words nothing changes before the announced moment.
        let (_, rig) = play(&world, |_, _| {});
        let mut quiet = rig.genset;
        let start = rig.now;
        let mut shown = rig.view;
        let mut due = quiet.next_wake(&rig.policy, start);
        for second in 1..2_000_i64 {
            let now = start + Span::secs(second);
            let view = quiet.step(&rig.policy, &rig.inputs, now, &mut |_| {});
            if view.state != shown.state {
                prop_assert!(due <= now, "{:?} to {:?} at {now:?}, announced {due:?}", shown.state, view.state);
            }
            shown = view;
            due = quiet.next_wake(&rig.policy, now);
        }
    }
}
