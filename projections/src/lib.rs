//! The read models of Kymograph: for each noun the projector that writes its tables, next to the queries that read
//! them.
//!
//! All projectors here are inline: their statements are part of the transaction that appends the events, so a client
//! that reads after an acknowledged write sees it. A new read model is registered in [`projectors`].

pub mod account;
pub mod content;
pub mod kernel;
pub mod record;
pub mod rights;
pub mod source;

use kymograph_app::account::quota::QuotaLimits;

pub use kernel::database::Database;
pub use kernel::projector::{Projector, Recorded};
pub use kernel::statement::{OnFailure, Statement, Statements};

/// All inline projectors, in the order of their statements, for replays and for servers without limits.
#[must_use]
pub fn projectors() -> Vec<Box<dyn Projector>> {
    projectors_within(None)
}

/// All inline projectors of a server that enforces limits.
#[must_use]
pub fn projectors_within(limits: Option<&QuotaLimits>) -> Vec<Box<dyn Projector>> {
    let areas = [
        account::projectors(limits, content::COUNTERS),
        record::projectors(),
        content::projectors(),
        rights::projectors(),
        source::projectors(),
    ];
    areas.into_iter().flatten().collect()
}
