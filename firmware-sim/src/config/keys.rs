//! A TOML text, key by key: each key is asked for by name, over the same key of the default; what nobody asks for is unknown.
//!
//! By hand instead of by derived code, because that is a sixth of the size, tells every fault at once, and each with its line.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::raw::RawPin;

/// Reads a text over the default one.
pub(super) struct Document<'t> {
    text: &'t str,
    pub(super) faults: Vec<String>,
}

/// The keys of one table, and those that were asked for.
pub(super) struct Keys<'d, 't> {
    over: Option<&'d DeTable<'d>>,
    under: Option<&'d DeTable<'d>>,
    known: Vec<&'static str>,
    /// For a part of a list: a key that has to be there.
    begin: Option<Range<usize>>,
    document: &'d mut Document<'t>,
}

impl<'t> Document<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, faults: Vec::new() }
    }

    /// The text's tables; none where it is no TOML.
    pub(super) fn parse<'p>(&mut self, text: &'p str) -> Option<DeTable<'p>> {
        match DeTable::parse(text) {
            Ok(table) => Some(table.into_inner()),
            Err(error) => {
                let message = error.message().replace('\n', ", ");
                self.fault(error.span().as_ref(), &message);
                None
            }
        }
    }

    /// The whole document, as a table over that of the default.
    pub(super) fn keys<'d>(&'d mut self, over: &'d DeTable<'d>, under: &'d DeTable<'d>) -> Keys<'d, 't> {
        Keys { over: Some(over), under: Some(under), known: Vec::new(), begin: None, document: self }
    }

    fn fault(&mut self, place: Option<&Range<usize>>, message: &str) {
        let line = place.map(|place| self.text.bytes().take(place.start).filter(|&b| b == b'\n').count() + 1);
        self.faults.push(line.map_or_else(|| message.to_owned(), |line| format!("line {line}: {message}")));
    }
}

impl<'d> Keys<'d, '_> {
    /// Reads the table `key`.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Keys<'_, '_>) -> T) -> T {
        self.known.push(key);
        let under = self.under.and_then(|table| table.get(key)).and_then(|value| value.get_ref().as_table());
        let over = self.over.and_then(|table| table.get(key));
        let table = over.and_then(|value| value.get_ref().as_table());
        if let (Some(value), None) = (over, table) {
            self.wrong(value, &format!("a table, [{key}]"));
        }
        let mut keys = Keys { over: table, under, known: Vec::new(), begin: None, document: &mut *self.document };
        let read = read(&mut keys);
        keys.finish();
        read
    }

    /// Reads each table of the list `key`, which replaces the default's as a whole.
    pub(super) fn list<T>(&mut self, key: &'static str, read: impl Fn(&mut Keys<'_, '_>) -> T) -> Vec<T> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(parts) = value.get_ref().as_array() else {
            self.wrong(value, &format!("a list of tables, [[{key}]]"));
            return Vec::new();
        };
        let mut list = Vec::new();
        for part in parts.iter() {
            let Some(table) = part.get_ref().as_table() else {
                self.wrong(part, &format!("a table, [[{key}]]"));
                continue;
            };
            let begin = Some(part.span());
            let mut keys =
                Keys { over: Some(table), under: None, known: Vec::new(), begin, document: &mut *self.document };
            list.push(read(&mut keys));
            keys.finish();
        }
        list
    }

    /// A text; empty where there is none.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// A text that a part of a list must have.
    pub(super) fn name(&mut self, key: &'static str) -> String {
        if self.over.is_some_and(|table| !table.contains_key(key)) {
            let begin = self.begin.clone();
            self.document.fault(begin.as_ref(), &format!("missing field `{key}`"));
        }
        self.text(key)
    }

    /// A number; none where there is none.
    pub(super) fn number(&mut self, key: &'static str) -> Option<i64> {
        self.read(key, "a whole number", integer)
    }

    /// `true` or `false`; false where there is none.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.read(key, "true or false", |value| value.as_bool()).unwrap_or_default()
    }

    /// A pin; none where there is none.
    pub(super) fn pin(&mut self, key: &'static str) -> Option<RawPin> {
        self.read(key, "a pin, such as 17 or \"GPIO17\"", |value| {
            integer(value).map(RawPin::Line).or_else(|| value.as_str().map(|text| RawPin::Text(text.to_owned())))
        })
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<String> {
        let texts = |value: &DeValue<'_>| {
            value.as_array()?.iter().map(|text| text.get_ref().as_str().map(str::to_owned)).collect()
        };
        self.read(key, "a list of texts", texts).unwrap_or_default()
    }

    fn read<T>(&mut self, key: &'static str, wanted: &str, of: impl FnOnce(&DeValue<'_>) -> Option<T>) -> Option<T> {
        let value = self.value(key)?;
        let read = of(value.get_ref());
        if read.is_none() {
            self.wrong(value, wanted);
        }
        read
    }

    fn value(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.over.and_then(|table| table.get(key)).or_else(|| self.under.and_then(|table| table.get(key)))
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let message = format!("invalid type: {}, expected {wanted}", value.get_ref().type_str());
        self.document.fault(Some(&value.span()), &message);
    }

    /// Tells the keys that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.over.into_iter().flat_map(DeTable::keys) {
            if !self.known.contains(&key.get_ref().as_ref()) {
                let expected = self.known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ");
                let message = format!("unknown field `{}`, expected one of {expected}", key.get_ref());
                self.document.fault(Some(&key.span()), &message);
            }
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
