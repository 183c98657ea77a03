//! The cards about the plant: battery, generator, energy, the last minutes.

use std::fmt::Write as _;

use super::cards::fact;
use crate::services::format::{age, escape, kilowatt_hours, lasting, power, signed_power};
use crate::services::published::{Generator, Point, Published, Quality, Signal};

/// The battery's charge, electrical values and the limits of its BMS.
pub(super) fn battery(html: &mut String, p: &Published) {
    html.push_str("<section class=battery><h2>Battery</h2>");
    let soc =
        p.signals.iter().find(|signal| signal.quantity == "battery.soc").map_or_else(String::new, reading);
    let _ = write!(html, "<p class=big>{soc} <small>state of charge</small></p><dl class=facts>");
    for (name, quantity) in [
        ("Voltage", "battery.voltage"),
        ("Current", "battery.current"),
        ("Temperature", "battery.temperature"),
        ("BMS charge limit", "battery.charge_limit_current"),
        ("BMS discharge limit", "battery.discharge_limit_current"),
        ("BMS voltage limit", "battery.charge_limit_voltage"),
    ] {
        if let Some(signal) = p.signals.iter().find(|signal| signal.quantity == quantity) {
            fact(html, name, &reading(signal));
        }
    }
    html.push_str("</dl></section>");
}

/// A value with its unit; what is not good says so.
fn reading(signal: &Signal) -> String {
    let Some(value) = signal.value.filter(|_| signal.quality != Quality::Unknown) else {
        return "<span class=warn>unknown</span>".to_owned();
    };
    let places = if signal.unit == "V" { 2 } else { 1 };
    let number = format!("{value:.places$}\u{202f}{}", escape(&signal.unit)).replace('-', "\u{2212}");
    match signal.quality {
        Quality::Held => {
            let old = signal.age_ms.map(age).unwrap_or_default();
            format!("<span class=warn>{number} <small>{old} old</small></span>")
        }
        Quality::Good | Quality::Unknown => number,
    }
}

/// The generator, where there is one.
pub(super) fn generator(html: &mut String, p: &Published) {
    let Some(generator) = &p.generator else { return };
    let _ = write!(
        html,
        "<section class='four generator'><h2>Generator</h2><p class=big>{} <small>{}</small></p>",
        escape(&generator.state),
        escape(&generator.name)
    );
    if let Some(reason) = &generator.reason {
        let _ = write!(
            html,
            "<p class=because><b>{}</b><br><code>{}</code></p>",
            escape(&reason.words),
            escape(&reason.text)
        );
    }
    html.push_str("<dl class=facts>");
    facts(html, generator);
    html.push_str("</dl></section>");
}

fn facts(html: &mut String, generator: &Generator) {
    fact(html, "Contact", if generator.command { "run" } else { "open" });
    fact(html, "Load", if generator.load_permit { "permitted" } else { "withheld" });
    fact(html, "Automatic start", if generator.auto { "on" } else { "off" });
    if generator.min_run_left > 0.0 {
        fact(html, "Minimum run left", &lasting(generator.min_run_left));
    }
    if generator.attempt > 1 {
        fact(html, "Attempt", &generator.attempt.to_string());
    }
    if generator.quiet {
        fact(html, "Quiet hours", "now");
    }
    fact(html, "Starts", &generator.starts.to_string());
    fact(html, "Run time", &lasting(generator.run_seconds));
}

/// Energy since the counters began.
pub(super) fn energy(html: &mut String, p: &Published) {
    let energy = &p.energy;
    let pv: f64 = energy.pv.iter().map(|source| source.value).sum();
    let rows = [
        ("Imported", energy.import),
        ("Exported", energy.export),
        ("Solar", (!energy.pv.is_empty()).then_some(pv)),
        ("Used", energy.load),
        ("Charged", energy.charge),
        ("Discharged", energy.discharge),
        ("Generator", energy.generator),
    ];
    if rows.iter().all(|(_, joules)| joules.is_none()) {
        return;
    }
    html.push_str("<section><h2>Energy so far</h2><dl class=facts>");
    for (name, joules) in rows {
        if let Some(joules) = joules {
            fact(html, name, &kilowatt_hours(joules));
        }
    }
    html.push_str("</dl></section>");
}

/// Width and height of the curves in their own units.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 100.0;

/// Class, name and value of one curve.
type Curve = (&'static str, &'static str, fn(&Point) -> Option<f32>);

/// The last minutes as curves. A gap is information, so it is never bridged.
pub(super) fn history(html: &mut String, p: &Published) {
    if p.history.len() < 2 {
        return;
    }
    let wide = if p.generator.is_some() { "eight" } else { "twelve" };
    let curves: [Curve; 4] = [
        ("pv", "solar", |point| point.pv),
        ("load", "loads", |point| point.load),
        ("grid", "grid", |point| point.grid),
        ("battery", "battery", |point| point.battery),
    ];
    let values = || p.history.iter().flat_map(|point| curves.iter().filter_map(|(_, _, of)| of(point)));
    let top = f64::from(values().fold(100.0_f32, f32::max));
    let bottom = f64::from(values().fold(0.0_f32, f32::min));
    let y = |watts: f64| HEIGHT - 2.0 - (watts - bottom) / (top - bottom) * (HEIGHT - 4.0);
    let _ = write!(
        html,
        "<section class='last {wide}'><h2>The last minutes</h2><svg class=curves viewBox='0 0 {WIDTH} {HEIGHT}' \
         preserveAspectRatio=none role=img aria-label='Power of the last minutes, at most {}'>\
         <line x1=0 x2={WIDTH} y1='{:.1}' y2='{:.1}'/>",
        power(top),
        y(0.0),
        y(0.0)
    );
    let step = WIDTH / (p.history.len() - 1) as f64;
    for (class, _, of) in curves {
        for piece in pieces(&p.history, of) {
            let _ = write!(html, "<polyline class={class} points='");
            for (at, watts) in piece {
                let _ = write!(html, "{:.1},{:.1} ", at as f64 * step, y(watts));
            }
            html.push_str("'/>");
        }
    }
    for piece in pieces(&p.history, |point| point.soc) {
        html.push_str("<polyline class=soc points='");
        for (at, percent) in piece {
            let _ = write!(html, "{:.1},{:.1} ", at as f64 * step, HEIGHT - percent / 100.0 * HEIGHT);
        }
        html.push_str("'/>");
    }
    html.push_str("</svg><ul class=key>");
    for (class, name, _) in curves {
        let _ = write!(html, "<li class={class}>{name}</li>");
    }
    html.push_str("<li class=soc>charge, 0 to 100 %</li>");
    let _ = write!(html, "<li class=scale>{} to {}</li></ul></section>", signed_power(bottom), power(top));
}

/// The runs of known values, with their places.
fn pieces(history: &[Point], of: fn(&Point) -> Option<f32>) -> Vec<Vec<(usize, f64)>> {
    let mut pieces = vec![Vec::new()];
    for (at, point) in history.iter().enumerate() {
        match (of(point), pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.push((at, f64::from(value))),
            (None, Some(piece)) if !piece.is_empty() => pieces.push(Vec::new()),
            _ => {}
        }
    }
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_history_breaks_the_curve() {
        let known = |grid| Point { grid, ..Point::default() };
        let history: Vec<Point> =
            [Some(1.0), Some(2.0), None, None, Some(5.0), Some(6.0), Some(7.0)].map(known).to_vec();
        let pieces = pieces(&history, |point| point.grid);
        assert_eq!(pieces, vec![vec![(0, 1.0), (1, 2.0)], vec![(4, 5.0), (5, 6.0), (6, 7.0)]]);
    }

    #[test]
    fn a_held_value_shows_its_age_and_an_unknown_one_no_number() {
        let signal = |quality| Signal {
            value: Some(52.1),
            unit: "V".into(),
            age_ms: Some(65_000),
            quality,
            ..Signal::default()
        };
        assert_eq!(reading(&signal(Quality::Good)), "52.10\u{202f}V");
        assert!(reading(&signal(Quality::Held)).contains("65\u{202f}s old"));
        assert!(!reading(&signal(Quality::Unknown)).contains("52"));
    }
}
