//! Where numeric ids come from.

use async_trait::async_trait;
use kymograph_domain::OrgId;

use crate::kernel::error::Result;

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdKind {
    /// Orgs, numbered on the server.
    Org,
    /// Users and service accounts, numbered on the server.
    User,
    /// What an org owns, numbered in the org.
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

/// Hands out numbers that were never handed out before.
#[async_trait]
pub trait IdAllocator: Send + Sync {
    /// The next number, from 1. Numbers can be left out, never repeated.
    async fn next_id(&self, org: OrgId, kind: IdKind) -> Result<i64>;
}
