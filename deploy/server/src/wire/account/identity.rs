//! The parts of authentication.

use std::sync::Arc;

use kymograph_app::account::access::AccessLog;
use kymograph_app::account::identity::{Identity, IdentityPorts, JwtLogIn, JwtPorts};
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::setup::Setup;
use kymograph_app::account::user::{EmailVerification, UserPorts, Users};
use kymograph_app::kernel::ending::Endings;
use kymograph_app::{Commands, Result};
use kymograph_infra::jwt::JwtKeys;

use super::AccountReaders;
use crate::wire::kernel::Kernel;
use crate::wire::settings::{default_membership, lock_out, seconds, session_lifetimes};

/// Authentication, and users.
pub(crate) struct Identities {
    pub(crate) identity: Arc<Identity>,
    pub(crate) users: Arc<Users>,
    pub(crate) setup: Arc<Setup>,
    /// Verifies new e-mail addresses, if that is enabled.
    pub(crate) verification: Option<Arc<EmailVerification>>,
    /// The keys of an identity provider.
    pub(crate) keys: Option<Arc<JwtKeys>>,
}

impl Identities {
    pub(crate) fn start(
        kernel: &Kernel<'_>,
        commands: &Commands,
        readers: &AccountReaders,
        access: &AccessLog,
        memberships: &Arc<Memberships>,
        endings: &Endings,
    ) -> Result<Self> {
        let (config, ids, passwords) = (kernel.config, &kernel.ids, &readers.passwords);
        let verification = email_verification(kernel);
        let user_ports = UserPorts {
            reader: readers.users.clone(),
            memberships: readers.memberships.clone(),
            endings: endings.clone(),
            ids: ids.clone(),
            passwords: passwords.clone(),
            verification: verification.clone(),
        };
        let users = Arc::new(Users::new(commands.clone(), user_ports, default_membership(config)));
        let keys = match &config.jwt {
            Some(jwt) => Some((jwt, Arc::new(JwtKeys::try_new(&jwt.keys)?))),
            None => None,
        };
        let jwt = keys.as_ref().map(|(jwt, keys)| {
            let ports = JwtPorts {
                verifier: keys.clone(),
                users: readers.users.clone(),
                orgs: readers.orgs.clone(),
                accounts: users.clone(),
                memberships: memberships.clone(),
            };
            JwtLogIn::new(ports, jwt.settings(default_membership(config)))
        });
        let ports = IdentityPorts {
            reader: readers.identities.clone(),
            tokens: readers.tokens.clone(),
            sessions: readers.sessions.clone(),
            attempts: readers.attempts.clone(),
            passwords: passwords.clone(),
            users: users.clone(),
            jwt,
            clock: kernel.clock.clone(),
            cache: readers.identity_cache.clone(),
            access: access.clone(),
        };
        let setup = Setup::new(
            commands.clone(),
            kernel.log.clone(),
            readers.users.clone(),
            readers.identities.clone(),
            ids.clone(),
            passwords.clone(),
        );
        Ok(Self {
            identity: Arc::new(Identity::new(ports, session_lifetimes(config), lock_out(config))),
            users,
            setup: Arc::new(setup),
            verification,
            keys: keys.map(|(_, keys)| keys),
        })
    }
}

fn email_verification(kernel: &Kernel<'_>) -> Option<Arc<EmailVerification>> {
    let config = kernel.config;
    if !config.smtp.enabled || !config.users.verify_email_enabled {
        return None;
    }
    let (keys, budget, clock) = (kernel.server_keys.clone(), kernel.mails.clone(), kernel.clock.clone());
    let lifetime = seconds(config.users.verification_lifetime);
    Some(Arc::new(EmailVerification::new(keys, budget, clock, lifetime, &config.server.root_url)))
}
