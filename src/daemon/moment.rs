//! What the control thread hands over to be shown: plain copies of one moment. Words and lists are made of them on
//! the publishing thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::control::commission::Commission;
use crate::control::decision::Decision;
use crate::control::image::Image;
use crate::control::ledger::Ledger;
use crate::control::overlays::Overlay;
use crate::control::site::{Alarm, Event, Site};
use crate::control::units::{Mono, Span};
use crate::modbus::state::LinkState;
use crate::profile::Checked;

use super::clock::Clock;
use super::fleet::{Fleet, Writes};

/// Events kept.
const EVENTS: usize = 50;

/// The site at one moment.
#[derive(Debug)]
pub struct Moment {
    /// What holds while the profile is in force.
    pub frame: Arc<Frame>,
    /// When this was.
    pub now: Mono,
    /// The same by the wall clock, milliseconds since 1970.
    pub utc_ms: i64,
    /// When the process began, by the wall clock.
    pub started_utc_ms: i64,
    /// Whether the wall clock is believed.
    pub clock_trusted: bool,
    /// What was heard.
    pub image: Image,
    /// What was decided last.
    pub decision: Decision,
    /// Energy so far.
    pub ledger: Ledger,
    /// The commissioning under way or over.
    pub commission: Option<Commission>,
    /// Overlays that are on.
    pub overlays: Vec<Overlay>,
    /// Active alarms.
    pub alarms: Vec<Alarm>,
    /// What happened since the start.
    pub diary: Diary,
    /// Each device, in the profile's order.
    pub devices: Vec<DeviceMoment>,
    /// Each endpoint, in the order of [`Frame::lines`].
    pub lines: Vec<LinkState>,
}

/// What holds while a profile is in force.
#[derive(Debug)]
pub struct Frame {
    /// The profile.
    pub checked: Arc<Checked>,
    /// Each endpoint's name, in the order of its first device.
    pub lines: Vec<String>,
    /// By device: the endpoint that carries it.
    pub carriers: Vec<Option<usize>>,
}

impl Frame {
    /// Of a profile and the endpoints made for it.
    #[must_use]
    pub fn of(checked: &Arc<Checked>, fleet: &Fleet) -> Arc<Self> {
        Arc::new(Self {
            checked: Arc::clone(checked),
            lines: fleet.lines.iter().map(|line| line.name.clone()).collect(),
            carriers: fleet.members.iter().map(|member| member.endpoint).collect(),
        })
    }
}

/// One device at one moment.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMoment {
    /// When it last said something.
    pub heard_at: Option<Mono>,
    /// What became of its orders.
    pub writes: Writes,
}

/// What happened so far, as far as people may ask.
#[derive(Clone, Debug, Default)]
pub struct Diary {
    /// Newest first, with the wall clock.
    pub events: VecDeque<(Event, i64)>,
    /// How long each reason was the binding one, in milliseconds, by its code.
    pub binding_ms: BTreeMap<&'static str, i64>,
    /// Since when each active alarm holds, by its code and the wall clock.
    pub alarms_since: BTreeMap<&'static str, i64>,
    /// Decisions made.
    pub decisions: u64,
    /// What they took together.
    pub decision_time: Duration,
    last: Option<Mono>,
}

impl Diary {
    /// Takes note of one decision and what it took.
    pub fn decided(&mut self, decision: &Decision, took: Duration, now: Mono) {
        self.decisions = self.decisions.saturating_add(1);
        self.decision_time = self.decision_time.saturating_add(took);
        let elapsed = self.last.map_or(Span::ZERO, |before| now.since(before));
        self.last = Some(now);
        if let Some(cause) = decision.reasons.binding() {
            let sum = self.binding_ms.entry(cause.reason.code()).or_default();
            *sum = sum.saturating_add(elapsed.0);
        }
    }

    /// Takes note of an event.
    pub fn event(&mut self, event: &Event, utc_ms: i64) {
        if let Event::Alarm(alarm, on) = event {
            if *on {
                self.alarms_since.insert(alarm.code(), utc_ms);
            } else {
                self.alarms_since.remove(alarm.code());
            }
        }
        self.events.push_front((*event, utc_ms));
        self.events.truncate(EVENTS);
    }
}

impl Moment {
    /// An empty sheet.
    #[must_use]
    pub fn blank(frame: Arc<Frame>) -> Self {
        Self {
            frame,
            now: Mono::ZERO,
            utc_ms: 0,
            started_utc_ms: 0,
            clock_trusted: false,
            image: Image::default(),
            decision: Decision::default(),
            ledger: Ledger::default(),
            commission: None,
            overlays: Vec::new(),
            alarms: Vec::new(),
            diary: Diary::default(),
            devices: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Takes a new copy in the place of the last one; what is large keeps its room.
    pub fn copy(&mut self, frame: &Arc<Frame>, site: &Site, fleet: &Fleet, clock: &Clock, diary: &Diary) {
        self.frame = Arc::clone(frame);
        self.now = clock.now();
        self.utc_ms = clock.utc_ms(self.now);
        self.started_utc_ms = clock.started_utc_ms();
        self.clock_trusted = clock.is_believed();
        self.image.clone_from(site.image());
        self.decision.clone_from(site.decision());
        self.ledger = *site.ledger();
        self.commission = site.commissioning().cloned();
        self.overlays.clear();
        self.overlays.extend_from_slice(site.overlays());
        self.alarms.clear();
        self.alarms.extend_from_slice(site.alarms());
        self.diary.clone_from(diary);
        self.devices.clear();
        let device =
            |member: &super::fleet::Member| DeviceMoment { heard_at: member.heard_at, writes: member.writes };
        self.devices.extend(fleet.members.iter().map(device));
        self.lines.clear();
        self.lines.extend(fleet.lines.iter().map(|line| line.state().clone()));
    }
}
