//! Who may look at what a folder or dashboard was, and bring it back: who may do so with what it is today.

use std::any::Any;

use cqrs_es::Aggregate;
use kymograph_domain::dashboard::Dashboard;
use kymograph_domain::folder::Folder;
use kymograph_domain::{AccessLevel, Uid};

use super::{Histories, HistoryOf};
use crate::Scope;
use crate::error::{Error, ErrorKind, Result};
use crate::scope::denied;

impl Histories {
    /// Fails unless the actor may do so much with a folder or dashboard. One that was deleted is there for those only who
    /// administer all of them.
    pub(super) async fn require_level(
        &self,
        scope: &Scope,
        of: &HistoryOf,
        uid: &Uid,
        level: AccessLevel,
    ) -> Result<()> {
        if scope.administers_content() {
            return Ok(());
        }
        let allowed = match of.noun {
            Dashboard::TYPE => self.dashboards.level(scope, uid).await,
            Folder::TYPE => self.folders.level(scope, uid).await,
            noun => return Err(Error::internal(format!("nobody decides on the rights on a {noun}"))),
        };
        let permission = if level == AccessLevel::View { of.read } else { of.write };
        match (allowed, permission) {
            (Ok(allowed), Some(permission)) if allowed < level => Err(denied(permission)),
            (Ok(_), _) => Ok(()),
            (Err(error), _) if error.kind() == ErrorKind::Missing => Err(Error::missing(of.missing)),
            (Err(error), _) => Err(error),
        }
    }

    /// Fails if an object would be brought back to a place into which the actor may put nothing.
    pub(super) async fn require_place<A: Any>(
        &self,
        scope: &Scope,
        of: &HistoryOf,
        now: &A,
        then: &A,
    ) -> Result<()> {
        match (place(now), place(then), of.create) {
            (now, Some(then), Some(permission)) if now.as_ref() != Some(&then) => {
                self.authorization.require_place(scope, then.0, permission).await
            }
            _ => Ok(()),
        }
    }
}

/// The folder that something is in; nothing for the root.
#[derive(PartialEq)]
struct Place<'a>(Option<&'a Uid>);

/// Where a folder or dashboard is. Everything else is in no folder.
fn place<A: Any>(object: &A) -> Option<Place<'_>> {
    let object: &dyn Any = object;
    let dashboard = object.downcast_ref::<Dashboard>().map(|dashboard| Place(dashboard.folder_uid.as_ref()));
    dashboard.or_else(|| object.downcast_ref::<Folder>().map(|folder| Place(folder.parent_uid.as_ref())))
}
