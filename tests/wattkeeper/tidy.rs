//! The house rules, enforced by reading the sources: which room may use which, what the pure half may not hold,
//! how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// A room and what it may use of the crate. An entry with `::` names modules of a room.
const ARROWS: &[(&str, &[&str])] = &[
    ("control", &["control"]),
    ("device", &["device", "control::units", "control::signal"]),
    ("modbus", &["modbus", "device", "control::units"]),
    ("plant", &["plant", "control::units", "control::signal", "device", "modbus"]),
    ("profile", &["profile", "control", "device"]),
    ("scenario", &["scenario", "control", "profile", "plant", "device"]),
    ("store", &["store", "control::site", "control::ledger", "control::units"]),
    ("services", &["services"]),
];

/// What `control` never holds: clocks, waiting, sockets, files, locks, floats, unordered maps.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "f32",
    "f64",
    "Instant",
    "SystemTime",
    "tokio",
    "Mutex",
    "RwLock",
    "AtomicU64",
    "thread",
    "TcpStream",
    "std::fs",
    "std::net",
    "std::env",
    "HashMap",
    "HashSet",
    "println",
    "unsafe",
];

/// Longest file that is still read in one sitting.
const LONGEST: usize = 620;

struct Source {
    path: PathBuf,
    room: String,
    /// Code without comments and string contents.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let inside = path.strip_prefix(&root).unwrap();
                let room = inside.components().next().unwrap().as_os_str().to_string_lossy();
                let room = room.trim_end_matches(".rs").to_owned();
                found.push(Source { room, code: code_only(&text), lines: text.lines().count(), path });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Drops comments and string contents, so that words in them do not count.
fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quoted = false;
        let mut previous = ' ';
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            if !quoted && c == '/' && chars.peek() == Some(&'/') {
                break;
            }
            if c == '"' && previous != '\\' && previous != '\'' {
                quoted = !quoted;
            }
            if !quoted {
                out.push(c);
            }
            previous = c;
        }
        out.push('\n');
    }
    out
}

/// Paths after `crate::`, one level into groups: `crate::control::{units::X, signal}` gives both.
fn uses(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let head: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        match rest[head.len()..].strip_prefix('{') {
            Some(group) => {
                for part in top_level(group) {
                    found.push(format!("{head}{}", part.trim()));
                }
            }
            None => found.push(head),
        }
    }
    found
}

/// The comma-separated parts of a group, up to its closing brace.
fn top_level(group: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[test]
fn modules_point_one_way() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = ARROWS.iter().find(|(room, _)| *room == source.room) else { continue };
        for path in uses(&source.code) {
            let fits = allowed.iter().any(|may| path == *may || path.starts_with(&format!("{may}::")));
            if !fits {
                wrong.push(format!("{}: uses crate::{path}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn the_pure_half_holds_no_clock_socket_lock_float_or_await() {
    let mut wrong = Vec::new();
    let tests =
        |path: &Path| path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
    for source in sources().into_iter().filter(|source| source.room == "control" && !tests(&source.path)) {
        for word in IMPURE {
            for (at, _) in source.code.match_indices(word) {
                let before = source.code[..at].chars().next_back();
                let after = source.code[at + word.len()..].chars().next();
                let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                if !part(before) && !part(after) {
                    let line = source.code[..at].matches('\n').count() + 1;
                    wrong.push(format!("{}:{line}: {word}", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not pure:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_one_sitting() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|source| source.lines > LONGEST)
        .map(|source| format!("{} {}", source.lines, source.path.display()))
        .collect();
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn clocks_are_read_in_one_file_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let home = source.path.ends_with("daemon/clock.rs");
        for call in ["SystemTime::now", "Timestamp::now", "Zoned::now"] {
            if source.code.contains(call) && !home {
                wrong.push(format!("{}: {call}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "the clock lives in src/daemon/clock.rs:\n{}", wrong.join("\n"));
}
