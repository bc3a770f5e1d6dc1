//! TLS to an external PostgreSQL: the requirements of `sslmode`, the trusted certificates, and the errors.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::{connect, migrate};
use kymograph_infra::pool::app_database;
use kymograph_server::config::{Config, Sources};
use kymograph_server::database::ServerDatabase;
use kymograph_server::verify::verify_database;
use kymograph_tests::{TestDatabase, TestServer, master_keys, program};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::time::{sleep, timeout};

/// A PostgreSQL with TLS, for one test.
pub(crate) struct TlsPostgres {
    /// The folder of its certificates.
    pub(crate) folder: PathBuf,
    /// Its port on this machine.
    pub(crate) port: u16,
    postmaster: Child,
}

impl TlsPostgres {
    pub(crate) async fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kymograph-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        write_certificates(&folder);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let account = Account::choose();
        account.own(&folder);
        let data = folder.join("data");
        std::fs::write(folder.join("password"), "secret").unwrap();
        account.own(&folder.join("password"));
        let mut initdb = account.command("initdb");
        initdb.args([
            "-U",
            "ann",
            "-A",
            "scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--pwfile",
        ]);
        let made = initdb.arg(folder.join("password")).arg("-D").arg(&data).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let rules = "hostssl all robot 127.0.0.1/32 cert\nhost all ann 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        for file in ["server.pem", "server.key", "root.pem"] {
            std::fs::copy(folder.join(file), data.join(file)).unwrap();
            account.own(&data.join(file));
            std::fs::set_permissions(data.join(file), PermissionsExt::from_mode(0o600)).unwrap();
        }
        let mut postgres = account.command("postgres");
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        postgres.args([
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
            "-c",
            "ssl_cert_file=server.pem",
        ]);
        postgres.args(["-c", "ssl_key_file=server.key", "-c", "ssl_ca_file=root.pem"]);
        std::fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
        account.own(&data.join("postgresql.auto.conf"));
        let postmaster = postgres.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { folder, port, postmaster };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&self) {
        for _ in 0..200 {
            if let Ok(server) = self.server("ann:secret@localhost", "dbname=postgres").await
                && let Ok((client, connection)) = server.connect().await
            {
                let connection = tokio::spawn(connection);
                let create = "CREATE DATABASE kymograph";
                client.batch_execute(create).await.unwrap();
                client.batch_execute("CREATE ROLE robot SUPERUSER LOGIN").await.unwrap();
                connection.abort();
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL with TLS was not ready in time");
    }

    /// A URL with a query in which `{}` is replaced by the folder of the certificates.
    fn url(&self, host: &str, query: &str) -> String {
        let query = query.replace("{}", &self.folder.display().to_string());
        let database = if query.contains("dbname=") { "" } else { "kymograph" };
        format!("postgres://{host}:{}/{database}?{query}", self.port)
    }

    pub(crate) async fn server(&self, host: &str, query: &str) -> Result<DatabaseServer, String> {
        let url = format!("database.url={}", self.url(host, query));
        self.server_with(&[&url]).await
    }

    async fn server_with(&self, settings: &[&str]) -> Result<DatabaseServer, String> {
        let sources = Sources {
            config_file: None,
            env: Vec::new(),
            overrides: settings.iter().map(|setting| format!("cfg:{setting}")).collect(),
            working_dir: PathBuf::from("/nonexistent"),
        };
        let database = ServerDatabase::start(&Config::load(&sources).unwrap()).await;
        database.map(|database| database.server()).map_err(|error| error.to_string())
    }

    /// Whether a connection is encrypted, or the error of connecting.
    async fn try_url(&self, host: &str, query: &str) -> Result<bool, String> {
        is_encrypted(&self.server(host, query).await?).await
    }
}

impl Drop for TlsPostgres {
    fn drop(&mut self) {
        // Its last writes do not matter.
        let _ = self.postmaster.kill();
        let _ = self.postmaster.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn is_encrypted(server: &DatabaseServer) -> Result<bool, String> {
    let (client, connection) = server.connect().await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let row = client.query_one(sql, &[]).await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok(row.get(0))
}

/// The user that runs PostgreSQL, which refuses to run as root.
struct Account(Option<(u32, u32)>);

impl Account {
    fn choose() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let find = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2).map(|id| id.parse::<u32>().unwrap());
            ids.next().zip(ids.next())
        };
        Self(Some(find("postgres").or_else(|| find("nobody")).unwrap()))
    }

    fn own(&self, path: &Path) {
        if let Self(Some((user, group))) = self {
            chown(path, Some(*user), Some(*group)).unwrap();
        }
    }

    fn command(&self, name: &str) -> Command {
        let mut installed: Vec<_> =
            std::fs::read_dir("/usr/lib/postgresql").unwrap().map(|entry| entry.unwrap().path()).collect();
        installed.sort();
        let mut command = Command::new(installed.pop().unwrap().join("bin").join(name));
        command.env("LC_ALL", "C").current_dir("/");
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group);
        }
        command
    }
}

/// Two certificate authorities, a server for `localhost`, a client called `robot`, and a self-signed server.
fn write_certificates(folder: &Path) {
    let (root, issuer) = authority("the root");
    let (other, other_issuer) = authority("another root");
    let write = |name: &str, pem: String| std::fs::write(folder.join(name), pem).unwrap();
    write("root.pem", root);
    write("other.pem", other);
    write("empty.pem", String::new());
    for (name, host, issuer) in
        [("server", Some("localhost"), &issuer), ("robot", None, &issuer), ("stranger", None, &other_issuer)]
    {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(host.map(str::to_owned).into_iter().collect::<Vec<_>>()).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, if name == "server" { "localhost" } else { "robot" });
        write(&format!("{name}.pem"), params.signed_by(&key, issuer).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    (params.self_signed(&key).unwrap().pem(), Issuer::new(params, key))
}

pub(crate) const ANN: &str = "ann:secret@localhost";
/// The server by an address that is not in its certificate.
const ANN_BY_ADDRESS: &str = "ann:secret@127.0.0.1";
const ROBOT: &str = "robot@localhost";
const ROOT: &str = "sslrootcert={}/root.pem";

#[tokio::test]
async fn each_mode_trusts_as_libpq_does() {
    let postgres = TlsPostgres::start("modes").await;
    let accepted = [
        (ANN, "", true),
        (ANN, "sslmode=disable", false),
        (ANN, "sslmode=allow", true),
        (ANN, "sslmode=prefer&sslrootcert={}/other.pem", true),
        (ANN, "sslmode=require", true),
        (ANN_BY_ADDRESS, "sslmode=require", true),
        (ANN_BY_ADDRESS, "sslmode=require&sslrootcert={}/root.pem", true),
        (ANN_BY_ADDRESS, "sslmode=verify-ca&sslrootcert={}/root.pem", true),
        (ANN, "sslmode=verify-full&sslrootcert={}/root.pem", true),
        (ANN, "sslmode=verify-full&channel_binding=require&sslrootcert={}/root.pem", true),
        // A certificate configured directly is trusted, as a self-signed one requires.
        (ANN, "sslmode=verify-full&sslrootcert={}/server.pem", true),
        (ROBOT, "sslmode=verify-full&sslrootcert={}/root.pem&sslcert={}/robot.pem&sslkey={}/robot.key", true),
    ];
    for (host, query, is_encrypted) in accepted {
        assert_eq!(postgres.try_url(host, query).await, Ok(is_encrypted), "{host} {query}");
    }
    let untrusted = "the certificate of the database server is not trusted";
    let refused = [
        (ANN, "sslmode=require&sslrootcert={}/other.pem", untrusted),
        (ANN, "sslmode=verify-ca&sslrootcert={}/other.pem", untrusted),
        (ANN, "sslmode=verify-full&sslrootcert={}/other.pem", untrusted),
        (ANN, "sslmode=verify-full", untrusted),
        (ANN_BY_ADDRESS, "sslmode=verify-full&sslrootcert={}/root.pem", "not valid for name \"127.0.0.1\""),
        (ANN_BY_ADDRESS, "sslmode=verify-full&sslrootcert={}/server.pem", "not valid for name \"127.0.0.1\""),
        (ANN, "sslmode=verify-ca", "verify-ca needs a file as sslrootcert"),
        (ANN, "sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        (ANN, "sslmode=yes", "expected disable, allow, prefer, require, verify-ca or verify-full"),
        (
            ANN,
            "sslmode=verify-ca&sslrootcert={}/missing.pem",
            "the root certificate of the database cannot be read",
        ),
        (ANN, "sslmode=verify-ca&sslrootcert={}/empty.pem", "holds no PEM certificate"),
        (ANN, "sslmode=require&sslcert={}/robot.pem", "needs both sslcert and sslkey"),
        (ANN, "sslmode=require&sslcert={}/robot.pem&sslkey={}/robot.pem", "holds no PEM key"),
        (ANN, "sslmode=require&sslcert={}/robot.pem&sslkey={}/stranger.key", "cannot be used"),
        (ROBOT, "sslmode=require", "requires a valid client certificate"),
        (ROBOT, "sslmode=require&sslcert={}/stranger.pem&sslkey={}/stranger.key", ""),
        (ROBOT, "sslmode=disable", "no pg_hba.conf entry"),
    ];
    for (host, query, reason) in refused {
        let refusal = postgres.try_url(host, query).await.unwrap_err();
        assert!(refusal.contains(reason), "{host} {query}: {refusal}");
        assert!(!refusal.contains("secret"), "{refusal}");
    }
}

#[tokio::test]
async fn settings_of_grafana_say_the_same_where_the_url_does_not() {
    let postgres = TlsPostgres::start("settings").await;
    let root = format!("database.ca_cert_path={}", postgres.folder.join("root.pem").display());
    let url = format!("database.url={}", postgres.url(ANN_BY_ADDRESS, "").trim_end_matches('?'));
    let full = [&*url, "database.ssl_mode=verify-full", &root];
    let refusal = is_encrypted(&postgres.server_with(&full).await.unwrap()).await.unwrap_err();
    assert!(refusal.contains("not valid for name"), "{refusal}");
    let named = [&full[..], &["database.server_cert_name=localhost"]].concat();
    assert_eq!(is_encrypted(&postgres.server_with(&named).await.unwrap()).await, Ok(true));
    let url = format!("database.url={}", postgres.url(ANN_BY_ADDRESS, "sslmode=disable"));
    let overruled = [&*url, "database.ssl_mode=verify-full", &root];
    assert_eq!(is_encrypted(&postgres.server_with(&overruled).await.unwrap()).await, Ok(false));
}

#[tokio::test]
async fn the_whole_server_works_over_tls() {
    let postgres = TlsPostgres::start("server").await;
    let by_password = format!("sslmode=verify-full&channel_binding=require&{ROOT}");
    let by_certificate = format!("sslmode=verify-full&{ROOT}&sslcert={{}}/robot.pem&sslkey={{}}/robot.key");
    migrate(&postgres.server(ANN, &by_password).await.unwrap(), &master_keys()).await.unwrap();
    for (host, query) in [(ANN, by_password), (ROBOT, by_certificate)] {
        let config = postgres.server(host, &query).await.unwrap();
        let server = TestServer::on_database(TestDatabase { config }, &[]).await;
        let login = json!({"user": "admin", "password": "admin"});
        server.anonymous().post("/login", &login).await.expect(200);
        // A document that is far larger than a TLS record.
        let text = "x".repeat(1 << 20);
        let dashboard = json!({"dashboard": {"title": "Big", "uid": "big", "text": text}, "overwrite": true});
        server.admin().post("/api/dashboards/db", &dashboard).await.expect(200);
        let read = server.admin().get("/api/dashboards/uid/big").await.expect(200);
        assert_eq!(read.body["dashboard"]["text"], text);
        let sql = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
            FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'kymograph'";
        let client = server.database.connect().await;
        let row = client.query_one(sql, &[]).await.unwrap();
        let (encrypted, clear): (i64, i64) = (row.get(0), row.get(1));
        assert!(encrypted >= 3 && clear == 0, "{encrypted} encrypted, {clear} not");
        let report = verify_database(&server.database.config).await.unwrap();
        assert_eq!(report.faults, Vec::<String>::new());
        assert!(report.streams_by_reference > 0);
    }
}

#[tokio::test]
async fn a_statement_that_nobody_waits_for_is_cancelled_over_tls() {
    let postgres = TlsPostgres::start("cancel").await;
    let server = postgres.server(ANN, &format!("sslmode=verify-full&{ROOT}")).await.unwrap();
    migrate(&server, &master_keys()).await.unwrap();
    let database = app_database(&server, 2).unwrap();
    let read = database.read_global("SELECT pg_sleep(4)::text", &[]);
    assert!(timeout(Duration::from_millis(500), read).await.is_err());
    sleep(Duration::from_millis(800)).await;
    let at_work = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'";
    assert!(connect(&server).await.unwrap().query(at_work, &[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_program_says_at_the_start_what_is_wrong() {
    let postgres = TlsPostgres::start("start").await;
    let run = |query: &str| {
        let mut command = Command::new(program());
        command.arg("migrate").env("GF_DATABASE_URL", postgres.url(ANN, query)).current_dir("/");
        let output = command.env("GF_LOG_LEVEL", "error").output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (is_done, stderr) = run(&format!("sslmode=verify-full&{ROOT}"));
    assert!(is_done, "{stderr}");
    for (query, reason) in [
        ("sslmode=verify-full&sslrootcert={}/other.pem", "is not trusted"),
        ("sslmode=verify-full&sslrootcert={}/missing.pem", "missing.pem: "),
    ] {
        let (is_done, stderr) = run(query);
        assert!(!is_done && stderr.contains(reason), "{stderr}");
    }
    // The same server, with TLS disabled.
    let (client, connection) = postgres.server(ANN, "").await.unwrap().connect().await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("ALTER SYSTEM SET ssl = off").await.unwrap();
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    connection.abort();
    for _ in 0..100 {
        if postgres.try_url(ANN, "").await == Ok(false) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(postgres.try_url(ANN, "sslmode=prefer").await, Ok(false));
    let (is_done, stderr) = run("sslmode=require");
    assert!(!is_done && stderr.contains("server does not support TLS"), "{stderr}");
    let server = postgres.server(ANN, "sslmode=require").await.unwrap();
    let refusal = server.connect().await.err().unwrap().to_string();
    assert!(refusal.contains("server does not support TLS"), "{refusal}");
}
