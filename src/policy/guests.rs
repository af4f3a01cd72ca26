//! Guests: who knows the PIN of a room sees that room and nothing else, and moves its things where the PIN says so.
//!
//! The file has a line a room, `room:role:number:hash`, with argon2id hashes in PHC form. The number tells a PIN from the one before it,
//! so that a new PIN ends the logins of the old one. PINs are made here and never chosen: people choose 1234.

use std::{collections::BTreeMap, path::Path};

use argon2::password_hash::phc::PasswordHash;

use super::{
    FileError, Role, read_if_there,
    users::{hash_password, write_private},
};
use crate::domain::id::Id;

/// How many digits a PIN has: with the attempts that a room allows in a minute, guessing one takes years.
pub(super) const PIN_DIGITS: u32 = 8;
/// How many rooms may have a PIN.
const ROOMS_MAX: usize = 10_000;

/// Whom a PIN lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    pub(super) room: Id,
    /// [`Role::Viewer`] or [`Role::Member`].
    pub(super) role: Role,
    number: u32,
    pub(super) hash: String,
}

impl Guest {
    /// What all who came in by this PIN are called. No user's name has a colon.
    pub(super) fn name(&self) -> String {
        format!("guest:{}:{:08x}", self.room, self.number)
    }
}

/// The rooms that have a PIN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Guests(BTreeMap<String, Guest>);

impl Guests {
    /// Reads the file; no guests, where there is none.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        let text = read_if_there(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let mut guests = BTreeMap::new();
        for (index, line) in text.unwrap_or_default().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason| FileError::Line { path: path.to_owned(), line: index + 1, reason };
            let guest = parse_line(line).map_err(wrong)?;
            guests.insert(guest.room.to_string(), guest);
        }
        Ok(Self(guests))
    }

    /// Writes the file anew, whole or not at all, readable by its owner only.
    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = String::from("# The PINs of rooms: room:role:number:hash. Made by the dashboard.\n");
        for Guest { room, role, number, hash } in self.0.values() {
            text.push_str(&format!("{room}:{role}:{number:08x}:{hash}\n"));
        }
        write_private(path, &text)
    }

    /// The guests of a room.
    pub(super) fn of_room(&self, room: &str) -> Option<&Guest> {
        self.0.get(room)
    }

    /// The guests who are called `name`, where their PIN is still the one by which they came.
    pub(super) fn named(&self, name: &str) -> Option<&Guest> {
        let room = name.strip_prefix("guest:")?.rsplit_once(':')?.0;
        self.0.get(room).filter(|guest| guest.name() == name)
    }

    /// Makes a PIN for `room`, in the place of the one it has; returns it in clear, for the only time.
    pub(super) fn invite(&mut self, room: Id, role: Role) -> Result<String, String> {
        if self.0.len() >= ROOMS_MAX && !self.0.contains_key(room.as_str()) {
            return Err(format!("{ROOMS_MAX} rooms have a PIN already"));
        }
        let none = |e| format!("the system gives no randomness: {e}");
        // The rest is too small a part of 2^64 to make one PIN likelier than another.
        let pin = getrandom::u64().map_err(none)? % 10_u64.pow(PIN_DIGITS);
        let pin = format!("{pin:0width$}", width = PIN_DIGITS as usize);
        let guest = Guest {
            room: room.clone(),
            role,
            number: getrandom::u32().map_err(none)?,
            hash: hash_password(pin.as_bytes())?,
        };
        self.0.insert(room.to_string(), guest);
        Ok(pin)
    }

    /// Takes a room's PIN away.
    pub(super) fn dismiss(&mut self, room: &str) {
        self.0.remove(room);
    }
}

/// The digits of what somebody typed: a PIN is shown in two groups.
pub(super) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn parse_line(line: &str) -> Result<Guest, String> {
    let parts: Vec<&str> = line.splitn(4, ':').collect();
    let [room, role, number, hash] = parts[..] else { return Err("a line is room:role:number:hash".to_owned()) };
    let role: Role = role.parse()?;
    if !matches!(role, Role::Viewer | Role::Member) {
        return Err(format!("guests are viewer or member, not {role}"));
    }
    PasswordHash::new(hash).map_err(|_| format!("the PIN of `{room}` is not hashed"))?;
    Ok(Guest {
        room: room.parse().map_err(|e| format!("{e}"))?,
        role,
        number: u32::from_str_radix(number, 16).map_err(|_| format!("`{number}` is no number of a PIN"))?,
        hash: hash.to_owned(),
    })
}
