//! What is wrong with a file as a whole: its letters, its length, what it is, what it builds on.

use std::path::{Path, PathBuf};

use wattkeeper::device::mistake::Mistake;
use wattkeeper::profile::{self, Overrides};

use super::{apply, base, shown};

/// A folder of its own, gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wattkeeper-corpus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mistakes(path: &Path) -> Vec<Mistake> {
    profile::load(path, &Overrides::default()).err().unwrap_or_default()
}

#[track_caller]
fn only(path: &Path, line: usize, cause: &str, way_out: &str) -> Mistake {
    let found = mistakes(path);
    let [mistake] = found.as_slice() else { panic!("{}", shown(&found)) };
    assert_eq!(mistake.line, line, "{mistake}");
    assert!(mistake.cause.contains(cause) && mistake.way_out.contains(way_out), "{mistake}");
    mistake.clone()
}

#[test]
fn letters_of_another_encoding_are_told_with_their_line_and_load_as_utf_8() {
    let folder = Folder::new("letters");
    let text = base("hut.toml").replace("\"Hut\"", "\"Almhütte\"");
    let latin: Vec<u8> = text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    only(&folder.write("latin.toml", latin), 6, "not UTF-8", "save it as UTF-8");
    let wide: Vec<u8> =
        std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    only(&folder.write("wide.toml", wide), 1, "not UTF-8", "save it as UTF-8");
    assert!(mistakes(&folder.write("saved.toml", text)).is_empty());
}

#[test]
fn the_mark_and_the_line_ends_of_another_system_are_no_mistake() {
    let folder = Folder::new("ends");
    let text = base("hut.toml");
    let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let found = mistakes(&folder.write("windows.toml", &marked));
    assert!(found.is_empty(), "{}", shown(&found));
    let wrong = marked.replace("floor = 20", "flor = 20");
    assert_eq!(
        only(&folder.write("wrong.toml", wrong), 20, "did you mean", "write `floor`").key,
        "policy.battery.flor"
    );
}

#[test]
fn a_file_that_is_too_long_is_refused_and_loads_in_two_parts() {
    let folder = Folder::new("long");
    let (head, rest) = (base("hut.toml"), "# meters of the year\n".repeat(60_000));
    only(&folder.write("long.toml", format!("{head}{rest}")), 1, "no more than 1024 are read", "`extends`");
    let text = base("hut.toml").replacen("schema = 1", "schema = 1\nextends = [\"./rest.toml\"]", 1);
    folder.write("rest.toml", format!("schema = 1\n{}", &rest[..500_000]));
    let found = mistakes(&folder.write("short.toml", text));
    assert!(found.is_empty(), "{}", shown(&found));
}

#[test]
fn what_is_no_file_is_refused_by_what_it_is() {
    let folder = Folder::new("kinds");
    let ready = "ready-made ones are demo, off-grid";
    only(&folder.0, 0, "it is no file", ready);
    only(&folder.0.join("absent.toml"), 0, "it cannot be read", ready);
    only(Path::new("/dev/zero"), 0, "it is no file", ready);
}

#[test]
fn nesting_too_deep_is_a_mistake_and_no_end_of_the_process() {
    let folder = Folder::new("deep");
    for (name, text) in [
        ("list", format!("schema = 1\nit = {}", "[".repeat(300_000))),
        ("braces", format!("schema = 1\nit = {}", "{ a = ".repeat(100_000))),
        ("dots", format!("schema = 1\n{}b = 1", "a.".repeat(300_000))),
        ("header", format!("schema = 1\n[{}b]", "a.".repeat(300_000))),
    ] {
        assert!(!mistakes(&folder.write(&format!("{name}.toml"), text)).is_empty(), "{name}");
    }
}

#[test]
fn a_circle_of_profiles_is_told_and_opens_where_the_way_out_says() {
    let folder = Folder::new("circle");
    let a = folder.write("a.toml", "schema = 1\nextends = [\"./b.toml\"]\n[device.io]\nroles = [\"io\"]\n");
    let b = "schema = 1\nextends = [\"./a.toml\"]\n";
    folder.write("b.toml", b);
    let found = mistakes(&a);
    let circle = found
        .iter()
        .find(|it| it.cause.contains("builds on this file again"))
        .unwrap_or_else(|| panic!("{}", shown(&found)));
    assert!(circle.file.ends_with("b.toml") && circle.line == 2, "{circle}");
    folder.write("b.toml", apply::apply(b, circle).unwrap());
    assert!(mistakes(&a).is_empty(), "{}", shown(&mistakes(&a)));
}

#[test]
fn profiles_that_build_on_others_twice_are_refused_before_they_multiply() {
    let folder = Folder::new("twice");
    let first = folder.write("p0.toml", "schema = 1\nextends = [\"./p1.toml\", \"./p1.toml\"]\n");
    for at in 1..30 {
        let next = at + 1;
        let text = format!("schema = 1\nextends = [\"./p{next}.toml\", \"./p{next}.toml\"]\n");
        folder.write(&format!("p{at}.toml"), text);
    }
    folder.write("p30.toml", base("hut.toml"));
    only(&first, 2, "builds on more than 32 profiles", "in one place only");
    let many = format!("schema = 1\nextends = [{}]\n", "\"demo\", ".repeat(40));
    only(&folder.write("many.toml", many), 2, "builds on more than 32 profiles", "remove `\"demo\"` here");
}

#[test]
fn a_mistake_in_an_own_definition_is_told_once_in_its_own_file() {
    let folder = Folder::new("definition");
    let own = base("meter.toml").replace("timeout = \"1s\"", "timeout = 1");
    folder.write("meter.toml", &own);
    let text = base("house.toml").replace("meters/eastron-sdm630", "./meter.toml");
    let second = "\n[device.second]\ndefinition = \"./meter.toml\"\naddress = \"192.0.2.20:502\"\nroles = [\"load-meter\"]\n";
    let path = folder.write("house.toml", text + second);
    let mistake = only(&path, 8, "not a duration", "write `timeout = \"1s\"`");
    assert!(mistake.file.ends_with("meter.toml"), "{mistake}");
    folder.write("meter.toml", apply::apply(&own, &mistake).unwrap());
    assert!(mistakes(&path).is_empty(), "{}", shown(&mistakes(&path)));
}
