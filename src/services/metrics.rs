//! From a snapshot to the Prometheus text.
//!
//! A [`Sheet`] holds one family per metric of the table; each part of the snapshot writes its values. What is not known
//! writes nothing, so it is absent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, MetricFamily, MetricType, Summary};
use prometheus::{Registry, TextEncoder};

use super::process::Process;
use super::published::{Device, Generator, Mode, Published, Quality, Signal, Work, complete};
use super::table::{GENERATOR_STATES, GUARD_STATES, Id, Kind, Metric, POLICIES, TABLE};

/// The registry and what it collects from.
pub(super) struct Exposition {
    registry: Registry,
    source: Source,
}

impl Exposition {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let source = Source::new()?;
        registry.register(Box::new(source.clone()))?;
        Ok(Self { registry, source })
    }

    /// The text format of one snapshot.
    pub fn text(&self, published: &Arc<Published>) -> Result<String, prometheus::Error> {
        self.source.set(Arc::clone(published));
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// The collector: it reads the snapshot it was last given.
#[derive(Clone)]
struct Source {
    descriptions: Arc<Vec<Desc>>,
    published: Arc<Mutex<Arc<Published>>>,
}

impl Source {
    fn new() -> Result<Self, prometheus::Error> {
        let describe = |spec: &Metric| {
            let labels = spec.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(spec.name.to_owned(), spec.help.to_owned(), labels, std::collections::HashMap::new())
        };
        let descriptions = TABLE.iter().map(|id| describe(id.spec())).collect::<Result<_, _>>()?;
        Ok(Self { descriptions: Arc::new(descriptions), published: Arc::default() })
    }

    fn set(&self, published: Arc<Published>) {
        *self.published.lock().unwrap_or_else(PoisonError::into_inner) = published;
    }
}

impl Collector for Source {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let published = Arc::clone(&self.published.lock().unwrap_or_else(PoisonError::into_inner));
        let mut sheet = Sheet::default();
        site(&published, &mut sheet);
        signals(&published, &mut sheet);
        decision(&published, &mut sheet);
        energy(&published, &mut sheet);
        for device in &published.devices {
            link(&published, device, &mut sheet);
        }
        if let Some(found) = &published.generator {
            generator(&published, found, &mut sheet);
        }
        process(Process::now(), &mut sheet);
        sheet.families.into_values().collect()
    }
}

/// The families being written.
#[derive(Default)]
struct Sheet {
    families: BTreeMap<Id, MetricFamily>,
}

impl Sheet {
    /// Adds one value, with the values of its labels in the table's order.
    fn put(&mut self, id: Id, labels: &[&str], value: f64) {
        let mut sample = prometheus::proto::Metric::from_label(pairs(id.spec(), labels));
        match id.spec().kind {
            Kind::Gauge | Kind::Summary => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
        }
        self.family(id).mut_metric().push(sample);
    }

    /// Adds one value where there is one.
    fn put_some(&mut self, id: Id, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.put(id, labels, value);
        }
    }

    /// Adds count and sum.
    fn put_work(&mut self, id: Id, labels: &[&str], work: Work) {
        let mut summary = Summary::default();
        summary.set_sample_count(work.count);
        summary.set_sample_sum(work.seconds);
        let mut sample = prometheus::proto::Metric::from_label(pairs(id.spec(), labels));
        sample.set_summary(summary);
        self.family(id).mut_metric().push(sample);
    }

    /// Adds a state set: 1 for the current one, 0 for the others of the list.
    fn put_state(&mut self, id: Id, before: &[&str], list: &[&str], current: Option<&str>) {
        let unlisted = current.filter(|current| !list.contains(current));
        for state in list.iter().copied().chain(unlisted) {
            let labels: Vec<&str> = before.iter().copied().chain([state]).collect();
            self.put(id, &labels, flag(current == Some(state)));
        }
    }

    fn family(&mut self, id: Id) -> &mut MetricFamily {
        self.families.entry(id).or_insert_with(|| {
            let spec = id.spec();
            let mut family = MetricFamily::default();
            family.set_name(spec.name.to_owned());
            family.set_help(spec.help.to_owned());
            family.set_field_type(match spec.kind {
                Kind::Gauge => MetricType::GAUGE,
                Kind::Counter => MetricType::COUNTER,
                Kind::Summary => MetricType::SUMMARY,
            });
            family
        })
    }
}

fn pairs(spec: &Metric, values: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(spec.labels.len(), values.len(), "{}", spec.name);
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    spec.labels.iter().zip(values).map(pair).collect()
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

/// Milliseconds since 1970 as seconds; f64 holds them exactly.
fn seconds(utc_ms: i64) -> f64 {
    utc_ms as f64 / 1000.0
}

fn site(p: &Published, sheet: &mut Sheet) {
    sheet.put(Id::BuildInfo, &[&p.build.version, &p.build.commit, &p.build.target], 1.0);
    let control = match p.control {
        super::published::Control::Observe => "observe",
        super::published::Control::On => "on",
    };
    sheet.put(Id::ConfigInfo, &[&p.profile_hash, control], 1.0);
    sheet.put_some(Id::Start, &[], p.started_utc_ms.map(seconds));
    sheet.put_state(Id::Mode, &[], &Mode::ALL.map(Mode::name), Some(p.mode.name()));
    sheet.put(Id::FailsafeLevel, &[], f64::from(p.failsafe_level));
    sheet.put_work(Id::TickDuration, &[], p.decisions);
    sheet.put(Id::ClockTrusted, &[], flag(p.clock_trusted));
    for alarm in &p.alarms {
        sheet.put(Id::AlarmActive, &[&alarm.code, &alarm.severity, &alarm.device], flag(alarm.active));
    }
    for reason in &p.binding_seconds {
        sheet.put(Id::BindingSeconds, &[&reason.what], reason.value);
    }
    for endpoint in &p.endpoints {
        sheet.put(Id::Connects, &[&endpoint.name, "ok"], endpoint.connects as f64);
        sheet.put(Id::Connects, &[&endpoint.name, "failed"], endpoint.connect_failures as f64);
    }
}

fn link(p: &Published, device: &Device, sheet: &mut Sheet) {
    let name = device.name.as_str();
    sheet.put(Id::DeviceUp, &[name], flag(device.up));
    let proven = if device.unproven { "no" } else { "yes" };
    sheet.put(Id::DeviceInfo, &[name, &device.definition, proven], 1.0);
    let heard = p.utc_ms.zip(device.last_success_age_ms).map(|(now, age)| seconds(now.saturating_sub(age)));
    sheet.put_some(Id::DeviceSuccess, &[name], heard);
    sheet.put_work(Id::Answers, &[name], device.answers);
    for (id, counts) in [
        (Id::Requests, &device.requests),
        (Id::Errors, &device.errors),
        (Id::Exceptions, &device.exceptions),
        (Id::Writes, &device.writes),
    ] {
        for counted in counts {
            sheet.put(id, &[name, &counted.what], counted.value as f64);
        }
    }
}

/// The signals of a quantity by who measures it: named devices where there are any, else the site as a whole.
fn points<'a>(p: &'a Published, quantity: &str) -> BTreeMap<&'a str, Vec<&'a Signal>> {
    let mut points: BTreeMap<&str, Vec<&Signal>> = BTreeMap::new();
    let of = p.signals.iter().filter(|signal| signal.quantity == quantity);
    let named = of.clone().any(|signal| signal.device.is_some());
    for signal in of.filter(|signal| signal.device.is_some() == named) {
        points.entry(signal.device.as_deref().unwrap_or("site")).or_default().push(signal);
    }
    points
}

/// The signals of the site's one measuring point: its own, else those of the first device that has them.
fn point<'a>(p: &'a Published, quantity: &str) -> Vec<&'a Signal> {
    let of = |signal: &&Signal| signal.quantity == quantity;
    let mut owners = p.signals.iter().filter(of).map(|signal| &signal.device);
    let owner = if owners.clone().any(Option::is_none) { Some(&None) } else { owners.next() };
    p.signals.iter().filter(of).filter(|signal| Some(&signal.device) == owner).collect()
}

fn good(signal: &Signal) -> Option<f64> {
    (signal.quality == Quality::Good).then_some(signal.value).flatten()
}

/// The good value of the site's own signal, or of the only device that has it.
fn single(p: &Published, quantity: &str) -> Option<f64> {
    let of = |signal: &&Signal| signal.quantity == quantity && signal.phase.is_empty();
    let site = p.signals.iter().filter(of).find(|signal| signal.device.is_none());
    good(site.or_else(|| p.signals.iter().find(of))?)
}

fn signals(p: &Published, sheet: &mut Sheet) {
    // One measuring point with conductors: complete, or absent, so that sum() is right.
    for (id, quantity) in [(Id::GridPower, "grid.power"), (Id::LoadPower, "load.power")] {
        let site = point(p, quantity);
        for (phase, watts) in complete(&site).unwrap_or_default() {
            sheet.put(id, &[phase], watts);
        }
    }
    // A sum makes no sense here, so each conductor stands for itself.
    for (id, quantity) in [(Id::GridVoltage, "grid.voltage"), (Id::GridCurrent, "grid.current")] {
        for s in point(p, quantity) {
            let phase = if s.phase.is_empty() { "all" } else { &s.phase };
            sheet.put_some(id, &[phase], good(s));
        }
    }
    sheet.put_some(Id::GridFrequency, &[], single(p, "grid.frequency"));
    sheet.put_some(Id::GridConnected, &[], single(p, "grid.present"));
    // Powers of devices: their total, or the sum of their conductors.
    for (id, quantity) in [
        (Id::PvPower, "pv.power"),
        (Id::PvPower, "pv.dc.power"),
        (Id::BatteryPower, "battery.power"),
        (Id::InverterPower, "inverter.power"),
    ] {
        for (device, parts) in points(p, quantity) {
            let device = if quantity == "pv.dc.power" && device == "site" { "dc" } else { device };
            sheet.put_some(id, &[device], device_power(&parts));
        }
    }
    for (id, quantity) in [
        (Id::BatteryVoltage, "battery.voltage"),
        (Id::BatteryCurrent, "battery.current"),
        (Id::BatteryTemperature, "battery.temperature"),
    ] {
        for (battery, parts) in points(p, quantity) {
            sheet.put_some(id, &[battery], parts.iter().find_map(|s| good(s)));
        }
    }
    for (battery, parts) in points(p, "battery.soc") {
        let percent = parts.iter().find_map(|s| good(s));
        sheet.put_some(Id::BatterySoc, &[battery, "best"], percent.map(|percent| percent / 100.0));
    }
    for (id, quantity) in [
        (Id::BatteryChargeLimit, "battery.charge_limit_current"),
        (Id::BatteryDischargeLimit, "battery.discharge_limit_current"),
        (Id::BatteryVoltageLimit, "battery.charge_limit_voltage"),
    ] {
        for (battery, parts) in points(p, quantity) {
            sheet.put_some(id, &[battery, "bms"], parts.iter().find_map(|s| good(s)));
        }
    }
}

fn device_power(parts: &[&Signal]) -> Option<f64> {
    let total = parts.iter().find(|s| s.phase.is_empty()).and_then(|s| good(s));
    total.or_else(|| complete(parts).map(|phases| phases.iter().map(|(_, watts)| watts).sum()))
}

fn decision(p: &Published, sheet: &mut Sheet) {
    let Some(decision) = &p.decision else { return };
    sheet.put_some(Id::DecisionTime, &[], decision.utc_ms.map(seconds));
    for input in &decision.stages {
        sheet.put(Id::InputStage, &[&input.input], f64::from(input.level()));
    }
    sheet.put(Id::GridSetpoint, &[], f64::from(decision.grid_setpoint));
    sheet.put_some(Id::PvLimit, &[], decision.pv_limit.map(f64::from));
    sheet.put(Id::BatteryOrder, &[], f64::from(decision.battery_order));
    sheet.put(Id::BatteryMaxCharge, &[], f64::from(decision.max_charge));
    sheet.put(Id::BatteryMaxDischarge, &[], f64::from(decision.max_discharge));
    sheet.put_some(Id::BatteryFloor, &[], decision.floor.map(|percent| percent / 100.0));
    sheet.put_state(Id::GuardState, &[], GUARD_STATES, Some(&decision.guard));
    let measured = points(p, "inverter.power");
    for order in &decision.inverters {
        let watts = f64::from(order.l1) + f64::from(order.l2) + f64::from(order.l3);
        sheet.put(Id::InverterSetpoint, &[&order.name], watts);
        let real = measured.get(order.name.as_str()).and_then(|parts| device_power(parts));
        sheet.put_some(Id::InverterError, &[&order.name], real.map(|real| watts - real));
    }
    let binding = decision.binding();
    let policy = binding.map(|reason| policy_name(&reason.tier));
    sheet.put_state(Id::PolicyActive, &[], POLICIES, policy.as_deref());
    if let Some((reason, policy)) = binding.zip(policy) {
        sheet.put(Id::BindingReason, &[&reason.code, &policy], 1.0);
    }
}

/// A rung's label as a label value: `3b reserve and floor` becomes `reserve-and-floor`.
fn policy_name(tier: &str) -> String {
    let words =
        tier.split_whitespace().filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()));
    words.collect::<Vec<_>>().join("-")
}

fn energy(p: &Published, sheet: &mut Sheet) {
    let energy = &p.energy;
    sheet.put_some(Id::GridEnergy, &["import"], energy.import);
    sheet.put_some(Id::GridEnergy, &["export"], energy.export);
    sheet.put_some(Id::BatteryEnergy, &["charge"], energy.charge);
    sheet.put_some(Id::BatteryEnergy, &["discharge"], energy.discharge);
    sheet.put_some(Id::LoadEnergy, &[], energy.load);
    for pv in &energy.pv {
        sheet.put(Id::PvEnergy, &[&pv.what], pv.value);
    }
}

fn generator(p: &Published, g: &Generator, sheet: &mut Sheet) {
    let name = g.name.as_str();
    sheet.put_state(Id::GeneratorState, &[name], GENERATOR_STATES, Some(&g.state));
    sheet.put(Id::GeneratorRequested, &[name], flag(g.command));
    sheet.put(Id::GeneratorAuto, &[name], flag(g.auto));
    sheet.put(Id::GeneratorStarts, &[name], g.starts as f64);
    sheet.put(Id::GeneratorRuntime, &[name], g.run_seconds);
    sheet.put_some(Id::GeneratorEnergy, &[name], p.energy.generator);
    sheet.put_some(Id::GeneratorRunning, &[name], single(p, "generator.running"));
    let fault = single(p, "generator.fault").map(|fault| flag(fault >= 2.0));
    sheet.put_some(Id::GeneratorFault, &[name], fault);
    let power = points(p, "generator.power").values().next().and_then(|parts| device_power(parts));
    sheet.put_some(Id::GeneratorPower, &[name], power);
    let fuel = single(p, "generator.fuel").map(|percent| percent / 100.0);
    sheet.put_some(Id::GeneratorFuel, &[name], fuel);
}

fn process(process: Process, sheet: &mut Sheet) {
    sheet.put_some(Id::ProcessCpu, &[], process.cpu);
    sheet.put_some(Id::ProcessMemory, &[], process.memory);
    sheet.put_some(Id::ProcessFds, &[], process.fds);
    sheet.put_some(Id::ProcessMaxFds, &[], process.max_fds);
    sheet.put_some(Id::ProcessStart, &[], process.start);
}
