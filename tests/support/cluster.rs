//! One private PostgreSQL for the whole run, and a separate database for each test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use kymograph_embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::{connect, migrate};
use kymograph_infra::secret::{MasterKeySettings, MasterKeys};

const TEMPLATE: &str = "kymograph_template";

/// The PostgreSQL of this run.
pub struct Cluster {
    config: DatabaseServer,
    /// Stops PostgreSQL and removes its folder when this process ends for any reason: its standard input is a pipe from
    /// here.
    _reaper: Child,
}

/// The database of one test.
#[derive(Clone)]
pub struct TestDatabase {
    /// How to connect to it as its owner.
    pub config: DatabaseServer,
}

impl Cluster {
    /// The cluster, which is started on first use.
    pub fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| std::thread::spawn(Self::start).join().unwrap())
    }

    fn start() -> Self {
        let data = std::env::temp_dir().join(format!("kymograph-tests-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let reaper = spawn_reaper(&data);
        // The runtime lives as long as the process, and with it the task that supervises PostgreSQL.
        let runtime = Box::leak(Box::new(
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap(),
        ));
        let config = runtime.block_on(async {
            let extra = vec![("max_connections".into(), "400".into())];
            let settings = EmbeddedSettings { data, run_as: None, extra };
            let postgres = Box::leak(Box::new(EmbeddedPostgres::start(settings).await.unwrap()));
            let config = DatabaseServer::without_tls(postgres.config());
            let client = connect(&config).await.unwrap();
            client.batch_execute(&format!("CREATE DATABASE {TEMPLATE}")).await.unwrap();
            migrate(&on_database(&config, TEMPLATE), &master_keys()).await.unwrap();
            config
        });
        Self { config, _reaper: reaper }
    }

    /// A new, empty database with the schema.
    pub async fn new_database(&self) -> TestDatabase {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let client = connect(&self.config).await.unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).await.unwrap();
        TestDatabase { config: on_database(&self.config, &name) }
    }
}

impl TestDatabase {
    /// A connection as the owner, which is not subject to the row level security of other roles.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.config).await.unwrap()
    }

    /// The first column of the first row of a query.
    pub async fn scalar<T>(&self, sql: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        self.connect().await.query_one(sql, &[]).await.unwrap().get(0)
    }
}

fn on_database(server: &DatabaseServer, name: &str) -> DatabaseServer {
    server.with_config(|config| {
        config.dbname(name);
    })
}

fn spawn_reaper(data: &PathBuf) -> Child {
    let script = r#"cat > /dev/null
        pid=$(head -n 1 "$0/postgres/postmaster.pid" 2> /dev/null) && kill -QUIT "$pid"
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            [ -e "$0/postgres/postmaster.pid" ] || break
            sleep 0.2
        done
        rm -rf "$0""#;
    Command::new("sh").arg("-c").arg(script).arg(data).stdin(Stdio::piped()).spawn().unwrap()
}

/// The master keys of all servers of the tests.
pub fn master_keys() -> MasterKeys {
    let texts = vec!["the-secret-key-of-tests".to_owned().into()];
    MasterKeys::new(MasterKeySettings { texts, file: PathBuf::new() })
}
