//! The parts of orgs, their members, and users.

mod identity;
mod readers;

use std::sync::Arc;

use kymograph_app::account::AccountServices;
use kymograph_app::account::access::{AccessLog, AccessRecorder};
use kymograph_app::account::invite::{InvitePorts, Invites};
use kymograph_app::account::job::Jobs;
use kymograph_app::account::membership::Memberships;
use kymograph_app::account::org::Orgs;
use kymograph_app::account::quota::Quotas;
use kymograph_app::account::service_account::ServiceAccounts;
use kymograph_app::account::session::Sessions;
use kymograph_app::account::statistic::Statistics;
use kymograph_app::account::team::Teams;
use kymograph_app::kernel::ending::Endings;
use kymograph_app::{Commands, Result};

use super::kernel::Kernel;
pub(super) use identity::Identities;
pub(super) use readers::AccountReaders;

/// The use cases of accounts, and the parts under them that the server runs.
pub(super) struct Accounts {
    pub(super) services: AccountServices,
    pub(super) identities: Identities,
    pub(super) recorder: AccessRecorder,
}

impl Accounts {
    pub(super) fn start(
        kernel: &Kernel<'_>,
        commands: &Commands,
        readers: &AccountReaders,
        endings: &Endings,
    ) -> Result<Self> {
        let (access, recorder) = AccessLog::new(commands.clone(), kernel.clock.clone());
        let memberships = Arc::new(Memberships::new(
            commands.clone(),
            readers.memberships.clone(),
            readers.users.clone(),
            readers.orgs.clone(),
            endings.clone(),
        ));
        let identities = Identities::start(kernel, commands, readers, &access, &memberships, endings)?;
        let services = services(kernel, commands, readers, endings, (access, memberships, &identities));
        Ok(Self { services, identities, recorder })
    }
}

fn services(
    kernel: &Kernel<'_>,
    commands: &Commands,
    readers: &AccountReaders,
    endings: &Endings,
    (access, memberships, identities): (AccessLog, Arc<Memberships>, &Identities),
) -> AccountServices {
    let (commands, ids, clock) = (commands.clone(), kernel.ids.clone(), kernel.clock.clone());
    let invite_ports = InvitePorts {
        reader: readers.invites.clone(),
        orgs: readers.orgs.clone(),
        user_reader: readers.users.clone(),
        users: identities.users.clone(),
        memberships: memberships.clone(),
        ids: ids.clone(),
        clock: clock.clone(),
    };
    let limits = kernel.config.quota.limits.clone();
    let service_accounts = ServiceAccounts::new(
        commands.clone(),
        readers.service_accounts.clone(),
        readers.tokens.clone(),
        endings.clone(),
        ids.clone(),
        clock.clone(),
    );
    let teams = Teams::new(
        commands.clone(),
        readers.teams.clone(),
        readers.memberships.clone(),
        endings.clone(),
        ids.clone(),
    );
    AccountServices {
        access,
        identity: identities.identity.clone(),
        invites: Arc::new(Invites::new(commands.clone(), invite_ports)),
        jobs: Arc::new(Jobs::new(Arc::new(kernel.jobs.clone()), Arc::new(kernel.jobs.clone()))),
        memberships,
        orgs: Arc::new(Orgs::new(commands.clone(), readers.orgs.clone(), ids)),
        quotas: Arc::new(Quotas::new(commands.clone(), readers.quotas.clone(), limits)),
        service_accounts: Arc::new(service_accounts),
        sessions: Arc::new(Sessions::new(commands, readers.sessions.clone(), readers.users.clone())),
        statistics: Arc::new(Statistics::new(readers.statistics.clone(), clock)),
        teams: Arc::new(teams),
        users: identities.users.clone(),
    }
}
