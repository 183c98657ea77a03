//! What an operator orders of the battery for a while: the rung between floor and schedule.
//!
//! An order ends by itself, and says who gave it. What narrows (a hold, taking an order back) acts at once; what adds
//! charge, discharge or export acts once it is written down, or after a second, and only while charge and meter are
//! good. It never reopens what a higher rung closed. Only an order that says so may use what the floor keeps in
//! reserve, for four hours at most and never below the absolute floor.

use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::reading::Stage;
use super::reason::{Reason, Tier};
use super::schedule::{Act, Claim};
use super::units::{Mono, Soc, Span, Watts};

/// An order that says no time lasts this long.
pub const USUAL: Span = Span::minutes(60);
/// No order lasts longer.
pub const LONGEST: Span = Span::minutes(24 * 60);
/// Nor does one that uses the reserve.
pub const LONGEST_RESERVE: Span = Span::minutes(4 * 60);

/// Who gave an order, cut to what fits.
pub type Actor = ArrayString<32>;

/// What an operator may want of the battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// No discharge; what is left over still charges.
    Hold,
    /// Charge with this much battery power, or as hard as the limits allow.
    Charge(Option<Watts>),
    /// Discharge with this much battery power.
    Discharge(Watts),
    /// Steer the grid to this, import positive.
    Setpoint(Watts),
}

/// An order for the battery, as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatteryOrder {
    /// What.
    pub wish: Wish,
    /// For how long; none means [`USUAL`], and never longer than [`LONGEST`].
    pub lasts: Option<Span>,
    /// It may use what the floor keeps in reserve, down to the absolute floor.
    pub use_reserve: bool,
}

/// An order that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The order.
    pub order: BatteryOrder,
    /// By whom.
    pub by: Actor,
    /// When it ends.
    pub until: Mono,
    /// It acts from here on: what must be remembered waits until it is.
    acts_from: Mono,
}

/// What it looks at.
#[derive(Clone, Copy, Debug)]
pub struct OrderInputs {
    /// The state of charge, when it may be used at all.
    pub soc: Option<Soc>,
    /// Stage of the charge.
    pub soc_stage: Stage,
    /// Stage of the meter; good where there is none.
    pub meter: Stage,
}

/// How an order stands in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order.
    pub order: BatteryOrder,
    /// By whom.
    pub by: Actor,
    /// Time until it ends.
    pub left: Span,
    /// It takes part; else it waits for a good charge and meter, or for its memory.
    pub acts: bool,
    /// It opens the reserve now.
    pub reserve: bool,
}

impl Wish {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Charge(_) => "charge",
            Self::Discharge(_) => "discharge",
            Self::Setpoint(_) => "setpoint",
        }
    }

    /// Whether it takes power away rather than adding some.
    fn narrows(self) -> bool {
        match self {
            Self::Hold => true,
            Self::Charge(_) | Self::Discharge(_) | Self::Setpoint(_) => false,
        }
    }

    fn reason(self, left: Span) -> Reason {
        match self {
            Self::Hold => Reason::OpHold(left),
            Self::Charge(power) => Reason::OpCharge(power, left),
            Self::Discharge(power) => Reason::OpDischarge(power, left),
            Self::Setpoint(setpoint) => Reason::OpSetpoint(setpoint, left),
        }
    }
}

impl BatteryOrder {
    /// How long it lasts, within what is allowed.
    #[must_use]
    pub fn span(&self) -> Span {
        let longest = if self.opens_reserve() { LONGEST_RESERVE } else { LONGEST };
        self.lasts.unwrap_or(USUAL).max(Span::ZERO).min(longest)
    }

    /// Only what discharges can use a reserve.
    fn opens_reserve(&self) -> bool {
        self.use_reserve && matches!(self.wish, Wish::Discharge(_) | Wish::Setpoint(_))
    }
}

impl Standing {
    /// An order given at `now`, whose memory is waited for until `remembered`.
    #[must_use]
    pub fn new(order: BatteryOrder, by: Actor, now: Mono, remembered: Mono) -> Self {
        let acts_from = if order.wish.narrows() { now } else { remembered };
        Self { order, by, until: now + order.span(), acts_from }
    }

    /// It is written down: says whether it has waited for that.
    pub fn remembered(&mut self, now: Mono) -> bool {
        let waited = self.acts_from > now;
        self.acts_from = self.acts_from.min(now);
        waited
    }

    /// When it begins to act or ends, whichever is next.
    #[must_use]
    pub fn changes_at(&self, now: Mono) -> Option<Mono> {
        [self.acts_from, self.until].into_iter().find(|moment| *moment > now)
    }

    /// How it stands at `now`.
    #[must_use]
    pub fn view(&self, policy: &Policy, inputs: &OrderInputs, now: Mono) -> OrderView {
        let good = inputs.soc_stage == Stage::Good && inputs.meter == Stage::Good;
        let acts = now >= self.acts_from && (self.order.wish.narrows() || good);
        let above = inputs.soc.is_some_and(|soc| soc > policy.battery.absolute_floor);
        let reserve = acts && self.order.opens_reserve() && above;
        OrderView { order: self.order, by: self.by, left: self.until.since(now), acts, reserve }
    }
}

impl OrderView {
    /// Why, while it takes part or waits.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.order.wish.reason(self.left)
    }

    /// What it wants of the decision; none while it waits.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let act = match self.order.wish {
            Wish::Hold => Act::Hold(0),
            Wish::Charge(None) => Act::Charge,
            Wish::Charge(Some(power)) => Act::Power(-power),
            Wish::Discharge(power) => Act::Power(power),
            Wish::Setpoint(setpoint) => Act::Grid(setpoint),
        };
        self.acts.then_some(Claim { tier: Tier::Operator, reason: self.reason(), act, caps: None })
    }
}
