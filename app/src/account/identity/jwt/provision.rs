//! The user that the claims of a token identify: found, created, and updated.

use std::collections::BTreeMap;

use kymograph_domain::account::user::Profile;
use kymograph_domain::kernel::text::{
    MAX_NAME_BYTES, differ_in_case_only, fold, has_hidden_characters, is_storable,
};
use kymograph_domain::{OrgId, OrgRole, UserId};

use super::{Attribute, Claims, Failure, JwtLogIn, MappedOrg};
use crate::Page;
use crate::account::identity::{Identified, Identity};
use crate::account::user::{NewMember, ProfileChange, UserView};
use crate::kernel::error::{Error, ErrorKind};
use crate::kernel::log_limit::LogLimit;
use crate::kernel::scope::{RequestContext, Scope};

/// The maximum number of orgs that a token may make its user a member of. Each change of one is a commit.
pub(crate) const MAX_MAPPED_ORGS: usize = 100;

/// The role above all roles in orgs.
const SERVER_ADMIN: &str = "GrafanaAdmin";

/// The org of users without any other, if the settings have no default org for new users.
const FIRST_ORG: OrgId = OrgId(1);

type Provisioned<T> = Result<T, Failure>;

/// The properties of a user that a token specifies.
struct External {
    /// Empty if not specified.
    login: String,
    /// An address, or empty.
    email: String,
    /// Empty if not specified.
    name: String,
    /// Whether the user is a server admin; `None` if tokens do not determine that.
    is_server_admin: Option<bool>,
    /// The roles in orgs; `None` if tokens do not determine them.
    roles: Option<BTreeMap<OrgId, OrgRole>>,
}

impl JwtLogIn {
    /// The user of these claims, who is created if missing, and updated to the claims. Nothing is written if nothing
    /// changes.
    pub(super) async fn provision(
        &self,
        identity: &Identity,
        claims: &Claims,
        request: &RequestContext,
    ) -> Provisioned<UserId> {
        let external = self.read(claims).await?;
        let scope = &Scope::of_server_for(request);
        let view = match self.find(&external).await? {
            Some(view) => view,
            None => match self.sign_up(scope, &external).await? {
                Some(user) => return Ok(user),
                // A concurrent request of the same user was faster.
                None => self.find(&external).await?.ok_or_else(|| Failure::invalid("the login is taken"))?,
            },
        };
        if view.is_disabled {
            return Err(Failure::invalid("the user is disabled").of(view.id));
        }
        self.update_profile(scope, &view, &external).await.map_err(|failure| failure.of(view.id))?;
        if let Some(is_server_admin) = external.is_server_admin.filter(|is| *is != view.is_server_admin) {
            let changed = self.ports.accounts.set_server_admin(scope, view.id, is_server_admin).await;
            tolerate(changed, view.id, "could not take the server admin's rights over from a token")?;
        }
        if let Some(roles) = &external.roles
            && let Some(identified) = identity.identify(view.id).await?
        {
            self.update_roles(scope, &identified, roles).await?;
        }
        Ok(view.id)
    }

    async fn read(&self, claims: &Claims) -> Provisioned<External> {
        let settings = &self.settings;
        if claims.get("sub").and_then(|subject| subject.as_str()).is_none_or(str::is_empty) {
            return Err(missing_claim("the token has no subject"));
        }
        let text = |attribute: &Option<Attribute>| {
            attribute.as_ref().map(|attribute| attribute.text(claims)).unwrap_or_default()
        };
        let (mut login, mut email) = (text(&settings.username), text(&settings.email));
        if settings.email.is_none() && fold(&login).contains('@') {
            email.clone_from(&login);
        }
        // A text that is no address, or one that the provider has not verified, must not lead to another user's
        // account.
        if !fold(&email).contains('@') || says_unverified(claims) {
            email.clear();
        }
        // A login with `@` is its user's own address.
        if fold(&login).contains('@') && fold(&login) != fold(&email) {
            login.clone_from(&email);
        }
        if login.is_empty() && email.is_empty() {
            return Err(missing_claim("the token names neither a login nor an e-mail address"));
        }
        if ![&login, &email].iter().all(|text| is_storable(text, MAX_NAME_BYTES)) {
            return Err(Failure::invalid("the login or e-mail address cannot be one"));
        }
        // A name is only displayed: an invalid one does not prevent a log-in.
        let name = settings.name.text(claims);
        let is_name = is_storable(&name, MAX_NAME_BYTES) && !has_hidden_characters(&name);
        let role = text(&settings.role);
        let decides_admin = settings.assigns_server_admin && settings.role.is_some();
        Ok(External {
            login,
            email,
            name: if is_name { name } else { String::new() },
            is_server_admin: decides_admin.then_some(role == SERVER_ADMIN),
            roles: self.read_roles(claims, &role).await?,
        })
    }

    /// The roles in orgs: by the mapping of groups, raised to the role in the token; if no mapping applies, that role
    /// in the default org. `None` if tokens do not determine roles, or the mapping has too many orgs.
    async fn read_roles(&self, claims: &Claims, role: &str) -> Provisioned<Option<BTreeMap<OrgId, OrgRole>>> {
        let settings = &self.settings;
        if !settings.syncs_org_roles || (settings.role.is_none() && settings.org_mapping.is_empty()) {
            return Ok(None);
        }
        let role = if role == SERVER_ADMIN { Some(OrgRole::Admin) } else { OrgRole::try_parse(role).ok() };
        let groups = settings.orgs.as_ref().map(|orgs| orgs.texts(claims)).unwrap_or_default();
        let mut roles = BTreeMap::new();
        for mapping in settings.org_mapping.iter().filter(|mapping| mapping.applies_to(&groups)) {
            let Some(orgs) = self.mapped_orgs(&mapping.org).await? else { return Ok(None) };
            for org in orgs {
                let mapped = roles.entry(org).or_insert(mapping.role);
                *mapped = (*mapped).max(mapping.role).max(role.unwrap_or_default());
            }
        }
        if roles.len() > MAX_MAPPED_ORGS {
            static LIMIT: LogLimit = LogLimit::new();
            if let Some(suppressed) = LIMIT.admit() {
                tracing::warn!(
                    orgs = roles.len(),
                    suppressed,
                    "[auth.jwt] org_mapping maps a user to too many orgs: its roles were not updated"
                );
            }
            return Ok(None);
        }
        if roles.is_empty() {
            if role.is_none() && settings.is_role_strict {
                let answer =
                    Error::new(ErrorKind::Forbidden, "Invalid Role in claim").with_code("jwt.invalid_role");
                return Err(Failure::Refused { user: None, reason: "the token has no valid role", answer });
            }
            let org = settings.default_membership.org_id.unwrap_or(FIRST_ORG);
            roles.insert(org, role.unwrap_or(settings.default_membership.role));
        }
        Ok(Some(roles))
    }

    /// The existing orgs of a mapping. `None` if they are too many.
    async fn mapped_orgs(&self, org: &MappedOrg) -> Provisioned<Option<Vec<OrgId>>> {
        static UNKNOWN: LogLimit = LogLimit::new();
        let found = match org {
            MappedOrg::Id(id) => self.ports.orgs.find_org(*id).await?,
            MappedOrg::Name(name) => self.ports.orgs.find_org_by_name(name).await?,
            MappedOrg::All => {
                let size = i64::try_from(MAX_MAPPED_ORGS + 1).unwrap_or(i64::MAX);
                let page = Page { number: 1, size };
                let orgs = self.ports.orgs.search_orgs("", "", page).await?;
                if orgs.len() > MAX_MAPPED_ORGS {
                    static LIMIT: LogLimit = LogLimit::new();
                    if let Some(suppressed) = LIMIT.admit() {
                        tracing::warn!(
                            suppressed,
                            "[auth.jwt] org_mapping maps to all orgs, which are too many: roles were not updated"
                        );
                    }
                    return Ok(None);
                }
                return Ok(Some(orgs.into_iter().map(|org| org.id).collect()));
            }
        };
        if found.is_none()
            && let Some(suppressed) = UNKNOWN.admit()
        {
            tracing::warn!(?org, suppressed, "[auth.jwt] org_mapping names an unknown org");
        }
        Ok(Some(found.into_iter().map(|org| org.id).collect()))
    }

    /// The user with this e-mail address or login. Claims that identify two users are refused.
    async fn find(&self, external: &External) -> Provisioned<Option<UserView>> {
        let users = &self.ports.users;
        let find = async |name: &str| {
            if name.is_empty() {
                return Ok(None);
            }
            let found = users.find_user_by_login(name).await?;
            // A name that a user has only claimed may belong to the user that the provider means.
            let Some(user) = found.filter(|user| user.profile.is_own(&user.claims, name)) else {
                return Ok(None);
            };
            // Names that look alike are one name here, but can belong to two users of a provider.
            if [&user.profile.login, &user.profile.email].iter().any(|own| differ_in_case_only(own, name)) {
                return Ok(Some(user));
            }
            Err(Failure::invalid("the name is that of another user in other characters"))
        };
        let (by_email, by_login) = (find(&external.email).await?, find(&external.login).await?);
        match (by_email, by_login) {
            (Some(one), Some(other)) if one.id != other.id => {
                Err(Failure::invalid("the login and the e-mail address are of two users"))
            }
            (by_email, by_login) => Ok(by_email.or(by_login)),
        }
    }

    /// Creates the user. `None` if the login or the address was taken in the meantime.
    async fn sign_up(&self, scope: &Scope, external: &External) -> Provisioned<Option<UserId>> {
        if !self.settings.signs_up {
            let answer = Error::unauthenticated("Sign up is disabled").with_code("user.sync.signup-disabled");
            return Err(Failure::Refused { user: None, reason: "the user does not exist", answer });
        }
        let default = self.settings.default_membership;
        let memberships = match &external.roles {
            Some(roles) => roles.iter().map(|(org, role)| (*org, *role)).collect(),
            None => default.org_id.map(|org| (org, default.role)).into_iter().collect(),
        };
        let External { login, email, name, .. } = external;
        let new = NewMember {
            profile: Profile {
                login: login.clone(),
                email: email.clone(),
                name: name.clone(),
                theme: String::new(),
            },
            is_server_admin: external.is_server_admin.unwrap_or_default(),
            memberships,
            is_provided: true,
        };
        match self.ports.accounts.create_external_user(scope, &new).await {
            Ok(user) => Ok(Some(user)),
            Err(error) if error.kind() == ErrorKind::Taken => Ok(None),
            Err(error) if error.kind() == ErrorKind::Exhausted => {
                Err(Failure::Refused { user: None, reason: "the quota of users is reached", answer: error })
            }
            Err(error) if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Missing) => {
                static LIMIT: LogLimit = LogLimit::new();
                if let Some(suppressed) = LIMIT.admit() {
                    tracing::warn!(%error, suppressed, "could not create the user of a JWT");
                }
                Err(Failure::invalid("the user cannot be created"))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn update_profile(&self, scope: &Scope, view: &UserView, external: &External) -> Provisioned<()> {
        let differing =
            |new: &String, old: &String| Some(new).filter(|new| !new.is_empty() && *new != old).cloned();
        let change = ProfileChange {
            login: differing(&external.login, &view.profile.login),
            email: differing(&external.email, &view.profile.email),
            name: differing(&external.name, &view.profile.name),
            theme: None,
        };
        if change.login.is_none() && change.email.is_none() && change.name.is_none() {
            return Ok(());
        }
        match self.ports.accounts.update_external_user(scope, view.id, &change).await {
            Err(error) if error.kind() == ErrorKind::Taken => {
                Err(Failure::invalid("the login or e-mail address is another user's"))
            }
            changed => tolerate(changed, view.id, "could not take the profile over from a token"),
        }
    }

    /// Makes the user a member of exactly these orgs, with these roles. The last admin of an org stays its admin.
    async fn update_roles(
        &self,
        scope: &Scope,
        identified: &Identified,
        roles: &BTreeMap<OrgId, OrgRole>,
    ) -> Provisioned<()> {
        let user = identified.actor.user_id;
        let memberships = &self.ports.memberships;
        let current: BTreeMap<_, _> =
            identified.memberships.iter().map(|membership| (membership.org, membership.role)).collect();
        for (&org, &role) in roles {
            let changed = match current.get(&org) {
                Some(current) if *current == role => continue,
                Some(_) => memberships.change_role(scope, org, user, role).await,
                None => memberships.add_user(scope, org, user, role).await,
            };
            tolerate(changed, user, "could not take a role over from a token")?;
        }
        for org in current.keys().filter(|org| !roles.contains_key(org)) {
            let removed = memberships.remove_member(scope, *org, user).await;
            tolerate(removed, user, "could not end a membership that a token does not name")?;
        }
        Ok(())
    }
}

impl Failure {
    /// The same, with the user.
    fn of(self, user: UserId) -> Self {
        match self {
            Self::Refused { reason, answer, .. } => Self::Refused { user: Some(user), reason, answer },
            fault @ Self::Fault(_) => fault,
        }
    }
}

fn missing_claim(reason: &'static str) -> Failure {
    let answer = Error::unauthenticated("Missing mandatory claim in JWT").with_code("jwt.missing_claim");
    Failure::Refused { user: None, reason, answer }
}

/// Whether the provider states that it has not verified the address.
fn says_unverified(claims: &Claims) -> bool {
    let is_true = |says: &serde_json::Value| {
        says.as_bool() == Some(true) || says.as_str().is_some_and(|says| says.eq_ignore_ascii_case("true"))
    };
    claims.get("email_verified").is_some_and(|says| !is_true(says))
}

/// Continues a log-in without a change that a rule forbids, such as the removal of the last admin.
fn tolerate(changed: crate::Result<()>, user: UserId, what: &str) -> Provisioned<()> {
    match changed {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Invalid | ErrorKind::Taken | ErrorKind::Missing | ErrorKind::Exhausted
            ) =>
        {
            static LIMIT: LogLimit = LogLimit::new();
            if let Some(suppressed) = LIMIT.admit() {
                tracing::warn!(%error, suppressed, user = user.0, "{what}");
            }
            Ok(())
        }
        changed => changed.map_err(Failure::Fault),
    }
}
