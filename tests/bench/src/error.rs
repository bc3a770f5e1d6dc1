//! The errors of a measurement. Nothing distinguishes their kinds, so they are texts.

/// Why a measurement failed.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a step of a measurement.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
