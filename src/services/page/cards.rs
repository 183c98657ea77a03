//! The cards about decisions and links: the order and why, the ladder, devices, events.

use std::fmt::Write as _;

use crate::services::explain::{self, ExplainedRung};
use crate::services::format::{age, battery_words, escape, grid_words, moment, power, signed_power};
use crate::services::published::{Control, Counted, Decision, Device, InverterOrder, Published};

/// A name and its value in a list of facts. The value is HTML.
pub(super) fn fact(html: &mut String, name: &str, value: &str) {
    let _ = write!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
}

/// The order and the reason that bound it.
pub(super) fn order(html: &mut String, p: &Published) {
    let title = match p.control {
        Control::On => "Order",
        Control::Observe => "Order, if it were in control",
    };
    let _ = write!(html, "<section class=six><h2>{title}</h2>");
    match &p.decision {
        Some(decision) => ordered(html, p, decision),
        None => html.push_str(
            "<p class=order>None yet</p><p class=muted>Waiting for the first answers of the devices.</p>",
        ),
    }
    html.push_str("</section>");
}

fn ordered(html: &mut String, p: &Published, decision: &Decision) {
    let watts = f64::from(decision.battery_order);
    let words = battery_words(watts);
    let _ = write!(html, "<p class='order battery'>Battery: {}</p>", escape(&words));
    if let Some(binding) = decision.binding() {
        let _ = write!(
            html,
            "<p class=because><b>{}</b><br><code>{}</code> <code>on rung {}</code></p>",
            escape(&binding.words),
            escape(&binding.text),
            escape(&binding.tier)
        );
    }
    if let Some(changes) = &decision.outlook.changes {
        let _ = write!(html, "<p class=muted>What changes it: {}.</p>", escape(changes));
    }
    html.push_str("<dl class=facts>");
    fact(html, "Charge allowed", &power(f64::from(decision.max_charge)));
    let discharge = power(f64::from(decision.max_discharge));
    let blocked = if decision.discharge_allowed { "" } else { " <small>blocked by the guard</small>" };
    fact(html, "Discharge allowed", &format!("{discharge}{blocked}"));
    fact(html, "Grid setpoint", &grid_words(f64::from(decision.grid_setpoint)));
    let floor = decision.floor.map_or_else(|| "none".to_owned(), |floor| format!("{floor:.0} %"));
    fact(html, "Floor", &format!("{floor} <small>{}</small>", escape(&decision.guard)));
    if let Some(limits) = explain::charge_limits(decision) {
        fact(html, "Discharge", &escape(limits.trim_start_matches("discharge ")));
    }
    if let Some(limit) = decision.pv_limit {
        fact(html, "PV limit", &power(f64::from(limit)));
    }
    if decision.trim != 0 {
        fact(html, "Trim", &signed_power(f64::from(decision.trim)));
    }
    for inverter in &decision.inverters {
        ordered_inverter(html, inverter);
    }
    html.push_str("</dl><ul class=also>");
    for reason in decision.reasons.iter().filter(|reason| !reason.binding) {
        let _ = write!(html, "<li>{} <code>{}</code></li>", escape(&reason.words), escape(&reason.text));
    }
    for cut in &decision.overruled {
        let _ = write!(html, "<li class=warn>overruled: {}</li>", escape(&explain::overruled(cut)));
    }
    for input in decision.stages.iter().filter(|input| input.level() > 0) {
        if p.signals.is_empty() {
            break;
        }
        let _ = write!(
            html,
            "<li class=warn>the input {} is {}</li>",
            escape(&input.input),
            escape(&input.stage)
        );
    }
    html.push_str("</ul>");
}

fn ordered_inverter(html: &mut String, inverter: &InverterOrder) {
    let phases = [inverter.l1, inverter.l2, inverter.l3].map(f64::from);
    let [l1, l2, l3] = phases.map(|watts| format!("{watts:+.0}").replace('-', "\u{2212}"));
    let _ = write!(
        html,
        "<div class=wide><dt>To {}</dt><dd>{} <small>{l1} / {l2} / {l3}</small></dd></div>",
        escape(&inverter.name),
        signed_power(phases.iter().sum())
    );
}

/// The ladder as a range of battery power per rung.
pub(super) fn ladder(html: &mut String, p: &Published) {
    html.push_str("<section class=seven><h2>The ladder: who leaves what</h2>");
    if let Some(decision) = &p.decision {
        let rungs = explain::rungs(decision);
        let widest = rungs.iter().map(|rung| rung.low.saturating_abs().max(rung.high.saturating_abs())).max();
        let scale = f64::from(widest.unwrap_or(0).max(100));
        let binding = decision.binding().map(|reason| reason.tier.clone());
        let _ = write!(
            html,
            "<div class=ladder><p class=ends><span>\u{2190} charge {}</span><span>\u{275a} the order</span><span>discharge {} \u{2192}</span></p>",
            power(scale),
            power(scale)
        );
        for one in &rungs {
            let binds = binding.as_ref() == Some(&one.tier);
            rung(html, one, binds, scale, f64::from(decision.battery_order));
        }
        html.push_str("</div>");
    } else {
        html.push_str("<p class=muted>No decision yet.</p>");
    }
    html.push_str("</section>");
}

fn rung(html: &mut String, rung: &ExplainedRung, binds: bool, scale: f64, order: f64) {
    let class = match (binds, rung.narrowed) {
        (true, _) => " binds",
        (false, true) => "",
        (false, false) => " same",
    };
    // 0 is full charge, 50 rest, 100 full discharge.
    let place = |watts: f64| 50.0 + (watts / scale * 50.0).clamp(-50.0, 50.0);
    let (low, high) = (place(f64::from(rung.low)), place(f64::from(rung.high)));
    let _ = write!(
        html,
        "<div class='rung{class}'><span>{}</span><svg class=bar viewBox='0 0 100 12' preserveAspectRatio=none role=img \
         aria-label='{}'><rect class=track width=100 height=12 rx=1 /><rect class=left x='{low:.2}' y=0 width='{:.2}' height=12 />\
         <path class=zero d='M50 0V12'/><path class=here d='M{:.2} 0V12'/></svg>",
        escape(&rung.tier),
        escape(&rung.words),
        (high - low).max(0.6),
        place(order).clamp(0.5, 99.5)
    );
    if rung.narrowed || binds {
        let _ = write!(html, "<p>{}</p>", escape(&rung.words));
    }
    html.push_str("</div>");
}

/// Each device, its link and its age.
pub(super) fn devices(html: &mut String, p: &Published) {
    html.push_str(
        "<section class=seven><h2>Devices</h2><div class=scroll><table><thead><tr><th>device<th>link\
         <th class=num>age<th class=num>answer<th class=num>requests<th class=num>failed</tr></thead><tbody>",
    );
    for device in &p.devices {
        row(html, device);
    }
    html.push_str("</tbody></table></div>");
    if p.devices.is_empty() {
        html.push_str("<p class=muted>No devices.</p>");
    }
    html.push_str("</section>");
}

fn row(html: &mut String, device: &Device) {
    let (mood, link) = match (device.up, device.last_success_age_ms) {
        (true, _) => ("good", "up"),
        (false, Some(_)) => ("bad", "silent"),
        (false, None) => ("bad", "never heard"),
    };
    let unproven = if device.unproven {
        " <span class=tag title='Its definition comes from documents only'>unproven on hardware</span>"
    } else {
        ""
    };
    let mut notes = escape(&device.definition);
    for note in [&device.address, &device.watchdog] {
        if !note.is_empty() {
            let _ = write!(notes, " · {}", escape(note));
        }
    }
    let error = if device.error.is_empty() {
        String::new()
    } else {
        format!("<br><span class=bad>{}</span>", escape(&device.error))
    };
    let heard = device.last_success_age_ms.map_or_else(|| "never".to_owned(), age);
    let answer = device.answers.seconds / device.answers.count as f64;
    let answer = if answer.is_finite() { format!("{:.0} ms", answer * 1000.0) } else { "–".to_owned() };
    let sum = |counts: &[Counted<u64>]| counts.iter().map(|counted| counted.value).sum::<u64>();
    let failed = sum(&device.errors) + sum(&device.exceptions);
    let _ = write!(
        html,
        "<tr><td><b>{}</b>{unproven}<br><small>{notes}</small>{error}<td class='{mood} nowrap'><i class=dot></i>{link}\
         <td class=num>{heard}<td class=num>{answer}<td class=num>{}<td class=num>{failed}</tr>",
        escape(&device.name),
        sum(&device.requests),
    );
}

/// What happened lately.
pub(super) fn events(html: &mut String, p: &Published) {
    html.push_str("<section class=five><h2>Events</h2><ul class=log>");
    for event in &p.events {
        let at = moment(event.utc_ms, &p.timezone, "%d %b %H:%M:%S");
        let _ = write!(html, "<li><time>{at}</time><span>{}</span></li>", escape(&event.text));
    }
    if p.events.is_empty() {
        html.push_str("<li class=muted>Nothing yet.</li>");
    }
    html.push_str("</ul></section>");
}
