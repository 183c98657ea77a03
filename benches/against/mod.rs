//! What the benches with a rival share: the rivals' programs, pinned processes and what they cost.
//!
//! The rivals live outside this project: `WATTKEEPER_REFERENCE` names the folder they are built in (see README.md).
#![allow(missing_docs, clippy::unwrap_used, dead_code)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The rivals' server answers here, below the ports that connections take for themselves.
pub const PORT: u16 = 7_911;

/// Where the rivals are; without them there is nothing to compare, which is said and is no failure.
pub fn rivals() -> Option<PathBuf> {
    let folder = std::env::var_os("WATTKEEPER_REFERENCE").map(PathBuf::from);
    if folder.is_none() {
        println!("no rival: WATTKEEPER_REFERENCE is not set (see benches/README.md)");
    }
    folder
}

/// Devices that only are polled: with meter and inverter a site has as many as it may have.
pub const DEVICES: u16 = 498;

/// A number that the environment may set, such as rounds.
pub fn number<T: FromStr>(name: &str, usual: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A process that ends with its owner.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A program on one core: servers on the first, clients on the second.
pub fn pinned(core: u8, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program).stderr(Stdio::null());
    command
}

/// The server that all clients ask: this bench once more, with its first argument `server`.
pub fn server() -> Running {
    let own = std::env::current_exe().unwrap();
    let running = Running(pinned(0, &own).arg("server").spawn().unwrap());
    std::thread::sleep(Duration::from_millis(300));
    running
}

/// Whether this process was started as that server; it then never comes back.
pub fn serves() -> bool {
    let serves = std::env::args().nth(1).is_some_and(|argument| argument == "server");
    if serves {
        let runtime = wattkeeper::daemon::runtime().unwrap();
        runtime.block_on(async {
            // On every address of this machine, so that many devices can have one each.
            let listener = tokio::net::TcpListener::bind(("0.0.0.0", PORT)).await.unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answer(stream));
            }
        });
    }
    serves
}

/// Registers hold their own addresses and writes change nothing; one write for all requests that came together.
async fn answer(mut stream: tokio::net::TcpStream) -> std::io::Result<()> {
    let (mut asked, mut told) = (Vec::with_capacity(1_024), Vec::with_capacity(1_024));
    while stream.read_buf(&mut asked).await? > 0 {
        told.clear();
        let whole = asked.len() / 12 * 12;
        for frame in asked[..whole].chunks_exact(12) {
            let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            if frame[7] == 6 {
                told.extend_from_slice(frame);
                continue;
            }
            let (address, count) = (word(8), word(10).min(125));
            told.extend_from_slice(&frame[..4]);
            told.extend_from_slice(&(3 + 2 * count).to_be_bytes());
            told.extend_from_slice(&[frame[6], frame[7], 2 * count as u8]);
            told.extend((0..count).flat_map(|at| (address + at).to_be_bytes()));
        }
        asked.drain(..whole);
        stream.write_all(&told).await?;
    }
    Ok(())
}

/// The last line that a program prints.
pub fn last_line(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().unwrap_or_default().to_owned()
}

/// A number of a line of JSON, by its name.
pub fn field(line: &str, name: &str) -> f64 {
    let (_, rest) = line.split_once(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name}: {line}"));
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    rest.get(..end).unwrap().trim().parse().unwrap()
}

/// What a process has used of the processor so far, all its threads together.
pub fn cpu(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = threads.filter_map(Result::ok).map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

/// Memory of a process in MB.
pub fn memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap();
    text.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4_096.0 / 1e6
}

/// The middle of some numbers.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The metrics page as it is now.
pub fn scrape(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// Sum of all series of one metric.
pub fn total(page: &str, metric: &str) -> f64 {
    let own = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    page.lines().filter(own).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// A definition of a device whose registers hold their own addresses: `reads` requests of 60 registers each, ten
/// values in each of them.
pub fn definition(reads: u16) -> String {
    const TOLD: [&str; 30] = [
        "grid.power",
        "grid.power.l1",
        "grid.power.l2",
        "grid.power.l3",
        "grid.voltage.l1",
        "grid.voltage.l2",
        "grid.voltage.l3",
        "grid.current.l1",
        "grid.current.l2",
        "grid.current.l3",
        "load.power",
        "load.power.l1",
        "load.power.l2",
        "load.power.l3",
        "pv.power",
        "pv.power.l1",
        "pv.power.l2",
        "pv.power.l3",
        "pv.dc.power",
        "generator.power",
        "inverter.power",
        "inverter.power.l1",
        "inverter.power.l2",
        "inverter.power.l3",
        "inverter.voltage",
        "battery.voltage",
        "battery.current",
        "battery.power",
        "load.out.power",
        "load.in.power",
    ];
    let mut text = format!("{HEAD}[limits]\nmax-registers = 60\n");
    text += &format!("[[readable]]\nat = \"holding:0\"\nto = {}\nsource = \"bench\"\n", reads * 60 - 1);
    for (at, signal) in (0_u16..).zip(TOLD.iter().take(usize::from(reads) * 10)) {
        // Six registers apart, and the last of each read at its very end.
        let address = at / 10 * 60 + if at % 10 == 9 { 58 } else { at % 10 * 6 };
        let unit = match signal {
            signal if signal.contains("voltage") => "V",
            signal if signal.contains("current") => "A",
            _ => "W",
        };
        text += &format!(
            "[[point]]\nsignal = \"{signal}\"\nat = \"holding:{address}\"\nas = \"i32\"\nunit = \"{unit}\"\nscale = 0.1\nabsent = 0x7FFFFFFF\npace = \"fast\"\nsource = \"bench\"\nwords = {{ raw = [0, 10], value = 1, origin = \"constructed\" }}\n"
        );
    }
    text
}

/// Devices that are polled and play no part, each at an address of its own.
pub fn background(devices: u16) -> String {
    let device = |at: u16| {
        let [high, low] = at.to_be_bytes();
        format!(
            "[device.d{at:03}]\ndefinition = \"./background.toml\"\naddress = \"127.1.{high}.{low}:{PORT}\"\nroles = [\"io\"]\n"
        )
    };
    (1..=devices).map(device).collect()
}

/// A site under control, with nothing that holds an order back: meter and inverter at these addresses.
pub fn site(meter: &str, inverter: &str) -> String {
    format!(
        r#"schema = 1
control = "on"
authority = "5 kW"
[site]
name = "Bench"
[device.meter]
definition = "./meter.toml"
address = "{meter}"
roles = ["grid-meter"]
lag = "0s"
[device.inverter]
definition = "./inverter.toml"
address = "{inverter}"
roles = ["battery", "inverter"]
phases = ["l1"]
max_charge = "5 kW"
max_discharge = "5 kW"
dead_time = "0s"
response = "0s"
[policy.battery]
floor = 0
[policy.regulator]
deadband = "0 W"
ramp = "none"
trim = false
shortest_cycle = "20ms"
"#
    )
}

const METER: &str = r#"
[limits]
fast = "50ms"
[[readable]]
at = "holding:0"
to = 59
source = "bench"
[[point]]
signal = "grid.power"
at = "holding:0"
as = "u16"
unit = "W"
pace = "fast"
source = "bench"
words = { raw = [10], value = 10, origin = "constructed" }
[[point]]
signal = "grid.voltage.l1"
at = "holding:59"
as = "u16"
unit = "V"
pace = "fast"
source = "bench"
words = { raw = [230], value = 230, origin = "constructed" }
"#;

const INVERTER: &str = r#"
[[point]]
signal = "inverter.power.l1"
at = "holding:0"
as = "i16"
unit = "W"
pace = "fast"
source = "bench"
words = { raw = [10], value = 10, origin = "constructed" }
[[point]]
signal = "battery.soc"
at = "holding:50"
as = "u16"
unit = "%"
pace = "fast"
source = "bench"
words = { raw = [50], value = 50, origin = "constructed" }
[control.inverter-power]
refresh = "3s"
watchdog = "10s"
if-lost = "bench"
source = "bench"
words = { raw = [1000], given = [1000, 0, 0], origin = "constructed" }
[[control.inverter-power.command]]
at = "holding:1"
function = 6
fields = [{ value = "power.l1", as = "i16" }]
persistence = "cyclic"
[[control.inverter-power.release]]
at = "holding:1"
function = 6
fields = [{ value = 0, as = "i16" }]
persistence = "cyclic"
"#;

/// The first lines of each definition.
const HEAD: &str = "schema = 1\nmaker = \"bench\"\nmodel = \"bench\"\nsource = \"bench\"\n";

/// The controller under a profile, pinned as all clients are, with a memory of its own that begins empty: it is killed
/// each time, and must not take that for a row of crashes.
pub fn controller(profile: &Path, listen: &str) -> Command {
    let state = profile.with_file_name("state");
    let _absent = std::fs::remove_dir_all(&state);
    let mut command = pinned(1, Path::new(env!("CARGO_BIN_EXE_wattkeeper")));
    if std::env::var_os("WATTKEEPER_FIRST").is_some() {
        // The thread that controls goes before all of the machine; its others stay what they are.
        command = Command::new("chrt");
        command.args(["--reset-on-fork", "--fifo", "10", "taskset", "-c", "1"]);
        command.arg(env!("CARGO_BIN_EXE_wattkeeper")).stderr(Stdio::null());
    }
    command
        .arg("run")
        .arg(profile)
        .args(["--listen", listen])
        .arg("--state")
        .arg(state)
        .stdout(Stdio::null());
    command
}

/// A folder with a profile of these devices and the definition of the polled ones; returns the profile's path.
pub fn profile(name: &str, text: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("wattkeeper-bench-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("background.toml", &definition(3));
    write("meter.toml", &format!("{HEAD}{METER}"));
    write("inverter.toml", &format!("{HEAD}{INVERTER}"));
    let profile = folder.join("profile.toml");
    std::fs::write(&profile, text).unwrap();
    profile
}
