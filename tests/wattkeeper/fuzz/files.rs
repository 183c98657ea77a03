//! Files of a person: any bytes as a profile or a definition are refused in words or accepted.

use wattkeeper::device::definition::Definition;
use wattkeeper::profile::{self, Overrides};

use super::{LONGEST, number, time};
use crate::corpus;

/// A profile from bytes.
pub fn profile(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let read = profile::load_text("it.toml", text, None, &Overrides::default());
        let mistakes = read.err().unwrap_or_default();
        assert!(mistakes.iter().all(|mistake| !mistake.cause.is_empty() && !mistake.way_out.is_empty()));
    }
}

/// A definition from bytes.
pub fn definition(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let lines = text.lines().count().max(1) + 1;
        let mistakes = Definition::parse(text, "it.toml").err().unwrap_or_default();
        assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)));
    }
}

/// Short profiles with a bit of everything, so that one input takes microseconds.
pub fn profiles() -> Vec<Vec<u8>> {
    let parts = [
        "schema = 1\ncontrol = \"on\"\nauthority = \"5 kW\"\nlisten = \"127.0.0.1:80\"\n[site]\nname = \"H\"\ntimezone = \"UTC\"\n[device.b]\nroles = [\"io\"]\n",
        "schema = 1\n[device.b]\nroles = [\"battery\"]\n[device.i]\nroles = [\"inverter\", \"grid-meter\"]\nphases = [\"l1\"]\nmax_charge = \"3 kW\"\n[policy.battery]\nfloor = 20\n",
        "schema = 1\n[device.b]\nroles = [\"battery\", \"generator\", \"generator-contact\"]\n[policy.generator]\nstart = { soc = 40, for = \"1m\" }\nstop = { soc = 80 }\nquiet = { from = \"22:00\", to = \"07:00\", start = { soc = 25 } }\n",
        "schema = 1\n[device.b]\nroles = [\"battery\"]\n[policy.battery]\ncapacity = \"10 kWh\"\n[policy.schedule.night]\ndays = [\"mon\"]\nstart = \"02:00\"\nduration = \"3h\"\n[policy.plan.a]\nstart = 2026-06-01T12:00:00Z\nduration = \"1h\"\ntarget = 80\n",
        "schema = 1\n[device.io]\ndefinition = \"io/waveshare-relay\"\naddress = \"192.0.2.1:502\"\nunit = 3\nframing = \"rtu-over-tcp\"\nroles = [\"generator-contact\"]\ncontact = 2\nrunning_input = 1\npoll = \"1s\"\n",
    ];
    parts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The corpus' definitions and the parts of them that are files of their own.
pub fn definitions() -> Vec<Vec<u8>> {
    let head = "schema = 1\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\n";
    let mut seeds: Vec<Vec<u8>> =
        ["meter.toml", "inverter.toml", "pv.toml"].map(|name| corpus::base(name).into_bytes()).to_vec();
    for tail in [
        "[[point]]\nsignal = \"grid.power\"\nat = \"input:52\"\nas = \"f32\"\nscale = 0.1\nrange = [0, 500]\nsource = \"s\"\nwords = { raw = [0, 0], value = 0, origin = \"constructed\" }\n",
        "[limits]\nmax-registers = 9\nbusy = [6]\n[unit]\na = 1\nb = \"none\"\n[[readable]]\non = \"a\"\nat = \"holding:0\"\nto = 9\nsource = \"s\"\n",
        "[control.relay]\nrefresh = \"none\"\nwatchdog = \"none\"\nif-lost = \"x\"\nsource = \"s\"\nchannels = 8\nwords = { raw = [1], given = true, origin = \"documented\" }\n[[control.relay.command]]\nat = \"coil:0\"\nfunction = 5\nfields = [{ value = \"run\", as = \"bool\" }]\npersistence = \"cyclic\"\n",
    ] {
        seeds.push(format!("{head}{tail}").into_bytes());
    }
    seeds
}

/// Files of nothing but one thing, a whole mebibyte of it in a campaign: no error in them may cost the whole file again.
#[test]
fn long_files_of_one_thing_are_refused_and_harm_nothing() {
    let campaign = number("WATTKEEPER_FUZZ").is_some();
    let size = if campaign { (1 << 20) - 12 } else { 1 << 14 };
    let ones = [
        "a = 1\n",
        "[",
        "x.",
        "[a]\n",
        "\"",
        "[[point]]\n",
        "schema = 1\n",
        "a",
        "[device.a]\n",
        "= \n",
        "a = {",
        "\n",
    ];
    let mut texts: Vec<String> = ones.iter().map(|piece| piece.repeat(size / piece.len())).collect();
    for line in [
        "key# = 1\n",
        "[devic.d#]\nx = 1\n",
        "[device.d#]\nroles = [\"io\"]\n",
        "[device.d.units]\nu# = #\n",
        "[policy.plan.p#]\ntarget = 50\n",
        "[control.relay#]\nchannels = 8\n",
        "[[point]]\nsignal = \"relay\"\nat = \"coil:#\"\nsource = \"#\"\n",
    ] {
        texts.push((0..size / (line.len() + 8)).map(|at| line.replace('#', &at.to_string())).collect());
    }
    for (key, piece) in [
        ("authority", "9"),
        ("authority", "5 kW "),
        ("device.a.poll", "1s"),
        ("site.timezone", "Europe/"),
        ("listen", "1:"),
    ] {
        texts.push(format!("{key} = \"{}\"\n", piece.repeat((size - 32) / piece.len())));
    }
    for (key, item) in [
        ("device.a.roles", "\"pv\","),
        ("device.a.phases", "\"l2\","),
        ("limits.busy", "6,"),
        ("extends", "\"demo\","),
    ] {
        texts.push(format!("{key} = [{}]\n", item.repeat((size - 32) / item.len())));
    }
    for (name, body) in [("profile", profile as fn(&[u8])), ("definition", definition)] {
        for text in &texts {
            let took = time(body, format!("schema = 1\n{text}").as_bytes(), LONGEST);
            println!("{name}: {} KiB of {:?} in {took:?}", size / 1_024, text.get(..24));
            assert!(!campaign || took <= LONGEST, "{name}: {:?} takes {took:?}", text.get(..24));
        }
    }
}
