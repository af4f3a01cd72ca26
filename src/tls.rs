//! TLS: the hub's certificate from files, for every edge.
//!
//! Making certificates does not belong here (that is `lockstep tls init`), nor listening.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
    server::TlsStream,
};

/// How long a handshake may take before the connection is given up.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or is not what it should be.
    #[error("cannot read {what} in `{path}` ({reason}); `lockstep tls init` makes a certificate")]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("the certificate in `{path}` cannot be used")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// Makes encrypted streams of connections. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(TlsAcceptor);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Reads the certificate chain and its key, both PEM. With `client_ca`, clients must show a certificate that it signed.
    ///
    /// # Errors
    /// Which file is wrong.
    pub fn load(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let chain = certificates("a certificate", certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| file("a private key", key, &e))?;
        let unusable = |source| TlsError::Certificate { path: certificate.to_owned(), source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates("the clients' CA", path)? {
                    roots.add(root).map_err(|source| TlsError::Certificate { path: path.to_owned(), source })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|e| file("the clients' CA", path, &e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let config = builder.with_single_cert(chain, secret).map_err(unusable)?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The encrypted stream of `stream`.
    ///
    /// # Errors
    /// The handshake failed, or took longer than [`HANDSHAKE_TIME_MAX`].
    ///
    /// # Cancel safety
    /// Cancelling ends the connection.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(HANDSHAKE_TIME_MAX, self.0.accept(stream))
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))?
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|e| file(what, path, &e))?.collect();
    let chain = chain.map_err(|e| file(what, path, &e))?;
    if chain.is_empty() { Err(file(what, path, &"there is none")) } else { Ok(chain) }
}

fn file(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { what, path: path.to_owned(), reason: reason.to_string() }
}
