//! Errors that end the program.

/// An error that ends the program, with a message for its user.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// Logging cannot be set up.
    #[error(transparent)]
    Logging(#[from] crate::logging::LoggingError),
    /// The embedded PostgreSQL cannot be run.
    #[error(transparent)]
    Embedded(#[from] kymograph_embedded_postgres::EmbeddedError),
    /// The database URL cannot be read. The URL itself may hold a password and is not repeated.
    #[error("[database] url is not a PostgreSQL URL: {0}")]
    DatabaseUrl(tokio_postgres::Error),
    /// The database URL has an invalid TLS mode.
    #[error("sslmode in [database] url: expected disable, allow, prefer, require, verify-ca or verify-full")]
    SslMode,
    /// A parameter of the database URL is not text.
    #[error("{0} in [database] url: expected UTF-8 text")]
    DatabaseUrlParameter(String),
    /// TLS to the database cannot be set up.
    #[error(transparent)]
    Tls(#[from] kymograph_infra::database_server::TlsError),
    /// A use case failed.
    #[error("{}", reason(.0))]
    App(#[from] kymograph_app::Error),
    /// Listening on the address failed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// Input or output failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The database is missing.
    #[error("no database found in {0}: check [paths] data")]
    NoDatabase(std::path::PathBuf),
    /// The verification found faults.
    #[error("verification found {0} faults")]
    Unverified(usize),
}

/// The message of an error for an operator, who may see internal details.
fn reason(error: &kymograph_app::Error) -> String {
    match error.internal_detail() {
        Some(detail) if error.kind() == kymograph_app::ErrorKind::Internal => detail.to_owned(),
        _ => error.to_string(),
    }
}
