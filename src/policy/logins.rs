//! Logins: random tokens by which a browser or a script goes on being the user who logged in.
//!
//! The table knows the hash of each token, whose it is, and by which password; so another password ends it, whoever changed that and
//! whenever. What changes in it can be written down, so that logins outlast the hub. Cookies and headers do not belong here, nor the disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};

use super::{Identity, Policy};
use crate::domain::time::{Now, Wall};

/// How long a login lasts without being used.
pub const LOGIN_LASTS: Duration = Duration::from_secs(30 * 24 * 3600);
/// How exactly it is written down when a login was used last: a use within this time after the one before is not.
const USE_IS_NEWS_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// A token's hash (SHA-256). Looking it up takes as long whatever the token is, and 256 bits of randomness need no slow hash.
pub type TokenHash = [u8; 32];

/// Tells one password of a user, or one PIN of a room, from the next: a hash of its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordMark(pub [u8; 32]);

impl fmt::Debug for PasswordMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordMark")
    }
}

/// Somebody who logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, or what all guests by one PIN are called.
    pub user: Arc<str>,
    /// The password by which they came.
    pub mark: PasswordMark,
    /// When the login was used last.
    pub used_at: Wall,
}

/// What became of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginChange {
    /// It is new.
    Made(Login),
    /// It was used.
    Used(Login),
    /// It is over.
    Ended,
}

/// Changes that are to be written, the latest of each login.
pub type LoginChanges = HashMap<TokenHash, LoginChange>;

/// Puts `change` on top of what waits in `changes`. A login that came and went meanwhile is nothing to write, so that there are never more
/// changes than logins, those on disk included.
pub fn note_login_change(changes: &mut LoginChanges, token: TokenHash, change: LoginChange) {
    match changes.entry(token) {
        Entry::Vacant(place) => {
            place.insert(change);
        }
        Entry::Occupied(mut waits) => match (waits.get(), change) {
            (LoginChange::Made(_), LoginChange::Ended) => {
                waits.remove();
            }
            (LoginChange::Made(_), LoginChange::Used(login)) => {
                waits.insert(LoginChange::Made(login));
            }
            (_, change) => {
                waits.insert(change);
            }
        },
    }
}

/// How many logins there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// Of all users together; the one that was used longest ago goes.
    pub logins_max: usize,
    /// Of one user, or of all guests by one PIN; the one that was used longest ago goes.
    pub per_user_max: usize,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { logins_max: 10_000, per_user_max: 250 }
    }
}

/// Who is logged in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    limits: LoginLimits,
    logins: HashMap<TokenHash, Known>,
    /// None where logins end with the hub.
    changes: Option<LoginChanges>,
}

#[derive(Debug)]
struct Known {
    login: Login,
    /// What is written down, or about to be, as the last use.
    written_use: Wall,
}

impl Logins {
    /// Nobody is logged in, and logins end with the hub.
    #[must_use]
    pub fn new(limits: LoginLimits) -> Self {
        Self(Arc::new(Mutex::new(Table { limits, ..Table::default() })))
    }

    /// Those who were logged in when an earlier run ended, and changes are noted from now on for [`take_changes`](Self::take_changes).
    #[must_use]
    pub fn lasting(limits: LoginLimits, restored: Vec<(TokenHash, Login)>) -> Self {
        let known = |login: Login| Known { written_use: login.used_at, login };
        let logins = restored.into_iter().map(|(token, login)| (token, known(login))).collect();
        Self(Arc::new(Mutex::new(Table { limits, logins, changes: Some(LoginChanges::new()) })))
    }

    /// A new token for somebody who has shown who they are; none for somebody without a user, and where the system has no randomness.
    #[must_use]
    pub fn enter(&self, identity: &Identity, policy: &Policy, now: Now) -> Option<String> {
        let user = identity.user()?;
        let mark = policy.password_mark(user)?;
        let mut bytes = [0; TOKEN_BYTES];
        getrandom::fill(&mut bytes).ok()?;
        let token = BASE64.encode(bytes);
        let mut table = self.table();
        table.end_where(|login| is_over(login, now));
        table.make_room(Some(user));
        let login = Login { user: user.into(), mark, used_at: now.wall };
        table.note(hash(&token), LoginChange::Made(login.clone()));
        table.logins.insert(hash(&token), Known { written_use: login.used_at, login });
        Some(token)
    }

    /// Whose `token` is, and what they may do now; and whether there is something to write down. Not any more, where the user is
    /// gone or has another password.
    #[must_use]
    pub fn find(&self, token: &str, policy: &Policy, now: Now) -> (Option<Identity>, bool) {
        let token = hash(token);
        let mut table = self.table();
        let Some(known) = table.logins.get_mut(&token) else { return (None, false) };
        let identity = policy.of_login(&known.login).filter(|_| !is_over(&known.login, now));
        if identity.is_none() {
            table.end(token);
            return (None, table.changes.is_some());
        }
        // A clock that was not set yet says nothing, and one that was ahead is put right.
        if now.wall_synchronised || now.wall > known.login.used_at {
            known.login.used_at = now.wall;
        }
        let used_at = known.login.used_at;
        if used_at.since(known.written_use) < USE_IS_NEWS_AFTER && known.written_use.since(used_at) < USE_IS_NEWS_AFTER
        {
            return (identity, false);
        }
        known.written_use = used_at;
        let used = LoginChange::Used(known.login.clone());
        table.note(token, used);
        (identity, table.changes.is_some())
    }

    /// Ends the login with `token`.
    pub fn leave(&self, token: &str) {
        self.table().end(hash(token));
    }

    /// Ends the logins that lasted long enough, those of users who are gone or have another password, and those that are too many.
    pub fn look_through(&self, policy: &Policy, now: Now) {
        let mut table = self.table();
        table.end_where(|login| is_over(login, now) || policy.of_login(login).is_none());
        table.make_room(None);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table().logins.len()
    }

    /// What has changed since the last time that this was asked.
    #[must_use]
    pub fn take_changes(&self) -> LoginChanges {
        self.table().changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Entries are whole between two statements.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn note(&mut self, token: TokenHash, change: LoginChange) {
        if let Some(changes) = &mut self.changes {
            note_login_change(changes, token, change);
        }
    }

    fn end(&mut self, token: TokenHash) {
        if self.logins.remove(&token).is_some() {
            self.note(token, LoginChange::Ended);
        }
    }

    fn end_where(&mut self, is_over: impl Fn(&Login) -> bool) {
        let over: Vec<_> =
            self.logins.iter().filter(|(_, known)| is_over(&known.login)).map(|(token, _)| *token).collect();
        over.into_iter().for_each(|token| self.end(token));
    }

    /// Ends logins until the limits hold; with `user`, until they have room for one more, of that user.
    fn make_room(&mut self, user: Option<&str>) {
        let LoginLimits { logins_max, per_user_max } = self.limits;
        if let Some(user) = user {
            self.keep_newest(per_user_max.saturating_sub(1), |login| &*login.user == user);
        } else {
            let mut counts: HashMap<Arc<str>, usize> = HashMap::new();
            for known in self.logins.values() {
                *counts.entry(Arc::clone(&known.login.user)).or_default() += 1;
            }
            for (user, _) in counts.into_iter().filter(|(_, count)| *count > per_user_max) {
                self.keep_newest(per_user_max, |login| login.user == user);
            }
        }
        self.keep_newest(logins_max.saturating_sub(usize::from(user.is_some())), |_| true);
    }

    /// Ends those of which `is_one` is true, but for the `most` that were used last.
    fn keep_newest(&mut self, most: usize, is_one: impl Fn(&Login) -> bool) {
        let ones = self.logins.iter().filter(|(_, known)| is_one(&known.login));
        let mut ones: Vec<_> = ones.map(|(token, known)| (known.login.used_at, *token)).collect();
        let surplus = ones.len().saturating_sub(most);
        if surplus == 0 {
            return;
        }
        metrics::counter!("lockstep_logins_displaced_total").increment(surplus as u64);
        ones.sort_unstable();
        ones.into_iter().take(surplus).for_each(|(_, token)| self.end(token));
    }
}

impl Policy {
    /// What tells the password of `user` from the one before and the one after, the PIN of guests likewise; none where there is no such
    /// user.
    #[must_use]
    pub fn password_mark(&self, user: &str) -> Option<PasswordMark> {
        let tables = self.tables();
        let hash = match tables.users.get(user) {
            Some(user) => &user.hash,
            None => &tables.guests.named(user)?.hash,
        };
        Some(PasswordMark(Sha256::digest(hash.as_bytes()).into()))
    }

    /// What somebody who is logged in may do; none, when they are gone or have another password.
    fn of_login(&self, login: &Login) -> Option<Identity> {
        (self.password_mark(&login.user)? == login.mark).then(|| self.known_user(&login.user))?
    }
}

/// Whether a login was not used for too long. As long as the clock is not set, nobody knows.
fn is_over(login: &Login, now: Now) -> bool {
    now.wall_synchronised && now.wall.since(login.used_at) >= LOGIN_LASTS
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
