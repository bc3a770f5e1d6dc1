//! Invites: adding people without an account to an org.

mod code;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::invite::{Guest, Invite, InviteCommand, InviteError, InviteId};
use kymograph_domain::account::membership::{Membership, MembershipCommand};
use kymograph_domain::account::org::{Org, OrgError};
use kymograph_domain::account::user::{Profile, UserCreated};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::{OrgId, OrgRole, Stream, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::account::housekeeping::TidyOrg;
use crate::account::membership::Memberships;
use crate::account::org::OrgReader;
use crate::account::user::{UserReader, Users};
use crate::kernel::clock::Clock;
use crate::kernel::ending::{EndingListener, Endings};
use crate::kernel::error::{ErrorKind, Result};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::noun::Noun;
use crate::kernel::random::random_uid;
use crate::{Actor, Commands, Permission, RequestContext, Scope, Unit};
use code::InviteCode;
pub use code::code_secret;

/// An open invite as it is read.
#[derive(Clone, Debug)]
pub struct InviteView {
    /// The org.
    pub org_id: OrgId,
    /// The id.
    pub id: InviteId,
    /// The invited guest.
    pub guest: Guest,
    /// The code by which it is accepted.
    pub code: String,
    /// The inviter. The texts are empty if that user was deleted.
    pub invited_by: Profile,
    /// When it was created.
    pub created: Timestamp,
    /// The expiry.
    pub expires_at: Timestamp,
}

/// Reads open invites.
#[async_trait]
pub trait InviteReader: Send + Sync {
    /// The invites of the scope's org whose inviters may still invite, the newest first.
    async fn list_invites(&self, scope: &Scope) -> Result<Vec<InviteView>>;
    /// The invites of the scope's org by a user.
    async fn list_invites_of(&self, scope: &Scope, maker: UserId) -> Result<Vec<InviteId>>;
    /// Whether the scope's org has open invites.
    async fn has_invites(&self, scope: &Scope) -> Result<bool>;
    /// Some of the scope's org's invites that have expired, or whose inviters may no longer invite.
    async fn list_ended_invites(&self, scope: &Scope, now: Timestamp) -> Result<Vec<InviteId>>;
    /// The invite with this id, if its inviter may still invite.
    async fn find_invite(&self, scope: &Scope, id: InviteId) -> Result<Option<InviteView>>;
}

/// The result of an invitation.
#[derive(Clone, Debug)]
pub enum Invited {
    /// An invite was created.
    Invite,
    /// The guest had an account, and was made a member.
    Member {
        /// The user.
        user_id: UserId,
        /// The display name of the user.
        name: String,
        /// The name of the org.
        org_name: String,
    },
}

/// The acceptance of an invite by a guest.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The code.
    pub code: String,
    /// The login; empty for the e-mail address.
    pub login: String,
    /// The e-mail address: the invited one, or empty for it.
    pub email: String,
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// An invite that was accepted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcceptedInvite {
    /// The user who was created.
    pub user_id: UserId,
    /// The login to log in with.
    pub login: String,
}

#[async_trait]
impl Noun for Invite {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require(Permission::ORG_USERS_ADD)
    }

    /// An invite is never restored: an undo can only end it.
    async fn follow_return(&self, unit: &mut Unit<'_>, scope: &Scope, _: &Endings) -> Result<()> {
        unit.write_secret(code_secret(scope.org(), self.id, None)).await?;
        Ok(())
    }
}

/// The use cases of invites.
pub struct Invites {
    commands: Commands,
    reader: Arc<dyn InviteReader>,
    orgs: Arc<dyn OrgReader>,
    user_reader: Arc<dyn UserReader>,
    users: Arc<Users>,
    memberships: Arc<Memberships>,
    ids: Arc<dyn IdAllocator>,
    clock: Arc<dyn Clock>,
}

/// The dependencies of [`Invites`].
pub struct InvitePorts {
    /// Reads invites.
    pub reader: Arc<dyn InviteReader>,
    /// Reads orgs.
    pub orgs: Arc<dyn OrgReader>,
    /// Reads users.
    pub user_reader: Arc<dyn UserReader>,
    /// Creates users.
    pub users: Arc<Users>,
    /// Makes users members.
    pub memberships: Arc<Memberships>,
    /// Allocates ids of invites.
    pub ids: Arc<dyn IdAllocator>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Invites {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: InvitePorts) -> Self {
        let InvitePorts { reader, orgs, user_reader, users, memberships, ids, clock } = ports;
        Self { commands, reader, orgs, user_reader, users, memberships, ids, clock }
    }

    /// Invites a guest. A guest with an account becomes a member at once.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn invite(&self, scope: &Scope, guest: &Guest) -> Result<Invited> {
        scope.require(Permission::ORG_USERS_ADD)?;
        guest.check()?;
        let Some(user) = self.user_reader.find_user_by_login(&guest.email).await? else {
            self.create_invite(scope, guest).await?;
            return Ok(Invited::Invite);
        };
        user.profile.check_invited(&user.claims, &guest.email)?;
        let org = self.orgs.find_org(scope.org()).await?.ok_or(OrgError::NotFound)?;
        self.memberships.add_member(scope, scope.org(), &guest.email, guest.role).await?;
        let Profile { name, login, .. } = user.profile;
        let name = if name.is_empty() { login } else { name };
        Ok(Invited::Member { user_id: user.id, name, org_name: org.name })
    }

    async fn create_invite(&self, scope: &Scope, guest: &Guest) -> Result<()> {
        let (org, invited_by) = (scope.org(), scope.actor().user_id);
        self.commands
            .run(scope, |mut unit| async move {
                // A server admin can name an org that does not exist.
                if !unit.load::<Org>(&org).await?.exists {
                    return Err(OrgError::NotFound.into());
                }
                let id = InviteId(self.ids.next_id(org, IdKind::Object).await?);
                let mut invite = unit.load::<Invite>(&id).await?;
                let (guest, now) = (guest.clone(), self.clock.now());
                invite.tell(InviteCommand::Create { id, guest, invited_by, now }).await?;
                unit.record(invite)?;
                unit.write_secret(InviteCode::try_random(org, id)?.secret()).await?;
                unit.start_job(TidyOrg::of_invites(org)?);
                Ok(unit.decided(()))
            })
            .await
    }

    /// Lists the invites that can still be accepted.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_invites(&self, scope: &Scope) -> Result<Vec<InviteView>> {
        scope.require(Permission::ORG_USERS_ADD)?;
        let now = self.clock.now();
        let invites = self.reader.list_invites(scope).await?;
        Ok(invites.into_iter().filter(|invite| invite.expires_at > now).collect())
    }

    /// Revokes an invite by its code.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn revoke_invite(&self, scope: &Scope, code: &str) -> Result<()> {
        scope.require(Permission::ORG_USERS_ADD)?;
        let code = InviteCode::parse(code).filter(|code| code.org == scope.org());
        let id = self.find(scope, &code.ok_or(InviteError::NotFound)?).await?.id;
        self.commands
            .run(scope, |mut unit| async move {
                let mut invite = unit.load::<Invite>(&id).await?;
                invite.tell(InviteCommand::Revoke).await?;
                unit.record(invite)?;
                unit.write_secret(code_secret(scope.org(), id, None)).await?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Ends the invites of the scope's org that can no longer be accepted: expired ones, and those of inviters who were
    /// removed or demoted. With them, their codes and the addresses of the guests are deleted. Returns whether there
    /// are others.
    pub async fn expire_invites(&self, scope: &Scope) -> Result<bool> {
        scope.require(Permission::ORG_USERS_ADD)?;
        for id in self.reader.list_ended_invites(scope, self.clock.now()).await? {
            let expired = self.expire_invite(scope, id).await;
            // Another server may have been faster.
            if let Err(error) = expired
                && error.kind() != ErrorKind::Missing
            {
                return Err(error);
            }
        }
        self.reader.has_invites(scope).await
    }

    async fn expire_invite(&self, scope: &Scope, id: InviteId) -> Result<()> {
        self.commands
            .run(scope, |mut unit| async move {
                let mut invite = unit.load::<Invite>(&id).await?;
                invite.tell(InviteCommand::Expire { now: self.clock.now() }).await?;
                if invite.is_open {
                    invite.tell(InviteCommand::Revoke).await?;
                }
                unit.record(invite)?;
                unit.write_secret(code_secret(scope.org(), id, None)).await?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Reads the invite of a code. No permission is needed: nobody else can know the code.
    pub async fn get_invite(&self, code: &str, request: RequestContext) -> Result<InviteView> {
        let code = InviteCode::parse(code).ok_or(InviteError::NotFound)?;
        let scope = guest_scope(code.org, Actor::default(), request);
        self.find(&scope, &code).await
    }

    /// Accepts an invite: creates a user who is a member of the org.
    pub async fn accept_invite(
        &self,
        acceptance: &Acceptance,
        request: RequestContext,
    ) -> Result<AcceptedInvite> {
        let invite = self.get_invite(&acceptance.code, request.clone()).await?;
        invite.guest.check_is(&acceptance.email)?;
        let email = &invite.guest.email;
        let login = if acceptance.login.is_empty() { email } else { &acceptance.login };
        let profile = Profile {
            login: login.clone(),
            email: email.clone(),
            name: acceptance.name.clone(),
            theme: String::new(),
        };
        let hash = &self.users.prepare_password(&profile, &acceptance.password, &request.ip).await?;
        let (user_id, uid) = (self.users.next_user_id().await?, random_uid()?);
        let (org_id, id) = (invite.org_id, invite.id);
        let actor = Actor { user_id, uid: uid.to_string(), login: login.clone(), is_server_admin: false };
        let scope = &guest_scope(org_id, actor, request);
        let created = &UserCreated { id: user_id, uid, profile, is_server_admin: false, org_id };
        self.commands
            .run(scope, |mut unit| async move {
                let mut invite = unit.load::<Invite>(&id).await?;
                invite.tell(InviteCommand::Accept { user_id, now: self.clock.now() }).await?;
                self.users.record_guest(&mut unit, created.clone(), hash).await?;
                let mut membership = unit.load::<Membership>(&user_id).await?;
                membership.tell(MembershipCommand::Add { user_id, role: invite.role }).await?;
                unit.record(membership)?;
                unit.record(invite)?;
                unit.write_secret(code_secret(org_id, id, None)).await?;
                Ok(unit.decided(AcceptedInvite { user_id, login: login.clone() }))
            })
            .await
    }

    async fn find(&self, scope: &Scope, code: &InviteCode) -> Result<InviteView> {
        let invite = self.reader.find_invite(scope, code.id).await?;
        let is_open = |invite: &InviteView| code.is(&invite.code) && invite.expires_at > self.clock.now();
        invite.filter(is_open).ok_or_else(|| InviteError::NotFound.into())
    }
}

/// Ends the invites of a member who may no longer invite, in the same commit.
async fn end_invites(
    unit: &mut Unit<'_>,
    reader: &dyn InviteReader,
    scope: &Scope,
    maker: UserId,
) -> Result<()> {
    let mut ids = reader.list_invites_of(scope, maker).await?;
    ids.retain(|id| !unit.has(scope, &Invite::stream_id(id)));
    let keys: Vec<_> = ids.iter().collect();
    for (mut invite, id) in unit.load_many_in::<Invite>(scope, &keys).await?.into_iter().zip(&ids) {
        if invite.is_open {
            invite.tell(InviteCommand::Revoke).await?;
            unit.record(invite)?;
            unit.write_secret(code_secret(scope.org(), *id, None)).await?;
        }
    }
    Ok(())
}

/// Ends the invites of members who leave.
pub struct InviteEndings(Arc<dyn InviteReader>);

impl InviteEndings {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn InviteReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl EndingListener for InviteEndings {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        for ending in endings {
            if let Ending::Member(user) | Ending::Inviter(user) = ending {
                end_invites(unit, &*self.0, scope, *user).await?;
            }
        }
        Ok(())
    }
}

/// The scope of a guest with a code: without a role it gives no rights in the org. A code works once, so the response
/// need not be stored for a repeated request, and there is no user who could own its key.
fn guest_scope(org: OrgId, actor: Actor, request: RequestContext) -> Scope {
    let request = RequestContext { auth_method: "invite", idempotency: None, ..request };
    Scope::of_member(org, OrgRole::None, Arc::new(actor), Arc::new(request))
}
