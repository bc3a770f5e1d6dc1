//! The statements that check what a commit was decided on.

use kymograph_app::kernel::event_store::Premise;
use kymograph_domain::OrgId;

use crate::content::folder;
use crate::kernel::statement::Statements;
use crate::rights::resource_permission;

/// Adds the check that a premise holds in an org.
pub fn check_premise(org: OrgId, premise: &Premise, statements: &mut Statements) {
    match premise {
        Premise::FolderIs { uid, id } => folder::check_is(org, uid, *id, statements),
        Premise::MayUse { kind, uid, filter } => {
            resource_permission::check_allowed(org, *kind, uid, filter, statements);
        }
    }
}
