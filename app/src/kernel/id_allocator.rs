//! Allocation of numeric ids.

use async_trait::async_trait;
use kymograph_domain::OrgId;

use crate::kernel::error::Result;

/// The kinds of numbered objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// Orgs, numbered across the server.
    Org,
    /// Users and service accounts, numbered across the server.
    User,
    /// Objects of an org, numbered per org.
    Object,
}

impl IdKind {
    /// The name of the counter.
    #[must_use]
    pub fn counter(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::User => "user",
            Self::Object => "object",
        }
    }
}

/// Allocates numbers, each only once.
#[async_trait]
pub trait IdAllocator: Send + Sync {
    /// The next number, from 1. Numbers may be skipped, but never repeated.
    async fn next_id(&self, org: OrgId, kind: IdKind) -> Result<i64>;
}
