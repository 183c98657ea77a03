//! What services may see: one plain, self-contained copy of the site's state.
//!
//! The daemon fills a [`Published`] after each decision, and at least once a second of real time, and hands it over
//! as an `Arc` through a watch channel. Services never reach back, so a slow reader costs the control loop nothing.
//! The same types are the JSON of `/api/v1/state`, which is why the command line reads them too.
//!
//! Signs are the site's: grid import, PV, generator and battery discharge are positive, load is positive. Values are
//! in the unit that people read (W, V, A, Hz, °C, %), as in [`Signal::unit`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A word from a closed list, such as a state or a reason code; it costs no allocation while it stays in the process.
pub type Word = Cow<'static, str>;

/// Everything that services may see of a site, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// What this program is.
    pub build: Build,
    /// The site's name from the profile.
    pub site: String,
    /// The site's zone, an IANA name such as `Europe/Paris`; empty means UTC.
    pub timezone: String,
    /// A short hash of the profile in force.
    pub profile_hash: String,
    /// Whether decisions reach the plant.
    pub control: Control,
    /// What the site is doing with its decisions.
    pub mode: Mode,
    /// Monotonic moment of this snapshot, ms of site time, which goes on across restarts.
    pub now_ms: i64,
    /// Wall clock of this snapshot, ms since 1970; none when no clock is known.
    pub utc_ms: Option<i64>,
    /// Wall clock at the start of the process, ms since 1970.
    pub started_utc_ms: Option<i64>,
    /// Whether the wall clock may be used for schedules.
    pub clock_trusted: bool,
    /// A decision older than this, in ms, is not fresh; `/readyz` and the page say so. 0 means the default of 15 s.
    pub fresh_for_ms: i64,
    /// Worst stage of all inputs: 0 good, 1 held, 2 degraded, 3 safe.
    pub failsafe_level: u8,
    /// Work of the decision loop since the start.
    pub decisions: Work,
    /// Every signal the site knows: measured ones, and derived ones such as `load.power`.
    pub signals: Vec<Signal>,
    /// The newest decision; none until the first.
    pub decision: Option<Decision>,
    /// The generator; none on a site without one.
    pub generator: Option<Generator>,
    /// Every device of the profile, in its order.
    pub devices: Vec<Device>,
    /// Every network endpoint; several devices may share one.
    pub endpoints: Vec<Endpoint>,
    /// Energy since the counters began; none where nothing measures it.
    pub energy: Energy,
    /// The newest events, newest first, at most 50.
    pub events: Vec<Event>,
    /// Every alarm this site can raise or has raised, active or not.
    pub alarms: Vec<Alarm>,
    /// How long each reason was the binding one, by its code.
    pub binding_seconds: Vec<Counted<f64>>,
    /// The commissioning under way or over; none when there is none.
    #[serde(default)]
    pub commissioning: Option<Commissioning>,
    /// A few recent minutes for the small curves of the page, oldest first, evenly spaced.
    pub history: Vec<Point>,
}

/// A commissioning: how far it is, and what was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Commissioning {
    /// How much is done, in %.
    pub done: u8,
    /// What is tried now: the inverter and its phase.
    pub now: Option<String>,
    /// It is over.
    pub over: bool,
    /// Why it ended early, in a sentence.
    pub ended: Option<String>,
    /// Every trial that was made.
    pub tried: Vec<Tried>,
}

/// One trial: an inverter on one of its phases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The inverter's name.
    pub inverter: String,
    /// The phase: `L1`.
    pub phase: String,
    /// What the inverter's own power showed of what was ordered, in %.
    pub inverter_percent: Option<f64>,
    /// What the grid meter showed of it, in %; less import is negative, which is right.
    pub meter_percent: Option<f64>,
    /// What the battery showed of it, in %.
    pub battery_percent: Option<f64>,
    /// From the order to half of the inverter's answer, in ms.
    pub response_ms: Option<i64>,
    /// From there to half of the meter's, in ms.
    pub lag_ms: Option<i64>,
    /// What is wrong; empty when nothing is.
    pub findings: Vec<Found>,
}

/// Something that commissioning found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its code: `meter-reversed`.
    pub code: String,
    /// What happened and what to do.
    pub text: String,
}

/// What this program is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the package.
    pub version: Word,
    /// Commit it was built from, empty when unknown.
    pub commit: Word,
    /// Architecture and system, such as `x86_64-linux`.
    pub target: Word,
}

/// Whether decisions reach the plant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Decide and show, write nothing.
    #[default]
    Observe,
    /// Decide and write.
    On,
}

/// What the site is doing with its decisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It only watches.
    #[default]
    Observe,
    /// Policy decides.
    Auto,
    /// An operator's order is in force.
    Manual,
    /// An input that control needs is unknown: the cautious case holds.
    Failsafe,
}

impl Mode {
    /// Every mode, for state sets.
    pub const ALL: [Self; 4] = [Self::Observe, Self::Auto, Self::Manual, Self::Failsafe];

    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Auto => "auto",
            Self::Manual => "manual",
            Self::Failsafe => "failsafe",
        }
    }
}

/// How often something was done and how long it took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// How often.
    pub count: u64,
    /// All of it together, in seconds.
    pub seconds: f64,
}

/// How far a value may be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Fresh.
    Good,
    /// The last value, too old to be good; [`Signal::age_ms`] tells how old.
    Held,
    /// Not known: never a number.
    #[default]
    Unknown,
}

/// One signal and its last value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// The dotted name: `battery.soc`, `inverter.gx.power.l1`.
    pub name: String,
    /// The kind of knowledge, without device and phase: `inverter.power`.
    pub quantity: Word,
    /// `l1`, `l2`, `l3`, or empty for the total.
    pub phase: Word,
    /// The device that owns it; none for a signal of the site as a whole.
    pub device: Option<String>,
    /// What people write behind the number; empty for counts, codes and flags.
    pub unit: Word,
    /// The value; none when unknown.
    pub value: Option<f64>,
    /// Time since it was asked for, in ms; none when it was never heard.
    pub age_ms: Option<i64>,
    /// How far it may be trusted.
    pub quality: Quality,
}

/// What was decided, and why. While observing it is what would have been ordered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Monotonic moment of the decision, ms of site time.
    pub at_ms: i64,
    /// Wall clock of the decision, ms since 1970.
    pub utc_ms: Option<i64>,
    /// AC power of all controlled inverters together in W, discharge positive.
    pub battery_order: i32,
    /// Most charge allowed in W, as a positive number.
    pub max_charge: i32,
    /// Most discharge allowed in W.
    pub max_discharge: i32,
    /// Whether the guard of the minimum charge allows discharge.
    pub discharge_allowed: bool,
    /// Charging that does not wait for a surplus.
    pub forced_charge: bool,
    /// What each inverter is told.
    pub inverters: Vec<InverterOrder>,
    /// Wanted grid power in W, import positive.
    pub grid_setpoint: i32,
    /// Limit for PV in W, when one is needed.
    pub pv_limit: Option<i32>,
    /// State of the guard of the minimum charge.
    pub guard: Word,
    /// The floor in force, in % of charge; none when nothing guards.
    pub floor: Option<f64>,
    /// The operator's order for the battery, while one stands.
    #[serde(default)]
    pub order: Option<Standing>,
    /// Loads on relays.
    #[serde(default)]
    pub loads: Vec<LoadState>,
    /// Overlays of the profile that are on.
    #[serde(default)]
    pub overlays: Vec<OverlayOn>,
    /// Who leases the plan's rung, while somebody does.
    #[serde(default)]
    pub plan_by: Option<String>,
    /// What the inverters may charge the battery with in A, where a BMS limits it.
    #[serde(default)]
    pub charge_current: Option<f64>,
    /// What each solar charger may make in A, where a BMS limits it.
    #[serde(default)]
    pub chargers: Vec<ChargerLimit>,
    /// What comes next.
    #[serde(default)]
    pub outlook: Outlook,
    /// The regulator's slow correction in W.
    pub trim: i32,
    /// The range after each rung, most important first.
    pub ladder: Vec<Rung>,
    /// Wishes that a higher rung cut.
    pub overruled: Vec<Overruled>,
    /// Every reason that took part; one of them is binding.
    pub reasons: Vec<Reason>,
    /// How far each input is trusted, by its name: `meter`, `inverter`, `soc`, `bms`, `pv`, `generator`.
    pub stages: Vec<InputStage>,
}

impl Decision {
    /// The one reason that bound the decision.
    #[must_use]
    pub fn binding(&self) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.binding)
    }
}

/// An operator's order for the battery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What was ordered, in a sentence.
    pub text: String,
    /// By whom; empty when nobody said.
    pub by: String,
    /// Time until it ends by itself, in s.
    pub left_s: i64,
    /// It takes part in the decision; else it waits for a good state of charge and meter, for the grid, or to be
    /// written down.
    pub acts: bool,
}

/// What comes next: where discharge stops and resumes, and what would change the order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Discharge stops at this charge in %; none where nothing but voltage and BMS stops it.
    pub stops_at: Option<f64>,
    /// Once it has stopped, discharge resumes at this charge in %.
    pub resumes_at: Option<f64>,
    /// What would change the order, in a sentence without a full stop.
    pub changes: Option<String>,
}

/// A load on a relay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadState {
    /// Its name in the profile.
    pub name: String,
    /// Whether its relay is closed; while observing, whether it would be.
    pub on: bool,
    /// Why: `surplus`, `low-soc`.
    pub code: Word,
    /// The same for a person.
    pub words: String,
}

/// An overlay that is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayOn {
    /// Its name, or the key and value that it sets.
    pub what: String,
    /// By whom; empty when nobody said.
    pub by: String,
    /// Time until it ends by itself, in s.
    pub left_s: i64,
}

/// What one solar charger may make.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChargerLimit {
    /// The charger's name in the profile.
    pub name: String,
    /// Its share of the charge current, in A.
    pub amperes: f64,
}

/// What one inverter is told, in W per phase, feeding the site positive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InverterOrder {
    /// The inverter's name in the profile.
    pub name: String,
    /// First phase.
    pub l1: i32,
    /// Second phase.
    pub l2: i32,
    /// Third phase.
    pub l3: i32,
}

/// What one rung left of the range of battery power, in W, discharge positive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Its number and name: `1 battery protection`.
    pub tier: Word,
    /// Lowest power still allowed (most charge).
    pub low: i32,
    /// Highest power still allowed (most discharge).
    pub high: i32,
}

/// A wish that a higher rung cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// Whose wish, as in [`Rung::tier`].
    pub tier: Word,
    /// What it wanted, in W.
    pub wanted: i32,
    /// What it got, in W.
    pub got: i32,
    /// Who cut it, as in [`Rung::tier`].
    pub by: Word,
}

/// One reason of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stable code: `stale`.
    pub code: Word,
    /// The code with its arguments: `stale(meter,held)`.
    pub text: String,
    /// The rung it stands on, as in [`Rung::tier`].
    pub tier: Word,
    /// What it means, with its numbers, for a person.
    pub words: String,
    /// Whether it bound the decision.
    pub binding: bool,
}

/// How far one input of the decision is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputStage {
    /// The input: `meter`, `soc`.
    pub input: Word,
    /// `good`, `held`, `degraded` or `safe`.
    pub stage: Word,
}

impl InputStage {
    /// The stage as a number, 0 good to 3 safe.
    #[must_use]
    pub fn level(&self) -> u8 {
        match &*self.stage {
            "good" => 0,
            "held" => 1,
            "degraded" => 2,
            _ => 3,
        }
    }
}

/// The generator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Its name in the profile.
    pub name: String,
    /// Its state: `stopped`, `running`.
    pub state: Word,
    /// The run command.
    pub command: bool,
    /// Whether the load may connect to it.
    pub load_permit: bool,
    /// Why it runs, or why it may not.
    pub reason: Option<Reason>,
    /// Whether quiet hours hold.
    pub quiet: bool,
    /// Confirmed starts since the counter began.
    pub starts: u64,
    /// Time the engine turned, in s.
    pub run_seconds: f64,
    /// What is left of the minimum run, in s.
    pub min_run_left: f64,
    /// Crank attempt, from 1; 0 when none is under way.
    pub attempt: u8,
    /// Whether conditions may start it by themselves.
    pub auto: bool,
}

/// One device and its link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its name in the profile.
    pub name: String,
    /// The definition that describes it: `inverters/victron-gx`.
    pub definition: String,
    /// Where it is, as the profile says: `192.0.2.10:502`; empty when it has no address.
    pub address: String,
    /// Whether its last poll was complete and is fresh.
    pub up: bool,
    /// Time since its last good answer, in ms; none when it never answered.
    pub last_success_age_ms: Option<i64>,
    /// What is wrong, for a person; empty when nothing is.
    pub error: String,
    /// Requests sent, by function code.
    pub requests: Vec<Counted<u64>>,
    /// Requests without a usable answer, by kind: `timeout`, `connect`, `frame`.
    pub errors: Vec<Counted<u64>>,
    /// Refusals, by exception code.
    pub exceptions: Vec<Counted<u64>>,
    /// Orders written, by how it ended: `ok`, `refused`, `failed`, `contradicted`.
    pub writes: Vec<Counted<u64>>,
    /// Answers and the time from request to answer.
    pub answers: Work,
    /// What the device does when we fall silent, for a person: `falls back after 60 s`; empty when nothing is written.
    pub watchdog: String,
    /// Whether its definition was never proven on a real device.
    pub unproven: bool,
}

/// One host and port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// As the profile says: `192.0.2.10:502`.
    pub name: String,
    /// Whether a connection stands.
    pub connected: bool,
    /// Connections made.
    pub connects: u64,
    /// Attempts that failed.
    pub connect_failures: u64,
}

/// A counter and what it counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<T> {
    /// What.
    pub what: Word,
    /// How much.
    pub value: T,
}

/// Energy since the counters began, in J; none where nothing measures it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// From the grid.
    pub import: Option<f64>,
    /// To the grid.
    pub export: Option<f64>,
    /// Into the battery.
    pub charge: Option<f64>,
    /// Out of the battery.
    pub discharge: Option<f64>,
    /// Of each PV source, by device name.
    pub pv: Vec<Counted<f64>>,
    /// To the loads.
    pub load: Option<f64>,
    /// Of the generator.
    pub generator: Option<f64>,
}

/// Something a person would want to read next morning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, ms since 1970; none when no clock was known.
    pub utc_ms: Option<i64>,
    /// What happened.
    pub text: String,
}

/// An alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its kebab-case code.
    pub code: Word,
    /// `page`, `ticket` or `info`.
    pub severity: Word,
    /// The device it is about; empty for the site.
    pub device: String,
    /// Whether it holds now.
    pub active: bool,
    /// Since when, ms since 1970, while active.
    pub since_utc_ms: Option<i64>,
    /// What happened, why and what to do, for a person.
    pub text: String,
}

/// One step of the page's small curves; none where the value was not good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Grid power in W.
    pub grid: Option<f32>,
    /// PV power in W.
    pub pv: Option<f32>,
    /// Load in W.
    pub load: Option<f32>,
    /// Battery power in W, discharge positive.
    pub battery: Option<f32>,
    /// State of charge in %.
    pub soc: Option<f32>,
}

impl Published {
    /// A decision older than this, in ms, is not fresh.
    #[must_use]
    pub fn fresh_for_ms(&self) -> i64 {
        if self.fresh_for_ms > 0 { self.fresh_for_ms } else { 15_000 }
    }

    /// Age of the newest decision at the moment of this snapshot, in ms; none before the first.
    #[must_use]
    pub fn decision_age_ms(&self) -> Option<i64> {
        self.decision.as_ref().map(|decision| self.now_ms.saturating_sub(decision.at_ms))
    }

    /// The good value of one quantity and phase of the site: its own signal, else the sum over its devices when
    /// every one of them is good; and a sum over phases where no total exists. Unknown stays unknown.
    #[must_use]
    pub fn total(&self, quantity: &str) -> Option<f64> {
        let of = |site: bool| {
            self.signals.iter().filter(move |s| s.quantity == quantity && s.device.is_none() == site)
        };
        let group: Vec<&Signal> = if of(true).next().is_some() { of(true) } else { of(false) }.collect();
        let mut sum = None;
        for parts in group.chunk_by(|one, next| one.device == next.device) {
            sum = Some(sum.unwrap_or(0.0) + complete(parts)?.iter().map(|(_, value)| value).sum::<f64>());
        }
        sum
    }
}

/// The phases of one measuring point, such that their sum is right: each conductor when every one is good, else the
/// total under the name `all`, else nothing.
pub(super) fn complete<'a>(parts: &[&'a Signal]) -> Option<Vec<(&'a str, f64)>> {
    let good = |s: &Signal| (s.quality == Quality::Good).then_some(s.value).flatten();
    let phases: Option<Vec<(&str, f64)>> =
        parts.iter().filter(|s| !s.phase.is_empty()).map(|s| Some((&*s.phase, good(s)?))).collect();
    match phases {
        Some(phases) if !phases.is_empty() => Some(phases),
        _ => {
            parts.iter().find(|s| s.phase.is_empty()).and_then(|s| good(s)).map(|total| vec![("all", total)])
        }
    }
}
