//! The history of users, and undo of their changes.

use cqrs_es::Aggregate;
use kymograph_domain::OrgId;
use kymograph_domain::account::user::User;

use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::noun::Noun;
use crate::kernel::scope::denied;
use crate::{Permission, Scope};

/// The history of users, for server admins.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: User::TYPE,
    missing: "user not found",
    key: KeyOf::ServerNumber,
    read: Some(Permission::USERS_READ),
    write: Some(Permission::USERS_WRITE),
    create: None,
};

impl Noun for User {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        if scope.org() == OrgId::SERVER {
            scope.require_on_server(Permission::USERS_WRITE)
        } else {
            Err(denied(Permission::USERS_WRITE))
        }
    }
}
