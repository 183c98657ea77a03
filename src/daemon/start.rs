//! From a profile and what is remembered to a daemon that is about to run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::control::genset::Genset;
use crate::control::policy::Control;
use crate::control::site::{Alarm, Input, Past, Site};
use crate::control::units::{Mono, Watts};
use crate::profile::Checked;
use crate::services;
use crate::services::inbox::{Inbox, Token};
use crate::services::published::Published;
use crate::store::{self, Found, OpenError, Opened, Stamp, Wear};

use super::clock::{self, Clock, Source};
use super::fleet::{self, Dialler, Fleet};
use super::moment::{Diary, Frame, Moment};
use super::notify::Manager;
use super::publishing::Publishing;
use super::reload::{Load, Watcher};
use super::{CLOSE_WITHIN, Daemon, RunError, Untold, past, proof};

/// How the daemon runs.
#[derive(Clone)]
pub struct Options {
    /// Where page, metrics and API are served instead of where the profile says.
    pub listen: Option<SocketAddr>,
    /// Site seconds per real second; 1 unless a simulated site is demonstrated.
    pub speed: u32,
    /// Where what must outlive the process is kept; none for a site that is forgotten.
    pub state: Option<PathBuf>,
    /// What lets people give orders to a site without a state folder; none for a site that takes none.
    pub token: Option<Token>,
    /// Commission the site with steps of this power, and order nothing else.
    pub commission: Option<Watts>,
    /// Reads the profile again, for changes while it runs; none when it never changes.
    pub reload: Option<Load>,
    /// Where time comes from.
    pub time: Source,
    /// How devices are reached.
    pub dialler: Dialler,
}

impl Default for Options {
    /// Devices over TCP, the system's clocks, nothing remembered.
    fn default() -> Self {
        Self {
            listen: None,
            speed: 1,
            state: None,
            token: None,
            commission: None,
            reload: None,
            time: Source::system(),
            dialler: fleet::tcp(),
        }
    }
}

/// What the store gave, and whether it is any good.
struct Remembered {
    opened: Opened,
    failed: bool,
}

/// What the site goes on from.
struct Before {
    past: Past,
    /// The first moment of its clock.
    begins: Mono,
    /// The last time of day that was believed, milliseconds since 1970.
    latest: Option<i64>,
    wear: Vec<Wear>,
}

impl Daemon {
    /// Starts services and endpoints; must be called inside the control runtime. Devices need not be there.
    ///
    /// # Errors
    /// When another instance uses the state folder, or the page's address cannot be used.
    pub fn start(mut profile: Checked, options: &Options) -> Result<Self, RunError> {
        let now = stamp(&options.time);
        let Remembered { opened, failed } = remembered(options, &profile.name, &now)?;
        let Opened { keeper, found, starts } = opened;
        let looping = past::crash_loop(&starts, &now);
        let Before { past, begins, latest, wear } = before(found, failed, &now);
        let lost = past == Past::Lost && !failed;
        let engine = match &past {
            Past::Kept(kept) => kept.genset,
            Past::None | Past::Lost => Genset::default(),
        };
        if let Some(state) = &options.state {
            proof::apply(state, &mut profile);
        }
        let checked = in_force(&profile, looping);
        let zone = &checked.site.policy.timezone;
        let clock = Clock::start(options.time.clone(), begins, latest, options.speed, zone);
        let site = Site::begin(checked.site.clone(), past, clock.now());
        let (publish, published) = watch::channel(Arc::new(Published::default()));
        let listen = options.listen.unwrap_or(checked.listen);
        let (inbox, orders) = match token(options) {
            Some(token) => Inbox::new(token, super::orders::judge(options.reload.clone())),
            None => (Inbox::default(), mpsc::channel(1).1),
        };
        let plans = inbox.sender();
        let (address, services) = match services::start(listen, published.clone(), inbox) {
            Ok(started) => started,
            Err(error) => {
                // An address that is in use is no crash.
                keeper.close(None, CLOSE_WITHIN);
                return Err(error.into());
            }
        };
        let checked = Arc::new(checked);
        let (fleet, reports) = Fleet::start(&checked, &clock.pacer(), &options.dialler, &wear);
        let frame = Frame::of(&checked, &fleet);
        let sheet = Moment::blank(Arc::clone(&frame));
        let publishing = Publishing::start(publish, sheet).map_err(RunError::System)?;
        let watcher = match &options.reload {
            Some(load) => {
                let load = proven(load, options.state.clone());
                Some(Watcher::start(load, checked.files.clone()).map_err(RunError::System)?)
            }
            None => None,
        };
        let mut daemon = Self {
            options: options.clone(),
            frame,
            checked,
            site,
            fleet,
            reports,
            keeper,
            engine,
            watcher,
            plans,
            plan_file: None,
            manager: Manager::from_environment(),
            untold: Untold::default(),
            diary: Diary::default(),
            publishing,
            published,
            published_at: None,
            pacer: clock.pacer(),
            wall_at: Mono::ZERO,
            wake_at: clock.now(),
            clock,
            services,
            orders,
            address,
        };
        // What was on before the restart is on again.
        if !daemon.site.overlays().is_empty() {
            daemon.lay();
        }
        if options.commission.is_some() {
            daemon.handle(&Input::Commission(options.commission));
        }
        daemon.look_at_plans();
        daemon.say_how(&profile, looping);
        for (alarm, holds) in [
            (Alarm::StoreFailed, failed),
            (Alarm::StoreLost, lost),
            (Alarm::CrashLoop, looping),
            (Alarm::ProfileRefused, false),
            (Alarm::Uncommissioned, daemon.is_uncommissioned()),
        ] {
            daemon.notice(alarm, holds);
        }
        Ok(daemon)
    }

    /// The site is in control, and nobody has proven how its devices are wired. A site that keeps nothing has no proof
    /// to keep.
    pub(super) fn is_uncommissioned(&self) -> bool {
        self.options.state.is_some() && proof::is_missing(&self.checked)
    }

    fn say_how(&self, profile: &Checked, looping: bool) {
        if looping {
            error!(
                "the process ended badly more than five times within ten minutes: it only observes now. Read the \
                 log, mend the cause, then restart it or reload the profile"
            );
        }
        let control = word(self.checked.site.policy.control);
        let devices = self.checked.devices.len();
        info!(site = profile.name, address = %self.address, devices, control, "started");
    }
}

fn before(found: Found, failed: bool, now: &Stamp) -> Before {
    let without = |past| Before { past, begins: clock::FIRST, latest: None, wear: Vec::new() };
    match found {
        // Not to know the past is not to have none.
        Found::Nothing if failed => without(Past::Lost),
        Found::Nothing => without(Past::None),
        Found::Lost(loss) => {
            let file = loss.set_aside.display();
            warn!(%file, why = loss.why, "what was written down cannot be used: a cautious start");
            without(Past::Lost)
        }
        Found::Record(record) => {
            let away = past::away(&record.stamp, now);
            info!(%away, "going on from what was written down");
            let latest = record.stamp.trusted.then_some(record.stamp.utc_ms);
            let begins = record.keepsake.at + away;
            Before { past: Past::Kept(Box::new(record.keepsake)), begins, latest, wear: record.wear }
        }
    }
}

/// Reads a profile, and lets the proof of its commissioning count.
fn proven(load: &Load, state: Option<PathBuf>) -> Load {
    let load = Arc::clone(load);
    Arc::new(move |laid| {
        let mut checked = load(laid)?;
        if let Some(state) = &state {
            proof::apply(state, &mut checked);
        }
        Ok(checked)
    })
}

/// A profile as it holds: after a crash loop nothing is written, whatever it says.
pub(super) fn in_force(profile: &Checked, looping: bool) -> Checked {
    let mut checked = profile.clone();
    if looping {
        checked.site.policy.control = Control::Observe;
    }
    checked
}

pub(super) fn word(control: Control) -> &'static str {
    match control {
        Control::Observe => "observe",
        Control::On => "on",
    }
}

/// Now, for what is written down before there is a site's clock.
fn stamp(time: &Source) -> Stamp {
    let utc_ms = (time.utc_ms)();
    Stamp {
        boot: time.boot.clone(),
        boottime_ms: i64::try_from((time.uptime)().as_millis()).unwrap_or(i64::MAX),
        utc_ms,
        trusted: clock::plausible(utc_ms),
    }
}

/// Opens the store. One that cannot be used is an alarm, no reason not to keep the lights on.
fn remembered(options: &Options, site: &str, now: &Stamp) -> Result<Remembered, RunError> {
    let Some(folder) = &options.state else {
        return Ok(Remembered { opened: forgetful(), failed: false });
    };
    match store::open(folder, site, now) {
        Ok(opened) => Ok(Remembered { opened, failed: false }),
        Err(error @ OpenError::Busy(_)) => Err(RunError::Busy(error)),
        Err(error) => {
            error!(folder = %folder.display(), %error, "nothing can be written down; control goes on without");
            Ok(Remembered { opened: forgetful(), failed: true })
        }
    }
}

/// What lets people give orders; without a folder to keep it in, what was given. One that cannot be kept is no reason
/// not to keep the lights on.
fn token(options: &Options) -> Option<Token> {
    let Some(folder) = &options.state else { return options.token.clone() };
    let kept = super::orders::kept(folder);
    if let Err(error) = &kept {
        error!(file = %super::orders::token_file(folder).display(), %error, "no token: nobody can give orders");
    }
    kept.ok()
}

fn forgetful() -> Opened {
    Opened { keeper: store::memory(), found: Found::Nothing, starts: Vec::new() }
}
