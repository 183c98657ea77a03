//! What the system says of this process. Read from `/proc`; where there is none, the numbers are absent.

use std::fs;

/// Clock ticks in a second as `/proc` counts them: fixed at 100 for user space on Linux.
const TICKS: f64 = 100.0;

/// How far the threads stand back that only show what is: on a machine with one core, too, orders come first.
#[cfg(target_os = "linux")]
const BACK: i32 = 10;

/// The calling thread, and those it starts, stand back for the ones that control.
pub fn stand_back() {
    // Elsewhere this would be said of the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BACK) {
        tracing::debug!(%error, "this thread cannot stand back");
    }
}

/// Processor time, memory, descriptors and start of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Processor time used, in s.
    pub cpu: Option<f64>,
    /// Memory in use, in bytes.
    pub memory: Option<f64>,
    /// Open file descriptors.
    pub fds: Option<f64>,
    /// Most file descriptors allowed.
    pub max_fds: Option<f64>,
    /// Start, in s since 1970.
    pub start: Option<f64>,
}

impl Process {
    /// What is true now.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = read("/proc/self/stat");
        let boot = field(&read("/proc/stat"), "btime ");
        let ticks = |place| after_name(&stat, place).map(|ticks| ticks / TICKS);
        Self {
            cpu: ticks(11).zip(ticks(12)).map(|(user, system)| user + system),
            memory: field(&read("/proc/self/status"), "VmRSS:").map(|kib| kib * 1024.0),
            fds: fs::read_dir("/proc/self/fd").ok().map(|open| open.count() as f64),
            max_fds: field(&read("/proc/self/limits"), "Max open files"),
            start: boot.zip(ticks(19)).map(|(boot, since)| boot + since),
        }
    }
}

/// The number behind a label at the beginning of a line.
fn field(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat`, counted from behind the name, which may hold spaces and brackets.
fn after_name(stat: &str, place: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 4200 0";
        assert_eq!(after_name(stat, 11), Some(150.0));
        assert_eq!(after_name(stat, 12), Some(50.0));
        assert_eq!(after_name(stat, 19), Some(4200.0));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn on_linux_every_number_is_there() {
        let process = Process::now();
        assert!(process.memory.is_some_and(|bytes| bytes > 100_000.0));
        assert!(process.fds.zip(process.max_fds).is_some_and(|(open, most)| open >= 3.0 && open <= most));
        assert!(process.start.is_some_and(|start| start > 1.0e9));
        assert!(process.cpu.is_some());
    }
}
