//! From text to TOML, for every file that a person writes: what is no TOML is told line by line, with the line as it
//! was probably meant.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::DeTable;

use crate::device::mistake::Mistake;

/// The longest file that is read. The largest shipped one has 30 KiB.
pub const MOST_BYTES: usize = 1 << 20;
/// As many mistakes as anybody corrects in one go; what comes after them is not looked for.
pub const MOST_MISTAKES: usize = 100;
/// Longer lines were not written by a person: nobody reads them again to find out what was meant.
const LONGEST_LINE: usize = 2_048;
/// How much of a text behind its first slip is looked at for more of them, in how many steps.
const STEP: usize = 1_024;
const STEPS: usize = 64;
/// How many lines above a place that makes no sense the cause is looked for.
const LOOK_BACK: usize = 3;

/// Where the lines of a text begin.
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Of this text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, starts: std::iter::once(0).chain(breaks.map(|(at, _)| at.saturating_add(1))).collect() }
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1)
    }

    /// A line by its number, without its end.
    #[must_use]
    pub fn line(&self, number: usize) -> &'a str {
        let start = number.checked_sub(1).and_then(|at| self.starts.get(at)).copied();
        let rest = start.and_then(|start| self.text.get(start..)).unwrap_or_default();
        rest.lines().next().unwrap_or_default()
    }
}

/// The table of a file.
///
/// # Errors
/// A file that is too long, and every line that is no TOML.
pub fn parse<'a>(file: &str, lines: &Lines<'a>) -> Result<Spanned<DeTable<'a>>, Vec<Mistake>> {
    if lines.text.len() > MOST_BYTES {
        return Err(vec![too_long(file, lines.text.len() as u64)]);
    }
    let errors = match DeTable::parse(lines.text) {
        Ok(document) => return Ok(document),
        Err(first) => slips(lines.text, first),
    };
    let (mut noticed, mut told) = (BTreeSet::new(), BTreeSet::new());
    let mut mistakes = Vec::new();
    for error in errors.iter().take(MOST_MISTAKES) {
        let found = error.span().map_or(1, |span| lines.number(span.start));
        if !noticed.insert(found) {
            continue;
        }
        let line = culprit(lines, found);
        // What else is wrong with a line is mostly the same slip again.
        if told.insert(line) {
            let message = error.message().replace('\n', ", ");
            mistakes.push(Mistake {
                file: file.to_owned(),
                line,
                key: String::new(),
                cause: format!("this is not TOML: {message}"),
                way_out: way_out(lines.line(line), &message),
            });
            // Below an open bracket nothing makes sense, and nothing there is at fault.
            if opens(lines.line(line)) {
                break;
            }
        }
    }
    Err(mistakes)
}

/// Whatever else is no TOML behind the first slip. The parser keeps every error it meets, and a text can be made of
/// nothing else: so it is given a little more at a time until there are enough.
fn slips(text: &str, first: toml::de::Error) -> Vec<toml::de::Error> {
    let mut end = first.span().map_or(0, |span| span.start);
    let mut found = vec![first];
    for _ in 0..STEPS {
        end = end.saturating_add(STEP).min(text.len());
        while !text.is_char_boundary(end) {
            end = end.saturating_add(1);
        }
        let (_, errors) = DeTable::parse_recoverable(text.get(..end).unwrap_or_default());
        if !errors.is_empty() {
            found = errors;
        }
        if found.len() >= MOST_MISTAKES || end == text.len() {
            break;
        }
    }
    found
}

/// What a file that is too long is told.
#[must_use]
pub fn too_long(file: &str, bytes: u64) -> Mistake {
    Mistake {
        file: file.to_owned(),
        line: 1,
        key: String::new(),
        cause: format!("the file has {} KiB, and no more than {} are read", bytes / 1_024, MOST_BYTES / 1_024),
        way_out: "split it: leave a part here, put the other into a second file and name that in `extends`, or remove what it does not need"
            .to_owned(),
    }
}

fn is_sound(line: &str) -> bool {
    DeTable::parse(line).is_ok()
}

fn opens(line: &str) -> bool {
    let count = |letter: char| without_comment(line).matches(letter).count();
    count('[') > count(']') || count('{') > count('}')
}

/// The line that is at fault: an open bracket or quote is noticed only below it.
fn culprit(lines: &Lines<'_>, found: usize) -> usize {
    let long = |line: &str| line.len() > LONGEST_LINE;
    let broken = |line: &str| !long(line) && !is_sound(line);
    if long(lines.line(found)) || broken(lines.line(found)) {
        return found;
    }
    let above = (1..=LOOK_BACK).filter_map(|back| found.checked_sub(back)).filter(|line| *line > 0);
    above.into_iter().find(|line| broken(lines.line(*line))).unwrap_or(found)
}

fn way_out(line: &str, message: &str) -> String {
    let written = without_comment(line);
    if message.contains("duplicate") {
        return if written.starts_with('[') {
            format!("remove `{written}` with its lines, or move them below the first `{written}`")
        } else {
            format!("remove `{written}`: it is said twice, and the other one may be the right one")
        };
    }
    let rewrites = if written.len() <= LONGEST_LINE { rewrites(written) } else { Vec::new() };
    match rewrites.into_iter().find(|text| text != written && is_sound(text)) {
        Some(right) => format!("write `{right}` instead of `{written}`"),
        None => "put `#` before this line to leave it out, or correct it".to_owned(),
    }
}

/// A line without what follows a `#` outside of quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let cut = line.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        *letter == '#' && !quoted
    });
    cut.and_then(|(at, _)| line.get(..at)).unwrap_or(line).trim()
}

/// What a line may have been meant as, likeliest first.
fn rewrites(line: &str) -> Vec<String> {
    let straight: String = line.chars().map(straight).collect();
    let mut all = vec![straight.clone(), straight.trim_end_matches([';', ',']).to_owned()];
    if straight.starts_with('[') {
        let name = straight.trim_matches(['[', ']', ' ', ':', '=']).replace(' ', "-");
        all.push(format!("[{name}]"));
        return all;
    }
    let pair = straight.split_once('=').or_else(|| straight.split_once(':'));
    let Some((key, value)) = pair else { return all };
    let key = key.trim().trim_matches(['"', '\'']).replace(' ', "_");
    let value = value.trim().trim_start_matches('=').trim_end_matches([';', ',']).trim();
    all.push(format!("{key} = {value}"));
    all.push(format!("{key} = {}", value.replacen(',', ".", 1)));
    all.push(format!("{key} = {}", value.to_lowercase()));
    for close in ["]", "}", " }", "\"]", "\" }", "\""] {
        all.push(format!("{key} = {value}{close}"));
    }
    if value.starts_with('[') {
        let words = value.trim_matches(['[', ']']).split(',').map(bare).filter(|word| !word.is_empty());
        all.push(format!(
            "{key} = [{}]",
            words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        ));
    }
    match value {
        "yes" | "Yes" | "YES" | "on" | "On" => all.push(format!("{key} = true")),
        "no" | "No" | "NO" | "off" | "Off" => all.push(format!("{key} = false")),
        _ => {}
    }
    let plain = bare(value);
    if !plain.is_empty() && !plain.contains(['"', '=', '{', '[']) {
        all.push(format!("{key} = \"{plain}\""));
    }
    all
}

/// Typographic quotes, long dashes and hard blanks as the keyboard has them.
fn straight(letter: char) -> char {
    match letter {
        '“' | '”' | '„' | '‟' | '«' | '»' => '"',
        '‘' | '’' | '‚' | '‛' => '\'',
        '–' | '—' | '−' => '-',
        '\u{a0}' | '\u{202f}' | '\u{feff}' => ' ',
        letter => letter,
    }
}

fn bare(value: &str) -> &str {
    value.trim_matches(|letter: char| letter.is_whitespace() || letter == '"' || letter == '\'')
}
