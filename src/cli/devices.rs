//! `wattkeeper devices`: the devices of the running site, or everything there is a definition for.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::device::definition::Definition;
use crate::device::library;
use crate::services::published::{Device, Published};

use super::client::{self, DaemonArgs};

/// List the devices of the running site with their links, or the definitions that are shipped
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// List what is supported instead of what is running
    #[arg(long)]
    definitions: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    if args.definitions {
        definitions(args.json);
        return ExitCode::SUCCESS;
    }
    let state: Published = match client::get(args.daemon.daemon, "/api/v1/state") {
        Ok(state) => state,
        Err(error) => return super::problem(error),
    };
    if args.json {
        println!("{:#}", serde_json::json!({ "devices": state.devices }));
    } else {
        for device in &state.devices {
            print!("{}", text(device));
        }
    }
    if state.devices.iter().all(|device| device.up) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::PROBLEM)
    }
}

fn text(device: &Device) -> String {
    let mut out = String::new();
    let link = if device.up { "up" } else { "DOWN" };
    let age = device
        .last_success_age_ms
        .map_or_else(|| "never".to_owned(), |age| format!("{:.1} s ago", age as f64 / 1e3));
    let _ = writeln!(
        out,
        "{:<12} {link:<5} {:<22} {} (heard {age})",
        device.name, device.address, device.definition
    );
    if !device.error.is_empty() {
        let _ = writeln!(out, "             {}", device.error);
    }
    if !device.watchdog.is_empty() {
        let _ = writeln!(out, "             {}", device.watchdog);
    }
    if device.unproven {
        let _ = writeln!(out, "             this definition is unproven on hardware");
    }
    out
}

fn definitions(json: bool) {
    let all = library::names().filter_map(|name| {
        let text = library::shipped(name)?;
        Definition::parse(text, name).ok().map(|definition| (name, definition))
    });
    let mut list = Vec::new();
    for (name, definition) in all {
        let controls: Vec<String> =
            definition.controls.iter().map(|control| control.kind.to_string()).collect();
        if json {
            list.push(serde_json::json!({
                "name": name, "maker": definition.maker, "model": definition.model,
                "points": definition.points.len(), "controls": controls, "unproven": definition.is_unproven(),
            }));
        } else {
            let controls = if controls.is_empty() { "read only".to_owned() } else { controls.join(", ") };
            let proof = if definition.is_unproven() { "unproven on hardware" } else { "recorded" };
            println!("{name:<34} {} {}: {controls}; {proof}", definition.maker, definition.model);
        }
    }
    if json {
        println!("{:#}", serde_json::json!({ "definitions": list }));
    }
}
