//! The number of connections that the limit of file descriptors allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::table::{MAX_LEAVING, RESERVED};
use crate::config::Config;

/// The default maximum of connections.
pub(crate) const MAX_CONNECTIONS: usize = 4096;
/// The minimum, however few descriptors there are.
const MIN_CONNECTIONS: usize = 16;
/// The number of descriptors reserved for files, the runtime, mail, traces and the change feed.
const OTHER: usize = 48;

/// Raises the limit of descriptors to the hard limit.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "could not raise the limit of file descriptors");
    }
}

/// The maximum number of connections: the configured one, if the descriptors allow it.
pub(crate) fn max_connections(config: &Config) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let descriptors = descriptors.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (wanted, fits) = (config.server.max_connections, fits(descriptors, config.database.max_open_conn));
    if wanted > fits {
        tracing::warn!(
            wanted,
            max_connections = fits,
            descriptors,
            "[server] max_connections exceeds the limit of file descriptors"
        );
    }
    if wanted == 0 { fits.min(MAX_CONNECTIONS) } else { wanted.min(fits) }
}

/// The number of connections that fit besides the reserved descriptors.
fn fits(descriptors: usize, database: usize) -> usize {
    descriptors.saturating_sub(database + OTHER + RESERVED + MAX_LEAVING).max(MIN_CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_needs_descriptors_gets_them() {
        assert_eq!(fits(256, 16), 256 - 16 - OTHER - RESERVED - MAX_LEAVING);
        assert_eq!(fits(64, 16), MIN_CONNECTIONS);
        assert!(fits(256, 16) > 100);
    }
}
