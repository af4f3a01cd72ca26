//! The logins on disk: a token's hash, whose it is, by which password, and when it was used last.
//!
//! What a login is worth does not belong here.

use redb::{ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::error::StoreError;
use crate::{
    domain::time::Wall,
    policy::{Login, LoginChange, LoginChanges, PasswordMark, TokenHash},
};

/// A token's hash → see [`write_login`]. No backup has it: one that is put back must not bring back who logged out since.
const LOGINS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("logins");

/// The version of [`write_login`].
const VERSION: u8 = 1;

pub(super) fn make_table(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction.open_table(LOGINS)?;
    Ok(())
}

pub(super) fn write(transaction: &WriteTransaction, changes: &LoginChanges) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut table = transaction.open_table(LOGINS)?;
    for (token, change) in changes {
        match change {
            LoginChange::Made(login) | LoginChange::Used(login) => {
                table.insert(token, write_login(login).as_slice())?;
            }
            LoginChange::Ended => {
                table.remove(token)?;
            }
        }
    }
    Ok(())
}

/// Reads them; one that another version wrote is left out, and its user logs in anew.
pub(super) fn read(transaction: &ReadTransaction) -> Result<Vec<(TokenHash, Login)>, StoreError> {
    let mut logins = Vec::new();
    for entry in transaction.open_table(LOGINS)?.iter()? {
        let (token, login) = entry?;
        logins.extend(read_login(login.value()).map(|login| (*token.value(), login)));
    }
    Ok(logins)
}

/// A login as it is written: version, last use in Unix milliseconds, the password's mark, the user.
fn write_login(login: &Login) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&login.used_at.unix_ms().to_be_bytes());
    bytes.extend_from_slice(&login.mark.0);
    bytes.extend_from_slice(login.user.as_bytes());
    bytes
}

/// Reads it back; none where the bytes are not one.
fn read_login(bytes: &[u8]) -> Option<Login> {
    let [VERSION, rest @ ..] = bytes else { return None };
    let (used_at, rest) = rest.split_first_chunk::<8>()?;
    let (mark, user) = rest.split_first_chunk::<32>()?;
    Some(Login {
        user: std::str::from_utf8(user).ok()?.into(),
        mark: PasswordMark(*mark),
        used_at: Wall::from_unix_ms(i64::from_be_bytes(*used_at)),
    })
}

#[cfg(test)]
pub(super) mod tests;
