//! Appending three small events and keeping a view, against postgres-es on the same Postgres.
//!
//! Both sides run the same aggregate in this process, with the same number of tasks and connections, and each operation
//! creates a folder, changes it twice and results in one row of a view. Advantages of postgres-es: it connects as the
//! superuser, without row level security, stores no org, position or actor, and updates its view once for three events,
//! after the commit, where failures go unnoticed. Its disadvantage is by its own design: a round trip for each
//! statement.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::GenericQuery;
use cqrs_es::{Aggregate, EventEnvelope, View};
use kymograph_app::Scope;
use kymograph_domain::account::org::{Org, OrgCommand, OrgCreated};
use kymograph_domain::content::folder::{Folder, FolderCommand, FolderCreated, FolderError, FolderEvent};
use kymograph_domain::{OrgId, Uid};
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::connect;
use postgres_es::{PostgresCqrs, PostgresViewRepository, postgres_cqrs};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_postgres::config::Host;

use super::Reading;
use crate::bench::Bench;
use crate::error::Result;
use crate::pairs;
use crate::server::Server;
use crate::slice::Slice;
use crate::store::{Store, scope};
use crate::tasks;

const TASKS: usize = 32;
const POOL_SIZE: usize = 16;
/// The org of all tasks, separate from those of the server: postgres-es has one log for all, and so have we here.
const ORG: i64 = 1_000_000;
const DATABASE: &str = "postgres_es";

/// The tables of postgres-es according to its documentation.
const TABLES: &str = "CREATE TABLE events (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL,
        sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence));
    CREATE TABLE folder_view (
        view_id text NOT NULL, version bigint CHECK (version >= 0) NOT NULL, payload json NOT NULL,
        PRIMARY KEY (view_id));";

/// Commits per second of our event store, against those of postgres-es.
pub(super) async fn against_postgres_es(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    // The server only provides PostgreSQL and the schema; otherwise it is idle.
    let server = Server::start(bench, &folder).await?;
    let database = server.postgres().await?;
    let (ours, theirs) = (Arc::new(Ours::open(&database).await?), Arc::new(Theirs::open(&database).await?));
    let warm_up = Duration::from_millis(500);
    ours.append(warm_up).await?;
    theirs.append(warm_up).await?;
    // Plans made while a table was empty can read all of an org's rows. In a database in use, autovacuum corrects that
    // within the first minute, which is longer than this measurement.
    connect(&database).await?.batch_execute("ANALYZE").await?;
    connect(&database_of_theirs(&database)).await?.batch_execute("ANALYZE").await?;
    // Both sides run in this process, so its processor time is measured instead of that of a server.
    let here = std::process::id();
    let reading = pairs::compare(
        async || server.metered_with(here, ours.append(bench.slice)).await,
        async || server.metered_with(here, theirs.append(bench.slice)).await,
    )
    .await?;
    ours.check(&database).await?;
    theirs.check(&database).await?;
    Ok(reading)
}

/// Three commands whose events have about 400 bytes each.
fn commands(uid: &Uid, id: i64) -> [FolderCommand; 3] {
    let update = |title: &str| FolderCommand::Update {
        title: Some(title.to_owned()),
        description: Some(description()),
        expected_version: None,
    };
    [
        FolderCommand::Create(FolderCreated {
            id,
            uid: uid.clone(),
            title: "Measured".to_owned(),
            description: description(),
            parent_uid: None,
            restores: None,
        }),
        update("Measured once more"),
        update("Measured a third time"),
    ]
}

fn description() -> String {
    "What the network of the second data centre does: links, drops, errors. ".repeat(4)
}

/// Unused uids.
#[derive(Default)]
struct Uids(AtomicU64);

impl Uids {
    /// A uid, and its number, which no other task gets.
    fn next(&self) -> Result<(Uid, i64)> {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Ok((Uid::try_new(&format!("folder-{number:08}"))?, i64::try_from(number)?))
    }

    fn count(&self) -> i64 {
        i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }
}

/// Our event store.
struct Ours {
    store: Store,
    scope: Scope,
    uids: Uids,
}

impl Ours {
    async fn open(database: &DatabaseServer) -> Result<Self> {
        let ours =
            Self { store: Store::open(database, POOL_SIZE)?, scope: scope(ORG), uids: Uids::default() };
        let id = OrgId(ORG);
        let created = ours.store.commands.run(&ours.scope, |mut unit| async move {
            let mut org = unit.load::<Org>(&id).await?;
            org.tell(OrgCommand::Create(OrgCreated { id, name: "Append".to_owned() })).await?;
            unit.record(org)?;
            Ok(unit.decided(()))
        });
        created.await?;
        Ok(ours)
    }

    async fn append(self: &Arc<Self>, time: Duration) -> Result<Slice> {
        let ours = self.clone();
        tasks::repeat(TASKS, time, move |_| ours.clone().append_once()).await
    }

    async fn append_once(self: Arc<Self>) -> Result<()> {
        // The numeric id is unique in its org.
        let (uid, id) = &self.uids.next()?;
        let append = self.store.commands.run(&self.scope, |mut unit| async move {
            let mut folder = unit.load::<Folder>(uid).await?;
            for command in commands(uid, *id) {
                folder.tell(command).await?;
            }
            unit.record(folder)?;
            Ok(unit.decided(()))
        });
        Ok(append.await?)
    }

    async fn check(&self, database: &DatabaseServer) -> Result<()> {
        let counts = "SELECT (SELECT count(*) FROM events WHERE org_id = $1 AND stream_type = 'folder'),
            (SELECT count(*) FROM folders WHERE org_id = $1 AND version = 3)";
        let row = connect(database).await?.query_one(counts, &[&ORG]).await?;
        check_counts("Kymograph", self.uids.count(), row.get(0), row.get(1))
    }
}

/// postgres-es, with its views and its queries.
struct Theirs {
    framework: PostgresCqrs<Trio>,
    uids: Uids,
    /// The number of views that could not be updated.
    failures: Arc<AtomicU64>,
}

impl Theirs {
    async fn open(database: &DatabaseServer) -> Result<Self> {
        connect(database).await?.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
        connect(&database_of_theirs(database)).await?.batch_execute(TABLES).await?;
        let config = database.config();
        let (Some(Host::Unix(socket)), Some(port), Some(user)) =
            (config.get_hosts().first(), config.get_ports().first(), config.get_user())
        else {
            return Err("the embedded PostgreSQL has no socket".into());
        };
        let socket: &Path = socket;
        let options = PgConnectOptions::new_without_pgpass();
        let options = options.socket(socket).port(*port).username(user).database(DATABASE);
        let size = u32::try_from(POOL_SIZE)?;
        let pool = PgPoolOptions::new().max_connections(size).connect_with(options).await?;
        let views = PostgresViewRepository::<FolderView, Trio>::new("folder_view", pool.clone());
        let (mut query, failures) = (GenericQuery::new(Arc::new(views)), Arc::new(AtomicU64::new(0)));
        let counter = failures.clone();
        query.use_error_handler(Box::new(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        let framework = postgres_cqrs(pool, vec![Box::new(query)], ());
        Ok(Self { framework, uids: Uids::default(), failures })
    }

    async fn append(self: &Arc<Self>, time: Duration) -> Result<Slice> {
        let theirs = self.clone();
        tasks::repeat(TASKS, time, move |_| theirs.clone().append_once()).await
    }

    async fn append_once(self: Arc<Self>) -> Result<()> {
        let (uid, id) = self.uids.next()?;
        let metadata = [("actor", "admin"), ("auth_method", "session"), ("ip", "127.0.0.1")];
        let metadata: HashMap<_, _> =
            metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Ok(self.framework.execute_with_metadata(uid.as_str(), commands(&uid, id), metadata).await?)
    }

    async fn check(&self, database: &DatabaseServer) -> Result<()> {
        if self.failures.load(Ordering::Relaxed) > 0 {
            return Err("postgres-es could not update some of its views".into());
        }
        let counts = "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM folder_view)";
        let row = connect(&database_of_theirs(database)).await?.query_one(counts, &[]).await?;
        check_counts("postgres-es", self.uids.count(), row.get(0), row.get(1))
    }
}

/// The database of postgres-es on the same server.
fn database_of_theirs(database: &DatabaseServer) -> DatabaseServer {
    database.with_config(|config| {
        config.dbname(DATABASE);
    })
}

fn check_counts(who: &str, operations: i64, events: i64, views: i64) -> Result<()> {
    if events == operations * 3 && views == operations {
        return Ok(());
    }
    Err(format!("{who} made {events} events and {views} views of {operations} operations").into())
}

/// The folder as an aggregate that combines three commands in one, because the framework commits each command
/// separately.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Trio(Folder);

impl Aggregate for Trio {
    const TYPE: &'static str = "folder";
    type Command = [FolderCommand; 3];
    type Event = FolderEvent;
    type Error = FolderError;
    type Services = ();

    async fn handle(
        &mut self,
        commands: [FolderCommand; 3],
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), FolderError> {
        for command in commands {
            let decided = EventSink::default();
            self.0.clone().handle(command, &(), &decided).await?;
            for event in decided.collect().await {
                sink.write(event, self).await;
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: FolderEvent) {
        self.0.apply(event);
    }
}

/// The view of a folder, with the contents of our projector's columns.
#[derive(Debug, Default, Serialize, Deserialize)]
struct FolderView(Folder);

impl View<Trio> for FolderView {
    fn update(&mut self, event: &EventEnvelope<Trio>) {
        self.0.apply(event.payload.clone());
    }
}
