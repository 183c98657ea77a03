//! What the loader says to people who write definitions.

use super::*;
use crate::control::signal::Unit;

const HEAD: &str = "schema = 1\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\n";

fn point(signal: &str, at: &str, more: &str) -> String {
    let words = "words = { raw = [0], value = 0, origin = \"constructed\" }";
    format!("[[point]]\nsignal = \"{signal}\"\nat = \"{at}\"\nsource = \"s\"\n{more}\n{words}\n")
}

/// The mistakes of a definition as `line: cause | way out`.
fn mistakes(text: &str) -> Vec<String> {
    let found = Definition::parse(text, "test.toml").err().unwrap_or_default();
    assert!(found.iter().all(|mistake| mistake.file == "test.toml" && !mistake.way_out.is_empty()));
    found.iter().map(|m| format!("{}: {} | {}", m.line, m.cause, m.way_out)).collect()
}

#[track_caller]
fn says(text: &str, line: usize, part: &str) {
    let found = mistakes(text);
    let expected = |mistake: &String| mistake.starts_with(&format!("{line}: ")) && mistake.contains(part);
    assert!(found.iter().any(expected), "{found:#?}");
}

#[test]
fn a_good_definition_has_no_mistakes() {
    assert_eq!(mistakes(&format!("{HEAD}{}", point("grid.power", "holding:1", "as = \"i16\""))), [""; 0]);
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_line() {
    let text = format!(
        "{HEAD}{}{}{}",
        point("grid.powr", "holding:1", "as = \"i16\""),
        point("grid.power.l1", "holding:70000", "as = \"i16\""),
        point("grid.power.l2", "holding:3", "as = \"i17\"\nscal = 2"),
    );
    says(&text, 6, "write `grid.power` instead of `grid.powr`");
    says(&text, 13, "address 70000 does not exist");
    says(&text, 21, "`i17` is not known here");
    says(&text, 22, "write `scale` instead of `scal`");
    assert_eq!(mistakes(&text).len(), 4, "{:#?}", mistakes(&text));
}

#[test]
fn words_that_do_not_decode_to_their_value_are_a_mistake() {
    let text = format!(
        "{HEAD}[[point]]\nsignal = \"grid.power\"\nat = \"holding:1\"\nas = \"i32\"\nscale = 0.1\nsource = \"s\"\n\
         words = {{ raw = [0, 100], value = 100, origin = \"constructed\" }}\n"
    );
    says(&text, 11, "decode to 10");
}

#[test]
fn two_points_on_one_register_or_across_each_other_are_a_mistake() {
    let i16s = |second: &str| {
        format!(
            "{HEAD}{}{}",
            point("grid.power.l1", "holding:5", "as = \"i16\""),
            point("grid.power.l2", second, "as = \"i16\"")
        )
    };
    says(&i16s("holding:5"), 11, "has the register of `grid.power.l1` on line 5");
    assert!(mistakes(&i16s("input:5")).is_empty(), "another function code is another register");
    let across = format!(
        "{HEAD}{}[[point]]\nsignal = \"grid.power.l2\"\nat = \"holding:4\"\nas = \"i32\"\nsource = \"s\"\n\
         words = {{ raw = [0, 0], value = 0, origin = \"constructed\" }}\n",
        point("grid.power.l1", "holding:5", "as = \"i16\"")
    );
    says(&across, 11, "overlaps `grid.power.l1`");
    let twice = format!(
        "{HEAD}{}{}",
        point("grid.power", "holding:5", "as = \"i16\""),
        point("grid.power", "holding:6", "as = \"i16\"")
    );
    says(&twice, 11, "already the point on line 5");
}

#[test]
fn p10_a_value_that_no_read_can_hold_is_a_mistake() {
    let text = format!(
        "{HEAD}[limits]\nmax-registers = 3\n{}",
        point("battery.soc", "holding:1", "as = \"i16\"\nwitness = \"holding:4\"")
    );
    says(&text, 7, "takes 4 registers in one read");
    says(&text.replace("registers = 3", "registers = 9"), 7, "crosses 2");
    let text = format!("{HEAD}{}", point("grid.power", "holding:65535", "as = \"i32\""));
    says(&text, 5, "beyond address 65535");
}

fn control(persistence: &str, more: &str) -> String {
    format!(
        "{HEAD}{}[control.inverter-power]\nrefresh = \"3s\"\nwatchdog = \"10s\"\nif-lost = \"x\"\nsource = \"s\"\n{more}\
         [[control.inverter-power.command]]\nat = \"holding:9\"\nfunction = 6\npersistence = \"{persistence}\"\n\
         fields = [{{ value = \"power.total\", as = \"i16\" }}]\n",
        point("grid.power", "holding:1", "as = \"i16\"")
    )
}

#[test]
fn a_flash_register_in_a_cyclic_command_is_refused() {
    assert!(mistakes(&control("cyclic", "")).is_empty(), "{:#?}", mistakes(&control("cyclic", "")));
    says(&control("rare", ""), 16, "wears out by writing");
    says(&control("on-change", ""), 16, "wears out by writing");
}

#[test]
fn p10_a_read_of_more_than_125_registers_or_a_write_of_more_than_123_is_refused() {
    says(
        &format!("{HEAD}[limits]\nmax-registers = 126\n{}", point("grid.power", "holding:1", "as = \"i16\"")),
        6,
        "to 125",
    );
    let many = |fields: usize| {
        let field = "{ value = 0, as = \"u16\" }";
        control("cyclic", "").replace("function = 6", "function = 16").replace(
            "fields = [{ value = \"power.total\", as = \"i16\" }]",
            &format!("fields = [{}]", vec![field; fields].join(", ")),
        )
    };
    assert!(mistakes(&many(123)).is_empty(), "{:?}", mistakes(&many(123)));
    says(&many(124), 16, "function 16 cannot write 124 here");
}

#[test]
fn d18_a_budget_belongs_to_a_register_that_wears_and_leaves_room_to_give_back() {
    let setup = |more: &str| {
        format!(
            "{}[[control.inverter-power.setup]]\nat = \"holding:20\"\nfunction = 6\n\
             fields = [{{ value = 3, as = \"u16\" }}]\n{more}\n",
            control("cyclic", "")
        )
    };
    assert!(mistakes(&setup("persistence = \"rare\"\ndaily = 2")).is_empty());
    says(&setup("persistence = \"rare\"\ndaily = 1"), 26, "from 2 to");
    says(&setup("persistence = \"cyclic\"\ndaily = 5"), 21, "remove `daily`");
}

#[test]
fn a_command_that_cannot_be_meant_is_a_mistake() {
    says(
        &control("cyclic", "words = { raw = [1], given = [2, 0, 0], origin = \"constructed\" }\n"),
        16,
        "not these words",
    );
    says(
        &control("cyclic", "").replace("power.total", "setpoint"),
        16,
        "is not known when `inverter-power` is ordered",
    );
    says(
        &control("cyclic", "").replace("function = 6", "function = 5"),
        16,
        "function 5 cannot write 1 here",
    );
    says(&control("cyclic", "").replace("\"3s\"", "\"6s\""), 11, "the device gives up after 10 s");
    says(&control("cyclic", "").replace("refresh = \"3s\"\n", ""), 11, "`refresh` is missing");
}

#[test]
fn text_that_is_no_toml_is_told_with_its_line() {
    says("schema = 1\nmaker = \n", 2, "");
    assert!(!mistakes("").is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn a_mangled_file_is_refused_with_lines_and_never_panics(which in 0..7_usize, cuts in proptest::collection::vec((0.0..1.0_f64, 0..40_usize, ".{0,6}"), 1..6)) {
        let name = crate::device::library::names().nth(which).unwrap();
        let mut text = crate::device::library::shipped(name).unwrap().to_owned();
        for (at, len, instead) in cuts {
            let place = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "any place will do")]
            let from = place((at * text.len() as f64) as usize);
            let to = place(from.saturating_add(len));
            text.replace_range(from..to.max(from), &instead);
        }
        let lines = text.lines().count();
        for mistake in Definition::parse(&text, name).err().unwrap_or_default() {
            proptest::prop_assert!((1..=lines.max(1).saturating_add(1)).contains(&mistake.line), "{}", mistake);
        }
    }
}

/// Every point of every shipped definition.
fn shipped_points() -> impl Iterator<Item = (&'static str, Point)> {
    crate::device::library::names().flat_map(|name| {
        let text = crate::device::library::shipped(name).unwrap();
        Definition::parse(text, name).unwrap().points.into_iter().map(move |point| (name, point))
    })
}

#[test]
fn d1_every_sentinel_of_a_shipped_definition_is_unknown() {
    let mut tried = 0;
    for (name, point) in shipped_points() {
        let codec = &point.codec;
        for absent in &codec.absent {
            let one = crate::device::words::from_pattern(codec.kind, codec.order, *absent).unwrap();
            let words = one.repeat(usize::from(codec.count));
            assert_eq!(codec.decode(&words, 0), Ok(None), "{name} {} {absent:#x}", point.name());
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn d5_no_word_of_a_shipped_definition_decodes_to_a_value_outside_its_range() {
    let mut ranges = 0;
    for (name, point) in shipped_points() {
        let codec = &point.codec;
        let Some((least, most)) = codec.range.filter(|_| codec.width() == 1) else { continue };
        ranges += 1;
        let values: Vec<i64> = (0..=u16::MAX).filter_map(|word| codec.decode(&[word], 0).unwrap()).collect();
        assert!(!values.is_empty(), "{name} {}", point.name());
        assert!(values.iter().all(|value| (least..=most).contains(value)), "{name} {}", point.name());
        assert!(values.len() < 65_536, "{name} {}: the range excludes something", point.name());
    }
    assert!(ranges >= 10, "{ranges}");
}

#[test]
fn d13_of_all_65536_codes_those_nobody_explained_are_unknown_or_the_worst_one() {
    let mut maps = 0;
    for (name, point) in shipped_points() {
        let codec = &point.codec;
        if codec.map.is_empty() || codec.width() != 1 || codec.kind == Kind::Nibbles || codec.bits.is_some() {
            continue;
        }
        maps += 1;
        let worst = codec.map.iter().map(|(_, value)| *value).chain(codec.otherwise).max();
        for word in 0..=u16::MAX {
            let raw = match codec.kind {
                Kind::I16 => i64::from(word.cast_signed()),
                _ => i64::from(word),
            };
            let explained = codec.map.iter().find(|(code, _)| *code == raw).map(|(_, value)| *value);
            let value = codec.decode(&[word], 0).unwrap();
            match explained {
                Some(known) => assert_eq!(value, Some(known), "{name} {} {word}", point.name()),
                None => assert!(value.is_none() || value == worst, "{name} {} {word}", point.name()),
            }
        }
    }
    assert!(maps >= 8, "{maps}");
}

/// -273 °C, 127.9 °C, and the ends of the register, as broken and shorted sensors tell them.
#[test]
fn d22_a_broken_or_shorted_temperature_sensor_is_unknown() {
    let mut sensors = 0;
    for (name, point) in shipped_points().filter(|(_, point)| point.codec.unit == Unit::DeciCelsius) {
        let raw = |degrees: f64| {
            let mut words = [0];
            let told = (degrees * 10.0).round() as i64;
            assert!(Codec { range: None, ..point.codec.clone() }.encode(&mut words, Some(told), 0));
            words[0]
        };
        sensors += 1;
        for word in [raw(-273.0), raw(-273.1), raw(127.9), 0x7FFF, 0x8000] {
            assert_eq!(point.codec.decode(&[word], 0), Ok(None), "{name} {} {word:#x}", point.name());
        }
        assert!(point.codec.decode(&[raw(21.5)], 0).unwrap().is_some());
    }
    assert!(sensors > 0);
}
