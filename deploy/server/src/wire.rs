//! The composition root: every part is made here, once, in the order in which the parts need each other. A missing
//! part or a cycle does not compile. Each area makes its own parts.

mod account;
mod content;
mod job;
mod kernel;
mod record;
mod rights;
mod server;
mod settings;
mod source;

use std::sync::Arc;

use kymograph_api::Services;
use kymograph_app::Result;
use kymograph_app::kernel::clock::Clock;
use kymograph_app::kernel::ending::Endings;
use kymograph_app::kernel::setting::Settings;
use kymograph_app::rights::resource_permission::GuardedKinds;
use kymograph_app::source::query::QueryAudit;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_projections::content::folder::folder_cache;

use crate::config::Config;
use account::{AccountReaders, Accounts};
use content::ContentReaders;
use kernel::{Kernel, Log};
use rights::RightsReaders;
use source::SourceReaders;

pub use server::Wired;

/// Puts a server together on a database that has its schema.
pub fn wire(config: &Config, database: &DatabaseServer, clock: Arc<dyn Clock>) -> Result<Wired> {
    let kernel = Kernel::start(config, database, clock)?;
    let folders = Arc::new(folder_cache(&kernel.feed_health));
    let account = AccountReaders::start(&kernel)?;
    let rights = RightsReaders::new(&kernel, folders.clone());
    let content = ContentReaders::new(&kernel, folders, &rights);
    let source = SourceReaders::new(&kernel);
    let kinds = GuardedKinds::new([content.guarded(), source.guarded()].concat());
    let log = Log::open(&kernel, [account.caches(), rights.caches(), content.caches()].concat())?;
    let commands = &log.commands;
    let endings = [account.endings(), rights.endings(), content.endings(), source.endings()];
    let endings = Endings::new(endings.concat());
    let accounts = Accounts::start(&kernel, commands, &account, &endings)?;
    let contents = content.services(&kernel, commands, &rights, endings.clone(), account.teams.clone());
    let audit = QueryAudit::new(accounts.services.access.clone(), account.orgs.clone());
    let sources = source.services(&kernel, commands, &rights, endings.clone(), audit)?;
    let records = record::services(&kernel, commands, &rights, (&content, &contents), kinds.clone(), endings);
    let jobs = job::start(&kernel, &log, (&account, &content), &accounts)?;
    let services = Services {
        account: accounts.services,
        rights: rights.services(commands.clone(), kinds),
        content: contents,
        source: sources,
        record: records,
        commands: commands.clone(),
        settings: Arc::new(Settings::new(config.settings().clone())),
        health: kernel.health(),
        readiness: Arc::default(),
        metrics: kernel.registry.clone(),
    };
    let background = (accounts.identities, accounts.recorder);
    Wired::start(&kernel, log, &account, background, jobs, services)
}
