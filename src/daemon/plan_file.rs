//! A plan in a file: another program writes it, and each writing renews its lease.
//!
//! What the file says counts from the time at which it was written. So one that a dead program left behind steers
//! nothing, after a restart neither. A thread of its own looks at it: a slow disk must not stall control.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc as calls;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tracing::warn;

use crate::services::inbox::Asked;
use crate::services::plans::Plan;

use super::clock::Source;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No plan is longer, in bytes.
const MOST: u64 = 65_536;
/// A lease that says no time lasts this long.
const USUAL: u32 = 60;
/// Clocks of two programs on one machine agree this well.
const AHEAD: Duration = Duration::from_secs(5);

/// The thread that looks at the file. It ends by itself when this is dropped.
#[derive(Debug)]
pub(super) struct PlanFile {
    path: PathBuf,
    _stop: calls::Sender<()>,
}

impl PlanFile {
    /// Looks at this file from now on.
    pub fn start(path: PathBuf, send: mpsc::Sender<Asked>, time: Source) -> std::io::Result<Self> {
        let (stop, stopped) = calls::channel();
        let watched = path.clone();
        std::thread::Builder::new()
            .name("plan".to_owned())
            .spawn(move || watch(&watched, &stopped, &send, &time))?;
        Ok(Self { path, _stop: stop })
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Length and time of writing: what tells that a file was written again.
type Sign = Option<(u64, Option<SystemTime>)>;

fn sign(about: Option<&Metadata>) -> Sign {
    about.map(|about| (about.len(), about.modified().ok()))
}

fn watch(path: &Path, stopped: &calls::Receiver<()>, send: &mpsc::Sender<Asked>, time: &Source) {
    let (mut seen, mut taken): (Sign, Sign) = (None, None);
    while let Err(calls::RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
        let now = sign(fs::metadata(path).ok().as_ref());
        // What holds still for one look was written to its end.
        let settled = now == seen;
        seen = now;
        if !settled || now == taken || now.is_none() {
            continue;
        }
        taken = now;
        let clock = u64::try_from((time.utc_ms)()).unwrap_or_default();
        match read(path, SystemTime::UNIX_EPOCH + Duration::from_millis(clock)) {
            Ok(Some(plan)) => {
                if send.try_send(Asked::Plan(plan)).is_err() {
                    taken = None;
                }
            }
            Ok(None) => {}
            Err(why) => warn!(file = %path.display(), why, "the plan in the file is not taken"),
        }
    }
}

/// The plan in a file with the rest of its lease; none when that is over.
fn read(path: &Path, now: SystemTime) -> Result<Option<Plan>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let written = file.metadata().and_then(|about| about.modified()).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(MOST.saturating_add(1)).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MOST {
        return Err(format!("it is longer than {MOST} bytes"));
    }
    plan(&text, written, now)
}

fn plan(text: &str, written: SystemTime, now: SystemTime) -> Result<Option<Plan>, String> {
    let mut plan: Plan = serde_json::from_str(text).map_err(|error| error.to_string())?;
    plan.check()?;
    let age = match now.duration_since(written) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() <= AHEAD => Duration::ZERO,
        Err(_) => return Err("it was written in the future: its clock or ours is wrong".to_owned()),
    };
    let seconds = plan.seconds.unwrap_or(USUAL);
    if seconds > 0 {
        let left = u64::from(seconds).saturating_sub(age.as_secs());
        plan.seconds = u32::try_from(left).ok();
        if left == 0 {
            return Ok(None);
        }
    }
    Ok(Some(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"by": "evcc", "seconds": 90, "now": {"setpoint": -500}}"#;

    #[test]
    fn a_plan_in_a_file_counts_from_its_writing_and_one_that_was_left_behind_steers_nothing() {
        let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let left = |age: u64| {
            plan(TEXT, written, written + Duration::from_secs(age)).unwrap().map(|plan| plan.seconds)
        };
        assert_eq!(
            (left(0), left(30), left(89), left(90)),
            (Some(Some(90)), Some(Some(60)), Some(Some(1)), None)
        );
        let ahead = |seconds| plan(TEXT, written, written - Duration::from_secs(seconds));
        assert!(ahead(3).is_ok_and(|plan| plan.is_some()));
        assert!(ahead(60).is_err_and(|why| why.contains("future")));
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_not_taken() {
        let now = SystemTime::UNIX_EPOCH;
        for text in ["", "{", r#"{"by":"x"}"#, r#"{"by":"x","now":{"power":1,"target":1}}"#] {
            assert!(plan(text, now, now).is_err(), "{text}");
        }
        assert!(
            plan(r#"{"by":"x","seconds":0}"#, now, now).is_ok_and(|plan| plan.is_some()),
            "it is given back"
        );
    }
}
