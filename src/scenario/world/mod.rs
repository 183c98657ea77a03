//! The world that a case is played in: the real site, what it hears, and the devices that take its orders.

mod devices;
pub(crate) mod feed;
mod plant;
mod setup;
mod show;

use jiff::tz::TimeZone;

use crate::control::decision::Decision;
use crate::control::input::{Input, Outcome};
use crate::control::orders::Actor;
use crate::control::signal::Signal;
use crate::control::site::{Keepsake, Past, Site, SiteConfig};
use crate::control::units::{Mono, Span, Wall};
use crate::device::mistake::Mistake;
use crate::profile::{Checked, Laid, laid};

use super::format::{Case, Event, Given, Ordered, Setting, Step};
use devices::Devices;
use feed::{Feed, Sample};
use plant::Loop;

/// Everything that one run of a case needs.
pub(crate) struct World<'a> {
    case: &'a Case,
    /// All profile values that were set so far.
    set: Vec<Setting>,
    /// Overlays that the profile in force was read with.
    laid: Vec<Laid>,
    checked: Option<Checked>,
    /// None while the controller is down.
    site: Option<Site>,
    /// What outlives it: the store, in memory and at once.
    kept: Option<Keepsake>,
    feed: Feed,
    samples: Vec<Sample>,
    devices: Devices,
    plant: Option<Loop>,
    clock: Clock,
    now: Mono,
    /// What was decided and raised last; it stays readable while the controller is down.
    decision: Decision,
    alarms: Vec<&'static str>,
    refused: Vec<String>,
    /// Whether a resumed run has decided the same so far.
    same: bool,
}

impl<'a> World<'a> {
    /// The world before the first tick.
    pub(crate) fn new(case: &'a Case) -> Result<Self, Vec<Mistake>> {
        let mut mistakes: Vec<Mistake> =
            case.state.iter().map(|entry| setup::no_memory(case, entry)).collect();
        let (checked, refused) = match setup::profile(case, &case.set, &[]) {
            Ok(checked) => (Some(checked), Vec::new()),
            Err(refusal) if setup::expects_mistakes(case) => (None, setup::keys(&refusal)),
            Err(refusal) => {
                mistakes.extend(refusal);
                (None, Vec::new())
            }
        };
        let config = checked.as_ref().map_or_else(SiteConfig::default, |checked| checked.site.clone());
        let plant = match &case.plant {
            Some(told) => match Loop::new(case, told) {
                Ok(plant) => Some(plant),
                Err(wrong) => {
                    mistakes.extend(wrong);
                    None
                }
            },
            None => None,
        };
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let watchdog = plant.as_ref().map(Loop::inverter_watchdog);
        let wearing = checked.as_ref().map(setup::wearing).unwrap_or_default();
        let names: Vec<_> = checked.as_ref().map(|checked| checked.names().collect()).unwrap_or_default();
        let mut world = Self {
            case,
            set: case.set.clone(),
            laid: Vec::new(),
            feed: Feed::new(&config.signals, &names, plant.is_some(), case.seed),
            samples: Vec::new(),
            devices: Devices::new(&config.wiring, watchdog, wearing),
            site: checked.is_some().then(|| Site::new(config)),
            kept: None,
            checked,
            plant,
            clock: Clock::of(&case.clock),
            now: Mono::ZERO,
            decision: Decision::default(),
            alarms: Vec::new(),
            refused,
            same: true,
        };
        world.rehearse()?;
        world.give(&case.given)?;
        Ok(world)
    }

    /// Finds the mistakes of all steps before the first tick: on copies, so that nothing happens yet.
    fn rehearse(&self) -> Result<(), Vec<Mistake>> {
        let mut wrong = self.check_names().err().unwrap_or_default();
        let mut feed = self.feed.clone();
        let mut plant = self.plant.clone();
        let given = self.case.given.iter().chain(self.case.steps.iter().flat_map(|step| &step.given));
        // Without a profile there are no signals, and that is what such a case wants to see.
        for given in given.filter(|_| self.checked.is_some()) {
            wrong.extend(feed.give(given, &self.case.file, Mono::ZERO).err());
        }
        for step in &self.case.steps {
            if let Some(plant) = &mut plant {
                wrong.extend(plant.tell(self.case, &step.plant, Mono::ZERO).err().unwrap_or_default());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Lets the world move on to a tick; the controller has not yet looked.
    pub(crate) fn advance(&mut self, now: Mono) {
        if let Some(plant) = &mut self.plant {
            plant.advance(self.now, now);
        }
        self.now = now;
        self.devices.fall_back(now);
    }

    /// Makes a step happen.
    pub(crate) fn happen(&mut self, step: &Step) -> Result<(), Vec<Mistake>> {
        if let Some(plant) = &mut self.plant {
            plant.tell(self.case, &step.plant, self.now)?;
        }
        self.give(&step.given)?;
        for event in &step.events {
            self.event(*event);
        }
        if !step.set.is_empty() {
            self.reload(&step.set)?;
        }
        for order in &step.orders {
            self.handle(&match order {
                Ordered::Operator(order) => Input::Operator(*order, Actor::default()),
                Ordered::Lease(lease) => Input::Lease(lease.clone()),
                Ordered::Overlay(order) => Input::Overlay(Box::new(*order)),
            });
        }
        self.lay();
        Ok(())
    }

    /// Lets the controller hear and decide. Gives a fingerprint of what was decided.
    pub(crate) fn decide(&mut self) -> u64 {
        let mut samples = std::mem::take(&mut self.samples);
        {
            let Self { feed, plant, devices, site, .. } = self;
            let wiring = site.as_ref().map(|site| &site.config().wiring);
            let answer = |signal: &Signal| match plant.as_ref() {
                Some(plant) => plant.measured(signal, wiring?, devices),
                None => devices.contact().map(|closed| f64::from(u8::from(closed))),
            };
            feed.sample(self.now, &answer, &mut samples);
        }
        for sample in &samples {
            let Sample { signal, value, asked_at } = *sample;
            self.handle(&Input::Heard { signal, value, asked_at });
        }
        self.samples = samples;
        let wall = self.clock.read(self.now);
        self.handle(&Input::Wall(wall));
        self.handle(&Input::Due);
        if self.lay() {
            self.handle(&Input::Due);
        }
        if let Some(site) = &self.site {
            self.decision = site.decision().clone();
            self.alarms = site.alarms().iter().map(|alarm| alarm.code()).collect();
        }
        self.fingerprint()
    }

    /// Takes the site down to bytes and puts it up again, as a replay does.
    pub(crate) fn cut(&mut self) {
        let Some(site) = &self.site else { return };
        match Site::restore(site.config().clone(), &site.snapshot()) {
            Ok(site) => self.site = Some(site),
            Err(_) => self.same = false,
        }
    }

    /// From now on `replay` shows that the resumed run decided otherwise.
    pub(crate) fn differs(&mut self) {
        self.same = false;
    }

    fn give(&mut self, given: &[Given]) -> Result<(), Vec<Mistake>> {
        if self.checked.is_none() {
            return Ok(());
        }
        let now = self.now;
        let feed = &mut self.feed;
        let wrong: Vec<_> =
            given.iter().filter_map(|given| feed.give(given, &self.case.file, now).err()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// One input, and the orders it leads to on their way to the devices.
    fn handle(&mut self, input: &Input) {
        let Some(site) = &mut self.site else { return };
        let outputs = site.handle(self.now, input);
        let (commands, keep) = (outputs.commands.clone(), outputs.keep);
        let mut waits = false;
        if let Some(seq) = keep {
            self.kept = Some(site.keepsake(self.now));
            waits = site.handle(self.now, &Input::Stored(seq)).wake_at <= self.now;
        }
        for command in commands {
            self.devices.take(&command, self.now);
            if let Some(plant) = &mut self.plant {
                plant.order(&command, self.devices.wiring());
            }
            let wrote =
                Input::Wrote { actuator: command.actuator, seq: command.seq, outcome: Outcome::Acknowledged };
            site.handle(self.now, &wrote);
        }
        if waits {
            self.handle(&Input::Due);
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Kill => self.site = None,
            Event::Stop => {
                self.handle(&Input::Leaving);
                self.site = None;
            }
            Event::Start => self.start(),
            Event::Restart => {
                self.site = None;
                self.start();
            }
            Event::ClockShift(span) => self.clock.shift += span,
            Event::ClockValid(valid) => self.clock.valid = valid,
        }
    }

    fn start(&mut self) {
        if self.site.is_none() {
            let past = self.kept.clone().map_or(Past::None, |kept| Past::Kept(Box::new(kept)));
            let now = self.now;
            self.site = self.checked.as_ref().map(|checked| Site::begin(checked.site.clone(), past, now));
        }
    }

    /// Has the profile read again when other overlays are on than it was read with; says whether.
    fn lay(&mut self) -> bool {
        let Some(site) = &self.site else { return false };
        let on: Vec<Laid> = site.overlays().iter().map(|overlay| laid(&overlay.what)).collect();
        if on == self.laid {
            return false;
        }
        self.laid = on;
        match setup::profile(self.case, &self.set, &self.laid) {
            Ok(checked) => {
                self.refused.clear();
                self.handle(&Input::Reload(Box::new(checked.site.policy.clone())));
                self.checked = Some(checked);
            }
            Err(refusal) => self.refused = setup::keys(&refusal),
        }
        true
    }

    /// The operator edits the profile. What does not pass leaves the old one running.
    fn reload(&mut self, set: &[Setting]) -> Result<(), Vec<Mistake>> {
        let mut all = self.set.clone();
        all.extend(set.iter().cloned());
        match setup::profile(self.case, &all, &self.laid) {
            Ok(checked) => {
                self.set = all;
                self.refused.clear();
                self.handle(&Input::Reload(Box::new(checked.site.policy.clone())));
                self.checked = Some(checked);
                Ok(())
            }
            Err(refusal) if setup::expects_mistakes(self.case) => {
                self.refused = setup::keys(&refusal);
                Ok(())
            }
            Err(refusal) => Err(refusal),
        }
    }

    fn fingerprint(&self) -> u64 {
        // FNV-1a: short, and the same on every machine.
        let bytes = postcard::to_stdvec(&self.decision).unwrap_or_default();
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

/// The wall clock of the simulated machine.
struct Clock {
    start: jiff::Timestamp,
    zone: TimeZone,
    shift: Span,
    valid: bool,
}

impl Clock {
    fn of(zoned: &jiff::Zoned) -> Self {
        Self { start: zoned.timestamp(), zone: zoned.time_zone().clone(), shift: Span::ZERO, valid: true }
    }

    fn read(&self, now: Mono) -> Wall {
        let millis = self.start.as_millisecond().saturating_add(now.0).saturating_add(self.shift.0);
        let utc = millis.div_euclid(1_000);
        let offset =
            jiff::Timestamp::from_second(utc).map_or(0, |stamp| self.zone.to_offset(stamp).seconds());
        Wall { utc, offset, valid: self.valid }
    }
}
