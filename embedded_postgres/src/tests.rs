//! The lifecycle of a real cluster, with the Postgres installed on this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, NoTls};

use super::*;

/// A data folder that is removed after the test.
struct Data(PathBuf);

impl Data {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("kymograph-test-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn settings(&self) -> EmbeddedSettings {
        EmbeddedSettings { data: self.0.clone(), run_as: None, extra: Vec::new() }
    }

    fn pid(&self) -> i32 {
        let cluster = self.0.canonicalize().unwrap().join("postgres");
        Running::find(&cluster).unwrap().unwrap().pid
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn rows(config: &Config) -> i64 {
    connect(config).await.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_stops_and_kills() {
    // A comma and a space would split the socket's folder in two if it were not quoted.
    let data = Data::new("survives, with a space");
    let server = EmbeddedPostgres::start(data.settings()).await.unwrap();
    connect(&server.config())
        .await
        .batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    server.stop().await.unwrap();

    let server = EmbeddedPostgres::start(data.settings()).await.unwrap();
    assert_eq!(rows(&server.config()).await, 1);

    let killed = data.pid();
    kill(killed, Signal::KILL);
    let begun = Instant::now();
    while server.config().connect(NoTls).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_millis(10)).await;
    }
    assert_ne!(data.pid(), killed);
    assert_eq!(rows(&server.config()).await, 1);

    // When it is dropped, Postgres keeps running, is adopted, and supervised as before.
    let left = data.pid();
    drop(server);
    let server = EmbeddedPostgres::start(data.settings()).await.unwrap();
    assert_eq!(data.pid(), left);
    server.stop().await.unwrap();
    // It has ended; its entry remains until this process, its parent, takes notice.
    let begun = Instant::now();
    while Path::new(&format!("/proc/{left}")).exists() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_has_one_server_and_many_visitors() {
    let data = Data::new("shared");
    let visitor = EmbeddedPostgres::attach(data.settings()).await.unwrap();
    assert!(visitor.own.is_some());
    visitor.release().await.unwrap();

    let server = EmbeddedPostgres::start(data.settings()).await.unwrap();
    let refused = EmbeddedPostgres::start(data.settings()).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("in use by the server with pid {}", std::process::id())), "{refused}");
    let visitor = EmbeddedPostgres::attach(data.settings()).await.unwrap();
    connect(&visitor.config()).await;
    visitor.release().await.unwrap();
    connect(&server.config()).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pid_file_of_a_dead_postmaster_is_overruled_even_if_its_number_lives() {
    let data = Data::new("reused");
    EmbeddedPostgres::start(data.settings()).await.unwrap().stop().await.unwrap();
    // A process of the same user, which PostgreSQL alone would mistake for its own predecessor.
    let cluster = data.0.canonicalize().unwrap().join("postgres");
    let account = account::Account::choose(None, &cluster).unwrap();
    let mut other = account.command(Path::new("/bin/sleep"), &cluster).arg("60").spawn().unwrap();
    let left = cluster.join("postmaster.pid");
    fs::write(
        &left,
        format!("{}\n{}\n1\n5432\n/nowhere\n\n0 0\nready\n", other.id().unwrap(), cluster.display()),
    )
    .unwrap();
    account.take(&left).unwrap();

    let server = EmbeddedPostgres::start(data.settings()).await.unwrap();
    connect(&server.config()).await;
    server.stop().await.unwrap();
    other.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_setting_is_told_in_the_words_of_postgres() {
    let data = Data::new("wrong");
    let extra = vec![("shared_buffers".to_owned(), "plenty".to_owned())];
    let refused = EmbeddedPostgres::start(EmbeddedSettings { extra, ..data.settings() }).await.unwrap_err();
    assert!(refused.to_string().contains("invalid value for parameter \"shared_buffers\""), "{refused}");
}
