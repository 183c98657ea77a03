//! Orders to the running daemon: `hold`, `charge`, `discharge`, `set`, `overlay`, `release`, `generator`, and `token`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::daemon::orders::token_file;
use crate::services::orders::{Kind, Order, PATH};
use crate::services::overlays;

use super::client::{self, DaemonArgs};

/// Whom to ask, and as whom.
#[derive(Debug, clap::Args)]
struct Give {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Who gives the order; it stands in the events [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Read the operator's token here [default: $WATTKEEPER_TOKEN itself, else operator.token in the state folder]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// For how long.
#[derive(Debug, clap::Args)]
struct Lasts {
    /// For how long, such as 30m, 2h or 1h30m; at most 24h
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = seconds)]
    lasts: u32,
}

/// For how long, and how deep.
#[derive(Debug, clap::Args)]
struct Spends {
    /// Go below the floor, down to the absolute floor; at most 4h
    #[arg(long)]
    use_reserve: bool,
    #[command(flatten)]
    lasts: Lasts,
}

/// Keep the battery from discharging for a while; what is left over still charges it
///
/// The order ends by itself. It is written down, so a restart does not end it.
#[derive(Debug, clap::Args)]
pub struct Hold {
    #[command(flatten)]
    lasts: Lasts,
    #[command(flatten)]
    give: Give,
}

/// Charge the battery for a while, from the grid too
///
/// Every limit above it holds: BMS, temperature, import limit. The order waits while state of charge or meter are not
/// good, and ends by itself.
#[derive(Debug, clap::Args)]
pub struct Charge {
    /// With how much battery power, in W [default: as much as the limits allow]
    #[arg(value_name = "WATTS")]
    watts: Option<i32>,
    #[command(flatten)]
    lasts: Lasts,
    #[command(flatten)]
    give: Give,
}

/// Discharge the battery for a while, into the grid too where the profile allows export
#[derive(Debug, clap::Args)]
pub struct Discharge {
    /// With how much battery power, in W
    #[arg(value_name = "WATTS")]
    watts: i32,
    #[command(flatten)]
    spends: Spends,
    #[command(flatten)]
    give: Give,
}

/// Steer the grid to another setpoint, or change another value of the policy, for a while
///
/// The file of the profile stays as it is; what it says holds again afterwards.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// What to set: setpoint=WATTS, import positive, for example setpoint=-500; or a key of the policy, for example
    /// policy.battery.floor=60
    #[arg(value_name = "KEY=VALUE", value_parser = what)]
    what: What,
    #[command(flatten)]
    spends: Spends,
    #[command(flatten)]
    give: Give,
}

/// What `set` sets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Setpoint(i32),
    Key(String),
}

/// Put an overlay of the profile on for a while, or take it off
///
/// An overlay is a part of the profile with a name, such as [overlay.storm]. It ends by itself and outlives a restart.
#[derive(Debug, clap::Args)]
pub struct Overlay {
    /// Its name in the profile; with --off also a key that was set
    name: String,
    /// For how long, such as 12h or 7d; at most 31 days
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = seconds)]
    lasts: u32,
    /// Take it off now
    #[arg(long, conflicts_with = "lasts")]
    off: bool,
    #[command(flatten)]
    give: Give,
}

/// Take back the order for the battery
#[derive(Debug, clap::Args)]
pub struct Release {
    #[command(flatten)]
    give: Give,
}

/// Run or stop the generator, or leave its lock-out
#[derive(Debug, clap::Args)]
pub struct Generator {
    /// What it is to do
    #[arg(value_enum)]
    what: Word,
    /// For how long, such as 30m or 2h [default: until changed]
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    lasts: Option<u32>,
    #[command(flatten)]
    give: Give,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Word {
    /// Run, whatever the conditions say
    Run,
    /// Stop, and veto every automatic start
    Off,
    /// Leave it to its conditions
    Auto,
    /// Leave lock-out
    Acknowledge,
}

/// Print the operator's token, which every order needs
#[derive(Debug, clap::Args)]
pub struct Token {
    /// The daemon's state folder [default: as for `run`]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

pub fn hold(args: &Hold) -> ExitCode {
    give(&args.give, Kind::Hold, None, Some(args.lasts.lasts), false)
}

pub fn charge(args: &Charge) -> ExitCode {
    give(&args.give, Kind::Charge, args.watts, Some(args.lasts.lasts), false)
}

pub fn discharge(args: &Discharge) -> ExitCode {
    give(
        &args.give,
        Kind::Discharge,
        Some(args.watts),
        Some(args.spends.lasts.lasts),
        args.spends.use_reserve,
    )
}

pub fn set(args: &Set) -> ExitCode {
    let lasts = args.spends.lasts.lasts;
    match &args.what {
        What::Setpoint(watts) => {
            give(&args.give, Kind::Setpoint, Some(*watts), Some(lasts), args.spends.use_reserve)
        }
        What::Key(_) if args.spends.use_reserve => {
            eprintln!("wattkeeper: only setpoint can use the reserve");
            ExitCode::from(super::USED_WRONGLY)
        }
        What::Key(set) => lay(
            &args.give,
            overlays::Overlay {
                set: Some(set.clone()),
                seconds: Some(lasts),
                ..overlays::Overlay::default()
            },
        ),
    }
}

pub fn overlay(args: &Overlay) -> ExitCode {
    let seconds = (!args.off).then_some(args.lasts);
    let overlay = Some(args.name.clone());
    lay(&args.give, overlays::Overlay { overlay, seconds, off: args.off, ..overlays::Overlay::default() })
}

fn lay(give: &Give, overlay: overlays::Overlay) -> ExitCode {
    let overlay = overlays::Overlay { by: name(give), ..overlay };
    send(give, overlays::PATH, &overlay, overlay.check())
}

pub fn release(args: &Release) -> ExitCode {
    give(&args.give, Kind::Release, None, None, false)
}

pub fn generator(args: &Generator) -> ExitCode {
    let kind = match args.what {
        Word::Run => Kind::GeneratorRun,
        Word::Off => Kind::GeneratorOff,
        Word::Auto => Kind::GeneratorAuto,
        Word::Acknowledge => Kind::GeneratorAcknowledge,
    };
    give(&args.give, kind, None, args.lasts, false)
}

pub fn token(args: &Token) -> ExitCode {
    let Some(state) = args.state.clone().or_else(super::run::state_folder) else {
        return super::problem("no state folder is known; name one with --state");
    };
    match read(&token_file(&state)) {
        Ok(token) => {
            println!("{token}");
            ExitCode::SUCCESS
        }
        Err(text) => super::problem(text),
    }
}

fn give(give: &Give, order: Kind, watts: Option<i32>, seconds: Option<u32>, use_reserve: bool) -> ExitCode {
    let order = Order { order, watts, seconds, use_reserve, by: name(give) };
    send(give, PATH, &order, order.check())
}

/// Who gives it.
fn name(give: &Give) -> String {
    give.by.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_default()
}

fn send(give: &Give, path: &str, asked: &impl serde::Serialize, checked: Result<(), &str>) -> ExitCode {
    if let Err(why) = checked {
        eprintln!("wattkeeper: {why}");
        return ExitCode::from(super::USED_WRONGLY);
    }
    let sent = secret(give).and_then(|token| {
        let body = serde_json::to_string(asked).map_err(|error| error.to_string())?;
        client::post(give.daemon.daemon, path, &token, &body).map_err(|error| error.to_string())
    });
    match sent {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => super::problem(text),
    }
}

/// The operator's token.
fn secret(give: &Give) -> Result<String, String> {
    if let Some(file) = &give.token_file {
        return read(file);
    }
    if let Some(token) = std::env::var("WATTKEEPER_TOKEN").ok().filter(|token| !token.trim().is_empty()) {
        return Ok(token.trim().to_owned());
    }
    let state = super::run::state_folder()
        .ok_or("no state folder is known; name the token's file with --token-file")?;
    read(&token_file(&state))
}

fn read(file: &std::path::Path) -> Result<String, String> {
    std::fs::read_to_string(file).map(|text| text.trim().to_owned()).map_err(|error| {
        format!(
            "the operator's token cannot be read from {}: {error}. The daemon makes it at its first start, for its \
             own user: ask as that user, or name a copy with --token-file",
            file.display()
        )
    })
}

/// `setpoint=WATTS`, or a key of the policy and its value.
fn what(text: &str) -> Result<What, String> {
    let way_out = "write setpoint=WATTS, for example setpoint=-500, or a key of the policy and its value, for example \
                   policy.battery.floor=60";
    let (key, value) = text.split_once('=').ok_or(way_out)?;
    let (key, value) = (key.trim(), value.trim());
    if key == "setpoint" {
        let watts = value.trim_end_matches('W').trim().parse();
        return watts.map(What::Setpoint).map_err(|_| way_out.to_owned());
    }
    if value.is_empty() || !(key.starts_with("policy.") || key == "control") {
        return Err(way_out.to_owned());
    }
    Ok(What::Key(format!("{key}={value}")))
}

/// A time in whole seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let way_out = || "write a time such as 45s, 30m, 2h, 1h30m or 7d".to_owned();
    // Here a day is 24 hours, whatever the clocks do.
    let (days, rest) = text.split_once('d').unwrap_or(("0", text));
    let days: i64 = days.parse().map_err(|_| way_out())?;
    let rest: jiff::SignedDuration = if rest.is_empty() && days > 0 {
        jiff::SignedDuration::ZERO
    } else {
        rest.parse().map_err(|_| way_out())?
    };
    let seconds = days.checked_mul(86_400).and_then(|days| days.checked_add(rest.as_secs()));
    seconds.and_then(|seconds| u32::try_from(seconds).ok()).filter(|seconds| *seconds > 0).ok_or_else(way_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_setpoints_are_read_as_people_write_them() {
        assert_eq!((seconds("45s"), seconds("2h"), seconds("1h30m")), (Ok(45), Ok(7_200), Ok(5_400)));
        assert_eq!((seconds("7d"), seconds("1d12h")), (Ok(604_800), Ok(129_600)));
        for text in ["", "2", "-2h", "0s", "soon", "0d", "-1d", "d", "9999999999999999d"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(what("setpoint=-500"), Ok(What::Setpoint(-500)));
        assert_eq!(what("setpoint = 500 W"), Ok(What::Setpoint(500)));
        let floor = "policy.battery.floor=40";
        assert_eq!(what(floor), Ok(What::Key(floor.to_owned())));
        for text in ["500", "setpoint", "policy.battery.floor=", "authority=9kW", "setpoint=much"] {
            assert!(what(text).is_err(), "{text}");
        }
    }
}
