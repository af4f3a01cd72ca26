//! Access rules in mosquitto's form.
//!
//! ```text
//! topic deny secret/#              before any `user`: for everybody without a user
//! user anna
//! topic write kitchen/#            anna may publish there, whatever her role
//! pattern readwrite home/%u/#      for everybody: %u is the user name, %c the client id
//! ```
//!
//! A `deny` takes away, from reading and writing; `write` and `readwrite` add to what the role allows. Reading needs no rule: every
//! role reads everything that is not denied. What a role allows does not belong here.

use std::path::Path;

use super::{FileError, read_if_there};
use crate::domain::topic::Filter;

/// How many rules there may be.
pub(super) const RULES_MAX: usize = 10_000;

/// One rule as it applies to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) filter: Filter,
    pub(super) deny: bool,
    pub(super) write: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    whom: Whom,
    /// With `%u` and `%c` still in it.
    filter: String,
    deny: bool,
    write: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Anonymous,
    User(String),
    Everybody,
}

/// Somebody, as rules see them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) client_id: Option<&'a str>,
}

/// All rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Acl(Vec<Line>);

impl Acl {
    /// Reads the file; no rules, where there is none.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let text = read_if_there(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        Self::parse(&text.unwrap_or_default()).map_err(|(line, reason)| FileError::Line {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// Parses the rules; the line number and the fault of the first that is none.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut lines = Vec::new();
        let mut whom = Whom::Anonymous;
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason: String| (index + 1, reason);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "user" if !rest.is_empty() => whom = Whom::User(rest.to_owned()),
                "topic" => lines.push(parse_rule(rest, whom.clone()).map_err(wrong)?),
                "pattern" => lines.push(parse_rule(rest, Whom::Everybody).map_err(wrong)?),
                _ => return Err(wrong(format!("`{word}` is none of `user NAME`, `topic …` and `pattern …`"))),
            }
            if lines.len() > RULES_MAX {
                return Err(wrong(format!("there are more than {RULES_MAX} rules")));
            }
        }
        Ok(Self(lines))
    }

    /// The rules that apply to `subject`, with its names put in.
    pub(super) fn rules_for(&self, subject: &Subject<'_>) -> Vec<Rule> {
        let applies = |line: &&Line| match &line.whom {
            Whom::Anonymous => subject.user.is_none(),
            Whom::User(name) => subject.user == Some(name),
            Whom::Everybody => true,
        };
        let resolve = |line: &Line| {
            let text =
                put_in(&line.filter, "%u", subject.user).and_then(|text| put_in(&text, "%c", subject.client_id))?;
            Some(Rule { filter: Filter::parse(&text).ok()?, deny: line.deny, write: line.write })
        };
        self.0.iter().filter(applies).filter_map(resolve).collect()
    }
}

/// `text` with the name in the place of `mark`; none where the name is missing or would mean more than a name in a filter.
fn put_in(text: &str, mark: &str, name: Option<&str>) -> Option<String> {
    if !text.contains(mark) {
        return Some(text.to_owned());
    }
    let name = name.filter(|name| !name.is_empty() && !name.contains(['+', '#', '/']))?;
    Some(text.replace(mark, name))
}

fn parse_rule(rest: &str, whom: Whom) -> Result<Line, String> {
    let (access, filter) = match rest.split_once(char::is_whitespace) {
        Some((access @ ("read" | "write" | "readwrite" | "deny"), filter)) => (access, filter.trim()),
        _ => ("readwrite", rest),
    };
    Filter::parse(filter).map_err(|e| format!("`{filter}` is no topic filter: {e}"))?;
    Ok(Line { whom, filter: filter.to_owned(), deny: access == "deny", write: matches!(access, "write" | "readwrite") })
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
pub(crate) fn covers(wide: &Filter, narrow: &Filter) -> bool {
    let mut narrow_levels = narrow.as_str().split('/');
    for level in wide.as_str().split('/') {
        if level == "#" {
            return true;
        }
        match narrow_levels.next() {
            Some("#") | None => return false,
            Some(part) if level == part || level == "+" => {}
            Some(_) => return false,
        }
    }
    narrow_levels.next().is_none()
}
