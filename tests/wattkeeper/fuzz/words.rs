//! Any words, answered to any question about any point or control of the shipped definitions: what comes out is a
//! believable value or nothing, and nothing panics.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use wattkeeper::control::signal::Unit;
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::device::codec::Codec;
use wattkeeper::device::definition::Definition;
use wattkeeper::device::library;
use wattkeeper::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values};
use wattkeeper::device::recipe::{Context, understood};
use wattkeeper::device::session::Session;
use wattkeeper::device::spot::Spot;
use wattkeeper::device::words::{Kind, WordOrder, decode, encode};

static DEFINITIONS: LazyLock<Vec<Arc<Definition>>> =
    LazyLock::new(|| library::names().map(|name| library::definition(name).unwrap()).collect());

static SPOTS: LazyLock<Vec<Vec<Spot>>> =
    LazyLock::new(|| DEFINITIONS.iter().map(|definition| Spot::fixed(definition)).collect());

/// Questions of a session that one input answers.
const TURNS: usize = 64;

/// The first byte chooses the definition, the second what is given with the words; the rest are the words.
pub fn words(bytes: &[u8]) {
    let [which, beside, rest @ ..] = bytes else { return };
    let words: Vec<u16> = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let definition = &DEFINITIONS[usize::from(*which) % DEFINITIONS.len()];
    let exponent = i32::from(beside.cast_signed());
    for (_, kind) in Kind::ALL {
        for order in [WordOrder::HighFirst, WordOrder::LowFirst] {
            let raw = decode(kind, order, &words);
            assert_eq!(raw.is_some(), words.len() == usize::from(kind.width()));
            assert!(raw.is_none_or(|raw| encode(kind, order, raw).is_some()), "what was read can be written");
        }
    }
    for point in &definition.points {
        let own = words.get(..usize::from(point.codec.width())).unwrap_or(&words);
        let value = point.codec.decode(own, exponent);
        assert_eq!(value.is_ok(), own.len() == usize::from(point.codec.width()), "{}", point.name());
        believable(&point.codec, value.ok().flatten());
    }
    for spot in &SPOTS[usize::from(*which) % SPOTS.len()] {
        let own = words.get(..usize::from(spot.len)).unwrap_or(&words);
        if let Ok(value) = spot.decode(own, Some(i64::from(exponent))) {
            believable(&definition.points[spot.point].codec, value);
        }
    }
    for write in definition.controls.iter().flat_map(|control| control.command.iter().chain(&control.release))
    {
        let rating = Some(Watts(i32::from(*beside) * 100));
        let context = Context { quirks: &definition.quirks, phases: 3, exponent: Some(exponent), rating };
        for len in 0..=words.len().min(32) {
            let _some_or_none = understood(write, &words[..len], Values::default(), context);
        }
    }
    answered(definition, &words, beside % 2 == 1);
}

/// A value that a session may tell: a flag is yes or no, a number is inside its range, a power fits its unit.
fn believable(codec: &Codec, value: Option<i64>) {
    let Some(value) = value else { return };
    assert!(codec.range.is_none_or(|(least, most)| (least..=most).contains(&value)), "{value}");
    match codec.unit {
        Unit::Flag => assert!((0..=1).contains(&value), "{value}"),
        Unit::WattHour | Unit::Second | Unit::Count => {}
        Unit::Watt
        | Unit::MilliVolt
        | Unit::MilliAmp
        | Unit::MilliHertz
        | Unit::DeciCelsius
        | Unit::CentiPercent => assert!(i32::try_from(value).is_ok(), "{value}"),
    }
}

/// The words go round and round as the answers to whatever a session asks, orders included.
fn answered(definition: &Arc<Definition>, words: &[u16], writes: bool) {
    let mut session =
        Session::new(Arc::clone(definition), SessionOptions { writes, ..SessionOptions::default() });
    let (mut now, mut told, mut events) = (Mono::ZERO, words.iter().cycle(), Vec::new());
    for turn in 0..TURNS {
        let control = ControlKind::ALL[turn % ControlKind::ALL.len()];
        let values = Values { run: turn % 2 == 0, limit: Some(Watts(1_000)), ..Values::default() };
        let phase = if turn % 7 == 6 { OrderPhase::Release } else { OrderPhase::Command };
        let expires = now + Span::secs(5);
        session.order(DeviceOrder { control, channel: 0, values, phase, seq: 0, expires }, now);
        let Some(ask) = session.next(now) else {
            now = session.next_due().max(now + Span(1)).min(now + Span::secs(5));
            continue;
        };
        assert!(writes || !ask.request.function.writes());
        let count = if ask.request.function.writes() { 0 } else { usize::from(ask.request.count) };
        let answer = told.by_ref().copied().take(count).collect();
        session.answered(ask.token, Ok(answer), now, now, &mut events);
    }
    for event in events {
        if let SessionEvent::Heard(heard) = event {
            let point = definition.points_of(heard.quantity).find(|point| point.phase == heard.phase);
            believable(&point.unwrap().codec, heard.value);
        }
    }
}

/// Where to begin: every example of every shipped definition.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (which, definition) in (0..).zip(DEFINITIONS.iter()) {
        for example in definition.points.iter().flat_map(|point| &point.examples) {
            let words = example.raw.iter().flat_map(|word| word.to_be_bytes());
            seeds.push([which, 0].into_iter().chain(words).collect());
        }
    }
    seeds
}

#[test]
fn every_example_of_every_definition_is_survived() {
    let seeds = seeds();
    assert!(seeds.len() > 100, "{}", seeds.len());
    seeds.iter().for_each(|seed| words(seed));
}

proptest! {
    #[test]
    fn no_words_of_a_device_panic_or_become_an_unbelievable_value(bytes in prop::collection::vec(any::<u8>(), 0..270)) {
        words(&bytes);
    }
}
