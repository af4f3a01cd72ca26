//! Ids of rooms, things and devices: the parts of a topic that Lockstep gives a meaning to.
//!
//! Names for people (Unicode, changeable) do not belong here; an id never changes.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The most characters an id may have.
pub const ID_LENGTH_MAX: usize = 64;

/// The room names that the hub keeps for itself.
pub const RESERVED_ROOMS: [&str; 2] = ["hub", "device"];

/// An id: `[a-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(Arc<str>);

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no id: 1 to {ID_LENGTH_MAX} of a-z, 0-9, `_` and `-` are")]
pub struct InvalidId {
    text: String,
}

impl Id {
    /// An id that the code itself spells out.
    #[cfg(feature = "hub")]
    pub(crate) fn known(text: &'static str) -> Self {
        debug_assert!(text.parse::<Self>().is_ok(), "`{text}` is no id");
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id made from any text: letters lowered, everything else that an id may not have becomes `-`.
    ///
    /// Returns none where nothing of the text is left.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut id = String::with_capacity(text.len().min(ID_LENGTH_MAX));
        for c in text.chars().flat_map(char::to_lowercase) {
            let c = if is_id_char(c) { c } else { '-' };
            if !(c == '-' && (id.is_empty() || id.ends_with('-'))) {
                id.push(c);
            }
            if id.len() == ID_LENGTH_MAX {
                break;
            }
        }
        id.trim_end_matches('-').parse().ok()
    }
}

const fn is_id_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '-')
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if (1..=ID_LENGTH_MAX).contains(&text.len()) && text.chars().all(is_id_char) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId { text: text.chars().take(ID_LENGTH_MAX).collect() })
        }
    }
}

impl TryFrom<String> for Id {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}
