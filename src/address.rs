//! Where the far broker is and how to get in: read from a URL, files and flags.
//!
//! Connecting does not belong here.

use std::{fmt, io, path::PathBuf, str::FromStr, sync::Arc};

use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

/// A broker's address: `mqtt://host[:1883]` or `mqtts://host[:8883]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or address; an IPv6 address in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether to speak TLS.
    pub tls: bool,
}

/// Why a text is no address of a broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    /// Another scheme, or none.
    #[error("`{0}` is no broker's address: mqtt://HOST[:PORT] and mqtts://HOST[:PORT] are")]
    Scheme(String),
    /// A user or password in the URL, where others can read it.
    #[error("the address has a user in it; use --user and --password-file, which others cannot read")]
    Secret,
    /// No host, or a port that is none.
    #[error("`{0}` has no host, or a port that is not 1 to 65535")]
    Host(String),
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (tls, rest) = match text.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => (false, rest),
            Some(("mqtts" | "ssl", rest)) => (true, rest),
            _ => return Err(InvalidAddress::Scheme(text.to_owned())),
        };
        if rest.contains('@') {
            return Err(InvalidAddress::Secret);
        }
        let rest = rest.trim_end_matches('/');
        let wrong = || InvalidAddress::Host(text.to_owned());
        let bare = rest.ends_with(']') || !rest.contains(':');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !bare => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, if tls { 8883 } else { 1883 }),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port == 0 || host.contains(['/', ' ']) || (host.contains(':') && !bracketed) {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", if self.tls { "mqtts" } else { "mqtt" }, self.host, self.port)
    }
}

/// How to get in.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Why a connection cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum Unprepared {
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file without certificates.
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// Which one.
        path: PathBuf,
    },
    /// This machine trusts nobody.
    #[error("this machine has no trusted certificates; name the broker's with --ca-file")]
    NoTrust,
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// The first line of a password file.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_password(path: &PathBuf) -> Result<String, Unprepared> {
    let text = std::fs::read_to_string(path).map_err(|source| Unprepared::Read { path: path.clone(), source })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// TLS that trusts the certificates in `ca_file`, or those that the machine trusts.
///
/// # Errors
/// Where there is nothing to trust, or it cannot be read.
pub fn tls(ca_file: Option<&PathBuf>) -> Result<Arc<ClientConfig>, Unprepared> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|source| Unprepared::Read { path: path.clone(), source })?;
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
            if roots.is_empty() {
                return Err(Unprepared::NoCertificate { path: path.clone() });
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(Unprepared::NoTrust);
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for (text, written) in [
            ("mqtt://ha.local", "mqtt://ha.local:1883"),
            ("mqtts://ha.local/", "mqtts://ha.local:8883"),
            ("mqtt://10.0.0.1:2000", "mqtt://10.0.0.1:2000"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
            ("mqtt://[::1]:9", "mqtt://[::1]:9"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["ha.local", "http://ha.local", "mqtt://", "mqtt://a:0", "mqtt://a:b", "mqtt://::1", "mqtt://a b"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
        assert_eq!("mqtt://anna:secret@ha".parse::<Address>(), Err(InvalidAddress::Secret));
    }

    #[test]
    fn a_password_is_never_printed() {
        let credentials = Credentials { user: "anna".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
