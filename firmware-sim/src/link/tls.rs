//! Whom a TLS connection trusts, who the box is there, and what a failed handshake means.
//!
//! TLS 1.3 only: every broker of this decade has it, and a box without 1.2 is smaller.

use std::{io, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, Error, PeerIncompatible, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::LoginError;
use crate::config::Hub;

/// A client that trusts the authorities in the configured file, or the system's, and shows its own certificate, if it has one.
pub(super) fn client_config(hub: &Hub) -> Result<Arc<ClientConfig>, LoginError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| LoginError::ReadAuthorities { path: "TLS 1.3".into(), reason: e.to_string() })?
        .with_root_certificates(authorities(hub.ca_file.as_deref())?);
    let config = match &hub.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let unusable = |path: &Path| {
                let path = path.to_owned();
                move |reason: String| LoginError::ReadCertificate { path, reason }
            };
            let chain = certificates(certificate).map_err(unusable(certificate))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key)(e.to_string()))?;
            builder.with_client_auth_cert(chain, secret).map_err(|e| unusable(certificate)(e.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, LoginError> {
    let failed = |reason: String| LoginError::ReadAuthorities {
        path: file.map_or_else(|| "the system's store".into(), Path::to_path_buf),
        reason,
    };
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path).map_err(failed)? {
                roots.add(certificate).map_err(|e| failed(e.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(failed("there is none in it".to_owned())) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(|e| e.to_string())?.collect();
    chain.map_err(|e| e.to_string())
}

/// What a failed handshake means, for people; none where it was not TLS that failed.
pub(super) fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    let text = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the hub's certificate is not from an authority that this box trusts: give the hub's own as --ca-file"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the hub's certificate is for another name: write the hub's address as its certificate has it",
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "the hub's certificate is not valid today: has it expired, or is this machine's clock wrong?",
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the hub wants a certificate of the box: see --cert-file and --key-file"
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::DecryptError
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => "the hub does not accept the box's certificate",
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "the hub does not know TLS 1.3",
        Error::InvalidMessage(_) => "what answered there is no TLS: is it a port for mqtts://?",
        other => return Some(format!("TLS: {other}")),
    };
    Some(text.to_owned())
}
