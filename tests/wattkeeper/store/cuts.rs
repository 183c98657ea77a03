//! Power cuts at every instant.
//!
//! A process keeps records on a real disk while every write, fsync, truncation, rename and removal is recorded. Then
//! the disk is built again as it may have been at any instant: what was synced is there; of what was not, each piece
//! of 512 bytes or 4 KiB is there or is not, in any combination; names follow their folder's fsync. Each such
//! disk must open to a record that was kept, at least as new as the last one that was called safe.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use wattkeeper::store::{Found, KeeperEvent};

use crate::days::setup::Dice;

use super::faults::{Disk, run_again};
use super::folder::{Folder, LONG, next, record, safe};

/// Cuts in the gate; `WATTKEEPER_CUTS` asks for more.
const CUTS: u64 = 300;

/// What was recorded.
pub enum Op {
    Write(PathBuf, usize, Vec<u8>),
    Truncate(PathBuf, usize),
    Sync(PathBuf),
    /// The pages that it should have written may be lost for good, though they can still be read.
    SyncFailed(PathBuf),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
    /// A record is handed over, and another is called safe.
    Kept(i64),
    Safe(i64),
}

pub fn parse(mut bytes: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&bytes[..end]).unwrap();
        let [what, at, length, path] = line.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (body, rest) = bytes[end + 1..].split_at(length.parse().unwrap());
        bytes = rest;
        let path = PathBuf::from(path);
        ops.push(match what {
            "W" => Op::Write(path, at.parse().unwrap(), body.to_owned()),
            "T" => Op::Truncate(path, at.parse().unwrap()),
            "S" => Op::Sync(path),
            "F" => Op::SyncFailed(path),
            "U" => Op::Unlink(path),
            "R" => Op::Rename(path, PathBuf::from(std::str::from_utf8(body).unwrap())),
            "K" => Op::Kept(at.parse().unwrap()),
            "C" => Op::Safe(at.parse().unwrap()),
            other => panic!("{other}"),
        });
    }
    ops
}

/// What is not synced yet.
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A file's synced content, and what came after.
#[derive(Default)]
struct Node {
    bytes: Vec<u8>,
    pending: Vec<Pending>,
}

/// How much of what was not synced is there.
#[derive(Clone, Copy)]
enum Fate {
    All,
    Nothing,
    /// Each piece of this size or not.
    Pieces(usize),
}

impl Node {
    fn settle(&mut self, fate: Fate, dice: &mut Dice) {
        for pending in std::mem::take(&mut self.pending) {
            match (pending, fate) {
                (_, Fate::Nothing) => {}
                (Pending::Truncate(_), Fate::Pieces(_)) if dice.percent(50) => {}
                (Pending::Truncate(length), _) => self.bytes.resize(length, 0),
                (Pending::Write(at, bytes), Fate::All) => self.put(at, &bytes),
                (Pending::Write(at, bytes), Fate::Pieces(size)) => {
                    // Pieces lie where the disk has them, not where the write began.
                    let mut from = 0;
                    while from < bytes.len() {
                        let to = (((at + from) / size + 1) * size - at).min(bytes.len());
                        if dice.percent(50) {
                            self.put(at + from, &bytes[from..to]);
                        }
                        from = to;
                    }
                }
            }
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(bytes);
    }
}

/// A change of names.
enum Naming {
    New(PathBuf, usize),
    Gone(PathBuf),
    Moved(PathBuf, PathBuf),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::New(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Gone(path) => {
                names.remove(path);
            }
            Self::Moved(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

/// The disk as it may be after these operations and a power cut.
fn after_a_cut(ops: &[Op], dice: &mut Dice) -> Vec<(PathBuf, Vec<u8>)> {
    let fates = [Fate::All, Fate::Nothing, Fate::Pieces(512), Fate::Pieces(4096)];
    let mut nodes: Vec<Node> = Vec::new();
    let (mut live, mut names) = (BTreeMap::new(), BTreeMap::new());
    let mut namings: Vec<Naming> = Vec::new();
    for op in ops {
        let naming = match op {
            Op::Write(path, at, bytes) => {
                let new = (!live.contains_key(path)).then(|| Naming::New(path.clone(), nodes.len()));
                if let Some(new) = &new {
                    nodes.push(Node::default());
                    new.apply(&mut live);
                }
                nodes[live[path]].pending.push(Pending::Write(*at, bytes.clone()));
                namings.extend(new);
                continue;
            }
            Op::Truncate(path, length) => {
                if let Some(node) = live.get(path) {
                    nodes[*node].pending.push(Pending::Truncate(*length));
                }
                continue;
            }
            Op::Sync(path) | Op::SyncFailed(path) => {
                match live.get(path) {
                    Some(node) if matches!(op, Op::Sync(_)) => nodes[*node].settle(Fate::All, dice),
                    Some(node) => {
                        let fate = dice.pick(&fates);
                        nodes[*node].settle(fate, dice);
                    }
                    // The folder.
                    None => namings.drain(..).for_each(|naming| naming.apply(&mut names)),
                }
                continue;
            }
            Op::Unlink(path) => Naming::Gone(path.clone()),
            Op::Rename(from, to) => Naming::Moved(from.clone(), to.clone()),
            Op::Kept(_) | Op::Safe(_) => continue,
        };
        naming.apply(&mut live);
        namings.push(naming);
    }
    let named = dice.range(0, namings.len() as i64 + 1) as usize;
    namings[..named].iter().for_each(|naming| naming.apply(&mut names));
    for node in &mut nodes {
        let fate = dice.pick(&fates);
        node.settle(fate, dice);
    }
    names.into_iter().map(|(path, node)| (path, nodes[node].bytes.clone())).collect()
}

/// What fails, in which life and at which of its records; the log is moved into the file about every seventieth.
const FAULTS: [(i64, i64, &str); 4] = [(0, 60, "sync"), (1, 20, "full"), (1, 75, "sync"), (2, 100, "io")];

/// What the recorded process does: starts, many records, faults of the disk and their healing, an end, another start.
fn live(disk: &Disk, trace: &Path) {
    let note = |what: char, minute: i64| {
        use std::io::Write;
        let mut file = fs::OpenOptions::new().append(true).create(true).open(trace).unwrap();
        file.write_all(format!("{what} {minute} 0 -\n").as_bytes()).unwrap();
    };
    let folder = Folder::new();
    let mut minute = 0;
    for life in 0..3 {
        let mut opened = folder.open();
        for step in 0..130 {
            minute += 1;
            note('K', minute);
            if let Some((_, _, fault)) = FAULTS.iter().find(|fault| (fault.0, fault.1) == (life, step)) {
                disk.now(fault);
                opened.keeper.keep(u32::try_from(minute).unwrap(), record(minute));
                assert!(matches!(next(&mut opened.keeper), KeeperEvent::Failed { .. }));
                disk.now("");
            } else {
                opened.keeper.keep(u32::try_from(minute).unwrap(), record(minute));
            }
            safe(&mut opened.keeper, u32::try_from(minute).unwrap());
            note('C', minute);
        }
        minute += 1;
        note('K', minute);
        // One life ends on a disk that fails: the next one reads pages that may never reach it.
        disk.now(if life == 1 { "sync" } else { "" });
        if opened.keeper.close(Some(record(minute)), LONG) {
            note('C', minute);
        }
        disk.now("");
    }
}

#[test]
fn s1_after_a_power_cut_at_any_instant_a_kept_record_is_there_and_none_that_was_safe_is_lost() {
    const NAME: &str =
        "s1_after_a_power_cut_at_any_instant_a_kept_record_is_there_and_none_that_was_safe_is_lost";
    if let (Some(word), Some(trace)) =
        (std::env::var_os("WATTKEEPER_FAULT"), std::env::var_os("WATTKEEPER_TRACE"))
    {
        return live(&Disk(word.into()), Path::new(&trace));
    }
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trace-{}", std::process::id()));
    run_again(&format!("store::cuts::{NAME}"), Some(&trace));
    let ops = parse(&fs::read(&trace).unwrap());
    fs::remove_file(&trace).unwrap();
    let cuts = std::env::var("WATTKEEPER_CUTS").ok().and_then(|cuts| cuts.parse().ok()).unwrap_or(CUTS);
    let mut tally = [0; 3];
    for seed in 0..cuts {
        let mut dice = Dice::new(seed);
        let at = dice.range(0, ops.len() as i64 + 1) as usize;
        let before = &ops[..at];
        let kept =
            before.iter().rev().find_map(|op| if let Op::Kept(minute) = op { Some(*minute) } else { None });
        let known =
            before.iter().rev().find_map(|op| if let Op::Safe(minute) = op { Some(*minute) } else { None });
        let (kept, known) = (kept.unwrap_or(0), known.unwrap_or(0));
        let folder = Folder::fast();
        fs::create_dir_all(&folder.path).unwrap();
        for (path, bytes) in after_a_cut(before, &mut dice) {
            fs::write(folder.path.join(path.file_name().unwrap()), bytes).unwrap();
        }
        let opened = folder.open();
        match &opened.found {
            Found::Record(found) => {
                let minute = found.keepsake.at.0 / 60_000;
                assert!((known..=kept).contains(&minute), "cut {seed}: {minute} is not in {known}..={kept}");
                assert_eq!(**found, record(minute), "cut {seed}");
                tally[0] += 1;
            }
            Found::Nothing if known == 0 => tally[1] += 1,
            Found::Lost(_) if known == 0 => tally[2] += 1,
            lost => panic!("cut {seed} at {at} of {}: {lost:?}, but {known} was safe", ops.len()),
        }
        assert!(opened.keeper.close(None, LONG));
    }
    println!(
        "{cuts} cuts over {} operations: {tally:?} found, nothing yet, lost before the first",
        ops.len()
    );
    assert!(tally[0] > cuts / 2);
}
