//! Rules that span more than one aggregate.
//!
//! An aggregate can only decide on its own state. These rules need a look at the whole org, so they are
//! checked by statements inside the transaction that appends the events; the head of the org's log, which
//! every transaction moves, makes the check exact under concurrency. A rule over the logs of two orgs, or of an org and the
//! server, needs a lock of what it looks at besides: the other log moves meanwhile.

/// A rule over more than one aggregate, named when a transaction breaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// Two orgs have different names.
    OrgNameUnique,
    /// Two users have different logins and e-mail addresses.
    LoginUnique,
    /// An org that has had an admin keeps one.
    OrgKeepsAdmin,
    /// The server keeps an enabled server admin.
    ServerKeepsAdmin,
    /// Who made an invite that is accepted may still invite.
    InviteMakerMayInvite,
    /// An org whose log is written to exists.
    OrgExists,
    /// The actor of a command on rights still has those that it was decided on.
    ActorKeepsRights,
    /// A member of an org is a user.
    UserExists,
    /// The folder that something is put in exists.
    ParentFolderExists,
    /// No folder is its own ancestor.
    FolderNotOwnAncestor,
    /// Folders nest at most [`crate::content::folder::MAX_DEPTH`] levels deep.
    FolderDepth,
    /// A deleted folder leaves nothing inside it behind.
    DeletedFolderEmpty,
    /// Two teams of an org have different names.
    TeamNameUnique,
    /// Two service accounts of an org have different logins.
    ServiceAccountLoginUnique,
    /// Two tokens of an org have different names.
    TokenNameUnique,
    /// Nobody has more than it may have.
    QuotaKept,
}

impl Invariant {
    /// Whether it only says that something is there, which may have been deleted since the command was decided. Decided
    /// anew, the command leaves out what is gone, or says what it needs.
    #[must_use]
    pub fn is_existence(self) -> bool {
        matches!(self, Self::OrgExists | Self::UserExists)
    }
}
