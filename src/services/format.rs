//! Numbers, ages and times as people read them; text made safe for a page.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A narrow space that does not break, between thousands and before units.
const THIN: char = '\u{202f}';

/// Text with everything escaped that could mean something in HTML, inside or outside of an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A power without its sign, with its unit: `950 W`, `1 240 W`, `12.4 kW`.
pub(super) fn power(watts: f64) -> String {
    let watts = watts.abs();
    if watts >= 9_999.5 {
        return format!("{:.1}{THIN}kW", watts / 1000.0);
    }
    let whole = watts.round();
    if whole >= 1000.0 {
        let thousands = (whole / 1000.0).floor();
        return format!("{thousands:.0}{THIN}{:03.0}{THIN}W", whole - thousands * 1000.0);
    }
    format!("{whole:.0}{THIN}W")
}

/// A power with its sign, for tables and text.
pub(super) fn signed_power(watts: f64) -> String {
    let sign = if watts <= -0.5 { "\u{2212}" } else { "" };
    format!("{sign}{}", power(watts))
}

/// A battery power in words, discharge positive.
pub(super) fn battery_words(watts: f64) -> String {
    match watts {
        w if w > 0.5 => format!("discharge {}", power(w)),
        w if w < -0.5 => format!("charge {}", power(w)),
        _ => "rest".to_owned(),
    }
}

/// A grid power in words, import positive.
pub(super) fn grid_words(watts: f64) -> String {
    match watts {
        w if w > 0.5 => format!("import {}", power(w)),
        w if w < -0.5 => format!("export {}", power(w)),
        _ => format!("0{THIN}W"),
    }
}

/// A range of battery power in words, discharge positive.
pub(super) fn range_words(low: i32, high: i32) -> String {
    let (low, high) = (f64::from(low), f64::from(high));
    if low == high && low != 0.0 {
        return format!("exactly {}", battery_words(low));
    }
    match (low < 0.0, high > 0.0) {
        (true, true) => format!("charge up to {}, discharge up to {}", power(low), power(high)),
        (true, false) if high < 0.0 => format!("charge {} to {}", power(high), power(low)),
        (true, false) => format!("charge up to {}, no discharge", power(low)),
        (false, true) if low > 0.0 => format!("discharge {} to {}", power(low), power(high)),
        (false, true) => format!("no charge, discharge up to {}", power(high)),
        (false, false) => "neither charge nor discharge".to_owned(),
    }
}

/// A time since something: `0.4 s`, `12 s`, `3 min`, `2 h`.
pub(super) fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..10 => format!("{}.{}{THIN}s", seconds, ms.max(0) % 1000 / 100),
        10..120 => format!("{seconds}{THIN}s"),
        120..7_200 => format!("{}{THIN}min", seconds / 60),
        7_200..172_800 => format!("{}{THIN}h", seconds / 3600),
        _ => format!("{}{THIN}d", seconds / 86_400),
    }
}

/// A duration in hours and minutes: `1 h 05 min`; seconds while short.
pub(super) fn lasting(seconds: f64) -> String {
    let whole = seconds.max(0.0).round();
    let (hours, minutes) = ((whole / 3600.0).floor(), (whole % 3600.0 / 60.0).floor());
    if hours >= 1.0 {
        format!("{hours:.0}{THIN}h {minutes:02.0}{THIN}min")
    } else if minutes >= 1.0 {
        format!("{minutes:.0}{THIN}min {:02.0}{THIN}s", whole % 60.0)
    } else {
        format!("{whole:.0}{THIN}s")
    }
}

/// Joules as kWh.
pub(super) fn kilowatt_hours(joules: f64) -> String {
    let kwh = joules / 3.6e6;
    if kwh.abs() < 100.0 { format!("{kwh:.2}{THIN}kWh") } else { format!("{kwh:.0}{THIN}kWh") }
}

/// A moment in the site's zone, by a strftime pattern; empty when there is none.
pub(super) fn moment(utc_ms: Option<i64>, timezone: &str, pattern: &str) -> String {
    let zone =
        if timezone.is_empty() { TimeZone::UTC } else { TimeZone::get(timezone).unwrap_or(TimeZone::UTC) };
    let stamp = utc_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    stamp.map(|stamp| stamp.to_zoned(zone).strftime(pattern).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn powers_read_as_people_write_them() {
        for (watts, words) in [
            (0.0, "0 W"),
            (949.6, "950 W"),
            (999.6, "1 000 W"),
            (1_005.0, "1 005 W"),
            (9_999.6, "10.0 kW"),
            (-12_440.0, "12.4 kW"),
        ] {
            assert_eq!(plain(power(watts)), words);
        }
        assert_eq!(plain(signed_power(-240.0)), "\u{2212}240 W");
        assert_eq!(plain(signed_power(-0.2)), "0 W");
    }

    #[test]
    fn ranges_say_which_direction_is_left() {
        for (low, high, words) in [
            (-3000, 2000, "charge up to 3 000 W, discharge up to 2 000 W"),
            (-3000, 0, "charge up to 3 000 W, no discharge"),
            (-3000, -500, "charge 500 W to 3 000 W"),
            (0, 700, "no charge, discharge up to 700 W"),
            (100, 700, "discharge 100 W to 700 W"),
            (-700, -700, "exactly charge 700 W"),
            (0, 0, "neither charge nor discharge"),
        ] {
            assert_eq!(plain(range_words(low, high)), words);
        }
    }

    #[test]
    fn moments_are_in_the_sites_own_time() {
        let noon = Some(1_780_308_000_000); // 2026-06-01 10:00 UTC
        assert_eq!(moment(noon, "Europe/Paris", "%H:%M"), "12:00");
        assert_eq!(moment(noon, "", "%H:%M"), "10:00");
        assert_eq!(moment(noon, "Nowhere/Else", "%H:%M"), "10:00");
        assert_eq!(moment(None, "", "%H:%M"), "");
    }

    #[test]
    fn ages_and_durations_keep_two_figures() {
        for (ms, words) in [(430, "0.4 s"), (12_900, "12 s"), (180_000, "3 min"), (7_200_000, "2 h")] {
            assert_eq!(plain(age(ms)), words);
        }
        assert_eq!(plain(lasting(3_900.0)), "1 h 05 min");
        assert_eq!(plain(lasting(61.0)), "1 min 01 s");
    }

    #[test]
    fn what_a_device_calls_itself_cannot_become_markup() {
        assert_eq!(escape("<b a='x'>&\""), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;");
    }
}
