//! The picture of flows: who feeds the site and who takes, with watts.

use std::fmt::Write as _;

use crate::services::format::{escape, power};
use crate::services::published::Published;

/// Below this a flow counts as none.
const IDLE: f64 = 10.0;

/// One circle of the picture.
struct Node {
    name: &'static str,
    class: &'static str,
    icon: &'static str,
    /// Centre.
    at: (i32, i32),
    /// Where its name stands.
    label: i32,
    /// From its rim to the hub.
    wire: &'static str,
    /// Where on the wire an arrow stands, and its angle toward the hub in degrees.
    arrow: (i32, i32, i32),
    /// Watts, positive toward the hub; none when unknown.
    watts: Option<f64>,
    /// What stands below the watts.
    word: String,
    /// State of charge and floor for a ring, in %.
    ring: Option<(f64, Option<f64>)>,
}

const SUN: &str = "M0-5a5 5 0 1 1 0 10a5 5 0 1 1 0-10zM-1-11h2v4h-2zM-1 7h2v4h-2zM-11-1h4v2h-4zM7-1h4v2h-4z\
    M-8.5-7.1l1.4-1.4 2.8 2.8-1.4 1.4zM4.3 5.7l1.4-1.4 2.8 2.8-1.4 1.4zM-8.5 7.1l2.8-2.8 1.4 1.4-2.8 2.8zM4.3-5.7l2.8-2.8 1.4 1.4-2.8 2.8z";
const PYLON: &str = "M-1.500-11h3l1 4h6v2h-5.500l.6 2.500h6v2h-5.400l3 11.500h-2.200l-1.200-4.500h-6.600l-1.200 4.500h-2.200\
    l3-11.500h-5.400v-2h6l.6-2.500h-5.500v-2h6zM-1.400-1l-1.500 5.500h5.800l-1.500-5.500z";
const HOUSE: &str = "M0-10l11 9.500-1.400 1.600-1.600-1.400v10.300h-5.500v-6.500h-5v6.500h-5.500v-10.300l-1.600 1.400-1.400-1.600z";
const CELL: &str = "M-9-6h17v4h2.500v4h-2.500v4h-17zM-7-4v8h13v-8zM-5.500-2.500h3v5h-3zM-1.500-2.500h3v5h-3z";
const ENGINE: &str =
    "M-4-9h8v2h-3v2h3l3 3h2v-2h2v9h-2v-2h-2l-3 3h-9l-2-2v-3h-2v3h-2v-8h2v3h2v-3l2-2h3v-2h-2z";

/// The card with the picture.
pub(super) fn card(html: &mut String, p: &Published) {
    html.push_str(
        "<section class='flows six'><h2>Power now</h2><svg viewBox='0 0 400 412' role=img aria-label='",
    );
    let nodes = nodes(p);
    for node in &nodes {
        let amount = node.watts.map_or_else(|| "unknown".to_owned(), power);
        let _ = write!(html, "{} {amount} {}, ", node.name, node.word);
    }
    html.push_str("'>");
    for node in &nodes {
        let _ = write!(html, "<path class=wire d='{}'/>", node.wire);
    }
    for node in &nodes {
        flow(html, node);
    }
    html.push_str("<circle class=hub cx=200 cy=200 r=9 />");
    for node in &nodes {
        draw(html, node);
    }
    html.push_str("</svg></section>");
}

fn nodes(p: &Published) -> Vec<Node> {
    let known = |quantity: &str| p.signals.iter().any(|signal| signal.quantity == quantity);
    let mut nodes = Vec::new();
    if known("pv.power") || known("pv.dc.power") {
        let sources: Vec<Option<f64>> =
            ["pv.power", "pv.dc.power"].into_iter().filter(|q| known(q)).map(|q| p.total(q)).collect();
        let watts = sources.into_iter().try_fold(0.0, |sum, part| part.map(|part| sum + part));
        let word = watts.map_or("", |w| if w < IDLE { "dark" } else { "making" });
        nodes.push(Node {
            name: "Solar",
            class: "pv",
            icon: SUN,
            at: (200, 76),
            label: 17,
            wire: "M200 124V191",
            arrow: (200, 158, 90),
            watts,
            word: word.to_owned(),
            ring: None,
        });
    }
    if known("grid.power") || known("grid.present") {
        nodes.push(grid(p));
    }
    let load = p.total("load.power");
    nodes.push(Node {
        name: "Loads",
        class: "load",
        icon: HOUSE,
        at: (336, 200),
        label: 269,
        wire: "M288 200H209",
        arrow: (248, 200, 180),
        watts: load.map(|watts| -watts),
        word: load.map_or("", |_| "using").to_owned(),
        ring: None,
    });
    let generator = p.generator.as_ref();
    nodes.push(battery(p, generator.is_some()));
    if let Some(generator) = generator {
        // An engine known to stand still gives nothing, also where nobody measures its output.
        let still = p.total("generator.running") == Some(0.0);
        let watts = p.total("generator.power").or(still.then_some(0.0));
        nodes.push(Node {
            name: "Generator",
            class: "generator",
            icon: ENGINE,
            at: (286, 338),
            label: 407,
            wire: "M286 290V252Q286 212 209 203",
            arrow: (286, 266, -90),
            watts,
            word: generator.state.to_string(),
            ring: None,
        });
    }
    nodes
}

fn grid(p: &Published) -> Node {
    let absent = p.total("grid.present") == Some(0.0);
    let watts = p.total("grid.power").or(absent.then_some(0.0));
    let (class, word) = match watts {
        _ if absent => ("grid", "no grid"),
        Some(w) if w > IDLE => ("grid", "import"),
        Some(w) if w < -IDLE => ("grid export", "export"),
        Some(_) => ("grid", "balanced"),
        None => ("grid", ""),
    };
    Node {
        name: "Grid",
        class,
        icon: PYLON,
        at: (64, 200),
        label: 269,
        wire: "M112 200H191",
        arrow: (152, 200, 0),
        watts,
        word: word.to_owned(),
        ring: None,
    }
}

fn battery(p: &Published, beside_generator: bool) -> Node {
    let watts = p.total("battery.power");
    let soc = p.total("battery.soc");
    let direction = match watts {
        Some(w) if w > IDLE => "discharge",
        Some(w) if w < -IDLE => "charge",
        Some(_) => "rest",
        None => "",
    };
    let (at, wire, arrow) = if beside_generator {
        ((114, 338), "M114 290V252Q114 212 191 203", (114, 266, -90))
    } else {
        ((200, 338), "M200 290V209", (200, 250, -90))
    };
    let floor = p.decision.as_ref().and_then(|decision| decision.floor);
    Node {
        name: "Battery",
        class: "battery",
        icon: CELL,
        at,
        label: 407,
        wire,
        arrow,
        watts,
        word: direction.to_owned(),
        ring: soc.map(|soc| (soc, floor)),
    }
}

fn flow(html: &mut String, node: &Node) {
    let Some(watts) = node.watts.filter(|watts| watts.abs() >= IDLE) else { return };
    let (x, y, angle) = node.arrow;
    let (direction, angle) = if watts > 0.0 { ("in", angle) } else { ("out", angle + 180) };
    // From 100 W to 10 kW the stroke grows evenly with each decade.
    let width = (watts.abs().log10() * 1.7).clamp(3.0, 8.0);
    let _ = write!(
        html,
        "<path class='flow {direction} {}' stroke-width='{width:.1}' d='{}'/>\
         <path class='arrow {}' transform='translate({x} {y}) rotate({angle})' d='M-7-9L9 0L-7 9z'/>",
        node.class, node.wire, node.class
    );
}

fn draw(html: &mut String, node: &Node) {
    let (x, y) = node.at;
    let unknown = if node.watts.is_none() { " unknown" } else { "" };
    let value = node.watts.map_or_else(|| "?".to_owned(), power);
    let _ = write!(html, "<g class='{}{unknown}'>", node.class);
    match node.ring {
        Some((soc, floor)) => {
            let _ = write!(
                html,
                "<circle class=disc cx={x} cy={y} r=48 stroke-width=0 /><circle class=rest cx={x} cy={y} r=46 />\
                 <circle class=ring cx={x} cy={y} r=46 pathLength=100 stroke-dasharray='{:.1} 100' transform='rotate(-90 {x} {y})'/>",
                soc.clamp(0.1, 99.99)
            );
            if let Some(floor) = floor.filter(|floor| *floor > 0.0) {
                let _ = write!(
                    html,
                    "<circle class=mark cx={x} cy={y} r=46 pathLength=100 stroke-dasharray='1 99' \
                     transform='rotate({:.1} {x} {y})'><title>floor {floor:.0} %</title></circle>",
                    floor * 3.6 - 91.8
                );
            }
        }
        None => {
            let _ = write!(html, "<circle class=disc cx={x} cy={y} r=47 />");
        }
    }
    let _ = write!(
        html,
        "<path class=icon transform='translate({x} {}) scale(1.050)' d='{}'/>\
         <text class=value x={x} y={}>{value}</text><text class=word x={x} y={}>{}</text>\
         <text class=name x={x} y={}>{}{}</text></g>",
        y - 20,
        node.icon,
        y + 13,
        y + 29,
        escape(&node.word),
        node.label,
        node.name,
        node.ring.map(|(soc, _)| format!(" {soc:.0} %")).unwrap_or_default()
    );
}
