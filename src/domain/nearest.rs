//! The name that somebody probably meant: for a typo in a topic, and for one in a configuration's key.
//!
//! Saying so does not belong here.

/// The most characters of a name that is compared with the names that exist.
const COMPARED_CHARS_MAX: usize = 64;

/// The name that is most like `asked`, where one is like it at all: at most a third of it, and at least two, letters apart.
#[must_use]
pub fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let asked: Vec<char> = asked.chars().take(COMPARED_CHARS_MAX).collect();
    let far = (asked.len() / 3).max(2);
    names
        .map(|name| (distance(&asked, &name.chars().collect::<Vec<_>>()), name))
        .filter(|(distance, name)| *distance <= far && *distance < name.chars().count())
        .min()
        .map(|(_, name)| name)
}

/// How many letters have to be changed, added, taken away or swapped with their neighbour (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
