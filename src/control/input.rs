//! Everything that can happen to a site, and everything it wants done about it.
//!
//! Both are closed. Inputs have a stable encoding, because a journal of them replays any night of the past.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::decision::GuardState;
use super::genset::GensetState;
use super::orders::{Actor, BatteryOrder, Wish};
use super::overlays::{OverlayOrder, Word};
use super::policy::Policy;
use super::reason::Reason;
use super::schedule::lease::Lease;
use super::signal::SignalId;
use super::units::{Mono, Span, Wall, Watts};

/// Everything that can happen to a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A device said something: a value in the quantity's carried unit, or that it does not know.
    Heard {
        /// Of which signal.
        signal: SignalId,
        /// The value, `None` for a sentinel or an impossible one.
        value: Option<i64>,
        /// When it was asked for.
        asked_at: Mono,
    },
    /// Time to decide: the moment [`Outputs::wake_at`] named has come.
    Due,
    /// The time of day, as the daemon reads it about once a second.
    Wall(Wall),
    /// How the writing of an order ended.
    Wrote {
        /// Place in [`Wiring::actuators`](super::wiring::Wiring::actuators).
        actuator: u8,
        /// The command's number.
        seq: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// A register that an order owns holds what we never wrote: somebody else writes it too.
    Foreign {
        /// Place in [`Wiring::actuators`](super::wiring::Wiring::actuators).
        actuator: u8,
    },
    /// What was to be written down under this number is safe; see [`Outputs::keep`].
    Stored(u32),
    /// The host noticed something about itself: one of [`Alarm::HOST`], and whether it holds.
    Noticed(Alarm, bool),
    /// An operator's order, and who gave it.
    Operator(OperatorOrder, Actor),
    /// A changed profile that passed its check. Signals and wiring are those of before.
    Reload(Box<Policy>),
    /// The process is about to leave: release what must be released.
    Leaving,
    /// A plan from elsewhere, for as long as it is leased.
    Lease(Box<Lease>),
    /// An overlay of the profile is put on or taken off.
    Overlay(Box<OverlayOrder>),
    /// The site is commissioned with steps of this power; none stops it.
    Commission(Option<Watts>),
}

/// How the writing of an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The device accepted every write, and what was read back at once agrees.
    Acknowledged,
    /// The device answered with an exception.
    Refused(u8),
    /// No answer, or the device was out of reach.
    Failed,
    /// The device accepted, but reads back something else.
    Contradicted,
}

/// What an operator wants of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manual {
    /// Conditions decide.
    #[default]
    Auto,
    /// Run, whatever the conditions say.
    Run,
    /// Stop, and veto every automatic start.
    Off,
}

/// An operator's order, with its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorOrder {
    /// For the generator.
    Generator {
        /// What is wanted.
        manual: Manual,
        /// For how long; none means until changed.
        lasts: Option<Span>,
    },
    /// Automatic starts on or off.
    GeneratorAuto(bool),
    /// Leave lock-out.
    GeneratorAcknowledge,
    /// For the battery; none takes back what stands.
    Battery(Option<BatteryOrder>),
}

impl OperatorOrder {
    /// What it says, for a person.
    #[must_use]
    pub fn words(&self) -> String {
        let time = |span: Span| format!("for {}", span.words());
        match self {
            Self::Generator { manual, lasts } => {
                let what = match manual {
                    Manual::Auto => "leave the generator to its conditions",
                    Manual::Run => "run the generator",
                    Manual::Off => "keep the generator off",
                };
                format!("{what} {}", lasts.map_or_else(|| "until changed".to_owned(), time))
            }
            Self::GeneratorAuto(true) => "automatic starts of the generator on".to_owned(),
            Self::GeneratorAuto(false) => "automatic starts of the generator off".to_owned(),
            Self::GeneratorAcknowledge => "the generator's lock-out is acknowledged".to_owned(),
            Self::Battery(None) => "the order for the battery is taken back".to_owned(),
            Self::Battery(Some(order)) => {
                let what = match order.wish {
                    Wish::Hold => "hold the battery".to_owned(),
                    Wish::Charge(Some(power)) => format!("charge the battery with {power}"),
                    Wish::Charge(None) => "charge the battery".to_owned(),
                    Wish::Discharge(power) => format!("discharge the battery with {power}"),
                    Wish::Setpoint(setpoint) => format!("steer the grid to {setpoint}"),
                };
                let reserve = if order.use_reserve { ", into the reserve" } else { "" };
                format!("{what}{reserve} {}", time(order.span()))
            }
        }
    }
}

/// What one actuator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// AC power per phase, feeding the bus positive.
    Power([Watts; 3]),
    /// Grid setpoint for a device that keeps the fast loop itself, import positive.
    Setpoint(Watts),
    /// Upper limit; `None` lifts it.
    Limit(Option<Watts>),
    /// Run or stop.
    Run(bool),
    /// Hand back: the recipe's release.
    Release,
}

/// One order on its way to a device. It lives until `expires`; only a decision extends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Place in [`Wiring::actuators`](super::wiring::Wiring::actuators).
    pub actuator: u8,
    /// What.
    pub order: Order,
    /// Its number, to match the answer.
    pub seq: u32,
    /// Not to be written after this moment.
    pub expires: Mono,
}

/// Something a person would want to read next morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The binding reason changed.
    Binding(Reason),
    /// The guard of the minimum SoC changed state.
    Guard(GuardState),
    /// The generator changed state.
    Generator(GensetState),
    /// An alarm appeared (`true`) or went away.
    Alarm(Alarm, bool),
    /// An order was given, and by whom.
    Ordered(OperatorOrder, Actor),
    /// The order for the battery has ended by itself.
    OrderOver,
    /// Somebody begins to lease the plan's rung.
    Leased(Actor),
    /// A lease was given back, or was not renewed.
    LeaseOver(Actor),
    /// An overlay was put on or taken off.
    Overlaid(OverlayOrder),
    /// An overlay has ended by itself.
    OverlayOver(Word),
    /// Commissioning is over.
    Commissioned,
}

/// Alarms the pure half raises; the list is the code's one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alarm {
    /// The grid meter has been unusable for a minute.
    MeterLost,
    /// The state of charge is unknown.
    SocLost,
    /// A BMS that spoke is silent.
    BmsLost,
    /// No inverter answers.
    InverterLost,
    /// An order was given up: the device refuses or contradicts it.
    OrderGivenUp(u8),
    /// The generator did not start within its attempts.
    GeneratorFailToStart,
    /// The engine stopped without being told.
    GeneratorUnexpectedStop,
    /// The engine did not stop.
    GeneratorFailToStop,
    /// The set is not in automatic mode.
    GeneratorRemoteOff,
    /// The set reports a shutdown fault.
    GeneratorFault,
    /// The generator was found running with no memory of why.
    GeneratorAdopted,
    /// It ran longer than allowed.
    GeneratorMaxRun,
    /// Nothing confirms that the engine turns: running is assumed.
    GeneratorNoFeedback,
    /// Somebody else writes the registers of this actuator; we leave them alone for a while.
    SecondWriter(u8),
    /// Nothing can be written down.
    StoreFailed,
    /// What was written down could not be read; the start was cautious.
    StoreLost,
    /// The process ended badly too often: it only observes.
    CrashLoop,
    /// A changed profile was refused; the old one runs on.
    ProfileRefused,
    /// More is drawn than the import limit allows, and the battery may not give the rest.
    ImportLimitUnmet,
    /// The site is in control, and no commissioning has proven its devices.
    Uncommissioned,
}

/// How many alarms can be active at once.
pub const MAX_ALARMS: usize = 32;

impl Alarm {
    /// One of each.
    pub const LISTED: [Self; 20] = [
        Self::MeterLost,
        Self::ImportLimitUnmet,
        Self::SocLost,
        Self::BmsLost,
        Self::InverterLost,
        Self::OrderGivenUp(0),
        Self::GeneratorFailToStart,
        Self::GeneratorUnexpectedStop,
        Self::GeneratorFailToStop,
        Self::GeneratorRemoteOff,
        Self::GeneratorFault,
        Self::GeneratorAdopted,
        Self::GeneratorMaxRun,
        Self::GeneratorNoFeedback,
        Self::SecondWriter(0),
        Self::StoreFailed,
        Self::StoreLost,
        Self::CrashLoop,
        Self::ProfileRefused,
        Self::Uncommissioned,
    ];

    /// Those that the host raises, by [`Input::Noticed`].
    pub const HOST: [Self; 5] =
        [Self::StoreFailed, Self::StoreLost, Self::CrashLoop, Self::ProfileRefused, Self::Uncommissioned];

    /// How urgent it is: `page` wakes someone, `ticket` waits for the morning, `info` is good to know.
    #[must_use]
    pub fn severity(self) -> &'static str {
        match self {
            Self::SocLost
            | Self::BmsLost
            | Self::InverterLost
            | Self::OrderGivenUp(_)
            | Self::GeneratorFailToStart
            | Self::GeneratorFailToStop
            | Self::GeneratorFault
            | Self::CrashLoop => "page",
            Self::MeterLost
            | Self::ImportLimitUnmet
            | Self::GeneratorUnexpectedStop
            | Self::GeneratorRemoteOff
            | Self::GeneratorMaxRun
            | Self::SecondWriter(_)
            | Self::StoreFailed
            | Self::StoreLost
            | Self::ProfileRefused => "ticket",
            Self::GeneratorAdopted | Self::GeneratorNoFeedback | Self::Uncommissioned => "info",
        }
    }

    /// What happened and what to do, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::MeterLost => {
                "the grid meter has said nothing usable for a minute; the battery waits. Check its power, cable and address"
            }
            Self::Uncommissioned => {
                "the site is in control, and nobody has proven sign, scale and phase of its devices as they are now. Stop it, run `wattkeeper commission PROFILE` once, and start it again"
            }
            Self::ImportLimitUnmet => {
                "more is drawn from the grid than the import limit allows, and the battery may not give the rest. Switch loads off, or look with `wattkeeper explain` at what holds the battery back"
            }
            Self::SocLost => {
                "the state of charge is unknown; the battery is only charged by PV. Check the battery monitor and its link"
            }
            Self::BmsLost => {
                "the BMS fell silent; its limits count as 0. Check the BMS and the cable to the inverter or GX"
            }
            Self::InverterLost => {
                "no inverter answers; its own watchdog decides now. Check its power, cable and address"
            }
            Self::OrderGivenUp(_) => {
                "a device refuses our orders or contradicts them. Check its mode, its lock and whether another controller writes"
            }
            Self::GeneratorFailToStart => {
                "the generator did not start within its attempts. Check fuel, starter battery and its panel, then acknowledge"
            }
            Self::GeneratorUnexpectedStop => {
                "the engine stopped without being told. Check fuel and its panel"
            }
            Self::GeneratorFailToStop => {
                "the engine still turns after it was told to stop. Check the start relay and the panel's mode"
            }
            Self::GeneratorRemoteOff => {
                "the generator is not in automatic mode; nothing is commanded. Set its panel to auto"
            }
            Self::GeneratorFault => {
                "the generator reports a shutdown fault. Read its panel, mend the cause, then acknowledge"
            }
            Self::GeneratorAdopted => {
                "the generator was found running and is treated as ours. Nothing to do, unless somebody else started it"
            }
            Self::GeneratorMaxRun => {
                "the generator ran longer than allowed. Check why its stop condition is never met"
            }
            Self::GeneratorNoFeedback => {
                "nothing confirms that the engine turns; running is assumed. Wire a running signal"
            }
            Self::SecondWriter(_) => {
                "somebody else writes the registers that our orders go to; they are left alone for five minutes. Switch the other controller, app or cloud off, or set control = \"observe\""
            }
            Self::StoreFailed => {
                "nothing can be written down: a power cut now would lose counters and orders. Check the disk's space and whether it has become read-only"
            }
            Self::StoreLost => {
                "what was written down could not be read and was set aside; counters began anew and the start was cautious. Check the disk"
            }
            Self::CrashLoop => {
                "the process ended badly too often and only observes now. Read its log, mend the cause, then restart it or reload the profile"
            }
            Self::ProfileRefused => {
                "the changed profile has mistakes; the old one runs on. Run `wattkeeper check` on it"
            }
        }
    }

    /// Its kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MeterLost => "meter-lost",
            Self::ImportLimitUnmet => "import-limit-unmet",
            Self::SocLost => "soc-lost",
            Self::BmsLost => "bms-lost",
            Self::InverterLost => "inverter-lost",
            Self::OrderGivenUp(_) => "order-given-up",
            Self::GeneratorFailToStart => "generator-fail-to-start",
            Self::GeneratorUnexpectedStop => "generator-unexpected-stop",
            Self::GeneratorFailToStop => "generator-fail-to-stop",
            Self::GeneratorRemoteOff => "generator-remote-off",
            Self::GeneratorFault => "generator-fault",
            Self::GeneratorAdopted => "generator-adopted",
            Self::GeneratorMaxRun => "generator-max-run",
            Self::GeneratorNoFeedback => "generator-no-feedback",
            Self::SecondWriter(_) => "second-writer",
            Self::StoreFailed => "store-failed",
            Self::StoreLost => "store-lost",
            Self::CrashLoop => "crash-loop",
            Self::ProfileRefused => "profile-refused",
            Self::Uncommissioned => "uncommissioned",
        }
    }
}

/// What the site wants done.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Whether this input led to a decision; it is in [`Site::decision`](super::site::Site::decision).
    pub decided: bool,
    /// Orders to write, none while observing.
    pub commands: ArrayVec<Command, 12>,
    /// What changed.
    pub events: ArrayVec<Event, 12>,
    /// Write [`Site::keepsake`](super::site::Site::keepsake) down under this number, and say
    /// [`Input::Stored`] when it is safe.
    pub keep: Option<u32>,
    /// When the site wants [`Input::Due`], unless something else happens first.
    pub wake_at: Mono,
}

impl Outputs {
    /// Nothing wanted.
    pub(super) fn clear(&mut self) {
        self.decided = false;
        self.commands.clear();
        self.keep = None;
        self.events.clear();
    }
}

/// The version of the encoding of [`Input`]; raised whenever its meaning changes.
const ENCODING: u8 = 6;

/// Why bytes are no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing to read.
    #[error("the journal entry is empty")]
    Empty,
    /// Written by another version.
    #[error("the journal entry has encoding version {0}, this program reads {ENCODING}")]
    Version(u8),
    /// Damaged.
    #[error("the journal entry is damaged")]
    Damaged,
}

impl Input {
    /// The input as bytes: a version, then its fields in order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![ENCODING]).unwrap_or_default()
    }

    /// The input that bytes mean.
    ///
    /// # Errors
    /// When the bytes are of another version or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            None => Err(DecodeError::Empty),
            Some((&ENCODING, rest)) => postcard::from_bytes(rest).map_err(|_| DecodeError::Damaged),
            Some((other, _)) => Err(DecodeError::Version(*other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_an_input_never_changes_silently() {
        let heard = Input::Heard { signal: SignalId(7), value: Some(-2_000), asked_at: Mono(12_345) };
        assert_eq!(heard.encode(), [6, 0, 7, 1, 159, 31, 242, 192, 1]);
        assert_eq!(Input::Due.encode(), [6, 1]);
        let wrote = Input::Wrote { actuator: 2, seq: 300, outcome: Outcome::Refused(10) };
        assert_eq!(wrote.encode(), [6, 3, 2, 172, 2, 1, 10]);
        let by = Actor::from("anna").unwrap_or_default();
        let hold = BatteryOrder { wish: Wish::Hold, lasts: None, use_reserve: false };
        let ordered = Input::Operator(OperatorOrder::Battery(Some(hold)), by);
        assert_eq!(ordered.encode(), [6, 7, 3, 1, 0, 0, 0, 4, b'a', b'n', b'n', b'a']);
    }

    #[test]
    fn inputs_read_back_as_written_and_damage_is_refused() {
        let inputs = [
            Input::Heard { signal: SignalId(0), value: None, asked_at: Mono(0) },
            Input::Due,
            Input::Wall(Wall { utc: 1_780_000_000, offset: 7_200, valid: true }),
            Input::Reload(Box::default()),
            Input::Operator(
                OperatorOrder::Generator { manual: Manual::Run, lasts: Some(Span::secs(60)) },
                Actor::default(),
            ),
            Input::Foreign { actuator: 3 },
            Input::Stored(70_000),
            Input::Noticed(Alarm::StoreFailed, true),
            Input::Leaving,
            Input::Lease(Box::default()),
            Input::Overlay(Box::default()),
            Input::Commission(Some(Watts(500))),
        ];
        for input in inputs {
            let bytes = input.encode();
            assert_eq!(Input::decode(&bytes).as_ref(), Ok(&input));
            assert_eq!(Input::decode(&[9, 1]), Err(DecodeError::Version(9)));
        }
        assert_eq!(Input::decode(&[]), Err(DecodeError::Empty));
        assert_eq!(Input::decode(&[6, 200]), Err(DecodeError::Damaged));
    }
}
