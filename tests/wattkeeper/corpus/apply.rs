//! Does what a way out says, to the letter: only its first sentence part and the text in its backticks are used, so
//! that a vague way out cannot be applied and a wrong one does not make the file load.

use toml::de::{DeTable, DeValue};
use wattkeeper::device::mistake::Mistake;

/// A key as it stands in the text.
struct Place {
    path: Vec<String>,
    line: usize,
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
    is_table: bool,
}

/// The text after the way out of a mistake in it, or why the way out cannot be applied.
pub fn apply(text: &str, mistake: &Mistake) -> Result<String, String> {
    let way_out = mistake.way_out.as_str();
    let mut ticks = way_out.split('`').skip(1).step_by(2);
    let (Some(verb), Some(first)) = (way_out.split_whitespace().next(), ticks.next()) else {
        return Err(format!("this cannot be applied: {way_out}"));
    };
    let after = |joint: &str| {
        way_out.split_once(&format!("`{first}`{joint}`")).and_then(|(_, rest)| rest.split('`').next())
    };
    match verb {
        "write" => match (after(" instead of "), after(" in ")) {
            (Some(wrong), _) => replace(text, mistake.line, wrong, first),
            (None, Some(header)) => {
                let line =
                    text.lines().position(|it| it.trim() == header).ok_or(format!("there is no {header}"))?
                        + 1;
                set(text, &Mistake { line, ..mistake.clone() }, first)
            }
            (None, None) => set(text, mistake, first),
        },
        "add" => match after(" and below it ") {
            Some(line) => Ok(format!("{}\n{first}\n{line}\n", text.trim_end())),
            None if way_out.contains("` at the top") => Ok(format!("{first}\n{text}")),
            None => set(text, mistake, first),
        },
        "remove" => remove(text, mistake.line, first).map(|(text, _)| text),
        "move" => {
            let (without, pair) = remove(text, mistake.line, first)?;
            match after(" below ") {
                Some(header) => below(&without, header, &pair),
                None if way_out.contains("` to the top") => Ok(format!("{pair}\n{without}")),
                None => Err(format!("where to? {way_out}")),
            }
        }
        "put" => Ok(edit_line(text, mistake.line, |line| format!("{first}{line}"))),
        _ => Err(format!("this does not begin with what to do: {way_out}")),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn edit_line(text: &str, line: usize, edit: impl Fn(&str) -> String) -> String {
    let lines = text.split_inclusive('\n').enumerate();
    lines.map(|(at, it)| if at + 1 == line { edit(it) } else { it.to_owned() }).collect()
}

fn replace(text: &str, line: usize, wrong: &str, right: &str) -> Result<String, String> {
    let found = text.lines().nth(line - 1).unwrap_or_default();
    if !found.contains(wrong) {
        return Err(format!("`{wrong}` does not stand on line {line}: {found}"));
    }
    Ok(edit_line(text, line, |it| it.replacen(wrong, right, 1)))
}

fn below(text: &str, header: &str, line: &str) -> Result<String, String> {
    match text.lines().position(|it| it.trim() == header) {
        Some(at) => Ok(edit_line(text, at + 1, |it| format!("{}\n{line}\n", it.trim_end()))),
        None => Ok(format!("{}\n{header}\n{line}\n", text.trim_end())),
    }
}

fn places(text: &str) -> Result<Vec<Place>, String> {
    let document = DeTable::parse(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    table(text, document.get_ref(), &[], &mut found);
    Ok(found)
}

fn table(text: &str, table_: &DeTable<'_>, above: &[String], found: &mut Vec<Place>) {
    for (key, value) in table_ {
        let mut path = above.to_vec();
        path.push(key.get_ref().to_string());
        let line = line_of(text, key.span().start);
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        found.push(Place { path: path.clone(), line, key: key.span(), value: value.span(), is_table });
        inside(text, value, &path, found);
    }
}

fn inside(text: &str, value: &toml::Spanned<DeValue<'_>>, path: &[String], found: &mut Vec<Place>) {
    match value.get_ref() {
        DeValue::Table(inner) => table(text, inner, path, found),
        DeValue::Array(list) => {
            for item in list.iter().filter(|item| matches!(item.get_ref(), DeValue::Table(_))) {
                let line = line_of(text, item.span().start);
                let path = path.to_vec();
                found.push(Place { path: path.clone(), line, key: 0..0, value: item.span(), is_table: true });
                inside(text, item, &path, found);
            }
        }
        _ => {}
    }
}

fn starts_table(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

/// The lines that a mistake on this line may be about: this one, or all of the table whose header it is.
fn lines_of_table(text: &str, line: usize) -> std::ops::RangeInclusive<usize> {
    let lines: Vec<&str> = text.lines().collect();
    if !lines.get(line - 1).is_some_and(|it| starts_table(it)) {
        return line..=line;
    }
    line..=(line..lines.len()).find(|at| starts_table(lines[*at])).unwrap_or(lines.len())
}

/// `K = V`: in place of K's value at the mistake, or as a new line of the table that the mistake is about.
fn set(text: &str, mistake: &Mistake, pair: &str) -> Result<String, String> {
    let (key, value) = pair.split_once(" = ").ok_or(format!("`{pair}` is no key with a value"))?;
    let wanted: Vec<&str> = key.split('.').collect();
    let lines: Vec<&str> = text.lines().collect();
    let here = lines.get(mistake.line - 1).copied().unwrap_or_default();
    let header = starts_table(here);
    let body = lines_of_table(text, mistake.line);
    let places = places(text)?;
    let named = |place: &&Place| {
        place.path.iter().map(String::as_str).collect::<Vec<_>>().ends_with(&wanted) && !place.key.is_empty()
    };
    let near = |place: &&Place| body.contains(&place.line) && named(place);
    let mut fitting: Vec<&Place> = places.iter().filter(near).collect();
    // Where a line has the key more than once, the mistake's key says which is meant.
    let shared = |place: &Place| {
        let mut own = place.path.iter().rev();
        mistake.key.split('.').rev().take_while(|word| own.next().is_some_and(|it| it == word)).count()
    };
    fitting.sort_by_key(|place| (std::cmp::Reverse(shared(place)), place.line, place.key.start));
    if let Some(place) = fitting.first().filter(|place| !(place.is_table && header)) {
        let mut text = text.to_owned();
        text.replace_range(place.value.clone(), value);
        return Ok(text);
    }
    let parent = mistake.key.rsplit('.').nth(1).unwrap_or_default();
    let braces = |place: &&Place| {
        line_of(text, place.value.start) == mistake.line
            && place.is_table
            && text[place.value.clone()].starts_with('{')
    };
    let inline =
        places.iter().filter(braces).max_by_key(|place| place.path.last().is_some_and(|it| it == parent));
    if let Some(place) = inline.filter(|_| !header) {
        let end = place.value.end - 1;
        let mut text = text.to_owned();
        let comma = if text[place.value.start + 1..end].trim().is_empty() { " " } else { ", " };
        let kept = text[..end].trim_end().len();
        text.replace_range(kept..end, &format!("{comma}{pair} "));
        return Ok(text);
    }
    Ok(edit_line(text, mistake.line, |line| format!("{}\n{pair}\n", line.trim_end())))
}

/// Takes a key with its value, a word of a list, or a whole table away; gives back what was taken.
fn remove(text: &str, line: usize, what: &str) -> Result<(String, String), String> {
    if what == "this line" {
        return Ok((edit_line(text, line, |_| String::new()), String::new()));
    }
    if starts_table(what) {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let from = lines.iter().position(|it| it.trim() == what).ok_or(format!("there is no {what}"))?;
        let inner = what.trim_matches(['[', ']']);
        let own = |line: &str| line.trim_start_matches('[').starts_with(&format!("{inner}."));
        let to = (from + 1..lines.len())
            .find(|at| starts_table(lines[*at]) && !own(lines[*at]))
            .unwrap_or(lines.len());
        return Ok((lines[..from].concat() + &lines[to..].concat(), lines[from..to].concat()));
    }
    let wanted: Vec<&str> = what.split('.').collect();
    let places = places(text).unwrap_or_default();
    let body = lines_of_table(text, line);
    let found = places.iter().find(|place| {
        body.contains(&place.line)
            && !place.key.is_empty()
            && place.path.iter().map(String::as_str).collect::<Vec<_>>().ends_with(&wanted)
    });
    let range = match found {
        Some(place) => place.key.start..place.value.end,
        None => {
            let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
            let own = text[start..].lines().next().unwrap_or_default();
            let at = own.find(what).ok_or(format!("`{what}` does not stand on line {line}: {own}"))?;
            start + at..start + at + what.len()
        }
    };
    let pair = text[range.clone()].to_owned();
    let before = text[..range.start].trim_end_matches(' ');
    let after = text[range.end..].trim_start_matches(' ');
    let rest = match (before.strip_suffix(','), after.strip_prefix(',')) {
        (_, Some(after)) => format!("{before}{after}"),
        (Some(before), None) => format!("{before}{after}"),
        (None, None) => format!("{before}{after}"),
    };
    Ok((rest, pair))
}
