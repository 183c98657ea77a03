//! A live table in the terminal; one line now and then when it is no terminal.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::services::published::Published;

use super::status;

const REDRAW: Duration = Duration::from_secs(1);
const LINE_EVERY: u32 = 10;

/// Draws until the site is gone.
pub async fn show(mut site: watch::Receiver<Arc<Published>>) {
    let terminal = std::io::stdout().is_terminal();
    let mut tick = tokio::time::interval(REDRAW);
    let mut drawn = 0_usize;
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
        let mut out = std::io::stdout().lock();
        // A closed pipe ends the table, not the site.
        let up = if terminal && drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
        if write!(out, "{up}{text}").and_then(|()| out.flush()).is_err() {
            return;
        }
        drawn = text.lines().count();
    }
}

fn line(state: &Published) -> String {
    let binding = state.decision.as_ref().and_then(|decision| decision.binding());
    let soc = state.total("battery.soc").map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"));
    format!(
        "grid {}, load {}, PV {}, battery {}, charge {soc}, generator {}, bound by {}\n",
        status::watts(state, "grid.power"),
        status::watts(state, "load.power"),
        status::watts(state, "pv.power"),
        status::watts(state, "battery.power"),
        state.generator.as_ref().map_or("none", |generator| &generator.state),
        binding.map_or("nothing", |reason| &reason.code),
    )
}
