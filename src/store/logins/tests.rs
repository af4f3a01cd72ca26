#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;

use super::*;
use crate::store::{
    changes::Changes,
    file::{StoreFile, open_database},
};

fn login(number: u8) -> Login {
    let used_at = Wall::from_unix_ms(1_700_000_000_000 + i64::from(number));
    Login { user: format!("anna-{number}").into(), mark: PasswordMark([number; 32]), used_at }
}

/// The change by which the login `number` came to be.
pub(in crate::store) fn made(number: u8) -> LoginChanges {
    LoginChanges::from([([number; 32], LoginChange::Made(login(number)))])
}

fn open(path: &Path) -> (StoreFile, Vec<(TokenHash, Login)>) {
    let (file, restored) = StoreFile::open(path, Box::new(open_database)).unwrap();
    (file, restored.logins)
}

#[test]
fn logins_are_there_again_until_they_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lockstep.redb");
    let (mut file, none) = open(&path);
    assert_eq!(none, []);
    for number in [1, 2] {
        file.commit(&Changes { logins: made(number), ..Changes::default() }).unwrap();
    }
    drop(file);
    let (mut file, logins) = open(&path);
    assert_eq!(logins, [([1; 32], login(1)), ([2; 32], login(2))]);
    let mut used = login(2);
    used.used_at = Wall::from_unix_ms(5);
    let logins = LoginChanges::from([([1; 32], LoginChange::Ended), ([2; 32], LoginChange::Used(used.clone()))]);
    file.commit(&Changes { logins, ..Changes::default() }).unwrap();
    drop(file);
    assert_eq!(open(&path).1, [([2; 32], used)]);
}

#[test]
fn what_could_not_be_written_is_beneath_what_came_since() {
    let mut newer = Changes { logins: made(3), ..Changes::default() };
    newer.logins.insert([1; 32], LoginChange::Ended);
    newer.logins.insert([2; 32], LoginChange::Used(login(9)));
    let mut older = Changes { logins: made(1), ..Changes::default() };
    older.logins.extend(made(2));
    newer.put_beneath(older);
    assert_eq!(newer.logins.get(&[1; 32]), None, "it came and went");
    assert_eq!(newer.logins.get(&[2; 32]), Some(&LoginChange::Made(login(9))));
    assert_eq!(newer.logins.len(), 2);
}

#[test]
fn bytes_of_another_version_are_no_login() {
    let bytes = write_login(&login(7));
    assert_eq!(read_login(&bytes), Some(login(7)));
    for wrong in [&[][..], &[2; 60][..], &bytes[..30]] {
        assert_eq!(read_login(wrong), None);
    }
}
