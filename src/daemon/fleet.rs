//! The devices of a site and the endpoints that carry them: from orders of the pure half to orders of a device,
//! and from what a device said back to signals.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::warn;

use crate::control::policy::Control;
use crate::control::site::{Command, Input, Order, Outcome};
use crate::control::units::{Mono, Span, Watts};
use crate::device::definition;
use crate::device::exchange::{Failure, Heard};
use crate::device::order::{
    ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values, WearRecord,
};
use crate::device::session::Session;
use crate::modbus::dial::{Dial, Tcp};
use crate::modbus::endpoint::{Endpoint, Handle, Report};
use crate::modbus::link::LinkOptions;
use crate::modbus::pacer::Pacer;
use crate::modbus::state::LinkState;
use crate::profile::{Checked, DeviceConfig, Framing, Role};
use crate::store::Wear;

/// Reports that may wait for the decision loop.
const REPORTS: usize = 256;

/// How an endpoint is reached, by host and port.
pub type Dialler = Arc<dyn Fn(&str, u16) -> Arc<dyn Dial> + Send + Sync>;

/// Over TCP, as every real site.
#[must_use]
pub fn tcp() -> Dialler {
    Arc::new(|host, port| Arc::new(Tcp::new(host, port)))
}

/// How often each kind of write outcome was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// Accepted.
    pub ok: u64,
    /// Refused by the device.
    pub refused: u64,
    /// No answer, or no connection.
    pub failed: u64,
    /// Read back as something else.
    pub contradicted: u64,
}

/// One device as the daemon knows it.
#[derive(Debug)]
pub struct Member {
    /// What the profile says.
    pub config: DeviceConfig,
    /// Which endpoint carries it; none for a device without an address.
    pub endpoint: Option<usize>,
    /// When it last said something.
    pub heard_at: Option<Mono>,
    /// What became of its orders.
    pub writes: Writes,
    wear: Vec<WearRecord>,
}

/// One endpoint as the daemon knows it.
#[derive(Debug)]
pub struct Line {
    /// Host and port.
    pub name: String,
    handle: Handle,
    state: watch::Receiver<LinkState>,
}

impl Line {
    /// Its connection now.
    #[must_use]
    pub fn state(&self) -> watch::Ref<'_, LinkState> {
        self.state.borrow()
    }
}

/// An endpoint at work; it never panics, but ends.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All devices and endpoints.
#[derive(Debug)]
pub struct Fleet {
    /// In the profile's order.
    pub members: Vec<Member>,
    /// In the order of their first device.
    pub lines: Vec<Line>,
    /// By actuator: device, control, channel.
    routes: Vec<Option<(usize, ControlKind, u8)>>,
    /// Endpoints of what decisions follow and of what they order: part of the loop that decides, so that nothing
    /// stands between an answer, the decision and its order.
    near: FuturesUnordered<Work>,
    /// All others.
    tasks: JoinSet<()>,
    /// One of the near ones has ended.
    lost: bool,
}

impl Fleet {
    /// Builds the endpoints and starts their tasks. Devices need not be there: endpoints keep dialling.
    /// `wear` is what was written lately to registers that wear out, by this process or before it.
    pub fn start(
        checked: &Checked,
        pacer: &Pacer,
        dialler: &Dialler,
        wear: &[Wear],
    ) -> (Self, mpsc::Receiver<Report>) {
        let writes = checked.site.policy.control == Control::On;
        let (reports, receive) = mpsc::channel(REPORTS);
        let mut fleet = Self {
            members: Vec::new(),
            lines: Vec::new(),
            routes: vec![None; checked.site.wiring.actuators.len()],
            near: FuturesUnordered::new(),
            tasks: JoinSet::new(),
            lost: false,
        };
        let mut groups: BTreeMap<(String, u16, bool), Vec<(usize, Session)>> = BTreeMap::new();
        for (place, config) in checked.devices.iter().enumerate() {
            for ((kind, channel), actuator) in &config.orders {
                if let Some(route) = fleet.routes.get_mut(usize::from(*actuator)) {
                    *route = Some((place, *kind, *channel));
                }
            }
            if let (Some((host, port)), Some(definition)) = (&config.address, &config.definition) {
                let options = SessionOptions {
                    units: config.units.clone(),
                    writes,
                    pace: config.poll,
                    phases: phases_in_use(config),
                    wear: recalled(wear, &config.name),
                    late: late(config, place),
                };
                let session = Session::new(Arc::clone(definition), options);
                let rtu = config.framing == Framing::RtuOverTcp;
                groups.entry((host.clone(), *port, rtu)).or_default().push((place, session));
            }
            fleet.members.push(Member {
                config: config.clone(),
                endpoint: None,
                heard_at: None,
                writes: Writes::default(),
                wear: recalled(wear, &config.name),
            });
        }
        for ((host, port, rtu), sessions) in groups {
            let mut options = LinkOptions { writes, ..LinkOptions::new(format!("{host}:{port}")) };
            if rtu {
                options.framing = definition::Framing::RtuOverTcp;
            }
            fleet.start_line(options, dialler(&host, port), sessions, pacer, &reports);
        }
        (fleet, receive)
    }

    fn start_line(
        &mut self,
        mut options: LinkOptions,
        dial: Arc<dyn Dial>,
        sessions: Vec<(usize, Session)>,
        pacer: &Pacer,
        reports: &mpsc::Sender<Report>,
    ) {
        let name = options.name.clone();
        let mut near = false;
        for (device, session) in &sessions {
            options = options.respecting(session.limits());
            if let Some(member) = self.members.get_mut(*device) {
                member.endpoint = Some(self.lines.len());
                near |= is_near(&member.config);
            }
        }
        let (endpoint, handle) = Endpoint::new(options, dial, sessions, pacer.clone(), reports.clone());
        let state = handle.state();
        if near {
            // Whatever is left half done by a panic goes with the endpoint.
            self.near.push(Box::pin(AssertUnwindSafe(endpoint.run()).catch_unwind().map(drop)));
        } else {
            self.tasks.spawn(endpoint.run());
        }
        self.lines.push(Line { name, handle, state });
    }

    /// Brings orders on their way: the endpoints that got one go on until they wait for an answer. Never waits.
    pub async fn carry(&mut self) {
        let ended = poll_fn(|context| Poll::Ready(self.near.poll_next_unpin(context))).await;
        self.lost |= matches!(ended, Poll::Ready(Some(())));
    }

    /// What a report means for the site, in order.
    pub fn inputs(&mut self, report: &Report, mut take: impl FnMut(Input)) {
        let Some(member) = self.members.get_mut(report.device) else { return };
        if let Some(wear) = &report.wear {
            member.wear.clone_from(wear);
        }
        for event in &report.events {
            match event {
                SessionEvent::Heard(heard) => {
                    member.heard_at = Some(heard.asked_at);
                    if let Some(input) = heard_input(&member.config, heard) {
                        take(input);
                    }
                }
                SessionEvent::Wrote { control, channel, seq, result, contradicted } => {
                    let outcome = outcome(*result, *contradicted);
                    count(&mut member.writes, outcome);
                    if outcome != Outcome::Acknowledged {
                        warn!(device = member.config.name, %control, ?outcome, "order not carried out");
                    }
                    if let Some(actuator) = member.config.orders.get(&(*control, *channel)) {
                        take(Input::Wrote { actuator: *actuator, seq: *seq, outcome });
                    }
                }
                SessionEvent::Foreign { control, channel, address, found, ours, .. } => {
                    warn!(
                        device = member.config.name,
                        %control, channel, address, found, ours, "somebody else writes to this register"
                    );
                    if let Some(actuator) = member.config.orders.get(&(*control, *channel)) {
                        take(Input::Foreign { actuator: *actuator });
                    }
                }
            }
        }
    }

    /// What was written lately to registers that wear out, for whoever goes on from here.
    #[must_use]
    pub fn wear(&self) -> Vec<Wear> {
        let of = |member: &Member| {
            let device = member.config.name.clone();
            let worn = move |record: &WearRecord| Wear {
                device: device.clone(),
                unit: record.unit.clone(),
                address: record.address,
                at: record.writes.clone(),
            };
            member.wear.iter().map(worn).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of).collect()
    }

    /// Sends a command on its way. What the endpoint cannot take counts as failed, at once.
    pub fn send(&self, command: &Command) -> Option<Input> {
        let failed = Input::Wrote { actuator: command.actuator, seq: command.seq, outcome: Outcome::Failed };
        let (device, order) = self.device_order(command)?;
        let endpoint = self.members.get(device).and_then(|member| member.endpoint);
        let Some(line) = endpoint.and_then(|at| self.lines.get(at)) else { return Some(failed) };
        line.handle.order(device, order).err().map(|_| failed)
    }

    fn device_order(&self, command: &Command) -> Option<(usize, DeviceOrder)> {
        let (device, control, channel) = self.routes.get(usize::from(command.actuator)).copied().flatten()?;
        let mut values = Values::default();
        let mut phase = OrderPhase::Command;
        match command.order {
            Order::Power(power) => values.power = self.on_its_phases(device, power),
            Order::Setpoint(setpoint) => values.setpoint = setpoint,
            Order::Limit(limit) => values.limit = limit,
            Order::Run(run) => values.run = run,
            Order::Release => phase = OrderPhase::Release,
        }
        let order =
            DeviceOrder { control, channel, values, phase, seq: command.seq, expires: command.expires };
        Some((device, order))
    }

    /// A device with one phase takes its power in the first place, whichever conductor it hangs on.
    fn on_its_phases(&self, device: usize, power: [Watts; 3]) -> [Watts; 3] {
        let single = self.members.get(device).is_some_and(|member| phases_in_use(&member.config) == 1);
        if single { [power.into_iter().sum(), Watts::ZERO, Watts::ZERO] } else { power }
    }

    /// Stops all endpoints: releases first, at most this long in real time. Says what was not confirmed.
    pub async fn stop(
        &mut self,
        releases: &[Command],
        reports: &mut mpsc::Receiver<Report>,
        within: Duration,
    ) {
        let mut waiting = self.tell_to_stop(releases, within).await;
        let Self { near, tasks, .. } = self;
        let deadline =
            tokio::time::Instant::now().checked_add(within.saturating_add(Duration::from_millis(200)));
        let over = tokio::time::sleep_until(deadline.unwrap_or_else(tokio::time::Instant::now));
        tokio::pin!(over);
        loop {
            tokio::select! {
                biased;
                Some(()) = near.next() => {}
                Some(report) = reports.recv() => {
                    for event in &report.events {
                        if let SessionEvent::Wrote { result: Ok(()), .. } = event {
                            waiting = waiting.saturating_sub(1);
                        }
                    }
                }
                Some(_) = tasks.join_next() => {}
                () = std::future::ready(()), if near.is_empty() && tasks.is_empty() => break,
                () = &mut over => break,
            }
        }
        if waiting > 0 {
            warn!(
                orders = waiting,
                "not every setpoint was released in time: the devices' own watchdogs act"
            );
        }
    }

    /// Tells each endpoint what to release; says how many releases that are.
    async fn tell_to_stop(&mut self, releases: &[Command], within: Duration) -> usize {
        let mut orders = vec![Vec::new(); self.lines.len()];
        for (device, order) in releases.iter().filter_map(|command| self.device_order(command)) {
            let line = self.members.get(device).and_then(|member| member.endpoint);
            if let Some(orders) = line.and_then(|at| orders.get_mut(at)) {
                orders.push((device, order));
            }
        }
        let waiting = orders.iter().map(Vec::len).sum();
        let Self { lines, near, .. } = self;
        let told = async {
            for (line, orders) in lines.iter().zip(orders) {
                line.handle.stop(orders, within).await;
            }
        };
        // One that is near takes what it is told only while it is at work.
        let work = async {
            while near.next().await.is_some() {}
            std::future::pending().await
        };
        tokio::select! {
            () = told => {}
            () = work => {}
        }
        waiting
    }

    /// The near endpoints at work. Over when one has ended although nobody stopped it: our own bug. Never, on a site
    /// without endpoints.
    pub async fn work(&mut self) {
        if self.lost {
            return;
        }
        tokio::select! {
            biased;
            Some(()) = self.near.next() => {}
            Some(_) = self.tasks.join_next() => {}
            else => std::future::pending().await,
        }
    }
}

/// Whether decisions follow what this device says, or order something of it.
fn is_near(config: &DeviceConfig) -> bool {
    config.roles.contains(&Role::GridMeter) || !config.orders.is_empty()
}

/// Devices that are only shown stay out of the moments in which those are read that decisions hear: hundreds of
/// answers at once would keep an order waiting. They share twenty moments of their own in each second.
fn late(config: &DeviceConfig, place: usize) -> Span {
    let moment = i64::try_from(place.checked_rem(20).unwrap_or(0)).unwrap_or(0);
    let shown = config.roles.iter().all(|role| *role == Role::Io);
    if shown { Span::millis(moment.saturating_mul(50).saturating_add(25)) } else { Span::ZERO }
}

fn recalled(wear: &[Wear], device: &str) -> Vec<WearRecord> {
    let own = wear.iter().filter(|wear| wear.device == device);
    let record =
        |wear: &Wear| WearRecord { unit: wear.unit.clone(), address: wear.address, writes: wear.at.clone() };
    own.map(record).collect()
}

fn phases_in_use(config: &DeviceConfig) -> u8 {
    let count = config.phases.iter().filter(|yes| **yes).count();
    u8::try_from(count.clamp(1, 3)).unwrap_or(1)
}

fn heard_input(config: &DeviceConfig, heard: &Heard) -> Option<Input> {
    let signal = config.signals.get(&(heard.quantity, heard.phase, heard.channel))?;
    Some(Input::Heard { signal: *signal, value: heard.value, asked_at: heard.asked_at })
}

fn outcome(result: Result<(), Failure>, contradicted: bool) -> Outcome {
    match result {
        Ok(()) if contradicted => Outcome::Contradicted,
        Ok(()) => Outcome::Acknowledged,
        Err(Failure::Exception(code)) => Outcome::Refused(code),
        Err(
            Failure::Timeout
            | Failure::OutOfStep
            | Failure::Unreachable
            | Failure::Expired
            | Failure::NotReady
            | Failure::Observing
            | Failure::Mismatch
            | Failure::WornOut,
        ) => Outcome::Failed,
    }
}

fn count(writes: &mut Writes, outcome: Outcome) {
    let counter = match outcome {
        Outcome::Acknowledged => &mut writes.ok,
        Outcome::Refused(_) => &mut writes.refused,
        Outcome::Failed => &mut writes.failed,
        Outcome::Contradicted => &mut writes.contradicted,
    };
    *counter = counter.saturating_add(1);
}
