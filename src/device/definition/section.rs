//! Tables of a definition file, read key by key: what is missing, misspelt or of the wrong kind becomes a mistake with
//! its line, and reading goes on.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::control::units::Span;
use crate::device::decimal::Ratio;
use crate::device::mistake::Mistake;

use super::syntax::{Lines, MOST_MISTAKES};

/// All mistakes of one file.
pub struct Report<'a> {
    file: &'a str,
    lines: &'a Lines<'a>,
    pub mistakes: Vec<Mistake>,
}

impl<'a> Report<'a> {
    pub fn new(file: &'a str, lines: &'a Lines<'a>) -> Self {
        Self { file, lines, mistakes: Vec::new() }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.lines.number(at)
    }

    /// Whether anything is wrong with a part of the file.
    pub fn is_about(&self, part: &str) -> bool {
        self.mistakes.iter().any(|mistake| mistake.key.starts_with(part))
    }

    /// Whether so much is wrong that nothing more is looked for.
    pub fn is_full(&self) -> bool {
        self.mistakes.len() >= MOST_MISTAKES
    }

    pub fn at(&mut self, at: usize, key: &str, cause: impl Into<String>, way_out: impl Into<String>) {
        let line = self.line(at);
        self.on_line(line, key, cause, way_out);
    }

    pub fn on_line(&mut self, line: usize, key: &str, cause: impl Into<String>, way_out: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let (cause, way_out) = (cause.into(), way_out.into());
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, key: key.to_owned(), cause, way_out });
    }
}

/// Longer words are no slip of a known one.
const LONGEST: usize = 128;

/// The known word that is nearest to a misspelt one, when one is near.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > LONGEST {
        return None;
    }
    let most = word.len().max(3).div_ceil(2);
    let letters = word.chars().count();
    // Words whose lengths differ that much need not be compared.
    let known = known.into_iter().filter(|known| known.chars().count().abs_diff(letters) <= most);
    let near = known.map(|candidate| (distance(word, candidate), candidate)).min()?;
    (near.0 <= most).then_some(near.1)
}

/// Insertions, deletions and replacements that make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    let mut next = Vec::with_capacity(row.len());
    for (i, x) in a.chars().enumerate() {
        let mut last = i.saturating_add(1);
        next.clear();
        next.push(last);
        for (y, pair) in b.chars().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let replaced = diagonal.saturating_add(usize::from(x != y));
            last = replaced.min(above.saturating_add(1)).min(last.saturating_add(1));
            next.push(last);
        }
        std::mem::swap(&mut row, &mut next);
    }
    row.last().copied().unwrap_or(0)
}

/// One of a few words, or the mistake that names them.
pub fn one_of<T: Copy>(
    report: &mut Report,
    at: usize,
    key: &str,
    word: &str,
    known: &[(&str, T)],
) -> Option<T> {
    if let Some((_, found)) = known.iter().find(|(name, _)| *name == word) {
        return Some(*found);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let right = nearest(word, names.iter().copied()).or(names.first().copied()).unwrap_or_default();
    let instead = if word.is_empty() {
        format!("write `{} = \"{right}\"`", last(key))
    } else {
        format!("write `{right}` instead of `{word}`")
    };
    report.at(
        at,
        key,
        format!("`{word}` is not known here"),
        format!("{instead}; known: {}", names.join(", ")),
    );
    None
}

/// The last word of a dotted key.
pub fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A value with its place.
pub struct Found<T> {
    pub value: T,
    pub at: usize,
}

/// A table being read.
pub struct Section<'a> {
    table: &'a DeTable<'a>,
    pub path: String,
    pub start: usize,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub fn new(table: &'a DeTable<'a>, path: &str, start: usize) -> Self {
        Self { table, path: path.to_owned(), start, known: Vec::new() }
    }

    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Keys with their values, for tables whose keys are data.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, usize, &'a Spanned<DeValue<'a>>)> + use<'a> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
    }

    /// Refuses a value; `right` is what could stand there, `wanted` what it stands for.
    fn wrong(&self, report: &mut Report, key: &str, value: &Spanned<DeValue<'_>>, right: &str, wanted: &str) {
        let kind = value.get_ref().type_str();
        let cause = format!("this {kind} is not {wanted}");
        report.at(
            value.span().start,
            &self.key(key),
            cause,
            format!("write `{key} = {right}`, or other {wanted}"),
        );
    }

    /// The text of a value that should have been one.
    fn as_text(value: &DeValue<'_>) -> String {
        match value {
            DeValue::Integer(number) => format!("\"{number}\""),
            DeValue::Float(number) => format!("\"{number}\""),
            DeValue::Boolean(flag) => format!("\"{flag}\""),
            _ => "\"...\"".to_owned(),
        }
    }

    pub fn missing(&self, report: &mut Report, key: &str, way_out: &str) {
        // A misspelt key is told when the table is finished, and is then not missing too.
        let slip = |known: &str| {
            known.len() > 3 && known.len().abs_diff(key.len()) <= 4 && distance(known, key) == 1
        };
        if self.table.keys().any(|other| slip(other.get_ref())) {
            return;
        }
        report.at(self.start, &self.key(key), format!("`{key}` is missing"), way_out);
    }

    /// Refuses a value that is missing or cannot be, and says what to write.
    pub fn wrong_value(&mut self, report: &mut Report, key: &'static str, right: &str, why: &str) {
        match self.get(key) {
            Some(value) => {
                let cause = format!("`{key}` cannot be this");
                report.at(
                    value.span().start,
                    &self.key(key),
                    cause,
                    format!("write `{key} = {right}`, {why}"),
                );
            }
            None => self.missing(report, key, &format!("add `{key} = {right}`, {why}")),
        }
    }

    pub fn text(&mut self, report: &mut Report, key: &'static str) -> Option<Found<&'a str>> {
        let value = self.get(key)?;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(report, key, value, &Self::as_text(value.get_ref()), "a text in quotes");
            return None;
        };
        Some(Found { value: text, at: value.span().start })
    }

    pub fn required_text(
        &mut self,
        report: &mut Report,
        key: &'static str,
        way_out: &str,
    ) -> Option<Found<&'a str>> {
        if self.get(key).is_none() {
            self.missing(report, key, way_out);
        }
        self.text(report, key)
    }

    pub fn flag(&mut self, report: &mut Report, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            let yes = value.get_ref().as_str().is_some_and(|text| ["true", "yes", "on"].contains(&text));
            let yes = yes || integer(value.get_ref()).is_some_and(|number| number != 0);
            self.wrong(report, key, value, if yes { "true" } else { "false" }, "true or false");
        }
        flag
    }

    pub fn number(&mut self, report: &mut Report, key: &'static str) -> Option<Found<Ratio>> {
        let value = self.get(key)?;
        let Some(number) = decimal(value.get_ref()) else {
            let right = number_in(value.get_ref()).unwrap_or_else(|| "1".to_owned());
            self.wrong(report, key, value, &right, "a decimal number of at most 18 digits");
            return None;
        };
        Some(Found { value: number, at: value.span().start })
    }

    /// A whole number inside a range.
    pub fn whole(&mut self, report: &mut Report, key: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.get(key)?;
        let whole = integer(value.get_ref()).filter(|whole| (least..=most).contains(whole));
        if whole.is_none() {
            let said = integer(value.get_ref()).or_else(|| number_in(value.get_ref())?.parse().ok());
            let right = said.unwrap_or(least).clamp(least, most).to_string();
            self.wrong(report, key, value, &right, &format!("a whole number from {least} to {most}"));
        }
        whole
    }

    /// Whole numbers inside a range, written as one or as a list.
    pub fn wholes(&mut self, report: &mut Report, key: &'static str) -> Option<Vec<i64>> {
        let value = self.get(key)?;
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(|one| integer(one.get_ref())).collect(),
            one => integer(one).map(|one| vec![one]),
        };
        if list.is_none() {
            let right = number_in(value.get_ref()).filter(|text| text.parse::<i64>().is_ok());
            self.wrong(
                report,
                key,
                value,
                &right.unwrap_or_else(|| "[0]".to_owned()),
                "a whole number or a list of them",
            );
        }
        list
    }

    /// A duration such as `"3s"`, `"500ms"` or `"2m"`.
    pub fn span(&mut self, report: &mut Report, key: &'static str) -> Option<Found<Span>> {
        let value = self.get(key)?;
        let at = value.span().start;
        let Some(span) = value.get_ref().as_str().and_then(duration) else {
            let number = number_in(value.get_ref()).filter(|text| text.parse::<u32>().is_ok());
            let unit = if number.as_ref().is_some_and(|number| number.len() > 2) { "ms" } else { "s" };
            let right = format!("\"{}{unit}\"", number.unwrap_or_else(|| "1".to_owned()));
            self.wrong(report, key, value, &right, "a duration such as \"3s\", \"500ms\" or \"2m\"");
            return None;
        };
        Some(Found { value: span, at })
    }

    /// A duration, or `"none"` as `Some(None)`.
    pub fn span_or_none(&mut self, report: &mut Report, key: &'static str) -> Option<Option<Span>> {
        if self.get(key)?.get_ref().as_str() == Some("none") {
            return Some(None);
        }
        self.span(report, key).map(|found| Some(found.value))
    }

    pub fn section(&mut self, report: &mut Report, key: &'static str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            report.at(
                value.span().start,
                &self.key(key),
                "is no table",
                format!("remove `{key}`, or write it as a table"),
            );
            return None;
        };
        Some(Section::new(table, &self.key(key), value.span().start))
    }

    /// Tables written as `[[key]]`, as a list, or as a single one.
    pub fn sections(&mut self, report: &mut Report, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key).filter(|_| !report.is_full()) else { return Vec::new() };
        let list: Vec<&'a Spanned<DeValue<'a>>> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        let mut sections = Vec::new();
        for item in list {
            if let DeValue::Table(table) = item.get_ref() {
                sections.push(Section::new(table, &self.key(key), item.span().start));
            } else {
                report.at(
                    item.span().start,
                    &self.key(key),
                    "is no table",
                    format!("remove `{key}`, or write it as [[{key}]]"),
                );
            }
        }
        sections
    }

    /// Reports keys that nobody asked for.
    pub fn finish(self, report: &mut Report) {
        for (key, at, value) in self.entries() {
            if report.is_full() {
                return;
            }
            if !self.known.contains(&key) {
                let is_list = matches!(value.get_ref(), DeValue::Array(_));
                let near = nearest(key, self.known.iter().copied());
                let near = near.filter(|near| is_list || !self.table.contains_key(*near));
                let mut known = self.known.clone();
                known.dedup();
                let known = known.join(", ");
                let way_out = match near {
                    Some(near) => format!("write `{near}` instead of `{key}`, or remove it"),
                    None if value_is_table(value) => {
                        format!("remove `[{}]`; known here: {known}", self.key(key))
                    }
                    None => format!("remove `{key}`; known here: {known}"),
                };
                report.at(at, &self.key(key), format!("`{key}` means nothing here"), way_out);
            }
        }
    }
}

fn value_is_table(value: &Spanned<DeValue<'_>>) -> bool {
    matches!(value.get_ref(), DeValue::Table(_))
}

/// The number that somebody wrote as a text, with a comma or a unit.
fn number_in(value: &DeValue<'_>) -> Option<String> {
    let text = match value {
        DeValue::String(text) => text.replace(',', "."),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        _ => return None,
    };
    let text = text.trim();
    let end =
        text.find(|letter: char| !(letter.is_ascii_digit() || "+-.".contains(letter))).unwrap_or(text.len());
    let number = text.get(..end)?;
    Ratio::parse(number).map(|_| number.trim_start_matches('+').to_owned())
}

/// A whole number.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let found = value.as_integer()?;
    let wide = i128::from_str_radix(found.as_str(), found.radix()).ok()?;
    // Bit patterns are written unsigned; a 64-bit one keeps its bits.
    i64::try_from(wide)
        .ok()
        .or_else(|| u64::try_from(wide).ok().map(|bits| i64::from_be_bytes(bits.to_be_bytes())))
}

/// A whole number or decimal, exactly as it is written.
pub fn decimal(value: &DeValue<'_>) -> Option<Ratio> {
    match value {
        DeValue::Float(float) => Ratio::parse(float.as_str()),
        other => integer(other).map(Ratio::whole),
    }
}

fn duration(text: &str) -> Option<Span> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(at)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Ratio::parse(number)?.times(Ratio::whole(millis))?.rounded().filter(|millis| *millis >= 0).map(Span)
}
