//! A changed profile while the site runs.
//!
//! What passes the whole check is taken over, in place where only wishes changed. Where devices or their parts
//! changed, setpoints are handed back and site and endpoints are built anew around what the site remembers: the
//! generator's contact is not touched and its minimum run goes on. What does not pass changes nothing.

use std::sync::Arc;

use tracing::{error, info, warn};

use crate::control::policy::Control;
use crate::control::site::{Alarm, Input, Past, Site};
use crate::control::wiring::ActuatorKind;
use crate::device::order::ControlKind;
use crate::profile::Checked;

use super::fleet::Fleet;
use super::moment::Frame;
use super::reload::News;
use super::{Daemon, RELEASE_WITHIN, start};

/// What a generator's contact can be at a device.
const CONTACTS: [ControlKind; 2] = [ControlKind::GeneratorRun, ControlKind::Relay];

impl Daemon {
    /// Takes over what the profile says now, or says why not.
    pub(super) async fn reloaded(&mut self, news: News) {
        let profile = match news {
            Ok(profile) => *profile,
            Err(mistakes) => {
                for mistake in &mistakes {
                    error!(%mistake, "the changed profile is refused, the old one runs on");
                }
                return self.notice(Alarm::ProfileRefused, true);
            }
        };
        for note in profile.notes.iter().filter(|note| !self.checked.notes.contains(note)) {
            info!("{note}");
        }
        self.manager.reloading();
        if self.options.listen.is_none() && profile.listen != self.checked.listen {
            warn!(listen = %profile.listen, "page and metrics move there after a restart only");
        }
        if same_plant(&self.checked, &profile) {
            info!("the changed profile is in force");
            self.clock.move_to(&profile.site.policy.timezone);
            let policy = Box::new(profile.site.policy.clone());
            self.checked = Arc::new(profile);
            self.frame = Frame::of(&self.checked, &self.fleet);
            self.handle(&Input::Reload(policy));
        } else {
            self.change_over(profile).await;
        }
        self.look_at_plans();
        self.notice(Alarm::Uncommissioned, self.is_uncommissioned());
        self.notice(Alarm::ProfileRefused, false);
        // A person has looked at it: what the profile says holds again.
        self.notice(Alarm::CrashLoop, false);
    }

    /// Hands back, and goes on with other devices, other parts or another right to write.
    async fn change_over(&mut self, profile: Checked) {
        let control = start::word(profile.site.policy.control);
        info!(devices = profile.devices.len(), control, "changing over to the changed profile");
        let now = self.clock.now();
        let kept = self.keepsake(now);
        if self.checked.site.policy.control == Control::On {
            // What is only imagined from here on must not be taken for the engine's own past.
            self.engine = kept.genset;
        }
        let outputs = self.site.handle(now, &Input::Leaving);
        self.fleet.stop(&outputs.commands, &mut self.reports, RELEASE_WITHIN).await;
        let now = self.clock.now();
        self.clock.move_to(&profile.site.policy.timezone);
        let mut site = Site::begin(profile.site.clone(), Past::Kept(Box::new(kept)), now);
        if same_contact(&self.checked, &profile) {
            site.hold_contact_of(&self.site);
        }
        self.site = site;
        let wear = self.fleet.wear();
        (self.fleet, self.reports) = Fleet::start(&profile, &self.pacer, &self.options.dialler, &wear);
        self.checked = Arc::new(profile);
        self.frame = Frame::of(&self.checked, &self.fleet);
        self.wall_at = now;
        self.wake_at = now;
    }
}

/// Whether two profiles differ in wishes only.
fn same_plant(one: &Checked, other: &Checked) -> bool {
    one.devices == other.devices
        && one.site.signals == other.site.signals
        && one.site.wiring == other.site.wiring
        && one.site.policy.control == other.site.policy.control
}

/// Whether the generator's contact hangs where it hung.
fn same_contact(one: &Checked, other: &Checked) -> bool {
    let contact = |checked: &Checked| {
        let actuators = &checked.site.wiring.actuators;
        let spec = actuators.iter().find(|spec| spec.kind == ActuatorKind::GeneratorRun)?;
        let device = checked.device(&spec.device)?;
        let place = device.orders.keys().find(|(kind, _)| CONTACTS.contains(kind))?;
        Some((device.definition.clone(), device.address.clone(), device.units.clone(), *place))
    };
    contact(one) == contact(other)
}
