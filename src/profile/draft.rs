//! A profile while it is being read: every key has found its place, nothing has been compared with anything.

use std::collections::BTreeMap;

use crate::control::policy::{
    Control, GeneratorPolicy, GuardKind, LoadMode, MeterLost, OnLoss, Pace, PhaseMode, Policy, QuietHours,
    ScheduleWindow, Shave,
};
use crate::control::units::{DeciCelsius, MilliAmps, MilliVolts, Soc, Span, WattHours, Watts};

use super::load::LoadDraft;
use super::timed::{OutageDraft, SlotDraft};
use super::value::Typed;

/// A profile's values without the comparisons between them.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Layout of the file; only 1 exists.
    pub schema: i64,
    /// Name of the site.
    pub name: Name,
    /// Address and port of page, metrics and API.
    pub listen: Listen,
    /// File in which another program writes a plan.
    pub plan_file: Option<String>,
    /// Everything of the policy that needs no second look.
    pub policy: Policy,
    /// Lowest battery temperature.
    pub temperature_min: Option<DeciCelsius>,
    /// Highest battery temperature.
    pub temperature_max: Option<DeciCelsius>,
    /// Up to this voltage the pack may be charged while its BMS says 0 A.
    pub zero_charge_voltage: Option<MilliVolts>,
    /// And with this current.
    pub zero_charge_current: Option<MilliAmps>,
    /// Whether a BMS must speak.
    pub bms: Bms,
    /// What the battery's cells are made of.
    pub chemistry: Option<Chemistry>,
    /// How many of them in series.
    pub cells: Option<i64>,
    /// The most import that contract and main fuse allow.
    pub import_contract: Option<Watts>,
    /// The most export that the contract allows.
    pub export_contract: Option<Watts>,
    /// The generator.
    pub generator: GeneratorDraft,
    /// Devices by name.
    pub devices: BTreeMap<String, DeviceDraft>,
    /// Charge windows by name.
    pub schedule: BTreeMap<String, WindowDraft>,
    /// Slots of the plan by name.
    pub plan: BTreeMap<String, SlotDraft>,
    /// Loads on relays by name.
    pub load: BTreeMap<String, LoadDraft>,
    /// Announced outages by name.
    pub outage: BTreeMap<String, OutageDraft>,
}

/// The site's name.
#[derive(Clone, Debug)]
pub struct Name(pub String);

impl Default for Name {
    fn default() -> Self {
        Self("Site".to_owned())
    }
}

/// Where page, metrics and API are served, as written.
#[derive(Clone, Debug)]
pub struct Listen(pub String);

impl Default for Listen {
    fn default() -> Self {
        Self("127.0.0.1:8437".to_owned())
    }
}

/// Whether a BMS must speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bms {
    /// Once one was heard.
    #[default]
    Auto,
    /// From the start.
    Required,
    /// Never.
    None,
}

/// What a battery's cells are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chemistry {
    /// Lithium iron phosphate.
    Lfp,
    /// Lithium nickel manganese cobalt oxide, and its relatives.
    Nmc,
    /// Lead acid, flooded or sealed.
    LeadAcid,
}

impl Chemistry {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lfp => "lfp",
            Self::Nmc => "nmc",
            Self::LeadAcid => "lead-acid",
        }
    }

    /// Lowest and highest voltage that one cell may have in use, in mV, after the makers' data sheets: from empty
    /// under load to the end of charge, for lead acid to the end of equalisation.
    #[must_use]
    pub fn cell(self) -> (i64, i64) {
        match self {
            Self::Lfp => (2_500, 3_650),
            Self::Nmc => (2_700, 4_250),
            Self::LeadAcid => (1_750, 2_650),
        }
    }
}

/// The generator's part of the profile.
#[derive(Clone, Debug, Default)]
pub struct GeneratorDraft {
    /// Everything that needs no second look.
    pub policy: GeneratorPolicy,
    /// As the operator said; otherwise the wiring tells.
    pub feedback: Option<bool>,
    /// What the breaker behind the generator carries.
    pub breaker: Option<Watts>,
    /// Start delay of the conditions that name none.
    pub start_for: Span,
    /// Stop delay of the conditions that name none.
    pub stop_for: Span,
    /// First quiet second.
    pub quiet_from: Option<Clock>,
    /// First second that is not quiet any more.
    pub quiet_to: Option<Clock>,
    /// State of charge.
    pub soc: ConditionDraft,
    /// Site load.
    pub load: ConditionDraft,
    /// Battery discharge current.
    pub current: ConditionDraft,
    /// Battery voltage.
    pub voltage: ConditionDraft,
}

/// One condition, maybe incomplete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionDraft {
    /// Starts at this value.
    pub start: Option<i64>,
    /// Ends at this value.
    pub stop: Option<i64>,
    /// Must hold this long to start.
    pub start_for: Option<Span>,
    /// Must hold this long to end.
    pub stop_for: Option<Span>,
    /// Starts at this value in quiet hours.
    pub quiet_start: Option<i64>,
    /// Ends at this value in quiet hours.
    pub quiet_stop: Option<i64>,
}

/// Local second of the day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock(pub i32);

impl GeneratorDraft {
    /// Quiet hours, when both ends are known and differ.
    #[must_use]
    pub fn quiet(&self) -> Option<QuietHours> {
        let (from, to) = (self.quiet_from?.0, self.quiet_to?.0);
        (from != to).then_some(QuietHours { from, to })
    }
}

/// Parts that a device can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The battery and its BMS.
    Battery,
    /// An inverter we order.
    Inverter,
    /// The meter at the grid connection.
    GridMeter,
    /// A PV inverter.
    Pv,
    /// The generator itself.
    Generator,
    /// What closes the generator's start contact.
    GeneratorContact,
    /// A meter of the site's load.
    LoadMeter,
    /// A solar charger on the DC bus.
    SolarCharger,
    /// Inputs and relays that are only shown.
    Io,
}

/// Implements [`Field`] for an enum with one word per variant.
macro_rules! words {
    ($type:ty, $list:ident: $($word:literal => $variant:ident),* $(,)?) => {
        /// The words of this choice.
        pub const $list: &[&str] = &[$($word),*];
        impl Field for $type {
            fn typed(&self) -> Option<Typed> {
                Some(Typed::Text(match self { $(Self::$variant => $word.to_owned()),* }))
            }
            fn take(typed: &Typed) -> Option<Self> {
                match typed {
                    Typed::Text(word) => match word.as_str() { $($word => Some(Self::$variant),)* _ => None },
                    Typed::Flag(_) | Typed::Whole(_) | Typed::Words(_) | Typed::Off => None,
                }
            }
        }
    };
}

/// A place that a typed value can be put into and read from.
pub trait Field: Sized {
    /// Whether `"none"` may be written.
    const OPTIONAL: bool = false;
    /// The value, none when there is none.
    fn typed(&self) -> Option<Typed>;
    /// From a value of the right shape.
    fn take(typed: &Typed) -> Option<Self>;
}

words!(Control, CONTROL: "observe" => Observe, "on" => On);
words!(PhaseMode, PHASE_MODE: "total" => Total, "individual" => Individual, "balanced-export" => BalancedExport);
words!(Shave, SHAVE: "above-floor" => AboveFloor, "always" => Always);
words!(MeterLost, METER_LOST: "passive" => Passive, "internal" => Internal);
words!(LoadMode, LOAD_MODE: "shed" => Shed, "deferrable" => Deferrable);
words!(GuardKind, GUARD: "standard" => Standard, "victron-compatible" => VictronCompatible);
words!(OnLoss, ON_LOSS: "keep" => Keep, "start" => Start, "stop" => Stop);
words!(Bms, BMS: "auto" => Auto, "required" => Required, "none" => None);
words!(Chemistry, CHEMISTRY: "lfp" => Lfp, "nmc" => Nmc, "lead-acid" => LeadAcid);
words!(Framing, FRAMING: "tcp" => Tcp, "rtu-over-tcp" => RtuOverTcp);
words!(Mode, MODE: "direct" => Direct, "supervise" => Supervise);
words!(Role, ROLES:
    "battery" => Battery, "inverter" => Inverter, "grid-meter" => GridMeter, "pv" => Pv,
    "generator" => Generator, "generator-contact" => GeneratorContact, "load-meter" => LoadMeter, "solar-charger" => SolarCharger, "io" => Io,
);

impl Role {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Inverter => "inverter",
            Self::GridMeter => "grid-meter",
            Self::Pv => "pv",
            Self::Generator => "generator",
            Self::GeneratorContact => "generator-contact",
            Self::LoadMeter => "load-meter",
            Self::SolarCharger => "solar-charger",
            Self::Io => "io",
        }
    }
}

impl Framing {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::RtuOverTcp => "rtu-over-tcp",
        }
    }
}

/// How Modbus frames travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Modbus TCP.
    #[default]
    Tcp,
    /// RTU frames with their checksum, through a transparent gateway.
    RtuOverTcp,
}

/// Who keeps the fast loop of a device that can keep it itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// We do: the device gets inverter power.
    #[default]
    Direct,
    /// The device does: it gets a grid setpoint.
    Supervise,
}

/// One device as written.
#[derive(Clone, Debug, Default)]
pub struct DeviceDraft {
    /// A shipped definition's name or a path.
    pub definition: Option<String>,
    /// Host and port, as written.
    pub address: Option<String>,
    /// Modbus unit id of the main unit.
    pub unit: Option<i64>,
    /// Modbus unit ids by the definition's unit names.
    pub units: BTreeMap<String, i64>,
    /// Framing; none follows the definition.
    pub framing: Option<Framing>,
    /// The parts it plays.
    pub roles: Vec<Role>,
    /// Who keeps the fast loop.
    pub mode: Mode,
    /// Age of a meter's value when it is asked for.
    pub lag: Option<Span>,
    /// From order to the first reaction.
    pub dead_time: Option<Span>,
    /// Time constant of the reaction.
    pub response: Option<Span>,
    /// The smallest step it takes.
    pub resolution: Option<Watts>,
    /// Most power into the battery.
    pub max_charge: Option<Watts>,
    /// Most power out of the battery.
    pub max_discharge: Option<Watts>,
    /// The phases it is wired to.
    pub phases: Option<[bool; 3]>,
    /// The most a PV inverter can make.
    pub rating: Option<Watts>,
    /// The most a solar charger can make.
    pub max_current: Option<MilliAmps>,
    /// Relay channel of the start contact.
    pub contact: Option<i64>,
    /// Input channel of the engine's running contact.
    pub running_input: Option<i64>,
    /// How often fast points are read.
    pub poll: Option<Span>,
}

/// One charge window as written.
#[derive(Clone, Debug, Default)]
pub struct WindowDraft {
    /// Days on which it begins; none means every day.
    pub days: Days,
    /// Local start.
    pub start: Option<Clock>,
    /// How long it lasts.
    pub duration: Option<Span>,
    /// Charge to here.
    pub target: Option<Soc>,
    /// Whether the battery may discharge above the target inside the window.
    pub allow_discharge: bool,
}

impl WindowDraft {
    /// The window, when nothing is missing.
    #[must_use]
    pub fn window(&self) -> Option<ScheduleWindow> {
        Some(ScheduleWindow {
            days: self.days.0,
            start: self.start?.0,
            duration: self.duration?,
            target: self.target.unwrap_or(Soc::FULL),
            allow_discharge: self.allow_discharge,
        })
    }
}

/// A set of days, Monday in bit 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub u8);

impl Default for Days {
    fn default() -> Self {
        Self(0b111_1111)
    }
}

/// Words for days, in bit order, and for groups of them.
pub const DAYS: &[&str] =
    &["mon", "tue", "wed", "thu", "fri", "sat", "sun", "workday", "weekend", "daily", "monthly"];

impl Field for Days {
    fn typed(&self) -> Option<Typed> {
        if *self == Self::default() {
            return Some(Typed::Words(vec!["daily".to_owned()]));
        }
        let names = DAYS.iter().take(7).chain(DAYS.last()).enumerate();
        let chosen = names.filter(|(bit, _)| self.0 >> bit & 1 == 1);
        Some(Typed::Words(chosen.map(|(_, name)| (*name).to_owned()).collect()))
    }
    fn take(typed: &Typed) -> Option<Self> {
        let Typed::Words(words) = typed else { return None };
        let bits = |word: &String| match DAYS.iter().position(|day| day == word) {
            Some(7) => Some(0b001_1111),
            Some(8) => Some(0b110_0000),
            Some(9) => Some(0b111_1111),
            Some(10) => Some(0b1000_0000),
            Some(bit) => Some(1u8 << bit),
            None => None,
        };
        words.iter().map(bits).try_fold(0, |all, bits| Some(all | bits?)).map(Self)
    }
}

/// Implements [`Field`] for what one whole number holds.
macro_rules! whole {
    ($($type:ty: $raw:expr, $make:expr;)*) => {$(
        impl Field for $type {
            fn typed(&self) -> Option<Typed> {
                #[allow(clippy::redundant_closure_call, reason = "the table below reads better with closures")]
                Some(Typed::Whole(($raw)(*self)))
            }
            fn take(typed: &Typed) -> Option<Self> {
                match typed {
                    #[allow(clippy::redundant_closure_call, reason = "as above")]
                    Typed::Whole(raw) => ($make)(*raw),
                    Typed::Flag(_) | Typed::Text(_) | Typed::Words(_) | Typed::Off => None,
                }
            }
        }
    )*};
}

whole! {
    Watts: |it: Self| i64::from(it.0), |raw| Some(Self::saturated(raw));
    MilliVolts: |it: Self| i64::from(it.0), |raw| Some(Self::saturated(raw));
    MilliAmps: |it: Self| i64::from(it.0), |raw| Some(Self::saturated(raw));
    DeciCelsius: |it: Self| i64::from(it.0), |raw| Some(Self::saturated(raw));
    WattHours: |it: Self| it.0, |raw| Some(Self(raw));
    Span: |it: Self| it.0, |raw| Some(Self(raw));
    Soc: |it: Self| i64::from(it.centi()), Self::from_centi;
    Clock: |it: Self| i64::from(it.0), |raw| i32::try_from(raw).ok().map(Self);
    i64: |it: Self| it, Some;
    i32: i64::from, |raw| Self::try_from(raw).ok();
    u8: i64::from, |raw| Self::try_from(raw).ok();
}

impl Field for bool {
    fn typed(&self) -> Option<Typed> {
        Some(Typed::Flag(*self))
    }
    fn take(typed: &Typed) -> Option<Self> {
        match typed {
            Typed::Flag(flag) => Some(*flag),
            Typed::Whole(_) | Typed::Text(_) | Typed::Words(_) | Typed::Off => None,
        }
    }
}

impl Field for String {
    fn typed(&self) -> Option<Typed> {
        Some(Typed::Text(self.clone()))
    }
    fn take(typed: &Typed) -> Option<Self> {
        match typed {
            Typed::Text(text) => Some(text.clone()),
            Typed::Flag(_) | Typed::Whole(_) | Typed::Words(_) | Typed::Off => None,
        }
    }
}

impl Field for Name {
    fn typed(&self) -> Option<Typed> {
        self.0.typed()
    }
    fn take(typed: &Typed) -> Option<Self> {
        String::take(typed).map(Self)
    }
}

impl Field for Listen {
    fn typed(&self) -> Option<Typed> {
        self.0.typed()
    }
    fn take(typed: &Typed) -> Option<Self> {
        String::take(typed).map(Self)
    }
}

impl Field for Pace {
    fn typed(&self) -> Option<Typed> {
        match self {
            Self::Full => Some(Typed::Text("full".to_owned())),
            Self::Power(power) => power.typed(),
        }
    }
    fn take(typed: &Typed) -> Option<Self> {
        match typed {
            Typed::Text(_) => Some(Self::Full),
            typed => Watts::take(typed).map(Self::Power),
        }
    }
}

impl Field for Vec<Role> {
    fn typed(&self) -> Option<Typed> {
        let words = self.iter().map(|role| role.name().to_owned()).collect::<Vec<_>>();
        (!words.is_empty()).then_some(Typed::Words(words))
    }
    fn take(typed: &Typed) -> Option<Self> {
        let Typed::Words(words) = typed else { return None };
        words.iter().map(|word| Role::take(&Typed::Text(word.clone()))).collect()
    }
}

impl Field for [bool; 3] {
    fn typed(&self) -> Option<Typed> {
        let names = ["l1", "l2", "l3"].iter().zip(self).filter(|(_, wired)| **wired);
        Some(Typed::Words(names.map(|(name, _)| (*name).to_owned()).collect()))
    }
    fn take(typed: &Typed) -> Option<Self> {
        let Typed::Words(words) = typed else { return None };
        Some(["l1", "l2", "l3"].map(|phase| words.iter().any(|word| word == phase)))
    }
}

impl<T: Field> Field for Option<T> {
    const OPTIONAL: bool = true;
    fn typed(&self) -> Option<Typed> {
        self.as_ref().and_then(T::typed)
    }
    fn take(typed: &Typed) -> Option<Self> {
        match typed {
            Typed::Off => Some(None),
            typed => T::take(typed).map(Some),
        }
    }
}
