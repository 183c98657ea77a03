//! The waiting half of the site: the only loop that waits, the only clock, start and stop.
//!
//! One current-thread runtime owns the site and the endpoints; page and metrics live on a thread of their own and see
//! published values only. A slow scrape, a hung browser or a dead device cannot delay an order.

pub mod clock;
pub mod fleet;
pub mod publish;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::control::policy::Control;
use crate::control::site::{Event, Input, Site};
use crate::control::units::Mono;
use crate::modbus::endpoint::Report;
use crate::modbus::pacer::Pacer;
use crate::profile::Checked;
use crate::services;
use crate::services::published::Published;

use clock::Clock;
use fleet::Fleet;
use publish::Publisher;

/// Published values are renewed at most this often and at least once a second, in real time.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// Setpoints must be released within this when the process leaves.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);
/// Inputs taken from the endpoints before the site is asked to decide, so that a flood cannot starve decisions.
const BATCH: usize = 64;

/// How the daemon runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where page, metrics and API are served instead of where the profile says.
    pub listen: Option<SocketAddr>,
    /// Site seconds per real second; 1 unless a simulated site is demonstrated.
    pub speed: u32,
}

/// Why the daemon could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Page and metrics could not be served.
    #[error(transparent)]
    Services(#[from] services::StartError),
    /// The system gives no signals.
    #[error("cannot listen for the stop signal: {0}; the system is out of resources, restart it")]
    Signals(std::io::Error),
    /// One of our own tasks ended.
    #[error(
        "a task that talks to a device ended by itself: this is a bug of Wattkeeper, please report the log above; restart the service"
    )]
    TaskLost,
}

/// A daemon about to run.
pub struct Daemon {
    checked: Checked,
    site: Site,
    fleet: Fleet,
    clock: Clock,
    pacer: Pacer,
    reports: mpsc::Receiver<Report>,
    publish: watch::Sender<Arc<Published>>,
    publisher: Publisher,
    published_at: Option<Instant>,
    wall_at: Mono,
    wake_at: Mono,
    services: services::Handle,
    /// Where page, metrics and API are served.
    pub address: SocketAddr,
}

/// What can wake the loop.
enum Wake {
    Stop,
    Heard(Report),
    Due,
}

impl Daemon {
    /// Starts services and endpoints; must be called inside the control runtime. Devices need not be there.
    ///
    /// # Errors
    /// When the page's address cannot be used.
    pub fn start(checked: Checked, options: &Options) -> Result<Self, RunError> {
        let clock = Clock::start(options.speed, &checked.site.policy.timezone);
        let site = Site::new(checked.site.clone());
        let (publish, watched) = watch::channel(Arc::new(Published::default()));
        let listen = options.listen.unwrap_or(checked.listen);
        let (address, services) = services::start(listen, watched)?;
        let pacer = clock.pacer();
        let (fleet, reports) = Fleet::start(&checked, &pacer);
        let control = checked.site.policy.control;
        let word = match control {
            Control::Observe => "observe",
            Control::On => "on",
        };
        info!(site = checked.name, %address, devices = checked.devices.len(), control = word, "started");
        Ok(Self {
            checked,
            site,
            fleet,
            reports,
            publish,
            publisher: Publisher::default(),
            published_at: None,
            wall_at: Mono::ZERO,
            wake_at: clock.now(),
            clock,
            pacer,
            services,
            address,
        })
    }

    /// What services see, for a live table beside the daemon.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Published>> {
        self.publish.subscribe()
    }

    /// Runs until `stop` says so, then releases setpoints and ends.
    ///
    /// # Errors
    /// When one of our own tasks ended by itself; the process should end too.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), RunError> {
        // As a task among the endpoints' own: what waits outside is woken through the system, which costs each
        // order two more calls.
        tokio::spawn(self.serve(stop)).await.unwrap_or_else(|ended| match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(RunError::TaskLost),
        })
    }

    async fn serve(mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        tokio::pin!(stop);
        self.publish_now();
        let ended = loop {
            match self.next_wake(stop.as_mut()).await {
                Wake::Stop => break Ok(()),
                Wake::Heard(report) => {
                    self.heard(&report);
                    for _ in 0..BATCH {
                        let Ok(report) = self.reports.try_recv() else { break };
                        self.heard(&report);
                    }
                }
                Wake::Due => {}
            }
            self.tell_the_time();
            if self.clock.now() >= self.wake_at {
                self.handle(&Input::Due);
            }
            if self.fleet.lost_a_task() {
                error!("a task of an endpoint ended by itself");
                break Err(RunError::TaskLost);
            }
            if self.published_at.is_none_or(|at| at.elapsed() >= PUBLISH_EVERY) {
                self.publish_now();
            }
        };
        // Also after a bug of our own: what the other endpoints were told must be taken back.
        self.leave().await;
        ended
    }

    /// The only place in the control thread that waits, and the only list of what can wake it. Stop first, facts
    /// before wishes, the clock last.
    async fn next_wake(&mut self, stop: std::pin::Pin<&mut impl Future<Output = ()>>) -> Wake {
        tokio::select! {
            biased;
            () = stop => Wake::Stop,
            Some(report) = self.reports.recv() => Wake::Heard(report),
            () = self.pacer.sleep_until(self.wake_at) => Wake::Due,
        }
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
            self.wall_at = now + crate::control::units::Span::secs(1);
            self.handle(&Input::Wall(self.clock.wall()));
        }
    }

    fn handle(&mut self, input: &Input) {
        let now = self.clock.now();
        let started = Instant::now();
        self.wake_at = self.site.handle(now, input).wake_at;
        let took = started.elapsed();
        let outputs = self.site.outputs();
        // Orders first: what people read can wait.
        let mut failed = Vec::new();
        for command in &outputs.commands {
            if let Some(input) = self.fleet.send(command) {
                warn!(actuator = command.actuator, "the endpoint takes no orders now");
                failed.push(input);
            }
        }
        if outputs.decided {
            self.publisher.decided(&self.site, took, now);
        }
        for event in &outputs.events {
            log(event);
            self.publisher.event(event, self.clock.utc_ms(now));
        }
        for input in failed {
            self.wake_at = self.site.handle(now, &input).wake_at;
        }
    }

    fn publish_now(&mut self) {
        self.fleet.log_changes();
        let snapshot = self.publisher.snapshot(&self.checked, &self.site, &self.fleet, &self.clock);
        self.publish.send_replace(Arc::new(snapshot));
        self.published_at = Some(Instant::now());
    }

    /// Releases setpoints by their recipes within a deadline; the generator's contact is held.
    async fn leave(mut self) {
        match self.checked.site.policy.control {
            Control::On => info!("stopping: releasing setpoints, holding the generator's contact"),
            Control::Observe => info!("stopping: nothing was written, so nothing is released"),
        }
        let outputs = self.site.handle(self.clock.now(), &Input::Leaving);
        self.fleet.stop(&outputs.commands, &mut self.reports, RELEASE_WITHIN).await;
        self.publish_now();
        self.services.stop();
        info!("stopped");
    }
}

/// What a person would want to read next morning.
fn log(event: &Event) {
    match event {
        Event::Binding(reason) => info!(%reason, why = reason.words(), "binding"),
        Event::Guard(state) => info!(state = state.name(), "minimum SoC"),
        Event::Generator(state) => info!(state = state.name(), "generator"),
        Event::Alarm(alarm, true) => warn!(alarm = alarm.code(), "{}", alarm.words()),
        Event::Alarm(alarm, false) => info!(alarm = alarm.code(), "alarm over"),
    }
}

/// Resolves when the process is asked to stop: SIGTERM, SIGINT or, on a terminal, Ctrl-C.
///
/// # Errors
/// When the system gives no signals.
pub fn stop_signal() -> Result<impl Future<Output = ()>, RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
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
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
