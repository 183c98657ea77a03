//! The waiting half of the site: the only loop that waits, the only clock, start and stop.
//!
//! One current-thread runtime owns the site and the endpoints; what people see is made on a thread of its own from
//! copies, and page and metrics live on another one. A slow scrape, a hung browser or a dead device cannot delay an
//! order.

#[cfg(test)]
mod answers;
mod changeover;
pub mod clock;
pub mod fleet;
mod moment;
mod notify;
pub mod orders;
mod past;
mod plan_file;
pub mod proof;
mod publish;
mod publishing;
mod reload;
mod start;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::control::genset::Genset;
use crate::control::policy::Control;
use crate::control::site::{Alarm, Event, Input, Keepsake, Site};
use crate::control::units::{Mono, Span};
use crate::modbus::endpoint::Report;
use crate::modbus::pacer::Pacer;
use crate::profile::{Checked, laid};
use crate::services;
use crate::services::inbox::Asked;
use crate::services::published::Published;
use crate::store::{Keeper, KeeperEvent, OpenError, Record, Stamp};

use clock::Clock;
use fleet::Fleet;
use moment::{Diary, Frame};
use notify::Manager;
use plan_file::PlanFile;
use publishing::Publishing;
use reload::{News, Watcher};

pub use reload::Load;
pub use start::Options;

/// What is published is renewed at most this often and at least once a second, in real time.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Setpoints must be released within this when the process leaves.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);
/// The last word must be written down within this when the process leaves.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Inputs taken from the endpoints before the site is asked to decide, so that a flood cannot starve decisions.
const BATCH: usize = 64;

/// Tasks of endpoints that decisions do not follow go on for so many turns before the wire and the loop that decides
/// are looked at again.
const TASKS: u32 = 8;

/// Why the daemon could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Page and metrics could not be served.
    #[error(transparent)]
    Services(#[from] services::StartError),
    /// The system gives no signals or no threads.
    #[error("cannot start: {0}; the system is out of resources, restart it")]
    System(std::io::Error),
    /// Another instance uses the state folder.
    #[error("{0}. For another site, name one with --state")]
    Busy(OpenError),
    /// One of our own tasks or threads ended.
    #[error(
        "{0} ended by itself: this is a bug of Wattkeeper, please report the log above; restart the service"
    )]
    Lost(&'static str),
}

/// A daemon about to run.
pub struct Daemon {
    options: Options,
    /// The profile in force.
    checked: Arc<Checked>,
    /// It and its endpoints, as they are shown.
    frame: Arc<Frame>,
    site: Site,
    fleet: Fleet,
    clock: Clock,
    pacer: Pacer,
    reports: mpsc::Receiver<Report>,
    keeper: Keeper,
    /// The generator as it was when we were last in control: what is imagined while observing is not remembered.
    engine: Genset,
    watcher: Option<Watcher>,
    /// Where plans from a file come in, and the thread that looks at it.
    plans: Option<mpsc::Sender<Asked>>,
    plan_file: Option<PlanFile>,
    manager: Manager,
    untold: Untold,
    diary: Diary,
    publishing: Publishing,
    published: watch::Receiver<Arc<Published>>,
    published_at: Option<Instant>,
    wall_at: Mono,
    wake_at: Mono,
    services: services::Handle,
    orders: mpsc::Receiver<Asked>,
    /// Where page, metrics and API are served.
    pub address: SocketAddr,
}

/// What is told to people, to the store and to the service manager once the orders have left.
#[derive(Debug, Default)]
struct Untold {
    events: Vec<(Event, Mono)>,
    /// The number of the record to be written down.
    keep: Option<u32>,
    decided: bool,
}

/// What can wake the loop.
enum Wake {
    Stop,
    Lost,
    Asked,
    Profile(News),
    Ordered(Asked),
    Kept(KeeperEvent),
    Heard(Report),
    Due,
}

impl Daemon {
    /// What services see, for a live table beside the daemon.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// Runs until `stop` says so, then releases setpoints and ends. Best as what the runtime itself waits for: that
    /// goes before all other tasks.
    ///
    /// # Errors
    /// When one of our own tasks or threads ended by itself; the process should end too.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::pin!(stop);
        let mut hangup = match self.watcher {
            Some(_) => Some(signal(SignalKind::hangup()).map_err(RunError::System)?),
            None => None,
        };
        self.tell();
        let ended = loop {
            match self.next_wake(stop.as_mut(), hangup.as_mut()).await {
                Wake::Stop => break Ok(()),
                Wake::Lost => break Err(RunError::Lost("a task that talks to a device")),
                Wake::Asked => self.watcher.iter().for_each(Watcher::ask),
                Wake::Profile(news) => self.reloaded(news).await,
                Wake::Ordered(asked) => self.handle(&orders::input(&asked)),
                Wake::Kept(event) => self.kept(event),
                Wake::Heard(report) => self.listen(&report),
                Wake::Due => {}
            }
            self.tell_the_time();
            if self.is_due() {
                self.handle(&Input::Due);
            }
            self.fleet.carry().await;
            self.tell();
            if let Some(thread) = self.lost_a_thread() {
                break Err(RunError::Lost(thread));
            }
        };
        if let Err(lost) = &ended {
            error!("{lost}");
        }
        // Also after a bug of our own: what the other endpoints were told must be taken back.
        self.leave(ended.is_ok()).await;
        ended
    }

    /// The only place in the control thread that waits, and the only list of what can wake it. Stop first, facts
    /// before wishes, the clock last.
    async fn next_wake(
        &mut self,
        stop: Pin<&mut impl Future<Output = ()>>,
        hangup: Option<&mut Signal>,
    ) -> Wake {
        tokio::select! {
            biased;
            () = stop => Wake::Stop,
            () = self.fleet.work() => Wake::Lost,
            () = asked(hangup) => Wake::Asked,
            news = changed(self.watcher.as_mut()) => Wake::Profile(news),
            Some(order) = self.orders.recv() => Wake::Ordered(order),
            event = self.keeper.next() => Wake::Kept(event),
            Some(report) = self.reports.recv() => Wake::Heard(report),
            () = self.pacer.sleep_until(self.wake_at.min(self.wall_at)) => Wake::Due,
        }
    }

    /// A thread of ours that is gone. Half a process is worse than none: the service manager starts a whole one.
    fn lost_a_thread(&self) -> Option<&'static str> {
        if self.services.ended() {
            return Some("the thread of page and metrics");
        }
        if self.publishing.ended() {
            return Some("the thread that makes what is shown");
        }
        if self.watcher.as_ref().is_some_and(Watcher::ended) {
            return Some("the thread that reads the profile");
        }
        (!self.keeper.alive()).then_some("the thread that writes things down")
    }

    /// Takes what the endpoints say until there is something to decide: that does not wait for the rest.
    fn listen(&mut self, report: &Report) {
        self.heard(report);
        for _ in 0..BATCH {
            if self.is_due() {
                break;
            }
            let Ok(report) = self.reports.try_recv() else { break };
            self.heard(&report);
        }
    }

    fn is_due(&self) -> bool {
        self.clock.now() >= self.wake_at
    }

    fn heard(&mut self, report: &Report) {
        let now = self.clock.now();
        let site = &mut self.site;
        let mut wake_at = self.wake_at;
        self.fleet.inputs(report, |input| wake_at = site.handle(now, &input).wake_at);
        self.wake_at = wake_at;
    }

    /// About once a second of site time the site is told the time of day.
    fn tell_the_time(&mut self) {
        let now = self.clock.now();
        if now >= self.wall_at {
            self.wall_at = now + Span::secs(1);
            if let Some(step) = self.clock.look() {
                warn!(%step, "the wall clock was set: schedules wait for a minute, control does not");
            }
            self.handle(&Input::Wall(self.clock.wall()));
        }
    }

    /// Gives the site one input and its orders to the endpoints. All else that comes of it is told later.
    fn handle(&mut self, input: &Input) {
        let now = self.clock.now();
        let started = Instant::now();
        self.wake_at = self.site.handle(now, input).wake_at;
        let took = started.elapsed();
        let outputs = self.site.outputs();
        let mut failed = Vec::new();
        for command in &outputs.commands {
            if let Some(input) = self.fleet.send(command) {
                warn!(actuator = command.actuator, "the endpoint takes no orders now");
                failed.push(input);
            }
        }
        let relaid = |event: &Event| matches!(event, Event::Overlaid(_) | Event::OverlayOver(_));
        let relaid = outputs.events.iter().any(relaid);
        if outputs.decided {
            self.diary.decided(self.site.decision(), took, now);
        }
        self.untold.decided |= outputs.decided;
        self.untold.keep = outputs.keep.or(self.untold.keep);
        self.untold.events.extend(outputs.events.iter().map(|event| (*event, now)));
        for input in failed {
            self.wake_at = self.site.handle(now, &input).wake_at;
        }
        if relaid {
            self.lay();
        }
    }

    /// Looks at the file that the profile names for plans, from now on.
    fn look_at_plans(&mut self) {
        let wanted = self.checked.plan_file.as_deref();
        if self.plan_file.as_ref().map(PlanFile::path) == wanted {
            return;
        }
        self.plan_file = None;
        let (Some(path), Some(send)) = (wanted, &self.plans) else { return };
        match PlanFile::start(path.to_owned(), send.clone(), self.options.time.clone()) {
            Ok(file) => self.plan_file = Some(file),
            Err(error) => error!(%error, "the plan's file is not looked at"),
        }
    }

    /// Has the profile read again with the overlays that are on.
    fn lay(&self) {
        let laid = self.site.overlays().iter().map(|overlay| laid(&overlay.what)).collect();
        match &self.watcher {
            Some(watcher) => watcher.lay(laid),
            None => warn!("the profile of this site never changes: the overlay has no effect"),
        }
    }

    /// Tells people, the store and the service manager what happened.
    fn tell(&mut self) {
        for (event, at) in self.untold.events.drain(..) {
            log(&event);
            self.diary.event(&event, self.clock.utc_ms(at));
        }
        if let Some(seq) = self.untold.keep.take() {
            let record = self.record(self.clock.now());
            self.keeper.keep(seq, record);
        }
        if std::mem::take(&mut self.untold.decided) {
            let (site, fleet) = (&self.site, &self.fleet);
            self.manager.decided(|| status(site, fleet));
        }
        if self.published_at.is_none_or(|at| at.elapsed() >= PUBLISH_EVERY) && self.publish() {
            self.published_at = Some(Instant::now());
        }
    }

    fn publish(&mut self) -> bool {
        let Self { frame, site, fleet, clock, diary, publishing, .. } = self;
        publishing.publish(|sheet| sheet.copy(frame, site, fleet, clock, diary))
    }

    /// What must outlive the process, with the moment.
    fn record(&self, now: Mono) -> Record {
        let stamp = Stamp {
            boot: self.clock.boot().to_owned(),
            boottime_ms: self.clock.uptime_ms(),
            utc_ms: self.clock.utc_ms(now),
            trusted: self.clock.wall().valid,
        };
        Record { stamp, keepsake: self.keepsake(now), wear: self.fleet.wear() }
    }

    fn keepsake(&self, now: Mono) -> Keepsake {
        let mut kept = self.site.keepsake(now);
        if self.checked.site.policy.control == Control::Observe {
            kept.genset = self.engine;
        }
        kept
    }

    /// What became of writing down.
    fn kept(&mut self, event: KeeperEvent) {
        match event {
            KeeperEvent::Safe(seq) => self.handle(&Input::Stored(seq)),
            KeeperEvent::Failed { why } => {
                warn!(why, "nothing can be written down now; control goes on without");
                self.notice(Alarm::StoreFailed, true);
            }
            KeeperEvent::Healed => self.notice(Alarm::StoreFailed, false),
        }
    }

    /// Tells the site what the host noticed about itself.
    fn notice(&mut self, alarm: Alarm, holds: bool) {
        self.handle(&Input::Noticed(alarm, holds));
    }

    /// Releases setpoints by their recipes within a deadline; the generator's contact is held.
    async fn leave(mut self, well: bool) {
        self.manager.stopping();
        match self.checked.site.policy.control {
            Control::On => info!("stopping: releasing setpoints, holding the generator's contact"),
            Control::Observe => info!("stopping: nothing was written, so nothing is released"),
        }
        let outputs = self.site.handle(self.clock.now(), &Input::Leaving);
        self.fleet.stop(&outputs.commands, &mut self.reports, RELEASE_WITHIN).await;
        let Self { frame, site, fleet, clock, diary, publishing, .. } = &mut self;
        publishing.finish(|sheet| sheet.copy(frame, site, fleet, clock, diary)).await;
        if well {
            let record = self.record(self.clock.now());
            if !self.keeper.close(Some(record), CLOSE_WITHIN) {
                warn!("the last minute could not be written down in time");
            }
        }
        self.services.stop();
        info!("stopped");
    }
}

/// Somebody asks for another look at the profile.
async fn asked(hangup: Option<&mut Signal>) {
    if let Some(hangup) = hangup
        && hangup.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

async fn changed(watcher: Option<&mut Watcher>) -> News {
    match watcher {
        Some(watcher) => watcher.next().await,
        None => std::future::pending().await,
    }
}

/// The site in a line, for the service manager.
fn status(site: &Site, fleet: &Fleet) -> String {
    let control = match site.config().policy.control {
        Control::On => "in control",
        Control::Observe => "observing",
    };
    let up = fleet.lines.iter().filter(|line| line.state().up).count();
    let bound = site.decision().reasons.binding().map_or("nothing", |cause| cause.reason.code());
    format!("{control}; {up} of {} endpoints answer; bound by {bound}", fleet.lines.len())
}

/// What a person would want to read next morning.
fn log(event: &Event) {
    match event {
        Event::Binding(reason) => info!(%reason, why = reason.words(), "binding"),
        Event::Guard(state) => info!(state = state.name(), "minimum SoC"),
        Event::Generator(state) => info!(state = state.name(), "generator"),
        Event::Ordered(order, by) => info!(by = by.as_str(), order = order.words(), "order"),
        Event::OrderOver => info!("the order for the battery has ended"),
        Event::Leased(by) => info!(by = by.as_str(), "the plan is leased"),
        Event::LeaseOver(by) => info!(by = by.as_str(), "a lease of the plan has ended"),
        Event::Overlaid(order) => info!(by = order.by.as_str(), overlay = order.words(), "overlay"),
        Event::Commissioned => info!("commissioning is over"),
        Event::OverlayOver(what) => info!(overlay = what.as_str(), "the overlay has ended"),
        Event::Alarm(alarm, true) => warn!(alarm = alarm.code(), "{}", alarm.words()),
        Event::Alarm(alarm, false) => info!(alarm = alarm.code(), "alarm over"),
    }
}

/// Resolves when the process is asked to stop: SIGTERM, SIGINT or, on a terminal, Ctrl-C.
///
/// # Errors
/// When the system gives no signals.
pub fn stop_signal() -> Result<impl Future<Output = ()>, RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::System)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The runtime of the control thread.
///
/// # Errors
/// When the system has no resources for it.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().event_interval(TASKS).build()
}
