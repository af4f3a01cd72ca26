#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::{
    domain::time::Mono,
    policy::{Role, Settings, User, Users},
};

/// A hash in PHC form that is quick to make: what is in it does not matter here.
fn hash_of(password: u8) -> String {
    format!("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0${}", BASE64.encode([password; 30]))
}

fn write(folder: &Path, users: &[(&str, u8)]) {
    let mut all = Users::default();
    for (name, password) in users {
        all.set(User { name: (*name).to_owned(), role: Role::Member, hash: hash_of(*password) }).unwrap();
    }
    all.write(&folder.join("users")).unwrap();
}

fn house(users: &[(&str, u8)]) -> (TempDir, Policy) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), users);
    let settings = Settings {
        root: "lockstep".parse().unwrap(),
        loopback_only: false,
        anonymous: None,
        users_file: folder.path().join("users"),
        acl_file: folder.path().join("acl"),
    };
    (folder, Policy::load(settings).unwrap())
}

fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now {
        mono: Mono::from_boot(since),
        wall: Wall::from_unix_ms(1_700_000_000_000).after(since),
        wall_synchronised: true,
    }
}

const DAY: u64 = 24 * 3600;

fn enter(logins: &Logins, policy: &Policy, user: &str, now: Now) -> String {
    logins.enter(&policy.known_user(user).unwrap(), policy, now).unwrap()
}

fn is_in(logins: &Logins, policy: &Policy, token: &str, now: Now) -> bool {
    logins.find(token, policy, now).0.is_some()
}

/// What a hub finds after a restart.
fn restart(logins: &Logins, disk: &mut HashMap<TokenHash, Login>, limits: LoginLimits) -> Logins {
    for (token, change) in logins.take_changes() {
        match change {
            LoginChange::Made(login) | LoginChange::Used(login) => disk.insert(token, login),
            LoginChange::Ended => disk.remove(&token),
        };
    }
    Logins::lasting(limits, disk.clone().into_iter().collect())
}

#[test]
fn a_login_lasts_from_use_to_use_and_over_restarts() {
    let (_folder, policy) = house(&[("anna", 1)]);
    let mut disk = HashMap::new();
    let limits = LoginLimits::default();
    let logins = Logins::lasting(limits, Vec::new());
    let token = enter(&logins, &policy, "anna", at(0));
    assert!(!is_in(&logins, &policy, "", at(0)) && !is_in(&logins, &policy, &token[1..], at(0)));
    assert!(!logins.find(&token, &policy, at(10)).1, "a use so soon is no news");
    let logins = restart(&logins, &mut disk, limits);
    let (found, news) = logins.find(&token, &policy, at(29 * DAY));
    assert_eq!((found.unwrap().user(), news), (Some("anna"), true));
    let logins = restart(&logins, &mut disk, limits);
    assert!(is_in(&logins, &policy, &token, at(58 * DAY)));
    assert!(!is_in(&logins, &policy, &token, at(88 * DAY)), "30 days without use");
    assert_eq!((logins.count(), restart(&logins, &mut disk, limits).count()), (0, 0));
}

#[test]
fn a_clock_that_is_not_set_ends_no_login() {
    let (_folder, policy) = house(&[("anna", 1)]);
    let logins = Logins::lasting(LoginLimits::default(), Vec::new());
    let token = enter(&logins, &policy, "anna", at(DAY));
    let unset = |seconds| Now { wall_synchronised: false, ..at(seconds) };
    assert!(is_in(&logins, &policy, &token, unset(0)));
    logins.look_through(&policy, unset(90 * DAY));
    assert!(is_in(&logins, &policy, &token, at(20 * DAY)), "an early clock does not make it older");
    logins.look_through(&policy, at(60 * DAY));
    assert_eq!(logins.count(), 0);
}

#[test]
fn another_password_ends_the_logins_and_another_role_does_not() {
    let (folder, policy) = house(&[("anna", 1), ("ben", 1), ("cleo", 1)]);
    let limits = LoginLimits::default();
    let logins = Logins::lasting(limits, Vec::new());
    let tokens: Vec<_> = ["anna", "ben", "cleo"].map(|user| enter(&logins, &policy, user, at(0))).into();
    let mut disk = HashMap::new();
    let after = restart(&logins, &mut disk, limits);
    write(folder.path(), &[("anna", 2), ("ben", 1)]);
    policy.reload().unwrap();
    for logins in [logins, after] {
        logins.look_through(&policy, at(1));
        assert_eq!(logins.count(), 1);
        let is_in: Vec<_> = tokens.iter().map(|token| is_in(&logins, &policy, token, at(1))).collect();
        assert_eq!(is_in, [false, true, false]);
    }
    assert_eq!(policy.password_mark("nobody"), None);
}

#[test]
fn the_login_that_was_used_longest_ago_makes_room() {
    let (_folder, policy) = house(&[("anna", 1), ("ben", 1)]);
    let logins = Logins::new(LoginLimits { logins_max: 4, per_user_max: 3 });
    let ben = enter(&logins, &policy, "ben", at(0));
    let anna: Vec<_> = (1..=3).map(|second| enter(&logins, &policy, "anna", at(second))).collect();
    assert!(is_in(&logins, &policy, &anna[0], at(4)));
    let fourth = enter(&logins, &policy, "anna", at(5));
    let left: Vec<_> = anna.iter().map(|token| is_in(&logins, &policy, token, at(6))).collect();
    assert_eq!(left, [true, false, true], "one of anna's");
    assert!(is_in(&logins, &policy, &fourth, at(6)) && is_in(&logins, &policy, &ben, at(4)));
    enter(&logins, &policy, "ben", at(7));
    assert!(!is_in(&logins, &policy, &ben, at(8)), "all together");
    assert_eq!(logins.count(), 4);
    assert_eq!(logins.take_changes(), LoginChanges::new(), "nobody writes them down");

    // Limits that are lower than before hold from the start on.
    let wide = Logins::lasting(LoginLimits::default(), Vec::new());
    for second in 0..9 {
        enter(&wide, &policy, if second < 6 { "anna" } else { "ben" }, at(second));
    }
    let narrow = restart(&wide, &mut HashMap::new(), LoginLimits { logins_max: 5, per_user_max: 3 });
    narrow.look_through(&policy, at(10));
    assert_eq!(narrow.count(), 5);
}

#[test]
fn changes_never_pile_up() {
    let (_folder, policy) = house(&[("anna", 1)]);
    let logins = Logins::lasting(LoginLimits::default(), Vec::new());
    for second in 0..100 {
        logins.leave(&enter(&logins, &policy, "anna", at(second)));
    }
    assert_eq!(logins.take_changes().len(), 0);
    let token = enter(&logins, &policy, "anna", at(200));
    assert!(matches!(logins.take_changes().into_values().next(), Some(LoginChange::Made(_))));
    logins.leave(&token);
    assert_eq!(logins.take_changes().into_values().collect::<Vec<_>>(), [LoginChange::Ended]);
}
