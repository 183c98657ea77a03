//! Disks that fail. Each test runs itself again as a process of its own, with `faults.c` between SQLite and the
//! kernel: what fails is the system call, everything above it is real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use wattkeeper::store::{Found, KeeperEvent};

use super::folder::{Folder, LONG, next, record, safe};

/// The word that says what fails.
pub struct Disk(pub PathBuf);

impl Disk {
    pub fn now(&self, fault: &str) {
        fs::write(&self.0, fault).unwrap();
    }

    /// There once something hangs.
    fn mark(&self) -> PathBuf {
        let mut mark = self.0.clone().into_os_string();
        mark.push(".stuck");
        mark.into()
    }

    /// Waits until the writer hangs in the kernel.
    fn is_stuck(&self) {
        let began = Instant::now();
        while !self.mark().exists() {
            assert!(began.elapsed() < LONG, "nothing was written");
            std::thread::yield_now();
        }
    }
}

/// The preloaded part, made once.
fn preloaded() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.so");
        let new = made.with_extension(format!("{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wattkeeper/store/faults.c");
        let status =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&new).arg(source).status();
        assert!(status.unwrap().success(), "a C compiler is needed");
        fs::rename(new, &made).unwrap();
        made
    })
}

/// Runs the body in a process whose disk fails on request.
fn on_a_disk_that_fails(test: &str, body: impl FnOnce(&Folder, &Disk)) {
    if let Some(word) = std::env::var_os("WATTKEEPER_FAULT") {
        return body(&Folder::new(), &Disk(word.into()));
    }
    run_again(&format!("store::faults::{test}"), None);
}

/// Runs one test again, in a process of its own with the preloaded part.
pub fn run_again(test: &str, trace: Option<&Path>) {
    let word = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("fault-{}-{test}", std::process::id()).replace(':', "-"));
    let mut run = Command::new(std::env::current_exe().unwrap());
    if let Some(trace) = trace {
        run.env("WATTKEEPER_TRACE", trace);
    }
    let run = run
        .args([test, "--exact", "--nocapture"])
        .env("LD_PRELOAD", preloaded())
        .env("WATTKEEPER_FAULT", &word)
        .output()
        .unwrap();
    let _ = fs::remove_file(Disk(word.clone()).mark());
    let _ = fs::remove_file(word);
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// A fault that begins while we run: told once, with what to do; healed by itself; the newest record is there.
fn check_heals(folder: &Folder, disk: &Disk, fault: &str, advice: &str) {
    let mut opened = folder.open();
    opened.keeper.keep(1, record(1));
    safe(&mut opened.keeper, 1);
    disk.now(fault);
    opened.keeper.keep(2, record(2));
    let KeeperEvent::Failed { why } = next(&mut opened.keeper) else { panic!("{fault} is no trouble") };
    assert!(why.contains(advice), "{fault}: {why}");
    opened.keeper.keep(3, record(3));
    assert_eq!(opened.keeper.try_next(), None, "said once");
    assert!(opened.keeper.alive());
    disk.now("");
    assert_eq!(
        [next(&mut opened.keeper), next(&mut opened.keeper)],
        [KeeperEvent::Safe(3), KeeperEvent::Healed]
    );
    assert!(opened.keeper.close(None, LONG));
    assert_eq!(folder.open().found, Found::Record(Box::new(record(3))));
    assert!(!folder.beside(".corrupt-1").exists(), "a fault of the disk is no damage");
}

#[test]
fn s3_a_full_disk_is_told_once_and_what_was_kept_meanwhile_is_written_when_there_is_room() {
    on_a_disk_that_fails(
        "s3_a_full_disk_is_told_once_and_what_was_kept_meanwhile_is_written_when_there_is_room",
        |folder, disk| check_heals(folder, disk, "full", "Free some space"),
    );
}

#[test]
fn s4_a_disk_that_turns_read_only_is_told_once_and_survived() {
    on_a_disk_that_fails("s4_a_disk_that_turns_read_only_is_told_once_and_survived", |folder, disk| {
        check_heals(folder, disk, "readonly", "disk");
    });
}

#[test]
fn s4_a_disk_that_cannot_be_written_at_the_start_is_read_all_the_same() {
    let name = "s4_a_disk_that_cannot_be_written_at_the_start_is_read_all_the_same";
    on_a_disk_that_fails(name, |folder, disk| {
        assert!(folder.open().keeper.close(Some(record(4)), LONG));
        for fault in ["readonly", "full", "io", "sync"] {
            disk.now(fault);
            let mut opened = folder.open();
            assert_eq!(opened.found, Found::Record(Box::new(record(4))), "{fault}");
            assert!(matches!(next(&mut opened.keeper), KeeperEvent::Failed { .. }), "{fault}");
            assert!(
                !opened.keeper.close(Some(record(5)), LONG),
                "{fault}: the last record cannot be written"
            );
        }
        disk.now("");
        assert_eq!(folder.open().found, Found::Record(Box::new(record(4))));
    });
}

#[test]
fn s5_what_cannot_be_read_at_the_start_is_set_aside_and_never_written_over() {
    let name = "s5_what_cannot_be_read_at_the_start_is_set_aside_and_never_written_over";
    on_a_disk_that_fails(name, |folder, disk| {
        assert!(folder.open().keeper.close(Some(record(4)), LONG));
        let before = fs::read(folder.file()).unwrap();
        disk.now("dead");
        let mut opened = folder.open();
        let Found::Lost(loss) = &opened.found else { panic!("{:?}", opened.found) };
        assert!(matches!(next(&mut opened.keeper), KeeperEvent::Failed { .. }));
        opened.keeper.keep(1, record(5));
        disk.now("");
        safe(&mut opened.keeper, 1);
        assert!(fs::read(&loss.set_aside).unwrap() == before, "kept as it was");
        assert!(opened.keeper.close(None, LONG));
        assert_eq!(folder.open().found, Found::Record(Box::new(record(5))));
    });
}

#[test]
fn s6_after_a_failed_fsync_everything_is_written_anew() {
    on_a_disk_that_fails("s6_after_a_failed_fsync_everything_is_written_anew", |folder, disk| {
        check_heals(folder, disk, "sync", "Check the disk");
    });
}

#[test]
fn s6_a_write_that_fails_is_told_once_and_survived() {
    on_a_disk_that_fails("s6_a_write_that_fails_is_told_once_and_survived", |folder, disk| {
        check_heals(folder, disk, "io", "Check the disk");
    });
}

#[test]
fn s7_a_disk_that_hangs_keeps_nobody_waiting() {
    on_a_disk_that_fails("s7_a_disk_that_hangs_keeps_nobody_waiting", |folder, disk| {
        let mut opened = folder.open();
        disk.now("slow");
        opened.keeper.keep(1, record(1));
        disk.is_stuck();
        for seq in 2..=10_000 {
            opened.keeper.keep(seq, record(i64::from(seq)));
        }
        assert_eq!(opened.keeper.try_next(), None, "nothing is safe before it is");
        assert!(opened.keeper.alive());
        disk.now("");
        let told = std::iter::repeat_with(|| next(&mut opened.keeper));
        let told: Vec<_> = told.take_while(|event| *event != KeeperEvent::Safe(10_000)).collect();
        assert!(
            told.is_empty() || told == [KeeperEvent::Safe(1)],
            "all between were replaced in the mailbox: {told:?}"
        );
        disk.now("slow");
        assert!(
            !opened.keeper.close(Some(record(10_001)), Duration::from_millis(10)),
            "not even the end waits"
        );
        disk.now("");
    });
}
