//! How many connections the file descriptors of the process allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::table::{MAX_LEAVING, RESERVED};
use crate::config::Config;

/// How many connections there are at most unless a setting says more.
pub(crate) const MAX_CONNECTIONS: usize = 4096;
/// How many there are at least, however few descriptors there are.
const MIN_CONNECTIONS: usize = 16;
/// How many descriptors are left for files, the runtime, mail, traces and the database's changes.
const OTHER: usize = 48;

/// Raises the limit of descriptors as far as the process may.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "could not raise the limit of file descriptors");
    }
}

/// How many connections there may be: as many as are configured, if the descriptors allow it.
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

/// How many connections fit beside what else needs descriptors.
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
