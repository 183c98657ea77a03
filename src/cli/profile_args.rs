//! A profile on the command line, and what is laid over it.

use std::path::PathBuf;

use crate::device::mistake::Mistake;
use crate::profile::{self, Checked, Laid, Overrides};

/// Arguments that name a profile.
#[derive(Clone, Debug, clap::Args)]
pub struct ProfileArgs {
    /// The profile: a file, or the name of a ready-made one (self-consumption, off-grid, backup)
    pub profile: PathBuf,
    /// Set one value over the file's, for example --set policy.battery.floor=25; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

impl ProfileArgs {
    /// Reads and checks it: a file, or a ready-made profile when there is no file of that name.
    pub fn load(&self) -> Result<Checked, Vec<Mistake>> {
        self.load_under(&[])
    }

    /// The same with overlays that are on.
    pub fn load_under(&self, laid: &[Laid]) -> Result<Checked, Vec<Mistake>> {
        let overrides =
            Overrides { set: self.set.clone(), overlays: laid.to_vec(), ..Overrides::from_environment() };
        match self.profile.to_str() {
            Some(name) if !self.profile.exists() && profile::shipped(name).is_some() => {
                profile::load_shipped(name, &overrides)
            }
            _ => profile::load(&self.profile, &overrides),
        }
    }
}
