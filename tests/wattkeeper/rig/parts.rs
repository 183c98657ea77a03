//! The two processes of a case: the independent site, and the product.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a process may take until it answers.
const READY: Duration = Duration::from_secs(60);

/// Asks until something is there; the only place in these tests that lets time pass.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A folder for what a case leaves behind.
fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("independent-site");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The first of four neighbouring free ports: control, then up to three devices.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 500).unwrap() * 20;
    for _ in 0..500 {
        let first = 20_000 + (offset + NEXT.fetch_add(4, Ordering::Relaxed)) % 12_000;
        if (first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
    panic!("no four neighbouring ports between 20000 and 32000 are free");
}

/// A process that never outlives its test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// A connection to a control port on which one question was answered. That it was accepted says too little: a child
/// that another case forks just then holds the listener of [`free_ports`] until it executes, takes the connection and
/// drops it.
fn answering(port: u16) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(READY))?;
    let mut control = BufReader::new(stream);
    writeln!(control.get_mut(), "{}", json!({ "cmd": "state" }))?;
    let mut line = String::new();
    match control.read_line(&mut line)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(control),
    }
}

/// The independent site.
pub struct Site {
    _process: Owned,
    log: PathBuf,
    control: BufReader<TcpStream>,
    /// The first device's port.
    pub base: u16,
}

impl Site {
    /// Starts a site with settings such as `meter.lag=2` and further options.
    pub fn start(site: &str, settings: &[&str], options: &[&str]) -> Self {
        let peers = super::reference().unwrap().join("peers");
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/reference-venv/bin/python");
        assert!(
            python.exists(),
            "WATTKEEPER_REFERENCE is set, but {} is missing: run tests/reference-setup.sh once",
            python.display()
        );
        let first = free_ports();
        let log = scratch().join(format!("{first}.jsonl"));
        let complaints = File::create(log.with_extension("err")).unwrap();
        let process = Command::new(python)
            .args(["-m", "peer_site", site, "--base-port", &(first + 1).to_string(), "--log"])
            .arg(&log)
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .args(options)
            .current_dir(peers)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()
            .map(Owned)
            .unwrap();
        let control = wait_for("the independent site answers", READY, || answering(first).ok());
        Self { _process: process, log, control, base: first + 1 }
    }

    /// One command of the site's control port.
    pub fn tell(&mut self, command: Value) -> Value {
        writeln!(self.control.get_mut(), "{command}").unwrap();
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["ok"], true, "{command} was answered {answer}");
        answer
    }

    /// What is true now.
    pub fn truth(&mut self) -> Value {
        self.tell(json!({ "cmd": "state" }))
    }

    /// The site's time in seconds.
    pub fn now(&mut self) -> f64 {
        self.truth()["t"].as_f64().unwrap()
    }

    /// Sets the load and returns when that was.
    pub fn load(&mut self, watts: f64) -> f64 {
        self.tell(json!({ "cmd": "load", "w": watts }));
        self.now()
    }

    /// Sets the charge and returns when that was.
    pub fn charge(&mut self, percent: f64) -> f64 {
        self.tell(json!({ "cmd": "soc", "value": percent }));
        self.now()
    }

    /// Lets the site run for so many of its seconds and returns when that was over.
    pub fn run(&mut self, seconds: f64) -> f64 {
        let until = self.now() + seconds;
        self.until("time passes", seconds, |truth| truth["t"].as_f64().unwrap() >= until)
    }

    /// Waits for something to become true within so many seconds of the site; returns when it was.
    pub fn until(&mut self, what: &str, seconds: f64, seen: impl Fn(&Value) -> bool) -> f64 {
        let slack = Duration::from_secs_f64(2.0 * seconds + 20.0);
        let began = self.now();
        wait_for(what, slack, || {
            let truth = self.truth();
            let now = truth["t"].as_f64().unwrap();
            if seen(&truth) {
                return Some(now);
            }
            assert!(now - began <= seconds + 1.0, "not within {seconds} s: {what}; {truth}");
            None
        })
    }

    /// The log so far.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let (whole, _cut) = text.rsplit_once('\n').unwrap_or(("", ""));
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The product.
pub struct Keeper {
    process: Owned,
    log: PathBuf,
    address: String,
}

impl Keeper {
    /// `wattkeeper run` with a profile of this folder on a site, and values laid over it.
    pub fn run(site: &Site, profile: &str, devices: &[&str], set: &[&str]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wattkeeper/rig").join(profile);
        let log = scratch().join(format!("{}.keeper", site.base));
        let addresses =
            devices.iter().enumerate().filter(|(_, device)| !device.is_empty()).map(|(at, device)| {
                format!("device.{device}.address=127.0.0.1:{}", usize::from(site.base) + at)
            });
        let state = log.with_extension("state");
        let _absent = fs::remove_dir_all(&state);
        let process = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
            .arg("run")
            .arg(file)
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(&state)
            .args(
                addresses
                    .chain(set.iter().map(|value| (*value).to_owned()))
                    .flat_map(|value| ["--set".to_owned(), value]),
            )
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .map(Owned)
            .unwrap();
        let address = wait_for("wattkeeper says where its page is", READY, || {
            let text = fs::read_to_string(&log).ok()?;
            let rest = text.split_once("http://")?.1;
            Some(rest.split_once('/')?.0.to_owned())
        });
        Self { process, log, address }
    }

    /// What it publishes.
    pub fn state(&self) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET /api/v1/state HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Waits until its state shows something.
    pub fn until(&self, what: &str, seconds: u64, seen: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, Duration::from_secs(seconds), || Some(self.state()).filter(&seen))
    }

    /// Waits until nothing but self-consumption binds: the start is over.
    pub fn in_control(&self) {
        self.until("self-consumption binds", 60, |state| binding(state) == "self");
    }

    /// Gives it an order with the program's own command line and the token of its state folder.
    pub fn tell(&self, words: &[&str]) {
        let told = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
            .args(words)
            .args(["--daemon", &self.address, "--by", "rig", "--token-file"])
            .arg(self.log.with_extension("state").join("operator.token"))
            .output()
            .unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    }

    /// What it logged.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub fn terminate(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.process.0.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let status =
            wait_for("wattkeeper ends", Duration::from_secs(15), || self.process.0.try_wait().unwrap());
        assert!(status.success(), "ended with {status}:\n{}", self.said());
    }

    /// Kills it without a word.
    pub fn kill(self) {
        drop(self.process);
    }
}

/// The code of the reason that binds the decision; empty before the first.
pub fn binding(state: &Value) -> &str {
    let reasons = state["decision"]["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    reasons
        .iter()
        .find(|reason| reason["binding"] == true)
        .map_or("", |reason| reason["code"].as_str().unwrap())
}

/// The value of a signal; none while it is not known.
pub fn signal(state: &Value, name: &str) -> Option<f64> {
    state["signals"].as_array()?.iter().find(|signal| signal["name"] == name)?["value"].as_f64()
}
