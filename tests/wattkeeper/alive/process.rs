//! The real process: started, watched, told, stopped and killed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use wattkeeper::plant::site::{Served, SimulatedSite, SiteKind, SiteOptions};

use crate::rig::parts::wait_for;

/// A process may take this long for anything, on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);

/// Simulated devices on loopback, on a thread of their own, as long as this lives.
pub struct Devices {
    pub served: Vec<Served>,
    site: SimulatedSite,
    _alive: tokio::sync::oneshot::Sender<()>,
}

impl Devices {
    /// A hut whose generator hangs on a relay.
    pub fn hut(set: &[(&str, f64)]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let options = SiteOptions { phases: 1, set, ..SiteOptions::default() };
        let site = runtime.block_on(SimulatedSite::start(SiteKind::OffGrid, &options)).unwrap();
        let (alive, gone) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || runtime.block_on(gone));
        Self { served: site.devices().to_vec(), site, _alive: alive }
    }

    /// A truth of the plant.
    pub fn truth(&self, name: &str) -> f64 {
        self.site.get(name).unwrap()
    }

    /// How often a device was written to.
    pub fn written(&self, device: &str) -> usize {
        let world = self.site.world();
        let world = wattkeeper::plant::fake::open(&world);
        world.devices().iter().find(|known| known.name == device).unwrap().written().len()
    }

    /// Writes the hut's profile for these devices into a folder, with further lines in its policy.
    pub fn profile(&self, folder: &Path, change: impl Fn(String) -> String) -> PathBuf {
        let mut text = include_str!("hut.toml").to_owned();
        for device in &self.served {
            text = text.replace(&format!("ADDRESS-{}", device.name), &device.address.to_string());
        }
        let path = folder.join("site.toml");
        // In one step, as a careful editor does.
        fs::write(folder.join("site.new"), change(text)).unwrap();
        fs::rename(folder.join("site.new"), &path).unwrap();
        path
    }
}

/// A running `wattkeeper run`. It never outlives its test.
pub struct Product {
    process: Child,
    log: PathBuf,
    socket: UnixDatagram,
    born: Instant,
}

impl Product {
    /// Starts it on a profile, with its state beside it; this test is its service manager.
    pub fn start(profile: &Path) -> Self {
        Self::start_with(profile, &[])
    }

    /// The same with more environment.
    pub fn start_with(profile: &Path, environment: &[(&str, &str)]) -> Self {
        let folder = profile.parent().unwrap();
        let path = folder.join("notify");
        let _absent = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let log = folder.join("log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let born = Instant::now();
        let process = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
            .arg("run")
            .arg(profile)
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(folder.join("state"))
            .env("NOTIFY_SOCKET", &path)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { process, log, socket, born }
    }

    /// What it told its service manager within this time, up to what is looked for.
    pub fn told(&self, word: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut bytes = [0; 4_096];
        while Instant::now() < deadline {
            if let Ok(count) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                if text.lines().any(|line| line.starts_with(word)) {
                    return true;
                }
            }
        }
        false
    }

    /// Waits for its first decision; how long the start took.
    pub fn ready(&self) -> Duration {
        assert!(self.told("READY=1", SOON), "no decision:\n{}", self.said());
        self.born.elapsed()
    }

    /// What is waiting to be heard by its service manager is forgotten.
    pub fn forget(&self) {
        let mut bytes = [0; 4_096];
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut bytes).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }

    /// What it logged, and those before it in the same folder.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Where its page is, once it has said so.
    fn address(&self) -> Option<String> {
        Some(self.said().rsplit_once("page: http://")?.1.split_once('/')?.0.to_owned())
    }

    /// Runs a command of the same program that speaks to it, with this token.
    pub fn tell(&self, words: &[&str], token: &str) -> Output {
        let command = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
            .args(words)
            .args(["--daemon", &self.address().unwrap()])
            .env("WATTKEEPER_TOKEN", token)
            .output();
        command.unwrap()
    }

    /// What it publishes.
    pub fn state(&self) -> Option<Value> {
        let address = self.address()?;
        let mut stream = TcpStream::connect(&address).ok()?;
        write!(stream, "GET /api/v1/state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until what it publishes shows something.
    pub fn until(&self, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || self.state().filter(&seen))
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for("the process ends", SOON, || self.process.try_wait().unwrap())
    }

    /// Asks it to stop, as a service manager does, and waits until it has.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.ended();
        assert!(status.success(), "ended with {status}:\n{}", self.said());
    }

    /// Kills it without a word.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.ended();
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

/// Whether an alarm is active.
pub fn alarmed(state: &Value, code: &str) -> bool {
    let alarms = state["alarms"].as_array().map_or(&[][..], Vec::as_slice);
    alarms.iter().any(|alarm| alarm["code"] == code && alarm["active"] == true)
}
