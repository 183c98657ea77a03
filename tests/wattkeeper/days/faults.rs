//! What goes wrong, drawn from a seed. Each house knows only some of the kinds, so that none hides the others.

use wattkeeper::control::orders::BatteryOrder;
use wattkeeper::control::policy::Steer;
use wattkeeper::control::site::{Manual, SiteConfig};

use super::setup::{Dice, Stay};
use super::world::Group;

/// How a group of values misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Silent,
    /// The device answers that it does not know.
    Sentinel,
    /// The last value for ever, with fresh stamps.
    Frozen,
    /// The last sample for ever, stamp and all.
    Stuck,
    /// Every other second only.
    Flaky,
    /// There for this many seconds, then away for as many.
    Flapping(i64),
    /// Its third phase alone is unknown.
    LostPhase,
    /// What no device of this kind can mean.
    Garbage,
}

/// How a device takes orders meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Refused,
    Failed,
    Contradicted,
    /// Nobody says how it ended.
    Nothing,
}

/// How the exchanges with a device go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// No answer.
    Timeout,
    /// No connection.
    Unreachable,
    /// Every answer is this exception.
    Exception(u8),
    /// An answer of another length.
    WrongCount,
    /// Words that mean nothing, or anything.
    Garbage,
    /// What the same question was answered before.
    Old,
    /// The first half of the words is new, the second half old.
    Torn,
    /// The values stand still.
    Frozen,
    /// One of its values is not available.
    Sentinel,
    /// Writes are refused with this exception.
    RefusedWrites(u8),
    /// Writes are confirmed and not done.
    IgnoredWrites,
    /// Answers come when they are hardly waited for any longer.
    Slow,
}

/// What the process waits for before it dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambush {
    Nothing,
    /// Something was to be written down and is not safe yet.
    Unsafe,
    /// The charge is held at the floor.
    Held,
    /// The generator is told to run.
    Running,
    /// The generator is told to run and is not confirmed yet.
    Cranking,
    /// The generator was told to stop.
    Stopped,
}

/// How it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// The machine ran on: the time that passed is known.
    SameBoot,
    /// After a power cut, with a clock that knows how long it was. What was on its way to the disk is lost.
    KnownTime,
    /// The same, and nobody knows how long it was.
    UnknownTime,
    /// What was written down cannot be read; the clock begins anew.
    Lost,
}

/// What the disk does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// A write takes this long, in ms.
    Slow(i64),
    /// Full or read-only: nothing is ever safe.
    Full,
}

/// What goes wrong, or is done by somebody.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Values(Group, How),
    /// Everything is silent and takes no order: the switch restarts.
    Switch,
    /// Exchanges with this device; only where there are devices.
    Wire(u8, Line),
    /// All devices restart and forget what they were told; only where there are devices.
    Reboot,
    /// The sensor is off by this much, in 0.01 %.
    SocOff(i64),
    /// The charge is this by now, in 0.01 %, as after hours.
    Charge(i64),
    GridGone,
    FailedStarts(i64),
    GeneratorFault,
    PanelOff,
    ContactStuck,
    Orders(u8, Answer),
    /// Somebody else writes where this actuator's orders go, so many times, a third of a minute apart.
    Foreign(u8, u8),
    /// The BMS allows this much, in A.
    ChargeLimit(i64),
    DischargeLimit(i64),
    WallJump(i64),
    WallInvalid,
    /// An hour less, as in autumn.
    WinterTime,
    /// Quiet hours hold by the clock as it is.
    QuietNow,
    Floor(u16),
    /// The floor is set this far from the charge, in %.
    FloorNear(i64),
    /// The same for the reserve of the island.
    ReserveNear(i64),
    Setpoint(i32),
    Authority(i32),
    /// The profile is edited to observe.
    Observe,
    Restore,
    /// The process dies and is away for so many seconds.
    Kill(Ambush, Comeback, i64),
    /// The process is stopped properly, and started again after so many seconds.
    Leave(i64),
    /// The process is suspended: nothing is heard or decided, then everything at once.
    Suspend,
    Disk(Disk),
    Manual(Manual, Option<i64>),
    Auto(bool),
    Acknowledge,
    /// Somebody orders something of the battery.
    Battery(BatteryOrder),
    /// And takes it back.
    Release,
    /// A program leases the plan for so many seconds.
    Lease(Steer, i64),
}

/// One of them, from second to second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    pub from: i64,
    pub to: i64,
    pub what: What,
}

/// What can be drawn from, each as often as it stands here.
const KINDS: [Kind; 24] = [
    Kind::Values,
    Kind::Values,
    Kind::Values,
    Kind::Network,
    Kind::Wire,
    Kind::Wire,
    Kind::Wire,
    Kind::SocOff,
    Kind::Grid,
    Kind::Limits,
    Kind::Limits,
    Kind::Orders,
    Kind::Foreign,
    Kind::Clock,
    Kind::Floor,
    Kind::Floor,
    Kind::Profile,
    Kind::Kill,
    Kind::Kill,
    Kind::Process,
    Kind::Disk,
    Kind::Engine,
    Kind::Operator,
    Kind::Operator,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Values,
    Network,
    Wire,
    SocOff,
    Grid,
    Limits,
    Orders,
    Foreign,
    Clock,
    Floor,
    Profile,
    Kill,
    Process,
    Disk,
    Engine,
    Operator,
}

/// Everything that will go wrong, by its beginning.
pub fn faults(dice: &mut Dice, config: &SiteConfig, devices: usize, stay: Stay) -> Vec<Fault> {
    let generator = config.policy.generator.is_some();
    let possible = |kind: &Kind| match kind {
        Kind::Wire => devices > 0,
        Kind::Values | Kind::Orders => devices == 0,
        Kind::Engine | Kind::Operator => generator,
        _ => true,
    };
    let possible: Vec<Kind> = KINDS.into_iter().filter(possible).collect();
    let mut kinds: Vec<Kind> = possible.iter().copied().filter(|_| dice.percent(65)).collect();
    if kinds.is_empty() {
        kinds = possible;
    }
    let longest = if stay == Stay::WEEK { 5_000 } else { 1_200 };
    let mut faults = Vec::new();
    for round in 0..stay.rounds {
        let begin = round * stay.round;
        let quiet = begin + stay.round - stay.quiet;
        for _ in 0..dice.range(stay.faults.0, stay.faults.1) {
            let from = dice.range(begin + 30, quiet - 60);
            let lasts = match dice.range(0, 3) {
                0 => dice.range(1, 20),
                1 => dice.range(20, 400),
                _ => dice.range(400, longest),
            };
            let kind = dice.pick(&kinds);
            let what = what(kind, dice, config, devices);
            faults.push(Fault { from, to: (from + lasts).min(quiet), what });
        }
        for _ in 0..6 {
            let from = dice.range(begin + 60, quiet - 1_300);
            let story = story(dice, generator, devices > 0);
            faults.extend(story.into_iter().map(|(after, lasts, what)| Fault {
                from: from + after,
                to: from + after + lasts,
                what,
            }));
        }
        let closing = [What::Manual(Manual::Auto, None), What::Auto(true), What::Acknowledge];
        faults.extend(closing.map(|what| Fault { from: quiet, to: quiet, what }));
        faults.push(Fault { from: quiet + 300, to: quiet + 300, what: What::Acknowledge });
    }
    faults.sort_by_key(|fault| fault.from);
    faults
}

/// What needs more at once than a story among others meets: each of them once in a round, where it can be.
pub fn rarities(dice: &mut Dice, config: &SiteConfig, devices: usize, stay: Stay) -> Vec<Fault> {
    let mut stories = Vec::new();
    if let Some(generator) = &config.policy.generator {
        // Quiet hours, by a clock that nobody believes any more.
        stories.push(vec![(0, 600, What::QuietNow), (60, 240, What::WallInvalid)]);
        // A reason to start that is soon gone.
        let (start, stop) = generator.soc.map_or((2_000, 5_000), |soc| (soc.start, soc.stop));
        stories.push(vec![
            (0, 0, What::Manual(Manual::Auto, None)),
            (0, 0, What::Auto(true)),
            (0, 0, What::Acknowledge),
            (1, 0, What::Charge(start - 300)),
            (180, 0, What::Charge(stop + 300)),
        ]);
    }
    if devices > 0 {
        // Orders that wait behind slow answers, also while the process is suspended.
        let mut slow: Vec<_> =
            (0..devices).map(|device| (0, 400, What::Wire(device as u8, Line::Slow))).collect();
        slow.extend([100, 200, 300].map(|after| (after, 8, What::Suspend)));
        stories.push(slow);
    }
    let mut faults = Vec::new();
    for round in 0..stay.rounds {
        let begin = round * stay.round;
        let quiet = begin + stay.round - stay.quiet;
        let mut tell = |from: i64, story: &[(i64, i64, What)]| {
            faults.extend(story.iter().map(|(after, lasts, what)| Fault {
                from: from + after,
                to: from + after + lasts,
                what: *what,
            }));
        };
        if devices == 0 {
            // A discharge toward the floor that nobody sees, before much else goes wrong.
            let silent = [
                (0, 0, What::Charge(6_000)),
                (0, 0, What::FloorNear(-8)),
                (0, 0, What::Authority(9_000)),
                (1, 0, What::Setpoint(-12_000)),
                (40, 0, What::FloorNear(-2)),
                (41, 290, What::Values(Group::Soc, How::Silent)),
                (331, 0, What::Setpoint(0)),
            ];
            tell(begin + dice.range(30, 60), &silent);
        }
        for story in &stories {
            tell(dice.range(begin + 60, quiet - 700), story);
        }
    }
    faults
}

fn what(kind: Kind, dice: &mut Dice, config: &SiteConfig, devices: usize) -> What {
    let actuators = config.wiring.actuators.len().max(1) as i64;
    match kind {
        Kind::Values => {
            let sense = [
                How::Silent,
                How::Silent,
                How::Sentinel,
                How::Frozen,
                How::Stuck,
                How::Flaky,
                How::Flapping(dice.range(4, 40)),
                How::LostPhase,
                How::Garbage,
            ];
            let group = dice.pick(&Group::ALL);
            What::Values(group, dice.pick(if group.has_nonsense() { &sense } else { &sense[..8] }))
        }
        Kind::Network => What::Switch,
        Kind::Wire if dice.percent(8) => What::Reboot,
        Kind::Wire => {
            let code = dice.range(1, 12) as u8;
            let lines = [
                Line::Timeout,
                Line::Unreachable,
                Line::Exception(code),
                Line::WrongCount,
                Line::Garbage,
                Line::Old,
                Line::Torn,
                Line::Frozen,
                Line::Sentinel,
                Line::RefusedWrites(code),
                Line::IgnoredWrites,
            ];
            What::Wire(dice.range(0, devices as i64) as u8, dice.pick(&lines))
        }
        Kind::SocOff => What::SocOff(dice.range(-4_000, 4_000)),
        Kind::Grid => What::GridGone,
        Kind::Limits => {
            let amps = dice.pick(&[0, 0, 5, 30]);
            dice.pick(&[What::ChargeLimit(amps), What::DischargeLimit(amps)])
        }
        Kind::Orders => {
            let answers = [Answer::Refused, Answer::Failed, Answer::Contradicted, Answer::Nothing];
            let answer = dice.pick(&answers);
            What::Orders(dice.range(0, actuators) as u8, answer)
        }
        Kind::Foreign => What::Foreign(dice.range(0, actuators) as u8, dice.pick(&[1, 2, 2, 3])),
        Kind::Clock => {
            let years = 315_360_000;
            let jump = dice.pick(&[-years, years, -86_400, -3_600, 3_600, 40_000_000]);
            dice.pick(&[What::WallJump(jump), What::WallInvalid, What::WallInvalid, What::WinterTime])
        }
        Kind::Floor => What::Floor(dice.pick(&[0, 5, 10, 20, 30, 50, 80, 100])),
        Kind::Profile => {
            let (setpoint, authority) = (dice.range(-500, 500) as i32, dice.range(300, 9_000) as i32);
            dice.pick(&[What::Setpoint(setpoint), What::Authority(authority), What::Observe])
        }
        Kind::Kill => {
            let ambushes = [Ambush::Nothing, Ambush::Unsafe, Ambush::Held, Ambush::Running, Ambush::Stopped];
            let comebacks = [
                Comeback::SameBoot,
                Comeback::SameBoot,
                Comeback::KnownTime,
                Comeback::UnknownTime,
                Comeback::Lost,
            ];
            let away = dice.pick(&[0, 1, 10, 60, 600]);
            What::Kill(dice.pick(&ambushes), dice.pick(&comebacks), away)
        }
        Kind::Process => {
            let away = dice.pick(&[0, 5, 120]);
            dice.pick(&[What::Leave(away), What::Suspend, What::Suspend, What::Restore])
        }
        Kind::Disk => {
            let slow = dice.range(1_000, 30_000);
            dice.pick(&[What::Disk(Disk::Slow(slow)), What::Disk(Disk::Full)])
        }
        Kind::Engine => {
            let starts = dice.pick(&[1, 2, 5, 20, 100]);
            dice.pick(&[
                What::GeneratorFault,
                What::PanelOff,
                What::ContactStuck,
                What::FailedStarts(starts),
                What::FailedStarts(starts),
            ])
        }
        Kind::Operator => {
            let lasts = dice.pick(&[None, Some(60), Some(300), Some(900)]);
            let manual = dice.pick(&[Manual::Run, Manual::Run, Manual::Off, Manual::Auto]);
            let auto = dice.percent(50);
            let order = What::Manual(manual, lasts);
            dice.pick(&[order, order, order, What::Auto(auto), What::Acknowledge])
        }
    }
}

/// What chance would bring together too seldom: after how many seconds, for how many, and what.
fn story(dice: &mut Dice, generator: bool, wired: bool) -> Vec<(i64, i64, What)> {
    let comeback = dice.pick(&[Comeback::SameBoot, Comeback::KnownTime, Comeback::UnknownTime]);
    let run = |lasts| What::Manual(Manual::Run, lasts);
    let low = |after, lasts| (after, if wired { 0 } else { lasts }, What::SocOff(-9_000));
    match dice.range(0, if generator { 10 } else { 5 }) {
        // Between floor and resume value when the process dies.
        0 => vec![
            (0, 0, What::FloorNear(1)),
            (60, 0, What::FloorNear(-2)),
            (90, 200, What::Kill(Ambush::Held, comeback, 5)),
        ],
        // The grid goes at the reserve.
        1 => vec![(0, 0, What::ReserveNear(1)), (5, 300, What::GridGone)],
        // A discharge toward the floor that nobody sees.
        2 => vec![
            (0, 0, What::FloorNear(-4)),
            (5, 0, What::FloorNear(-1)),
            (6, 0, What::Setpoint(-3_000)),
            (10, 290, What::Values(Group::Soc, How::Silent)),
            (310, 0, What::Setpoint(0)),
        ],
        // What steers says that it does not know.
        3 => vec![
            (0, 60, What::Values(Group::Meter, How::Sentinel)),
            (120, 60, What::Values(Group::FirstInverter, How::Sentinel)),
        ],
        // Less authority than is wanted.
        4 => vec![
            (0, 0, What::Authority(300)),
            (1, 0, What::Setpoint(-2_000)),
            (120, 0, What::Setpoint(0)),
            (120, 0, What::Authority(5_000)),
        ],
        // An engine that will not start, and a process that dies meanwhile.
        5 => vec![
            (0, 0, What::Acknowledge),
            (0, 1_000, What::FailedStarts(100)),
            (5, 0, run(Some(900))),
            (10, 300, What::Kill(Ambush::Cranking, comeback, 1)),
        ],
        // Off, for a while or for good, and a reason to start.
        6 => vec![
            (0, 0, What::Manual(Manual::Off, dice.pick(&[None, Some(300), Some(900)]))),
            low(20, 1_000),
            (60, 0, What::Kill(Ambush::Nothing, comeback, 5)),
        ],
        // A short run, and nobody remembers it.
        7 => vec![
            (0, 0, What::Acknowledge),
            (0, 0, run(Some(60))),
            (60, 900, What::Kill(Ambush::Stopped, Comeback::Lost, 1)),
        ],
        // A start on a disk that takes its time.
        8 => vec![(0, 300, What::Disk(Disk::Slow(20_000))), (5, 0, run(Some(300)))],
        // Runs in a row.
        _ => vec![
            (0, 0, What::Acknowledge),
            (0, 0, run(Some(60))),
            (400, 0, run(Some(60))),
            (430, 0, run(Some(60))),
        ],
    }
}
