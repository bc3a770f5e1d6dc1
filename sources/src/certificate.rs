//! Certificates that are stored with a source, and the certificate authorities of the system.

use std::sync::{Arc, OnceLock};

use kymograph_infra::database_server::{TlsError, system_roots};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Parses the certificates of a PEM text; `None` if it is invalid or contains none.
pub(crate) fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty())
}

/// Parses the private key of a PEM text. The error is dropped, so that no message describes the key.
pub(crate) fn private_key(pem: &str) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()
}

/// The trusted roots made of these certificates.
pub(crate) fn authorities(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

/// The certificate authorities of the system, which are read once.
pub(crate) fn roots_of_system() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let roots = Arc::new(system_roots()?);
    Ok(ROOTS.get_or_init(|| roots).clone())
}
