//! The way to undo each type of event.

/// The way to undo an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// The object is made what it was before, which takes later changes with it.
    Reverted,
    /// The object is ended by its own command, with all that was done to it since.
    Ended,
    /// The grant is taken back. Later changes stay.
    Revoked,
    /// It cannot be undone: why, and what can be done instead.
    Impossible(&'static str),
}

const ATTEMPT: Undoing = Undoing::Impossible("it records an attempt, which changed nothing");
const INVITE_ENDED: Undoing =
    Undoing::Impossible("the code of the invite was forgotten: create another invite");
const PASSED: Undoing = Undoing::Impossible("a session that ended does not come back: log in again");
const OWN_CHOICE: Undoing = Undoing::Impossible("only the user can choose it again");

/// The way to undo an event, by its stored name.
const UNDOINGS: &[(&str, Undoing)] = &[
    ("access.denied", ATTEMPT),
    ("access.login_failed", ATTEMPT),
    ("access.token_refused", ATTEMPT),
    ("access.logged_in", Undoing::Impossible("a log-in happened: revoke the session or log the user out")),
    ("dashboard.created", Undoing::Ended),
    ("dashboard.updated", Undoing::Reverted),
    ("dashboard.version_restored", Undoing::Reverted),
    ("dashboard.deleted", Undoing::Reverted),
    ("dashboard.restored", Undoing::Ended),
    (
        "dashboard.purged",
        Undoing::Impossible(
            "it is not in the trash any more: restore a version of its history as a new dashboard",
        ),
    ),
    ("folder.created", Undoing::Ended),
    ("folder.updated", Undoing::Reverted),
    ("folder.moved", Undoing::Reverted),
    ("folder.deleted", Undoing::Reverted),
    ("invite.created", Undoing::Ended),
    ("invite.revoked", INVITE_ENDED),
    ("invite.accepted", Undoing::Impossible("the invited user is a member now: remove the member")),
    ("invite.expired", INVITE_ENDED),
    (
        "membership.added",
        Undoing::Impossible("remove the member, which also ends what the member was granted"),
    ),
    ("membership.role_changed", Undoing::Reverted),
    ("membership.removed", Undoing::Reverted),
    ("org.created", Undoing::Impossible("delete the organization")),
    ("org.renamed", Undoing::Reverted),
    ("org.address_changed", Undoing::Reverted),
    (
        "org.deleted",
        Undoing::Impossible(
            "what the organization had is gone: import its exported dashboards into a new one",
        ),
    ),
    ("preference.changed", Undoing::Reverted),
    ("quota.changed", Undoing::Impossible("set the former limit again")),
    ("resource_permission.customized", Undoing::Reverted),
    ("resource_permission.granted", Undoing::Reverted),
    ("resource_permission.revoked", Undoing::Reverted),
    ("resource_permission.reset", Undoing::Reverted),
    ("service_account.created", Undoing::Impossible("disable or delete the service account")),
    ("service_account.updated", Undoing::Reverted),
    ("service_account.token_added", Undoing::Revoked),
    ("service_account.token_deleted", Undoing::Impossible("a token is kept nowhere: create another token")),
    (
        "service_account.deleted",
        Undoing::Impossible("its tokens are kept nowhere: create another service account"),
    ),
    ("star.added", OWN_CHOICE),
    ("star.removed", OWN_CHOICE),
    ("team.created", Undoing::Impossible("delete the team")),
    ("team.updated", Undoing::Reverted),
    ("team.member_added", Undoing::Reverted),
    ("team.permission_changed", Undoing::Reverted),
    ("team.member_removed", Undoing::Reverted),
    ("team.deleted", Undoing::Reverted),
    ("user.created", Undoing::Impossible("disable or delete the user")),
    ("user.profile_changed", Undoing::Reverted),
    ("user.email_claimed", Undoing::Reverted),
    ("user.login_claimed", Undoing::Reverted),
    ("user.email_change_requested", Undoing::Impossible("the link in the mail expires by itself")),
    ("user.email_not_sent", ATTEMPT),
    ("user.password_changed", Undoing::Impossible("passwords are not in the log: set another password")),
    (
        "user.server_admin_changed",
        Undoing::Impossible("rights over the server are set by hand: set the former ones"),
    ),
    ("user.disabled", Undoing::Impossible("enable the user")),
    ("user.enabled", Undoing::Impossible("disable the user")),
    ("user.org_switched", OWN_CHOICE),
    ("user.help_flags_changed", OWN_CHOICE),
    ("user.session_revoked", PASSED),
    ("user.logged_out", PASSED),
    (
        "user.deleted",
        Undoing::Impossible("the user's password and memberships are gone: create another user"),
    ),
];

/// The way to undo an event of this type.
#[must_use]
pub fn undoing(stored_type: &str) -> Undoing {
    let found = UNDOINGS.iter().find(|(name, _)| *name == stored_type);
    found.map_or(Undoing::Impossible("this server does not know it"), |(_, undoing)| *undoing)
}

/// The types of events that go too when an earlier state comes back.
pub fn reverted_types() -> impl Iterator<Item = &'static str> {
    let stays = |undoing: &Undoing| matches!(undoing, Undoing::Revoked | Undoing::Impossible(_));
    UNDOINGS.iter().filter(move |(_, undoing)| !stays(undoing)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::event_types;

    #[test]
    fn each_type_of_event_has_exactly_one_answer() {
        let mut known: Vec<_> = event_types().into_iter().map(|(name, _)| name).collect();
        let mut decided: Vec<_> = UNDOINGS.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        decided.sort_unstable();
        assert_eq!(decided, known);
    }

    #[test]
    fn what_cannot_be_undone_says_why_or_what_else_to_do() {
        for (name, undoing) in UNDOINGS {
            if let Undoing::Impossible(reason) = undoing {
                assert!(reason.len() > 10 && !reason.ends_with('.'), "{name}: {reason}");
            }
        }
    }
}
