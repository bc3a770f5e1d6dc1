//! The caller, the org and the permissions of a request: the first argument of every use case and repository method.

use std::sync::Arc;
use std::time::Instant;

use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};

use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::permission::{Permission, Rights};

/// The right to act for one org. Without one, no tenant data can be read or written.
#[derive(Clone, Debug)]
pub struct Scope {
    org: OrgId,
    /// The org of the request, even if the scope is for another org.
    home: OrgId,
    role: OrgRole,
    member_since: Option<Timestamp>,
    rights: Rights,
    server_rights: Rights,
    actor: Arc<Actor>,
    request: Arc<RequestContext>,
    /// The time at which the rights were looked up.
    known_at: Instant,
    /// Whether the actor's rights are checked again at the commit.
    takes_rights: bool,
}

/// The user, service account or server that acts.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The user's id, 0 for the server itself.
    pub user_id: UserId,
    /// The user's uid.
    pub uid: String,
    /// The user's login.
    pub login: String,
    /// Whether the user is a server admin.
    pub is_server_admin: bool,
}

/// The context of a request. It is stored with every event.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The id of this request.
    pub request_id: String,
    /// The W3C trace id, empty if the request carried none.
    pub trace_id: String,
    /// The id that related requests share: the client's choice, otherwise the request's id.
    pub correlation_id: String,
    /// The authentication method: `basic`, `session`, `token`, `jwt` or `server`.
    pub auth_method: &'static str,
    /// The id of the session or of the service account's token, if one was used.
    pub token_id: Option<i64>,
    /// The client's address: the peer's, or the one that a trusted proxy reports.
    pub ip: String,
    /// The client's user agent.
    pub user_agent: String,
    /// The key under which the client may repeat the request.
    pub idempotency: Option<IdempotencyKey>,
}

/// A client's promise that requests with this key are repetitions of the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key: the client's text, bound to the user.
    pub key: String,
    /// A hash of the request's method, path and body.
    pub request_hash: [u8; 32],
}

/// The types of aggregates that grant or revoke rights.
pub const GIVE_RIGHTS: &[&str] =
    &["invite", "membership", "org", "resource_permission", "service_account", "team", "user"];

/// The basis of an actor's rights, which may end while a command is decided and waits to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The actor is a server admin.
    ServerAdmin(UserId),
    /// The actor is a server admin and, since this time, a member of an org with a role, which gives access to the
    /// org's content.
    ServerAdminInOrg(OrgId, UserId, OrgRole, Timestamp),
    /// The actor is, since this time, a member of an org with a role.
    Member(OrgId, UserId, OrgRole, Timestamp),
    /// The actor is a service account of an org with a role, authenticated by one of its tokens.
    ServiceAccount(OrgId, UserId, OrgRole, i64),
    /// The actor is a user who may log in.
    User(UserId),
}

impl Standing {
    /// The basis that is checked at a write to the log of an org. For a membership in another org only the user can be
    /// checked there; for a service account nothing.
    #[must_use]
    pub fn seen_from(self, log: OrgId) -> Option<Self> {
        match self {
            Self::ServerAdminInOrg(org, user, ..) if org != log => Some(Self::ServerAdmin(user)),
            Self::Member(org, user, ..) if org != log => Some(Self::User(user)),
            Self::ServiceAccount(org, ..) if org != log => None,
            standing => Some(standing),
        }
    }
}

/// The right to act on the data of any org, which server admins and the server itself have.
#[derive(Clone, Copy, Debug)]
pub struct AcrossOrgs(());

impl Scope {
    /// The scope of a user in an org.
    #[must_use]
    pub fn of_member(org: OrgId, role: OrgRole, actor: Arc<Actor>, request: Arc<RequestContext>) -> Self {
        let server_rights = Rights { role: None, is_server_admin: actor.is_server_admin };
        let rights = Rights { role: Some(role), ..server_rights };
        let known_at = Instant::now();
        Self {
            org,
            home: org,
            role,
            member_since: None,
            rights,
            server_rights,
            actor,
            request,
            known_at,
            takes_rights: true,
        }
    }

    /// The same scope, with the start of the user's membership in the org; `None` for a non-member.
    #[must_use]
    pub fn since(self, member_since: Option<Timestamp>) -> Self {
        Self { member_since, ..self }
    }

    /// The same scope, for the server's record of the actor's attempt, even if the actor's rights have ended since.
    #[must_use]
    pub(crate) fn without_standing(self) -> Self {
        Self { takes_rights: false, ..self }
    }

    /// The scope of the server's own actions, such as the initial setup.
    #[must_use]
    pub fn of_server() -> Self {
        let actor = Actor { login: "server".into(), is_server_admin: true, ..Actor::default() };
        let request = RequestContext { auth_method: "server", ..RequestContext::default() };
        Self::of_member(OrgId::SERVER, OrgRole::None, Arc::new(actor), Arc::new(request))
    }

    /// The scope of the server's own actions for a request that is not authenticated yet.
    #[must_use]
    pub(crate) fn of_server_for(request: &RequestContext) -> Self {
        let request = RequestContext { idempotency: None, ..request.clone() };
        Self { request: Arc::new(request), ..Self::of_server() }
    }

    /// The same actor, for an entry in the log of an org.
    #[must_use]
    pub(crate) fn in_log_of(&self, org: OrgId) -> Self {
        Self::of_member(org, OrgRole::None, self.actor.clone(), self.request.clone())
    }

    /// The same scope, with a key under which the client may repeat the request. It is bound to the caller: nobody can
    /// fetch the response of another caller by guessing a key.
    #[must_use]
    pub fn with_idempotency(&self, key: &str, request_hash: [u8; 32]) -> Self {
        let key = format!("{}/{key}", self.actor.user_id);
        let idempotency = Some(IdempotencyKey { key, request_hash });
        let request = RequestContext { idempotency, ..self.request().clone() };
        Self { request: Arc::new(request), ..self.clone() }
    }

    /// The org.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The org of the request. Data stored for repeated requests belongs to it, because the org that the request acts
    /// on may be deleted by then.
    #[must_use]
    pub fn home(&self) -> OrgId {
        self.home
    }

    /// The role of the actor in the org.
    #[must_use]
    pub fn role(&self) -> OrgRole {
        self.role
    }

    /// Whether the actor has full access to all folders and dashboards of the org. A server admin has it where it is a
    /// member with a role, but not in orgs that it only administers.
    #[must_use]
    pub fn administers_content(&self) -> bool {
        self.role == OrgRole::Admin || (self.actor.is_server_admin && self.role != OrgRole::None)
    }

    /// Fails unless the actor administers all content. The error names the permission that would be needed.
    pub(crate) fn require_administers_content(&self, permission: Permission) -> Result<()> {
        if self.administers_content() { Ok(()) } else { Err(denied(permission)) }
    }

    /// The start of the actor's membership in the org; `None` for a non-member.
    #[must_use]
    pub fn member_since(&self) -> Option<Timestamp> {
        self.member_since
    }

    /// True if the actor is a member or a service account of the org of the request.
    #[must_use]
    pub fn belongs_to_home(&self) -> bool {
        self.member_since.is_some() || self.request.auth_method == "token"
    }

    /// The time at which the rights were looked up.
    #[must_use]
    pub fn known_at(&self) -> Instant {
        self.known_at
    }

    /// The basis of the actor's rights; `None` for the server itself or a guest with an invite, whose rights do not
    /// end.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let (org, user) = (self.home, self.actor.user_id);
        // The server also acts for requests that are not authenticated yet.
        if user == UserId::SERVER || !self.takes_rights {
            return None;
        }
        match self.request.auth_method {
            "basic" | "session" | "jwt" => {
                let membership = self.member_since.filter(|_| self.org == org);
                Some(match (membership, self.actor.is_server_admin) {
                    (Some(since), true) => Standing::ServerAdminInOrg(org, user, self.role, since),
                    (Some(since), false) => Standing::Member(org, user, self.role, since),
                    (None, true) => Standing::ServerAdmin(user),
                    (None, false) => Standing::User(user),
                })
            }
            "token" => {
                self.request.token_id.map(|token| Standing::ServiceAccount(org, user, self.role, token))
            }
            _ => None,
        }
    }

    /// Whether this is the scope of the same actor for the same org with the same rights.
    pub(crate) fn has_rights_of(&self, other: &Self) -> bool {
        let rights = |scope: &Self| {
            let Actor { user_id, is_server_admin, .. } = *scope.actor;
            (user_id, is_server_admin, scope.home, scope.role, scope.member_since)
        };
        rights(self) == rights(other)
    }

    /// The actor.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &RequestContext {
        &self.request
    }

    /// Whether the actor has a permission in the org.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.rights.allow(permission)
    }

    /// Fails unless the actor has a permission in the org.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.allows(permission) { Ok(()) } else { Err(denied(permission)) }
    }

    /// Fails unless the actor is a member of the org, whose role or grants then decide about access, or has the
    /// permission.
    pub fn require_member(&self, permission: Permission) -> Result<()> {
        if self.member_since.is_some() { Ok(()) } else { self.require(permission) }
    }

    /// Fails unless the actor has a permission on the whole server.
    pub fn require_on_server(&self, permission: Permission) -> Result<()> {
        if self.server_rights.allow(permission) { Ok(()) } else { Err(denied(permission)) }
    }

    /// The right to act across orgs, which needs the permission on the whole server.
    pub fn across_orgs(&self, permission: Permission) -> Result<AcrossOrgs> {
        self.require_on_server(permission)?;
        Ok(AcrossOrgs(()))
    }

    /// The same actor in another org, where it must have the permission: by its rights in the org if it is the scope's
    /// own, otherwise by its rights on the whole server.
    pub fn in_org(&self, org: OrgId, permission: Permission) -> Result<Self> {
        if org == self.org {
            self.require(permission)?;
            return Ok(self.clone());
        }
        self.require_on_server(permission)?;
        let rights = self.server_rights;
        Ok(Self { org, role: OrgRole::None, member_since: None, rights, ..self.clone() })
    }
}

/// The error for an actor without a permission.
pub(crate) fn denied(permission: Permission) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "You'll need additional permissions to perform this action. Permissions needed: {}",
            permission.action()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(org: i64, role: OrgRole, is_server_admin: bool) -> Scope {
        let actor = Actor { is_server_admin, ..Actor::default() };
        Scope::of_member(OrgId(org), role, Arc::new(actor), Arc::default())
    }

    #[test]
    fn an_org_admin_has_no_say_in_another_org() {
        let admin = scope(1, OrgRole::Admin, false);
        assert!(admin.in_org(OrgId(1), Permission::ORGS_WRITE).is_ok());
        assert_eq!(admin.in_org(OrgId(2), Permission::ORGS_WRITE).unwrap_err().kind(), ErrorKind::Forbidden);
    }

    #[test]
    fn a_key_is_bound_to_who_asks() {
        let actor = Actor { user_id: UserId(7), ..Actor::default() };
        let scope = Scope::of_member(OrgId(1), OrgRole::Viewer, Arc::new(actor), Arc::default());
        let key = scope.with_idempotency("k", [1; 32]).request().idempotency.clone().unwrap();
        assert_eq!(key, IdempotencyKey { key: "7/k".into(), request_hash: [1; 32] });
    }

    #[test]
    fn a_server_admin_administers_other_orgs_without_reading_them() {
        let other = scope(1, OrgRole::Admin, true).in_org(OrgId(2), Permission::ORGS_WRITE).unwrap();
        assert_eq!((other.org(), other.home()), (OrgId(2), OrgId(1)));
        assert!(other.allows(Permission::ORG_USERS_ADD));
        assert!(!other.allows(Permission::DASHBOARDS_READ));
        assert!(!other.administers_content());
        assert!(scope(1, OrgRole::Viewer, true).administers_content());
        assert!(!scope(1, OrgRole::Editor, false).administers_content());
    }
}
