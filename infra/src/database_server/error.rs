//! Why TLS cannot be set up.

use std::path::PathBuf;

/// Why TLS to a database server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has no usable content.
    #[error("{purpose} of the database cannot be read from {}: {cause}", path.display())]
    File {
        /// The purpose of the file.
        purpose: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The system has no certificate authorities.
    #[error(
        "this system has no trusted certificate authorities (install ca-certificates, or name a file as sslrootcert): {0}"
    )]
    NoSystemRoots(String),
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate for the database needs both sslcert and sslkey")]
    HalfCertificate,
    /// `verify-ca` with the roots of the system.
    #[error(
        "sslmode=verify-ca needs a file as sslrootcert: the authorities of the system sign for everybody, so use verify-full with them"
    )]
    AnyAuthority,
    /// `sslrootcert=system` with less than `verify-full`.
    #[error("sslrootcert=system needs sslmode=verify-full: the authorities of the system sign for everybody")]
    WeakSystemRoots,
    /// The expected name of the certificate is invalid.
    #[error("the name of the database server's certificate, {0}, is not a host name or an address")]
    ServerName(String),
    /// The client certificate and its key cannot be used.
    #[error("the client certificate for the database cannot be used: {0}")]
    ClientCertificate(String),
    /// The TLS implementation refuses its settings.
    #[error("TLS to the database cannot be set up: {0}")]
    Setup(String),
}
