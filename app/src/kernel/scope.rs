//! Who asks, for which org, with which rights: the first argument of every use case and repository method.

use std::sync::Arc;
use std::time::Instant;

use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};

use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::permission::{Permission, Rights};

/// The right to act for one org. Without one, nothing that a tenant owns can be read or written.
#[derive(Clone, Debug)]
pub struct Scope {
    org: OrgId,
    /// The org that the request came for, whatever org it is led to.
    home: OrgId,
    role: OrgRole,
    member_since: Option<Timestamp>,
    rights: Rights,
    server_rights: Rights,
    actor: Arc<Actor>,
    request: Arc<RequestContext>,
    /// The time at which the rights were looked up.
    known_at: Instant,
    /// Whether what is done takes rights of the actor.
    takes_rights: bool,
}

/// Who acts.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The user's id, 0 for the server itself.
    pub user_id: UserId,
    /// The user's uid.
    pub uid: String,
    /// The user's login.
    pub login: String,
    /// Whether the user administers the server.
    pub is_server_admin: bool,
}

/// What is known of the request that an action came with. It is kept with every event.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// The id of this request.
    pub request_id: String,
    /// The W3C trace id, empty if the request carried none.
    pub trace_id: String,
    /// What connects the requests of one undertaking; the client's choice, else the request's id.
    pub correlation_id: String,
    /// How the credentials were given: `basic`, `session`, `token`, `jwt` or `server`.
    pub auth_method: &'static str,
    /// The id of the session or of the service account's token that was used, if one was.
    pub token_id: Option<i64>,
    /// The address that the request came from: the peer's, or what a proxy that is trusted says.
    pub ip: String,
    /// The client's name for itself.
    pub user_agent: String,
    /// The key under which the client may repeat the request.
    pub idempotency: Option<IdempotencyKey>,
}

/// A client's promise that requests with this key are one and the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key: the client's text, bound to the user.
    pub key: String,
    /// A hash of the request's method, path and body.
    pub request_hash: [u8; 32],
}

/// The types of aggregates by which rights are given and taken.
pub const GIVE_RIGHTS: &[&str] =
    &["invite", "membership", "org", "resource_permission", "service_account", "team", "user"];

/// The ground of an actor's rights, which may end while a command is decided and waits to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It administers the server.
    ServerAdmin(UserId),
    /// It administers the server, and is a member of an org with a role since then, which opens the org's content.
    ServerAdminInOrg(OrgId, UserId, OrgRole, Timestamp),
    /// It is a member of an org with a role since then.
    Member(OrgId, UserId, OrgRole, Timestamp),
    /// It is a service account of an org with a role, and came with one of its tokens.
    ServiceAccount(OrgId, UserId, OrgRole, i64),
    /// It is a user who may log in.
    User(UserId),
}

impl Standing {
    /// The ground that is checked with what is written to the log of an org. Of a membership in another org only the user is
    /// to be seen there; of a service account nothing.
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

/// The right to act on the data of any org, which server admins have and the server itself.
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

    /// The same scope of a user who has been a member of the org since then.
    #[must_use]
    pub fn since(self, member_since: Option<Timestamp>) -> Self {
        Self { member_since, ..self }
    }

    /// The same scope, in which the server writes down what the actor has tried, whatever has become of its rights since.
    #[must_use]
    pub(crate) fn without_standing(self) -> Self {
        Self { takes_rights: false, ..self }
    }

    /// The scope of the server's own acts, such as the first set-up.
    #[must_use]
    pub fn of_server() -> Self {
        let actor = Actor { login: "server".into(), is_server_admin: true, ..Actor::default() };
        let request = RequestContext { auth_method: "server", ..RequestContext::default() };
        Self::of_member(OrgId::SERVER, OrgRole::None, Arc::new(actor), Arc::new(request))
    }

    /// The scope of what the server does by itself because of a request whose sender it does not know yet.
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

    /// The same scope of a request that the client may repeat under a key, which is bound to who asks: nobody can fetch
    /// another's answer by guessing a key.
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

    /// The org that the request came for. What is kept for a repetition of the request belongs there, because the org
    /// that it acts on may be gone by then.
    #[must_use]
    pub fn home(&self) -> OrgId {
        self.home
    }

    /// The role of the actor in the org.
    #[must_use]
    pub fn role(&self) -> OrgRole {
        self.role
    }

    /// Whether the actor may do everything with all folders and dashboards of the org. A server admin may where it
    /// is a member with a role, but not in orgs that it only administers.
    #[must_use]
    pub fn administers_content(&self) -> bool {
        self.role == OrgRole::Admin || (self.actor.is_server_admin && self.role != OrgRole::None)
    }

    /// Fails unless the actor administers all content, which the refusal says by the permission that would be needed.
    pub(crate) fn require_administers_content(&self, permission: Permission) -> Result<()> {
        if self.administers_content() { Ok(()) } else { Err(denied(permission)) }
    }

    /// Since when the actor has been a member of the org; `None` if it is none.
    #[must_use]
    pub fn member_since(&self) -> Option<Timestamp> {
        self.member_since
    }

    /// True if the actor is a member of the org that the request came for, or a service account of it.
    #[must_use]
    pub fn belongs_to_home(&self) -> bool {
        self.member_since.is_some() || self.request.auth_method == "token"
    }

    /// The time at which the rights were looked up.
    #[must_use]
    pub fn known_at(&self) -> Instant {
        self.known_at
    }

    /// The ground of the actor's rights; none for the server itself or a guest with an invite, whose rights do not end.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let (org, user) = (self.home, self.actor.user_id);
        // The server also acts for requests whose sender it does not know yet.
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

    /// Who acts.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &RequestContext {
        &self.request
    }

    /// Whether the actor may do something in the org.
    #[must_use]
    pub fn allows(&self, permission: Permission) -> bool {
        self.rights.allow(permission)
    }

    /// Fails unless the actor may do something in the org.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.allows(permission) { Ok(()) } else { Err(denied(permission)) }
    }

    /// Fails unless the actor is a member of the org, whose role or grants then say what it finds there.
    pub fn require_member(&self, permission: Permission) -> Result<()> {
        if self.member_since.is_some() { Ok(()) } else { self.require(permission) }
    }

    /// Fails unless the actor may do something on the whole server.
    pub fn require_on_server(&self, permission: Permission) -> Result<()> {
        if self.server_rights.allow(permission) { Ok(()) } else { Err(denied(permission)) }
    }

    /// The right to act across orgs, which needs the permission on the whole server.
    pub fn across_orgs(&self, permission: Permission) -> Result<AcrossOrgs> {
        self.require_on_server(permission)?;
        Ok(AcrossOrgs(()))
    }

    /// The same actor in another org, where it must have the permission: as a member of that org if it is
    /// the scope's own, else by its rights on the whole server.
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

/// The error of who may not do something.
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
