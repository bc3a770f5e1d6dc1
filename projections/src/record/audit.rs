//! The audit log: queries on the log itself, and all current and former logins of actors.

mod count;
mod record;
mod select;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::kernel::moment::LogReader;
use kymograph_app::record::audit::{ActorFilter, AuditReader, AuditSelect, TargetNames, UnnamedBatch};
use kymograph_app::{Result, Scope};
use kymograph_domain::account::service_account::ServiceAccountEvent;
use kymograph_domain::account::user::UserEvent;
use kymograph_domain::kernel::text::fold;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::Text;
use crate::kernel::statement::Statements;
use crate::params;
use record::Batch;

/// Keeps `actor_logins`.
pub struct ActorProjector;

const KEEP_LOGIN: &str = "INSERT INTO actor_logins (login, actor_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";

impl Projector for ActorProjector {
    fn name(&self) -> &'static str {
        "actor_logins"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["user", "service_account"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["actor_logins"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (login, id) = match (recorded.event.of(), recorded.event.of()) {
            (Some(UserEvent::Created(created)), _) => (&created.profile.login, created.id),
            (Some(UserEvent::ProfileChanged(changed)), _) => (&changed.profile.login, changed.id),
            (_, Some(ServiceAccountEvent::Created(created))) => (&created.login, created.id),
            _ => return,
        };
        statements.write(KEEP_LOGIN, params![fold(login), id.0]);
    }
}

/// The actors with a login who did something in the org.
fn find_actors(with_login: &str) -> String {
    format!(
        "SELECT DISTINCT actor_id FROM actor_logins l WHERE {with_login} \
        AND EXISTS (SELECT FROM events e WHERE e.org_id = $1 AND e.actor_id = l.actor_id) LIMIT $3"
    )
}

static FIND_ACTORS: Text = Text::new(|| find_actors("login = $2"));
/// The last character of Unicode comes after all logins with the prefix.
static FIND_ACTORS_BY_PREFIX: Text = Text::new(|| find_actors("login >= $2 AND login <= $2 || chr(1114111)"));

/// Reads the log as an audit log.
pub struct PgAuditReader {
    database: Database,
    log: Arc<dyn LogReader>,
}

impl PgAuditReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database, log: Arc<dyn LogReader>) -> Self {
        Self { database, log }
    }
}

#[async_trait]
impl AuditReader for PgAuditReader {
    async fn read_audit(&self, scope: &Scope, select: &AuditSelect) -> Result<Box<dyn UnnamedBatch>> {
        let rows = self.select(scope, select).await?;
        Ok(Box::new(Batch::new(scope.org(), rows, select)?))
    }

    async fn complete_names(
        &self,
        scope: &Scope,
        batch: &dyn UnnamedBatch,
        names: &mut TargetNames,
    ) -> Result<()> {
        let unnamed = batch.unnamed_streams(names);
        self.find_names(scope, &unnamed, names).await
    }

    async fn find_actors(&self, scope: &Scope, filter: &ActorFilter, limit: i64) -> Result<Vec<i64>> {
        let (sql, login): (&'static Text, _) = match filter {
            ActorFilter::Login(login) => (&FIND_ACTORS, fold(login)),
            ActorFilter::Prefix(login) => (&FIND_ACTORS_BY_PREFIX, fold(login)),
        };
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &login, &limit]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn count_between(
        &self,
        scope: &Scope,
        positions: &[i64],
        select: &AuditSelect,
    ) -> Result<Vec<(usize, usize, i64)>> {
        self.count(scope, positions, select).await
    }
}
