//! The page at `/`: made here completely, so that it reads without a script; the script only fetches `/live` again.
//!
//! Everything that a device, a profile or a person wrote goes through `escape`. No inline style or script exists, so the
//! content policy can forbid both.

mod cards;
mod flows;
mod site;

use std::fmt::Write as _;

use super::format::{age, escape, moment};
use super::published::{Control, Mode};
use super::view::Now;

/// The frame around the live part.
const FRAME: &str = include_str!("page.html");
/// Served as `/page.css`.
pub(super) const STYLE: &str = include_str!("page.css");
/// Served as `/page.js`.
pub(super) const SCRIPT: &str = include_str!("page.js");
/// Served as `/icon.svg`.
pub(super) const ICON: &str = include_str!("icon.svg");

/// The whole page.
pub(super) fn whole(now: &Now) -> String {
    let build = &now.published.build;
    let commit = if build.commit.is_empty() { String::new() } else { format!(" ({})", build.commit) };
    let words = format!("Wattkeeper {}{commit}, profile {}", build.version, now.published.profile_hash);
    FRAME
        .replace("{{title}}", &escape(&format!("{} · Wattkeeper", now.published.site)))
        .replace("{{build}}", &escape(&words))
        .replace("{{live}}", &live(now))
}

/// The part that changes.
pub(super) fn live(now: &Now) -> String {
    let p = &*now.published;
    let mut html = String::with_capacity(24 * 1024);
    header(&mut html, now);
    banners(&mut html, now);
    html.push_str("<main>");
    flows::card(&mut html, p);
    cards::order(&mut html, p);
    cards::ladder(&mut html, p);
    html.push_str("<div class='stack five'>");
    site::battery(&mut html, p);
    site::energy(&mut html, p);
    html.push_str("</div>");
    site::generator(&mut html, p);
    site::history(&mut html, p);
    cards::devices(&mut html, p);
    cards::events(&mut html, p);
    html.push_str("</main>");
    html
}

fn header(html: &mut String, now: &Now) {
    let p = &now.published;
    let (mood, mode) = match (p.control, p.mode) {
        (Control::Observe, _) => ("warn", "observing"),
        (Control::On, Mode::Failsafe) => ("bad", "fail-safe"),
        (Control::On, Mode::Manual) => ("warn", "operator order"),
        (Control::On, Mode::Auto | Mode::Observe) => ("good", "in control"),
    };
    let silent = i64::try_from(now.silent.as_millis()).unwrap_or(i64::MAX);
    let fresh = match (now.fresh(), p.decision_age_ms()) {
        (Ok(_), Some(old)) => format!("<b class=good>decided {} ago</b>", age(old.saturating_add(silent))),
        (_, Some(_)) => "<b class=bad>not fresh</b>".to_owned(),
        (_, None) => "<b class=warn>no decision yet</b>".to_owned(),
    };
    let clock = match moment(p.utc_ms, &p.timezone, "%a %d %b, %H:%M:%S") {
        clock if clock.is_empty() => "no clock".to_owned(),
        clock if p.clock_trusted => clock,
        clock => format!("{clock} (clock not trusted: schedules wait)"),
    };
    let _ = write!(
        html,
        "<header><img src=/icon.svg alt=''><h1>{}<small>Wattkeeper</small></h1><span class='pill {mood}'>{mode}</span>\
         <p class=clock>{fresh}<br>{}</p></header>",
        escape(&p.site),
        escape(&clock),
    );
}

fn banners(html: &mut String, now: &Now) {
    let p = &now.published;
    let mut banner = |mood: &str, title: &str, text: &str| {
        let _ = write!(
            html,
            "<div class='banner {mood}' role=alert><b>{}</b><span>{}</span></div>",
            escape(title),
            escape(text)
        );
    };
    if let Err(why) = now.fresh() {
        let title = if p.decision.is_some() { "What you see is old" } else { "Not ready" };
        banner("bad", title, &why);
    }
    for alarm in p.alarms.iter().filter(|alarm| alarm.active) {
        let mood = if alarm.severity == "page" { "bad" } else { "warn" };
        let since = moment(alarm.since_utc_ms, &p.timezone, ", since %d %b %H:%M");
        let about = if alarm.device.is_empty() { String::new() } else { format!(" ({})", alarm.device) };
        banner(mood, &format!("{}{about}{since}", alarm.code), &alarm.text);
    }
    let looping = p.alarms.iter().any(|alarm| alarm.active && alarm.code == "crash-loop");
    // After a crash loop the alarm above says why, and the profile is not what holds it back.
    if p.control == Control::Observe && !looping {
        let text = "Nothing is written to any device. Orders below are what would be ordered; \
                    control = \"on\" in the profile lets them through.";
        banner("warn", "Observing", text);
    }
}
