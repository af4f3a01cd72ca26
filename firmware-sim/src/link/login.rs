//! As whom the box connects, and what it leaves as its will.

use std::{env, fs, path::PathBuf, time::Duration};

use crate::config::Hub;
#[cfg(feature = "tls")]
use crate::config::HubAddress;

/// The largest password file.
const PASSWORD_BYTES_MAX: u64 = 4096;
/// The name of the password among systemd's credentials.
const CREDENTIAL: &str = "mqtt-password";

/// As whom the box connects, and what it leaves as its will.
#[derive(Clone)]
pub struct Login {
    pub(super) client_id: String,
    pub(super) user: Option<(String, String)>,
    pub(super) keep_alive: Duration,
    pub(super) will_topic: String,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<std::sync::Arc<tokio_rustls::rustls::ClientConfig>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password is left out on purpose.
        f.debug_struct("Login").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Why the box cannot log in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The password's file cannot be read.
    #[error("cannot read the password from {path:?}")]
    ReadPassword {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The password's file is no password.
    #[error(
        "{path:?} holds no password: its first line is one, in UTF-8, and it has at most {PASSWORD_BYTES_MAX} bytes"
    )]
    NoPassword {
        /// Where it should be.
        path: PathBuf,
    },
    /// The certificate authorities cannot be read.
    #[error("cannot read certificate authorities from {path:?}: {reason}")]
    ReadAuthorities {
        /// Where they should be.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The box's own certificate or key cannot be used.
    #[error("cannot use the box's certificate or key in {path:?}: {reason}")]
    ReadCertificate {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Login {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn read(hub: &Hub, client_id: &str, will_topic: String) -> Result<Self, LoginError> {
        let user = match &hub.user {
            None => None,
            Some(user) => Some((user.clone(), read_password(hub.password_file.clone())?)),
        };
        #[cfg(feature = "tls")]
        let tls = match &hub.address {
            HubAddress::At { tls: true, .. } => Some(super::tls::client_config(hub)?),
            // Who names an authority does not want to be found by a hub that has none.
            HubAddress::Auto if hub.ca_file.is_some() => Some(super::tls::client_config(hub)?),
            HubAddress::At { .. } | HubAddress::Auto => None,
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            user,
            keep_alive: hub.keep_alive,
            will_topic,
            #[cfg(feature = "tls")]
            tls,
        })
    }

    /// Whether a hub that is looked for has to speak TLS.
    #[cfg(feature = "mdns")]
    pub(super) const fn wants_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

/// The password from the named file, or from systemd's credentials, or an empty one.
fn read_password(file: Option<PathBuf>) -> Result<String, LoginError> {
    let credential = || {
        let path = PathBuf::from(env::var_os("CREDENTIALS_DIRECTORY")?).join(CREDENTIAL);
        path.exists().then_some(path)
    };
    let Some(path) = file.or_else(credential) else { return Ok(String::new()) };
    let too_long = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.len() > PASSWORD_BYTES_MAX);
    if too_long(&path) {
        return Err(LoginError::NoPassword { path });
    }
    match fs::read_to_string(&path) {
        Ok(text) => match text.lines().next().filter(|line| !line.is_empty()) {
            Some(line) => Ok(line.to_owned()),
            None => Err(LoginError::NoPassword { path }),
        },
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(LoginError::NoPassword { path }),
        Err(source) => Err(LoginError::ReadPassword { path, source }),
    }
}
