//! "Did you mean": the known word that is least edits away.

/// Longer words are no slip of a known one.
pub const LONGEST: usize = 128;

/// The candidate nearest to `word`, when it is near enough to be a slip of the fingers.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let letters: Vec<char> = word.chars().collect();
    let allowed = (letters.len() / 3).clamp(1, 6);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((within(allowed, &letters, candidate)?, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours between two words.
#[must_use]
pub fn distance(left: &str, right: &str) -> usize {
    let letters: Vec<char> = left.chars().collect();
    within(usize::MAX, &letters, right).unwrap_or(usize::MAX)
}

/// The same, when it is not more than `most`: two words that differ more are not compared to their ends.
fn within(most: usize, left: &[char], right: &str) -> Option<usize> {
    let right: Vec<char> = right.chars().collect();
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut row = before.clone();
    for (i, a) in left.iter().enumerate() {
        row.clear();
        row.push(i + 1);
        for (j, b) in right.iter().enumerate() {
            let substituted = above[j] + usize::from(a != b);
            let mut best = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        // Each row is at least the least of the two before it.
        let hopeless = |row: &[usize]| row.iter().all(|edits| *edits > most);
        if hopeless(&row) && hopeless(&above) {
            return None;
        }
        std::mem::swap(&mut before, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    above.last().copied().filter(|edits| *edits <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_word() {
        let words = ["battery", "inverter", "grid-meter"];
        assert_eq!(nearest("batery", words), Some("battery"));
        assert_eq!(nearest("invetrer", words), Some("inverter"));
        assert_eq!(nearest("windmill", words), None);
    }

    proptest! {
        #[test]
        fn words_that_are_too_far_apart_are_told_without_counting_to_the_end(left in "[ab]{0,9}", right in "[ab]{0,9}", most in 0..9_usize) {
            let edits = distance(&left, &right);
            let letters: Vec<char> = left.chars().collect();
            prop_assert_eq!(within(most, &letters, &right), Some(edits).filter(|edits| *edits <= most));
        }
    }
}
