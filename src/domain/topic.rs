//! Topics and topic filters (MQTT 5 §4.7, MQTT 3.1.1 §4.7).
//!
//! What a topic below the hub's root means does not belong here; that is [`hub`](super::hub).

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest topic or filter that the protocol can carry, in bytes of UTF-8 (MQTT 5 §1.5.4).
pub const TOPIC_BYTES_MAX: usize = 65_535;

/// The prefix of a shared subscription's filter (MQTT 5 §4.8.2).
pub const SHARE_PREFIX: &str = "$share/";

/// Why a text is no topic, or no topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// No characters at all (MQTT 5 §4.7.3).
    #[error("a topic has at least one character")]
    Empty,
    /// Longer than the protocol can carry.
    #[error("a topic has at most {TOPIC_BYTES_MAX} bytes")]
    TooLong,
    /// U+0000 (MQTT 5 §4.7.3).
    #[error("a topic has no null character")]
    Null,
    /// `+` or `#` in the topic of a publication (MQTT 5 §3.3.2.1).
    #[error("a topic to publish to has no `+` and no `#`")]
    Wildcard,
    /// A wildcard that does not stand alone in its level, or a `#` that is not last (MQTT 5 §4.7.1).
    #[error("`+` stands alone in its level, and `#` alone in the last one")]
    Misplaced,
    /// A shared filter without a group name or without a filter behind it (MQTT 5 §4.8.2).
    #[error("a shared filter is $share/GROUP/FILTER, with no `+` and no `#` in GROUP")]
    Share,
}

/// A topic to publish to: valid, without wildcards. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(Arc<str>);

impl Topic {
    /// Takes `text` as a topic.
    ///
    /// # Errors
    /// Says what a topic must not be: empty, over 65,535 bytes, with a null character or a wildcard.
    pub fn parse(text: &str) -> Result<Self, InvalidTopic> {
        check_length(text)?;
        if text.contains(['+', '#']) {
            return Err(InvalidTopic::Wildcard);
        }
        Ok(Self(text.into()))
    }

    /// Joins levels that are known to be good, such as ids and words of the design.
    pub(crate) fn of(levels: &[&str]) -> Self {
        Self(levels.join("/").into())
    }

    /// The topic as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, in order.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl std::borrow::Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Topic {
    type Error = InvalidTopic;

    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::parse(&text)
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.as_str().to_owned()
    }
}

/// A topic filter: valid, wildcards allowed, no share group. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(Arc<str>);

impl Filter {
    /// Takes `text` as a topic filter.
    ///
    /// # Errors
    /// Says what a filter must not be. `$share/…` is refused here: see [`Subscription::parse`].
    pub fn parse(text: &str) -> Result<Self, InvalidTopic> {
        check_length(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let wild = level.contains(['+', '#']);
            if wild && (level.len() > 1 || (level == "#" && levels.peek().is_some())) {
                return Err(InvalidTopic::Misplaced);
            }
        }
        if text.starts_with(SHARE_PREFIX) || text == "$share" {
            return Err(InvalidTopic::Share);
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the filter has no wildcard, and so matches one topic at the most.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    /// Whether `topic` matches. A wildcard in the first level does not match a topic that begins with `$` (MQTT 5 §4.7.2),
    /// and `a/#` matches `a` too (§4.7.1.2).
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut topic_levels = topic.split('/');
        for level in self.0.split('/') {
            if level == "#" {
                return true;
            }
            match topic_levels.next() {
                Some(part) if level == "+" || level == part => {}
                _ => return false,
            }
        }
        topic_levels.next().is_none()
    }

    /// The part in front of the first wildcard: every matching topic begins with it, `a/#` (which matches `a`) included.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        match self.0.find(['+', '#']) {
            Some(at) if self.0[at..].starts_with('#') => self.0[..at].trim_end_matches('/'),
            Some(at) => &self.0[..at],
            None => &self.0,
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Filter {
    type Error = InvalidTopic;

    fn try_from(text: String) -> Result<Self, InvalidTopic> {
        Self::parse(&text)
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.as_str().to_owned()
    }
}

/// What a SUBSCRIBE may ask for: a filter, or a share of one (MQTT 5 §4.8.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subscription {
    /// The name of the group that shares the messages; none for a subscription of one's own.
    pub group: Option<Arc<str>>,
    /// What is subscribed to.
    pub filter: Filter,
}

impl Subscription {
    /// Takes `text` as a filter or as `$share/GROUP/FILTER`.
    ///
    /// # Errors
    /// Says what is wrong with the filter or with the group.
    pub fn parse(text: &str) -> Result<Self, InvalidTopic> {
        let Some(shared) = text.strip_prefix(SHARE_PREFIX) else {
            return Ok(Self { group: None, filter: Filter::parse(text)? });
        };
        let (group, filter) = shared.split_once('/').ok_or(InvalidTopic::Share)?;
        if group.is_empty() || group.contains(['+', '#']) || filter.is_empty() {
            return Err(InvalidTopic::Share);
        }
        check_length(text)?;
        Ok(Self { group: Some(group.into()), filter: Filter::parse(filter)? })
    }
}

fn check_length(text: &str) -> Result<(), InvalidTopic> {
    if text.is_empty() {
        Err(InvalidTopic::Empty)
    } else if text.len() > TOPIC_BYTES_MAX {
        Err(InvalidTopic::TooLong)
    } else if text.contains('\0') {
        Err(InvalidTopic::Null)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
