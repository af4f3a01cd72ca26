//! The users' file: a line a user, `name:role:hash`, with argon2id hashes in PHC form.
//!
//! Whether somebody may try again does not belong here.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, sync::LazyLock};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        PasswordHasher,
        phc::{Output, PasswordHash},
    },
};

use super::{FileError, Role, read_if_there};

/// How many users there may be.
pub(super) const USERS_MAX: usize = 10_000;
/// The most characters of a user's name.
pub(super) const USER_NAME_CHARS_MAX: usize = 64;

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The password's hash.
    pub hash: String,
}

/// Everybody who can log in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<String, User>);

impl Users {
    /// Reads the file; nobody, where there is none.
    ///
    /// # Errors
    /// The first line that is no user.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let text = read_if_there(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let mut users = BTreeMap::new();
        for (index, line) in text.unwrap_or_default().lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |reason| FileError::Line { path: path.to_owned(), line: index + 1, reason };
            let user = parse_line(line).map_err(wrong)?;
            if users.len() == USERS_MAX {
                return Err(wrong(format!("there are more than {USERS_MAX} users")));
            }
            users.insert(user.name.clone(), user);
        }
        Ok(Self(users))
    }

    /// Writes the file anew, whole or not at all, readable by its owner only.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = String::from("# The users of this hub: name:role:hash. Made by `lockstep passwd`.\n");
        for user in self.0.values() {
            text.push_str(&format!("{}:{}:{}\n", user.name, user.role, user.hash));
        }
        write_private(path, &text)
    }

    /// The user with that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&User> {
        self.0.get(name)
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.0.values()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a user, or gives one another role and password.
    ///
    /// # Errors
    /// A sentence, when the name cannot be one or there is no room.
    pub fn set(&mut self, user: User) -> Result<(), String> {
        check_name(&user.name)?;
        if self.0.len() >= USERS_MAX && !self.0.contains_key(&user.name) {
            return Err(format!("there are {USERS_MAX} users already"));
        }
        self.0.insert(user.name.clone(), user);
        Ok(())
    }

    /// Takes a user away; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }
}

/// Writes a file of secrets anew, whole or not at all, readable by its owner only.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let new = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

fn parse_line(line: &str) -> Result<User, String> {
    let mut parts = line.splitn(3, ':');
    let (Some(name), Some(role), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("a line is name:role:hash; `lockstep passwd` writes it".to_owned());
    };
    check_name(name)?;
    if PasswordHash::new(hash).is_err() {
        return Err(format!("the password of `{name}` is not hashed; set it with `lockstep passwd {name}`"));
    }
    Ok(User { name: name.to_owned(), role: role.parse()?, hash: hash.to_owned() })
}

/// Names go into topics by `%u`, so they have nothing in them that means something there.
fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=USER_NAME_CHARS_MAX).contains(&name.chars().count());
    if fits && !name.contains([':', '/', '+', '#', '\0']) && !name.contains(char::is_whitespace) {
        Ok(())
    } else {
        Err(format!(
            "`{name}` is no user name: 1 to {USER_NAME_CHARS_MAX} characters without space, `:`, `/`, `+` and `#`"
        ))
    }
}

/// Hashes a password with argon2id and a salt of its own. Takes some 50 ms.
///
/// # Errors
/// A sentence, when the system has no randomness to give.
pub fn hash_password(password: &[u8]) -> Result<String, String> {
    Argon2::default().hash_password(password).map(|hash| hash.to_string()).map_err(|e| e.to_string())
}

/// Whether `password` is the one of `hash`. Without a hash it takes as long and says no: nobody learns which names exist.
///
/// `memory` is what the check works in; it is made large enough and can be used again.
pub(super) fn verify(hash: Option<&str>, password: &[u8], memory: &mut Vec<Block>) -> bool {
    static NOBODY: LazyLock<String> = LazyLock::new(|| hash_password(b"nobody").unwrap_or_default());
    let known = hash.is_some();
    let Ok(hash) = PasswordHash::new(hash.unwrap_or(&NOBODY)) else { return false };
    // The comparison takes the same time wherever the two differ.
    computed(&hash, password, memory).is_some_and(|output| hash.hash.as_ref() == Some(&output)) && known
}

/// The hash of `password` with the salt and the cost of `hash`; none where that is no whole argon2 hash.
fn computed(hash: &PasswordHash, password: &[u8], memory: &mut Vec<Block>) -> Option<Output> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let params = Params::try_from(hash).ok()?;
    memory.resize(params.block_count(), Block::default());
    let mut output = vec![0; hash.hash.as_ref()?.len()];
    Argon2::new(algorithm, version, params)
        .hash_password_into_with_memory(password, hash.salt.as_ref()?, &mut output, memory)
        .ok()?;
    Output::new(&output).ok()
}
