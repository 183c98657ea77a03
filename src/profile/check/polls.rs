//! Whether what must be read fits the time there is: half of it belongs to writes, repeats and slow answers.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::units::Span;
use crate::device::definition::{Definition, Pace, Place};
use crate::device::plan;
use crate::device::session;
use crate::device::spot::Spot;
use crate::profile::draft::Framing;
use crate::profile::measure::Measure;
use crate::profile::wire::Resolved;

use super::{Findings, devices};

/// What one request usually takes beside the device's own pause.
const TCP: Span = Span::millis(25);
/// The same through a gateway and a serial line of 9600 baud.
const SERIAL: Span = Span::millis(80);

/// Finds endpoints that are asked for more than they can answer.
pub fn fit(resolved: &[Resolved], findings: &mut Findings<'_>) {
    let mut endpoints: BTreeMap<(String, u16), Vec<Load<'_>>> = BTreeMap::new();
    for device in resolved {
        let place = device.draft.address.as_deref().and_then(devices::address);
        if let (Some(place), Some(definition)) = (place, &device.definition) {
            endpoints.entry(place).or_default().push(Load::of(device, definition));
        }
    }
    for ((host, port), loads) in endpoints {
        let busy: i64 = loads.iter().map(Load::permille).sum();
        let Some(worst) = loads.iter().max_by_key(|load| load.permille()).filter(|_| busy > 500) else {
            continue;
        };
        let requests: usize = loads.iter().map(|load| load.fast).sum();
        let others: i64 = busy - worst.permille();
        let way_out = match worst.period_within(500 - others) {
            Some(period) => {
                let key = format!("device.{}.poll", worst.device.name);
                let way_out = findings.write(&key, &format!("\"{}\"", Measure::Duration.print(period.0)));
                format!("{way_out} at device {}", worst.device.name)
            }
            None => {
                "give the devices at this address longer polls, or connect some of them elsewhere".to_owned()
            }
        };
        findings.refuse(
            &format!("device.{}.poll", worst.device.name),
            format!(
                "{requests} requests every {} keep {host}:{port} busy for {} % of the time, and half must stay free",
                Measure::Duration.print(worst.period.0),
                busy / 10
            ),
            way_out,
        );
    }
}

/// What one device asks of its endpoint.
struct Load<'a> {
    device: &'a Resolved,
    /// Requests of one fast round.
    fast: usize,
    /// Requests every 5 s and every minute.
    rest: (usize, usize),
    /// What one request takes.
    each: Span,
    /// Period of the fast round.
    period: Span,
}

impl<'a> Load<'a> {
    fn of(device: &'a Resolved, definition: &Definition) -> Self {
        let answer = match devices::framing(device) {
            Framing::Tcp => TCP,
            Framing::RtuOverTcp => SERIAL,
        };
        let [fast, normal, slow] = requests(device, definition);
        Self {
            device,
            // Whoever commands in a loop looks whether others write too.
            fast: fast + session::looks(definition),
            rest: (normal, slow),
            each: answer + definition.limits.gap,
            period: device.draft.poll.unwrap_or(definition.limits.fast),
        }
    }

    fn share(&self, requests: usize, period: Span) -> i64 {
        let requests = i64::try_from(requests).unwrap_or(i64::MAX);
        requests.saturating_mul(self.each.0).saturating_mul(1_000) / period.0.max(1)
    }

    /// How much of the time it keeps the endpoint busy, in thousandths.
    fn permille(&self) -> i64 {
        self.share(self.fast, self.period) + self.share_of_rest()
    }

    fn share_of_rest(&self) -> i64 {
        self.share(self.rest.0, Span::secs(5)) + self.share(self.rest.1, Span::secs(60))
    }

    /// The shortest fast period, in steps of 100 ms, that keeps it within this share.
    fn period_within(&self, permille: i64) -> Option<Span> {
        let left = permille - self.share_of_rest();
        let work = i64::try_from(self.fast).ok()?.saturating_mul(self.each.0);
        (left > 0).then(|| Span::millis((work.saturating_mul(1_000) / left + 99) / 100 * 100))
    }
}

/// Requests of one fast, normal and slow round. Units that nobody asks are left out; of a SunSpec chain, whose addresses
/// only the device knows, each model is one request.
fn requests(device: &Resolved, definition: &Definition) -> [usize; 3] {
    let chosen = devices::units(&device.draft, Some(definition));
    let asked = |unit: usize| devices::is_asked(definition, &chosen, unit);
    let spots = Spot::fixed(definition);
    let which: Vec<usize> =
        spots.iter().enumerate().filter(|(_, spot)| asked(spot.unit)).map(|(index, _)| index).collect();
    let blocks = plan::plan(definition, &spots, &which);
    let points = definition.points.iter().filter(|point| asked(point.unit));
    let models: BTreeSet<(Pace, usize, u16)> = points
        .filter_map(|point| match &point.place {
            Place::Fixed(..) => None,
            Place::SunSpec(entries) => Some((point.pace, point.unit, entries.first()?.model)),
            Place::SunSpecLimit => Some((point.pace, point.unit, 123)),
        })
        .collect();
    [Pace::Fast, Pace::Normal, Pace::Slow].map(|pace| {
        let fixed = blocks.iter().filter(|block| block.pace == pace).count();
        fixed + models.iter().filter(|(own, ..)| *own == pace).count()
    })
}
