//! A live table in the terminal; one line now and then when it is no terminal.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::services::published::Published;

use super::status;

const REDRAW: Duration = Duration::from_secs(1);
const LINE_EVERY: u32 = 10;

/// How many lines of the table stand on the terminal. Whoever else writes there wipes them first.
static DRAWN: Mutex<usize> = Mutex::new(0);

/// Where the log goes while a table is drawn: above it.
pub fn log_writer() -> std::io::Stderr {
    let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    if *drawn > 0 {
        let mut out = std::io::stdout().lock();
        // A closed terminal is no reason to stop.
        let _ = write!(out, "{}", up(*drawn)).and_then(|()| out.flush());
        *drawn = 0;
    }
    std::io::stderr()
}

fn up(lines: usize) -> String {
    if lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() }
}

/// Draws until the site is gone.
pub async fn show(mut site: watch::Receiver<Arc<Published>>) {
    let terminal = std::io::stdout().is_terminal();
    let mut tick = tokio::time::interval(REDRAW);
    let mut beat = 0_u32;
    loop {
        tick.tick().await;
        if site.has_changed().is_err() {
            return;
        }
        let state = Arc::clone(&site.borrow_and_update());
        if state.decision.is_none() {
            continue;
        }
        let text = if terminal {
            status::text(&state)
        } else if beat.is_multiple_of(LINE_EVERY) {
            line(&state)
        } else {
            String::new()
        };
        beat = beat.wrapping_add(1);
        let mut drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stdout().lock();
        let lines = text.lines().count();
        // Long lines are cut, not wrapped: a wrapped line would count as two.
        let text = if terminal { format!("{}\x1b[?7l{text}\x1b[?7h", up(*drawn)) } else { text };
        // A closed pipe ends the table, not the site.
        if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
            return;
        }
        if terminal {
            *drawn = lines;
        }
    }
}

fn line(state: &Published) -> String {
    let binding = state.decision.as_ref().and_then(|decision| decision.binding());
    let soc = state.total("battery.soc").map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"));
    let pv = [state.total("pv.power"), state.total("pv.dc.power")].into_iter().flatten().reduce(|a, b| a + b);
    format!(
        "grid {}, load {}, PV {}, battery {}, charge {soc}, generator {}, bound by {}\n",
        status::watts(state, "grid.power"),
        status::watts(state, "load.power"),
        pv.map_or_else(|| "-".to_owned(), |watts| format!("{watts:.0} W")),
        status::watts(state, "battery.power"),
        state.generator.as_ref().map_or("none", |generator| &generator.state),
        binding.map_or("nothing", |reason| &reason.code),
    )
}
