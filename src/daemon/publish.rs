//! From the pure half's types to the ones that services may see. Runs on the publishing thread, over copies.

mod decided;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use tracing::{info, warn};

use crate::control::image::Slot;
use crate::control::policy::Control;
use crate::control::reason::{Cause, Tier};
use crate::control::signal::{Quantity, Signal, SignalId};
use crate::control::site::{Alarm, Event};
use crate::control::units::{MilliJoules, Mono, Span};
use crate::device::definition::Definition;
use crate::modbus::state::LinkState;
use crate::profile::{Checked, DeviceConfig, Role};
use crate::services::published as out;

use super::moment::{DeviceMoment, Frame, Moment};
use decided::{decision, reason};

/// Points of the page's small curves, and the time between two.
const POINTS: usize = 120;
const POINT_EVERY: Span = Span::secs(15);
/// A value is good up to this many of its device's poll periods, and at least this long.
const GOOD_FOR: Span = Span::secs(15);
const HELD_FOR: Span = Span::secs(300);

/// What publishing remembers from moment to moment.
#[derive(Debug, Default)]
pub struct Publisher {
    history: VecDeque<out::Point>,
    last_point: Option<Mono>,
    prepared: Option<Prepared>,
}

/// What never changes while a profile is in force.
#[derive(Debug)]
struct Prepared {
    /// Of this one.
    frame: Arc<Frame>,
    hash: String,
    /// Each signal that is shown, without its value.
    signals: Vec<Shown>,
    /// By device: whether it is the first one of its endpoint, whose counters it then shows.
    first: Vec<bool>,
    /// By endpoint: whether it was up when that was last said.
    up: Vec<Option<bool>>,
}

/// A signal that is shown, without its value.
#[derive(Debug)]
struct Shown {
    id: SignalId,
    quantity: Quantity,
    signal: out::Signal,
}

impl Prepared {
    fn of(frame: &Arc<Frame>) -> Self {
        let mut seen = BTreeSet::new();
        let first = frame.carriers.iter().map(|carrier| carrier.is_some_and(|at| seen.insert(at))).collect();
        Self {
            frame: Arc::clone(frame),
            hash: profile_hash(&frame.checked),
            signals: shown(&frame.checked),
            first,
            up: vec![None; frame.lines.len()],
        }
    }

    /// Logs links that went up or down since the last moment.
    fn log_changes(&mut self, lines: &[LinkState]) {
        for ((name, was_up), state) in self.frame.lines.iter().zip(&mut self.up).zip(lines) {
            if *was_up == Some(state.up) {
                continue;
            }
            match (state.up, &state.last_trouble) {
                (true, _) => info!(endpoint = name, "link up"),
                (false, Some(trouble)) => warn!(endpoint = name, %trouble, "link down"),
                (false, None) => continue,
            }
            *was_up = Some(state.up);
        }
    }
}

impl Publisher {
    /// Everything that services may see of a moment; says in the log which links went up or down.
    pub fn published(&mut self, moment: &Moment) -> out::Published {
        let Moment { frame, now, decision, diary, .. } = moment;
        let (checked, now) = (&frame.checked, *now);
        let known = self.prepared.take().filter(|prepared| Arc::ptr_eq(&prepared.frame, frame));
        let mut prepared = known.unwrap_or_else(|| Prepared::of(frame));
        prepared.log_changes(&moment.lines);
        let signals = signals(&prepared.signals, moment);
        let (devices, hash) = (devices(&prepared.first, moment), prepared.hash.clone());
        self.prepared = Some(prepared);
        self.point(&signals, now);
        let policy = &checked.site.policy;
        let level = decision.stages.iter().map(|stage| stage.level()).max().unwrap_or(0);
        let observing = policy.control == Control::Observe;
        let mode = match (observing, level) {
            (true, _) => out::Mode::Observe,
            (false, 3) if decision.ready => out::Mode::Failsafe,
            (false, _) => out::Mode::Auto,
        };
        out::Published {
            build: out::Build {
                version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
                commit: Cow::Borrowed(option_env!("WATTKEEPER_COMMIT").unwrap_or("")),
                target: Cow::Owned(format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
            },
            site: checked.name.clone(),
            timezone: policy.timezone.clone(),
            profile_hash: hash,
            control: if observing { out::Control::Observe } else { out::Control::On },
            mode,
            now_ms: now.0,
            utc_ms: Some(moment.utc_ms),
            started_utc_ms: Some(moment.started_utc_ms),
            clock_trusted: moment.clock_trusted,
            fresh_for_ms: 0,
            failsafe_level: level,
            decisions: out::Work { count: diary.decisions, seconds: diary.decision_time.as_secs_f64() },
            decision: (diary.decisions > 0).then(|| self::decision(moment)),
            generator: generator(moment),
            devices,
            endpoints: frame
                .lines
                .iter()
                .zip(&moment.lines)
                .map(|(name, state)| endpoint(name, state))
                .collect(),
            energy: energy(moment),
            events: diary
                .events
                .iter()
                .map(|(event, utc_ms)| out::Event { utc_ms: Some(*utc_ms), text: event_words(event) })
                .collect(),
            alarms: alarms(moment),
            binding_seconds: diary
                .binding_ms
                .iter()
                .map(|(code, ms)| counted(Cow::Borrowed(*code), seconds(Span(*ms))))
                .collect(),
            commissioning: decided::commissioning(moment),
            history: self.history.iter().copied().collect(),
            signals,
        }
    }

    fn point(&mut self, signals: &[out::Signal], now: Mono) {
        if self.last_point.is_some_and(|last| now.since(last) < POINT_EVERY) {
            return;
        }
        self.last_point = Some(now);
        let seen = out::Published { signals: signals.to_vec(), ..out::Published::default() };
        #[expect(clippy::cast_possible_truncation, reason = "a curve of a few pixels")]
        let total = |quantity: Quantity| seen.total(quantity.name()).map(|value| value as f32);
        let (ac, dc) = (total(Quantity::PvPower), total(Quantity::PvDcPower));
        self.history.push_back(out::Point {
            grid: total(Quantity::GridPower),
            pv: ac.or(dc).map(|_| ac.unwrap_or(0.0) + dc.unwrap_or(0.0)),
            load: total(Quantity::LoadPower),
            battery: total(Quantity::BatteryPower),
            soc: total(Quantity::BatterySoc),
        });
        if self.history.len() > POINTS {
            self.history.pop_front();
        }
    }
}

fn alarms(moment: &Moment) -> Vec<out::Alarm> {
    Alarm::LISTED
        .iter()
        .map(|alarm| {
            let on = moment.alarms.iter().find(|other| other.code() == alarm.code());
            out::Alarm {
                code: Cow::Borrowed(alarm.code()),
                severity: Cow::Borrowed(alarm.severity()),
                device: on.and_then(|alarm| alarm_device(moment, *alarm)).unwrap_or_default(),
                active: on.is_some(),
                since_utc_ms: moment.diary.alarms_since.get(alarm.code()).copied(),
                text: alarm.words().to_owned(),
            }
        })
        .collect()
}

fn alarm_device(moment: &Moment, alarm: Alarm) -> Option<String> {
    match alarm {
        Alarm::OrderGivenUp(place) => {
            let actuators = &moment.frame.checked.site.wiring.actuators;
            actuators.get(usize::from(place)).map(|spec| spec.device.clone())
        }
        _ => None,
    }
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Binding(reason) => format!("now bound by {reason}: {}", reason.words()),
        Event::Guard(state) => format!("minimum SoC: {}", state.name()),
        Event::Generator(state) => format!("generator: {}", state.name()),
        Event::Ordered(order, by) => format!("order by {}: {}", named(by), order.words()),
        Event::OrderOver => "the order for the battery has ended".to_owned(),
        Event::Leased(by) => format!("{} leases the plan", program(by)),
        Event::Commissioned => "commissioning is over".to_owned(),
        Event::Overlaid(order) => format!("overlay by {}: {}", named(&order.by), order.words()),
        Event::OverlayOver(what) => format!("the overlay {what} has ended"),
        Event::LeaseOver(by) => format!("the plan of {} has ended", program(by)),
        Event::Alarm(alarm, true) => format!("alarm {}: {}", alarm.code(), alarm.words()),
        Event::Alarm(alarm, false) => format!("alarm {} is over", alarm.code()),
    }
}

/// Who leases the plan.
pub(super) fn program(by: &str) -> &str {
    if by.is_empty() { "a program" } else { by }
}

/// Who gave an order.
fn named(by: &str) -> &str {
    if by.is_empty() { "an operator" } else { by }
}

fn counted<T>(what: out::Word, value: T) -> out::Counted<T> {
    out::Counted { what, value }
}

#[expect(clippy::cast_precision_loss, reason = "shown, never decided on")]
fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "shown, never decided on")]
fn joules(energy: MilliJoules) -> f64 {
    energy.0 as f64 / 1_000.0
}

/// A short hash of the effective values, so that two sites can be compared at a glance (FNV-1a).
fn profile_hash(checked: &Checked) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (key, value, _) in checked.origins() {
        for byte in key.bytes().chain(value.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}").chars().take(8).collect()
}

fn signals(shown: &[Shown], moment: &Moment) -> Vec<out::Signal> {
    let Moment { image, now, .. } = moment;
    let mut list: Vec<out::Signal> =
        shown.iter().map(|shown| shown.with(image.slot(shown.id), *now)).collect();
    let measured =
        list.iter().any(|signal| signal.quantity == Quantity::LoadPower.name() && signal.value.is_some());
    if !measured {
        list.retain(|signal| signal.quantity != Quantity::LoadPower.name());
        list.push(derived_load(&list));
    }
    list
}

/// Every signal that is shown, without a value.
fn shown(checked: &Checked) -> Vec<Shown> {
    let signals = checked.site.signals.iter().filter(|(_, signal)| !told_twice(checked, signal));
    signals
        .map(|(id, signal)| {
            let quantity = signal.quantity;
            let signal = out::Signal {
                name: signal.name(),
                quantity: Cow::Borrowed(quantity.name()),
                phase: Cow::Borrowed(signal.phase.suffix().trim_start_matches('.')),
                device: signal.device.clone(),
                unit: Cow::Borrowed(quantity.unit().symbol()),
                ..out::Signal::default()
            };
            Shown { id, quantity, signal }
        })
        .collect()
}

/// Power that a device repeats from another one which plays that part, such as the PV power that a GX tells beside
/// the PV inverter itself: in a sum over devices it would count twice.
fn told_twice(checked: &Checked, signal: &Signal) -> bool {
    let role = match signal.quantity {
        Quantity::PvPower => Role::Pv,
        Quantity::GeneratorPower => Role::Generator,
        _ => return false,
    };
    let plays = |device: &DeviceConfig| device.roles.contains(&role);
    let mut players = checked.devices.iter().filter(|device| plays(device)).peekable();
    let own = |name: &String| players.clone().any(|device| device.name == *name);
    signal.device.as_ref().is_some_and(|name| !own(name)) && players.peek().is_some()
}

impl Shown {
    /// With what is known of it now.
    fn with(&self, slot: Slot, now: Mono) -> out::Signal {
        let age = slot.asked_at().map(|at| now.since(at));
        let (value, quality) = match (slot.reading(), age) {
            (Some(reading), Some(age)) if age <= HELD_FOR => {
                #[expect(clippy::cast_precision_loss, reason = "shown, never decided on")]
                let value = reading.value as f64 / self.quantity.unit().steps() as f64;
                let quality = if age <= GOOD_FOR.max(slow(self.quantity)) {
                    out::Quality::Good
                } else {
                    out::Quality::Held
                };
                (Some(value), quality)
            }
            _ => (None, out::Quality::Unknown),
        };
        out::Signal { value, age_ms: age.map(|age| age.0), quality, ..self.signal.clone() }
    }
}

/// Quantities that definitions poll slowly stay good for longer.
fn slow(quantity: Quantity) -> Span {
    match quantity.unit() {
        crate::control::signal::Unit::WattHour
        | crate::control::signal::Unit::Second
        | crate::control::signal::Unit::Count
        | crate::control::signal::Unit::CentiPercent
        | crate::control::signal::Unit::DeciCelsius => Span::secs(150),
        crate::control::signal::Unit::Watt
        | crate::control::signal::Unit::MilliVolt
        | crate::control::signal::Unit::MilliAmp
        | crate::control::signal::Unit::MilliHertz
        | crate::control::signal::Unit::Flag => Span::ZERO,
    }
}

/// The load as the balance of what is measured, when nothing measures it: grid, AC PV, generator and inverters
/// feed it, what hangs on the inverters' output included.
fn derived_load(list: &[out::Signal]) -> out::Signal {
    let parts = [
        Quantity::GridPower,
        Quantity::PvPower,
        Quantity::InverterPower,
        Quantity::LoadOutPower,
        Quantity::GeneratorPower,
    ];
    let counts = |signal: &&out::Signal| parts.iter().any(|part| signal.quantity == part.name());
    let signals = list.iter().filter(counts).cloned().collect();
    let seen = out::Published { signals, ..out::Published::default() };
    let known = |quantity: Quantity| seen.signals.iter().any(|signal| signal.quantity == quantity.name());
    let mut sum = Some(0.0);
    for quantity in parts {
        if known(quantity) {
            sum = sum.and_then(|sum| Some(sum + seen.total(quantity.name())?));
        }
    }
    let sum = sum.filter(|_| known(Quantity::GridPower) && known(Quantity::InverterPower));
    let quality = if sum.is_some() { out::Quality::Good } else { out::Quality::Unknown };
    out::Signal {
        name: Quantity::LoadPower.name().to_owned(),
        quantity: Cow::Borrowed(Quantity::LoadPower.name()),
        unit: Cow::Borrowed("W"),
        value: sum,
        age_ms: sum.map(|_| 0),
        quality,
        ..out::Signal::default()
    }
}

fn generator(moment: &Moment) -> Option<out::Generator> {
    let checked = &moment.frame.checked;
    let policy = checked.site.policy.generator.as_ref()?;
    let view = &moment.decision.generator;
    let name = checked
        .devices
        .iter()
        .find(|device| device.roles.contains(&Role::Generator))
        .map_or("generator", |device| &device.name);
    Some(out::Generator {
        name: name.to_owned(),
        state: Cow::Borrowed(view.state.name()),
        command: view.command,
        load_permit: view.load_permit,
        reason: view.reason.map(|of| reason(Cause { tier: Tier::Connection, reason: of }, true)),
        quiet: view.quiet,
        starts: u64::from(view.starts),
        run_seconds: seconds(view.run_time),
        min_run_left: seconds(view.min_run_left),
        attempt: view.attempt,
        auto: policy.auto,
    })
}

fn endpoint(name: &str, state: &LinkState) -> out::Endpoint {
    let failures = state.troubles().find(|(label, _)| *label == "connect").map_or(0, |(_, count)| count);
    out::Endpoint {
        name: name.to_owned(),
        connected: state.up,
        connects: state.connects,
        connect_failures: failures,
    }
}

fn devices(first: &[bool], moment: &Moment) -> Vec<out::Device> {
    let Moment { frame, lines, .. } = moment;
    let places = frame.carriers.iter().zip(first);
    let devices = frame.checked.devices.iter().zip(&moment.devices).zip(places);
    devices
        .map(|((config, seen), (carrier, first))| {
            let state = carrier.and_then(|at| lines.get(at));
            device(config, *seen, state, *first, moment.now)
        })
        .collect()
}

fn device(
    config: &DeviceConfig,
    seen: DeviceMoment,
    state: Option<&LinkState>,
    first: bool,
    now: Mono,
) -> out::Device {
    let age = seen.heard_at.map(|at| now.since(at));
    let up = age.is_some_and(|age| age <= GOOD_FOR);
    let definition = config.definition.as_deref();
    let mut device = out::Device {
        name: config.name.clone(),
        definition: config.definition_name.clone().unwrap_or_default(),
        address: config.address.as_ref().map(|(host, port)| format!("{host}:{port}")).unwrap_or_default(),
        up,
        last_success_age_ms: age.map(|age| age.0),
        watchdog: watchdog(config, definition),
        unproven: definition.is_some_and(Definition::is_unproven),
        writes: vec![
            counted(Cow::Borrowed("ok"), seen.writes.ok),
            counted(Cow::Borrowed("refused"), seen.writes.refused),
            counted(Cow::Borrowed("failed"), seen.writes.failed),
            counted(Cow::Borrowed("contradicted"), seen.writes.contradicted),
        ],
        ..out::Device::default()
    };
    if let Some(state) = state {
        if !up {
            device.error = match (&state.last_trouble, state.up) {
                (Some(trouble), _) => trouble.to_string(),
                (None, true) => "the device answers, but not with anything we know".to_owned(),
                (None, false) => "not connected yet".to_owned(),
            };
        }
        // Counters are the endpoint's; a device that shares one shows them once, at its first device.
        if first {
            device.requests = state
                .requests()
                .filter(|(_, count)| *count > 0)
                .map(|(function, count)| counted(Cow::Owned(function.code().to_string()), count))
                .collect();
            device.errors =
                state.troubles().map(|(label, count)| counted(Cow::Borrowed(label), count)).collect();
            device.exceptions = state
                .exceptions()
                .filter(|(_, count)| *count > 0)
                .map(|(code, count)| counted(Cow::Owned(code.to_string()), count))
                .collect();
            #[expect(clippy::cast_precision_loss, reason = "shown, never decided on")]
            let seconds = state.round_trips_us as f64 / 1e6;
            device.answers = out::Work { count: state.answers, seconds };
        }
    }
    device
}

/// What the device does when we fall silent, for a person.
fn watchdog(config: &DeviceConfig, definition: Option<&Definition>) -> String {
    let used = config.orders.keys().next().map(|(kind, _)| *kind);
    let Some(control) = used.and_then(|kind| definition?.control(kind)) else { return String::new() };
    match control.watchdog {
        Some(span) => format!("falls back by itself after {span}: {}", control.if_lost),
        None => format!("no watchdog: {}", control.if_lost),
    }
}

fn energy(moment: &Moment) -> out::Energy {
    let ledger = &moment.ledger;
    let wiring = &moment.frame.checked.site.wiring;
    let grid = wiring.grid.power.total.is_some() || wiring.grid.power.phase.iter().any(Option::is_some);
    let when = |exists: bool, energy: MilliJoules| exists.then(|| joules(energy));
    let battery = wiring.battery.power.is_some();
    let mut pv = Vec::new();
    if !wiring.pv.is_empty() || wiring.pv_dc.is_some() {
        pv.push(counted(Cow::Borrowed("site"), joules(ledger.pv)));
    }
    out::Energy {
        import: when(grid, ledger.grid_import),
        export: when(grid, ledger.grid_export),
        charge: when(battery, ledger.battery_charge),
        discharge: when(battery, ledger.battery_discharge),
        pv,
        load: when(wiring.load.total.is_some() || wiring.load.phase.iter().any(Option::is_some), ledger.load),
        generator: when(wiring.generator.power.is_some(), ledger.generator),
    }
}
