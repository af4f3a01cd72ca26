//! Who may do what: users, roles and access rules, one answer for MQTT, HTTP, WebSocket and Socket.IO.
//!
//! How somebody shows who they are does not belong here: a CONNECT packet, a form and a header are the edges'. Neither do
//! the rules of the things: a right to publish does not make a command sensible.

mod acl;
mod attempts;
mod checks;
mod guests;
mod identity;
mod invitations;
mod logins;
mod users;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch;

pub(crate) use acl::covers;
use acl::{Acl, Subject};
use attempts::Attempts;
use checks::Checks;
use guests::Guests;
pub use identity::{Identity, ReadRights, Role};
pub use invitations::{INVITATION_LASTS, Invitations};
pub use logins::{
    LOGIN_LASTS, Login, LoginChange, LoginChanges, LoginLimits, Logins, PasswordMark, TokenHash, note_login_change,
};
pub use users::{User, Users, hash_password};

use crate::domain::id::Id;

/// What the policy is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The first level of the hub's topics.
    pub root: Id,
    /// Whether only this machine can reach the hub: then everybody is admin.
    pub loopback_only: bool,
    /// What somebody without a user may do; none: nothing.
    pub anonymous: Option<Role>,
    /// The users; the file may be missing.
    pub users_file: PathBuf,
    /// The access rules; the file may be missing.
    pub acl_file: PathBuf,
}

/// What somebody shows of themselves.
#[derive(Clone)]
pub struct Credentials {
    /// User name; none for somebody who comes without.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// The MQTT client id, where there is one: what `%c` in a rule stands for.
    pub client_id: Option<String>,
    /// Where they come from.
    pub address: IpAddr,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password never prints.
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No such user, or another password. Which of the two is not told.
    #[error("wrong user name or password")]
    WrongPassword,
    /// Not the PIN of that room, or it has none.
    #[error("this is not the PIN of that room")]
    WrongPin,
    /// Nobody comes in without a user.
    #[error("this hub lets nobody in without a user")]
    UserNeeded,
    /// Too many failures from there; later it will do.
    #[error("too many failed attempts; try again in a minute")]
    TooManyAttempts,
}

/// Why a file of users or of access rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refuses.
    #[error("cannot read or write `{path}`")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is no thread to check passwords on.
    #[error("cannot start the threads that check passwords")]
    Threads(#[source] std::io::Error),
    /// A line is no user, or no rule.
    #[error("`{path}`, line {line}: {reason}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Debug, Default)]
struct Tables {
    users: Users,
    acl: Acl,
    guests: Guests,
}

/// The policy of a hub. Cheap to clone; all clones see a reload.
#[derive(Debug, Clone)]
pub struct Policy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    tables: watch::Sender<Arc<Tables>>,
    attempts: Mutex<Attempts>,
    checks: Checks,
    /// Held while the file of guests is written.
    inviting: tokio::sync::Mutex<()>,
}

impl Policy {
    /// Reads the files.
    ///
    /// # Errors
    /// The file and the line that cannot be understood. A broken file never means an open hub.
    pub fn load(settings: Settings) -> Result<Self, FileError> {
        let tables = read(&settings)?;
        Ok(Self(Arc::new(Inner {
            settings,
            tables: watch::Sender::new(Arc::new(tables)),
            attempts: Mutex::new(Attempts::default()),
            checks: Checks::start().map_err(FileError::Threads)?,
            inviting: tokio::sync::Mutex::default(),
        })))
    }

    /// Reads the files again. Who is connected is judged anew by [`revise`](Self::revise).
    ///
    /// # Errors
    /// As [`load`](Self::load); then everything stays as it was.
    pub fn reload(&self) -> Result<(), FileError> {
        let tables = read(&self.0.settings)?;
        self.0.tables.send_replace(Arc::new(tables));
        Ok(())
    }

    /// Tells of each reload from now on.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        Reloads(self.0.tables.subscribe())
    }

    /// Whether somebody without a user is let in.
    #[must_use]
    pub fn lets_anonymous_in(&self) -> bool {
        self.0.settings.loopback_only || self.0.settings.anonymous.is_some()
    }

    /// Whether the hub has users that can log in.
    #[must_use]
    pub fn has_users(&self) -> bool {
        !self.tables().users.is_empty()
    }

    /// Finds out who shows these credentials, and what they may do. Checking a password takes some 50 ms on a thread of its own.
    ///
    /// On a hub that only this machine can reach, credentials that are no user's do no harm: many clients always send some.
    ///
    /// # Errors
    /// Why they are not let in.
    ///
    /// # Cancel safety
    /// Cancelling gives the check up; a failure may then not be counted.
    pub async fn authenticate(&self, credentials: Credentials) -> Result<Identity, Denied> {
        let Some(name) = credentials.user.as_deref().filter(|name| !name.is_empty()) else {
            return self.anonymous(credentials.client_id.as_deref());
        };
        let client_id = credentials.client_id.clone();
        let known = self.tables().users.get(name).cloned();
        if known.is_none() && self.0.settings.loopback_only {
            return self.anonymous(client_id.as_deref());
        }
        let key = (Some(credentials.address), name.to_owned());
        if self.attempts().is_blocked(&key) {
            return Err(Denied::TooManyAttempts);
        }
        let password = credentials.password.unwrap_or_default();
        let hash = known.as_ref().map(|user| user.hash.clone());
        let right = self.0.checks.verify(hash, password).await;
        match known.filter(|_| right) {
            Some(user) => {
                self.attempts().succeeded(&key);
                Ok(self.identity(Some(user.name.as_str()), user.role, client_id.as_deref()))
            }
            None => {
                metrics::counter!("lockstep_login_failures_total").increment(1);
                self.attempts().failed(key);
                Err(Denied::WrongPassword)
            }
        }
    }

    /// Finds out whether `pin` is that of `room`, and lets a guest in who may be in that room alone. Takes some 50 ms on a thread of its own.
    ///
    /// # Errors
    /// Why they are not let in. A room without a PIN, and one that is not there, are answered like a wrong PIN.
    ///
    /// # Cancel safety
    /// Cancelling gives the check up; a failure may then not be counted.
    pub async fn authenticate_guest(&self, room: &str, pin: &str, address: IpAddr) -> Result<Identity, Denied> {
        let name = format!("guest:{room}");
        let keys = [(Some(address), name.clone()), (None, name)];
        if keys.iter().any(|key| self.attempts().is_blocked(key)) {
            return Err(Denied::TooManyAttempts);
        }
        let known = self.tables().guests.of_room(room).cloned();
        let hash = known.as_ref().map(|guest| guest.hash.clone());
        let digits = guests::digits(pin).into_bytes();
        let right = self.0.checks.verify(hash, digits).await;
        let guest = known.filter(|_| right).and_then(|guest| self.known_user(&guest.name()));
        let [from_there, of_the_room] = keys;
        match guest {
            Some(guest) => {
                self.attempts().succeeded(&from_there);
                Ok(guest)
            }
            None => {
                metrics::counter!("lockstep_login_failures_total").increment(1);
                self.attempts().failed(from_there);
                self.attempts().failed(of_the_room);
                Err(Denied::WrongPin)
            }
        }
    }

    /// What guests of `room` may do; none where it has no PIN.
    #[must_use]
    pub fn guests_of(&self, room: &Id) -> Option<Role> {
        self.tables().guests.of_room(room.as_str()).map(|guest| guest.role)
    }

    /// Makes a PIN for `room`, whose guests are then `role`, in the place of the one it has, whose guests are sent away. Returns it
    /// in clear, for the only time.
    ///
    /// # Errors
    /// A sentence, when `role` is neither viewer nor member, or the file cannot be written.
    pub async fn invite_guests(&self, room: Id, role: Role) -> Result<String, String> {
        if !matches!(role, Role::Viewer | Role::Member) {
            return Err(format!("guests are viewer or member, not {role}"));
        }
        self.change_guests(move |guests| guests.invite(room, role)).await
    }

    /// Takes the PIN of `room` away, and sends its guests away.
    ///
    /// # Errors
    /// A sentence, when the file cannot be written.
    pub async fn dismiss_guests(&self, room: &Id) -> Result<(), String> {
        if self.guests_of(room).is_none() {
            return Ok(());
        }
        let room = room.to_string();
        self.change_guests(move |guests| {
            guests.dismiss(&room);
            Ok(())
        })
        .await
    }

    async fn change_guests<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Guests) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let _one_at_a_time = self.0.inviting.lock().await;
        let (mut guests, path) = (self.tables().guests.clone(), guests_file(&self.0.settings.users_file));
        // Hashing and writing take their time.
        let changed = tokio::task::spawn_blocking(move || {
            let answer = change(&mut guests)?;
            guests.write(&path).map_err(|e| e.to_string())?;
            Ok::<_, String>((guests, answer))
        });
        let (guests, answer) = changed.await.map_err(|_| "writing the guests failed".to_owned())??;
        self.0.tables.send_modify(|tables| {
            *tables = Arc::new(Tables { users: tables.users.clone(), acl: tables.acl.clone(), guests });
        });
        Ok(answer)
    }

    /// Somebody without a user.
    ///
    /// # Errors
    /// [`Denied::UserNeeded`], where nobody comes in without one.
    pub fn anonymous(&self, client_id: Option<&str>) -> Result<Identity, Denied> {
        let role = if self.0.settings.loopback_only {
            Role::Admin
        } else {
            self.0.settings.anonymous.ok_or(Denied::UserNeeded)?
        };
        Ok(self.identity(None, role, client_id))
    }

    /// What somebody may do after a reload; none, when they may not even be here any more.
    #[must_use]
    pub fn revise(&self, identity: &Identity) -> Option<Identity> {
        match identity.user() {
            Some(name) => self.user(name, identity.client_id()),
            None => self.anonymous(identity.client_id()).ok(),
        }
    }

    /// The identity of a user who has shown who they are in another way, such as by a cookie.
    #[must_use]
    pub fn known_user(&self, name: &str) -> Option<Identity> {
        self.user(name, None)
    }

    fn user(&self, name: &str, client_id: Option<&str>) -> Option<Identity> {
        let tables = self.tables();
        if let Some(user) = tables.users.get(name) {
            return Some(self.identity(Some(name), user.role, client_id));
        }
        let guest = tables.guests.named(name)?;
        Some(self.identity(Some(name), guest.role, client_id).in_room(&guest.room))
    }

    /// The identity of somebody who was let in as `user`, or without one, in an earlier run; none, when they may not be here any more.
    #[must_use]
    pub fn remembered(&self, user: Option<&str>, client_id: &str) -> Option<Identity> {
        match user {
            Some(name) => {
                let role = self.tables().users.get(name)?.role;
                Some(self.identity(Some(name), role, Some(client_id)))
            }
            None => self.anonymous(Some(client_id)).ok(),
        }
    }

    fn identity(&self, user: Option<&str>, role: Role, client_id: Option<&str>) -> Identity {
        let rules = self.tables().acl.rules_for(&Subject { user, client_id });
        Identity::new(&self.0.settings.root, user, role, client_id, rules)
    }

    fn tables(&self) -> Arc<Tables> {
        Arc::clone(&self.0.tables.borrow())
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        // Counts of failures are never half-written.
        self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells when the policy was read anew.
#[derive(Debug, Clone)]
pub struct Reloads(watch::Receiver<Arc<Tables>>);

impl Reloads {
    /// Waits for the next reload; for ever, when the policy is gone.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing: the next call tells of a reload that came meanwhile.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn read(settings: &Settings) -> Result<Tables, FileError> {
    Ok(Tables {
        users: Users::read(&settings.users_file)?,
        acl: Acl::read(&settings.acl_file)?,
        guests: Guests::read(&guests_file(&settings.users_file))?,
    })
}

/// Looks whether the access rules and the guests can be read. The users are not looked at.
///
/// # Errors
/// The file and the line that cannot be understood.
pub fn check_rules(settings: &Settings) -> Result<(), FileError> {
    Acl::read(&settings.acl_file)?;
    Guests::read(&guests_file(&settings.users_file)).map(drop)
}

/// Where the guests are: beside the users.
#[must_use]
pub fn guests_file(users_file: &Path) -> PathBuf {
    users_file.with_file_name("guests")
}

/// The text of a file; none where there is no such file.
fn read_if_there(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
