//! What a site takes over from the one before it, beside what outlives the process.

use super::{ActuatorKind, Site};

impl Site {
    /// The generator's contact is as it was told in the site before: a changed profile is no reason to write it.
    pub fn hold_contact_of(&mut self, before: &Self) {
        let contact = |site: &Self| {
            let actuators = &site.config.wiring.actuators;
            actuators.iter().position(|spec| spec.kind == ActuatorKind::GeneratorRun)
        };
        let told = contact(before).and_then(|at| before.state.actuators.get(at)).copied();
        let mine = contact(self).and_then(|at| self.state.actuators.get_mut(at));
        if let (Some(mine), Some(told)) = (mine, told) {
            *mine = told;
        }
    }
}
