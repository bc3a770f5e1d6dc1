//! Durable jobs: each stored job is executed, by any live worker, and only once unless a worker dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use kymograph_app::kernel::job::{Job, JobError, JobHandler, JobWriter, NewJob, Then};
use kymograph_domain::OrgId;
use kymograph_infra::pool::{app_database, app_server};
use kymograph_jobs::{Handlers, JobMetrics, JobRunner, MAX_RUNNING_OF_ORG, PgJobs};
use kymograph_tests::{Cluster, MailServer, Manner, ServerProcess, TestDatabase, TestServer};
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

/// A job of the tests.
#[derive(Serialize, Deserialize)]
struct Errand {
    number: usize,
}

impl Job for Errand {
    const KIND: &'static str = "errand";
    const MAX_ATTEMPTS: Option<u32> = Some(2);
}

/// The behaviour of a job before it succeeds.
enum Conduct {
    /// It takes this long.
    Takes(Duration),
    /// It waits for a permit.
    Waits(Semaphore),
    /// It panics while this is true.
    Panics(AtomicBool),
}

struct Errands {
    conduct: Conduct,
    then: Then,
    begun: AtomicUsize,
    /// The number of executions of each.
    done: Mutex<BTreeMap<usize, usize>>,
}

impl Errands {
    fn new(conduct: Conduct, then: Then) -> Arc<Self> {
        Arc::new(Self { conduct, then, begun: AtomicUsize::new(0), done: Mutex::default() })
    }

    fn done(&self) -> BTreeMap<usize, usize> {
        self.done.lock().unwrap().clone()
    }

    async fn wait_until_begun(&self, count: usize) {
        until(async || self.begun.load(Ordering::SeqCst) >= count).await;
    }

    async fn wait_until_done(&self, number: usize) {
        until(async || self.done().contains_key(&number)).await;
    }
}

#[async_trait]
impl JobHandler<Errand> for Errands {
    async fn run(&self, job: &Errand) -> Result<Then, JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        match &self.conduct {
            Conduct::Takes(time) => tokio::time::sleep(*time).await,
            Conduct::Waits(turns) => turns.acquire().await.unwrap().forget(),
            Conduct::Panics(panics) => assert!(!panics.load(Ordering::SeqCst), "an errand goes wrong"),
        }
        *self.done.lock().unwrap().entry(job.number).or_default() += 1;
        Ok(self.then)
    }
}

/// Waits until a condition holds.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1800 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it never came to that");
}

/// A worker on a database, like that of one of several servers.
struct Replica {
    jobs: PgJobs,
    registry: Registry,
    runner: JobRunner,
}

impl Replica {
    fn start(database: &TestDatabase, errands: &Arc<Errands>) -> Self {
        let jobs = queue(database);
        let handlers = Handlers::default().with::<Errand>(errands.clone());
        let registry = Registry::new();
        let metrics = JobMetrics::try_new(&registry, &handlers).unwrap();
        let runner = JobRunner::start(jobs.clone(), handlers, metrics, Vec::new());
        Self { jobs, registry, runner }
    }

    /// The number of runs with an outcome.
    fn counted(&self, outcome: &str) -> f64 {
        let families = self.registry.gather();
        let jobs = families.iter().find(|family| family.name() == "kymograph_jobs_total").unwrap();
        let has = |metric: &&prometheus::proto::Metric| {
            metric.get_label().iter().any(|label| label.value() == outcome)
        };
        jobs.get_metric().iter().filter(has).map(|metric| metric.get_counter().get_value()).sum()
    }
}

fn queue(database: &TestDatabase) -> PgJobs {
    PgJobs::new(&app_database(&app_server(&database.config), 8).unwrap())
}

async fn write(jobs: &PgJobs, org: i64, numbers: std::ops::Range<usize>) {
    for number in numbers {
        jobs.write_alone(NewJob::once(OrgId(org), &Errand { number }).unwrap()).await.unwrap();
    }
    jobs.wake();
}

async fn count(database: &TestDatabase, condition: &str) -> i64 {
    database.scalar(&format!("SELECT count(*) FROM jobs WHERE {condition}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_survives_the_death_of_the_server_and_arrives_once() {
    let mail = MailServer::start(Manner::SaysNothing).await;
    let host = format!("127.0.0.1:{}", mail.port);
    let env = [
        ("GF_SMTP_ENABLED", "true"),
        ("GF_SMTP_HOST", host.as_str()),
        ("GF_USERS_VERIFY_EMAIL_ENABLED", "true"),
    ];
    let mut server = ServerProcess::start_with("job", &env).await;
    let user = json!({"login": "ann", "password": "secret", "OrgId": 1});
    server.admin().post("/api/admin/users", &user).await.expect(200);
    let ann = server.anonymous().with_basic("ann", "secret");
    ann.put("/api/user", &json!({"email": "ann@example.org"})).await.expect(200);
    server.kill_server();
    mail.change_manner(Manner::Takes);
    server.restart().await;
    let mails = mail.wait_for(1).await;
    assert!(mails[0].contains("ann@example.org"), "{mails:?}");
    let client = server.database().await;
    let left = "SELECT count(*) FROM jobs WHERE kind = 'confirmation-mail'";
    until(async || client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0).await;
    assert_eq!(mail.mails().len(), 1);
    assert!(server.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_jobs_and_do_each_once() {
    let database = Cluster::get().new_database().await;
    let errands = [(); 2].map(|()| Errands::new(Conduct::Takes(Duration::from_millis(20)), Then::Done));
    for (org, first) in (0..5).zip((0..).step_by(40)) {
        write(&queue(&database), org, first..first + 40).await;
    }
    let _replicas = errands.each_ref().map(|errands| Replica::start(&database, errands));
    until(async || count(&database, "true").await == 0).await;
    let done = errands.each_ref().map(|errands| errands.done());
    assert!(done.iter().all(|done| done.len() > 20), "{} and {}", done[0].len(), done[1].len());
    let mut all: Vec<_> = done.iter().flatten().map(|(number, times)| (*number, *times)).collect();
    all.sort_unstable();
    assert_eq!(all, (0..200).map(|number| (number, 1)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_panics_is_tried_again_dies_and_is_revived_by_an_admin() {
    let server = TestServer::start().await;
    let (database, admin) = (&server.database, server.admin());
    let errands = Errands::new(Conduct::Panics(AtomicBool::new(true)), Then::Done);
    let replica = Replica::start(database, &errands);
    write(&replica.jobs, 1, 0..1).await;
    let failed = "kind = 'errand' AND state = 'waiting' AND attempts = 1 AND last_error LIKE '%goes wrong%'";
    until(async || count(database, failed).await == 1).await;
    // There is a delay before the retry.
    let wait = "SELECT extract(epoch FROM due_at - now())::float8 FROM jobs WHERE kind = 'errand'";
    assert!((0.0..=2.0).contains(&database.scalar::<f64>(wait).await));
    until(async || count(database, "kind = 'errand' AND state = 'dead'").await == 1).await;
    assert_eq!(errands.begun.load(Ordering::SeqCst), 2);

    let dead = admin.get("/api/admin/jobs?state=dead").await.expect(200).body;
    assert_eq!((&dead[0]["kind"], &dead[0]["orgId"]), (&json!("errand"), &json!(1)));
    assert_eq!((&dead[0]["state"], &dead[0]["attempts"]), (&json!("dead"), &json!(2)));
    assert!(dead[0]["lastError"].as_str().unwrap().contains("an errand goes wrong"), "{dead}");
    assert_eq!(dead, admin.get("/api/admin/jobs").await.expect(200).body);
    let standing = admin.get("/api/admin/jobs?state=waiting").await.expect(200).body;
    assert_eq!(standing[0]["kind"], "tidy-server", "{standing}");
    admin.get("/api/admin/jobs?state=idle").await.expect(400);
    admin.post("/api/admin/jobs/none/retry", &json!({})).await.expect(404);
    let (ann, _) = server.new_member(1, "ann", "Admin").await;
    ann.get("/api/admin/jobs").await.expect(403);
    let path = format!("/api/admin/jobs/{}/retry", dead[0]["id"].as_str().unwrap());
    ann.post(&path, &json!({})).await.expect(403);

    if let Conduct::Panics(panics) = &errands.conduct {
        panics.store(false, Ordering::SeqCst);
    }
    admin.post(&path, &json!({})).await.expect(200);
    until(async || count(database, "kind = 'errand'").await == 0).await;
    admin.post(&path, &json!({})).await.expect(404);
    // The worker has survived all this.
    write(&replica.jobs, 1, 1..2).await;
    errands.wait_until_done(1).await;
    assert_eq!((replica.counted("retried"), replica.counted("dead")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_lease_has_ended_settles_nothing() {
    let database = Cluster::get().new_database().await;
    let slow = Errands::new(Conduct::Waits(Semaphore::new(0)), Then::Done);
    let hour = Then::Again(Duration::from_secs(60 * 60));
    let quick = Errands::new(Conduct::Takes(Duration::ZERO), hour);
    let old = Replica::start(&database, &slow);
    // The maximum number that runs concurrently for an org, so that it claims none of them again.
    write(&old.jobs, 1, 0..MAX_RUNNING_OF_ORG).await;
    slow.wait_until_begun(MAX_RUNNING_OF_ORG).await;
    let new = Replica::start(&database, &quick);
    database.connect().await.batch_execute("UPDATE jobs SET due_at = now()").await.unwrap();
    new.jobs.wake();
    for number in 0..MAX_RUNNING_OF_ORG {
        quick.wait_until_done(number).await;
    }
    let settled = "state = 'waiting' AND due_at > now() + interval '50 minutes'";
    let all = i64::try_from(MAX_RUNNING_OF_ORG).unwrap();
    until(async || count(&database, settled).await == all).await;
    if let Conduct::Waits(turns) = &slow.conduct {
        turns.add_permits(MAX_RUNNING_OF_ORG);
    }
    until(async || old.counted("lost") >= 4.0).await;
    // If the old worker had settled them, they would be gone.
    assert_eq!(count(&database, settled).await, all);
    assert_eq!((old.counted("done"), new.counted("done")), (0.0, 4.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_org_with_much_to_do_keeps_no_other_waiting() {
    let database = Cluster::get().new_database().await;
    let errands = Errands::new(Conduct::Takes(Duration::from_millis(20)), Then::Done);
    write(&queue(&database), 1, 0..1_000).await;
    let replica = Replica::start(&database, &errands);
    errands.wait_until_begun(20).await;
    let begun = Instant::now();
    write(&replica.jobs, 2, 1_000..1_001).await;
    errands.wait_until_done(1_000).await;
    let waited = begun.elapsed();
    let left = count(&database, "owner_org_id = 1").await;
    assert!(waited < Duration::from_millis(700) && left > 700, "{waited:?}, {left} jobs before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_at_the_stop_is_given_back() {
    let database = Cluster::get().new_database().await;
    let errands = Errands::new(Conduct::Waits(Semaphore::new(0)), Then::Done);
    let replica = Replica::start(&database, &errands);
    write(&replica.jobs, 1, 0..2).await;
    errands.wait_until_begun(2).await;
    if let Conduct::Waits(turns) = &errands.conduct {
        turns.add_permits(1);
    }
    replica.runner.stop().await;
    assert_eq!(count(&database, "state = 'waiting' AND attempts = 0 AND due_at <= now()").await, 1);
    assert_eq!(count(&database, "true").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_the_same_is_done_is_done_after_it() {
    let database = Cluster::get().new_database().await;
    let errands = Errands::new(Conduct::Waits(Semaphore::new(0)), Then::Done);
    let job = || NewJob::of_org(OrgId(1), &Errand { number: 7 }, Duration::ZERO).unwrap();
    for _ in 0..3 {
        queue(&database).write_alone(job()).await.unwrap();
    }
    assert_eq!(count(&database, "id = 'errand-1'").await, 1);
    let replica = Replica::start(&database, &errands);
    errands.wait_until_begun(1).await;
    replica.jobs.write_alone(job()).await.unwrap();
    if let Conduct::Waits(turns) = &errands.conduct {
        turns.add_permits(2);
    }
    until(async || count(&database, "true").await == 0).await;
    assert_eq!(errands.begun.load(Ordering::SeqCst), 2);
    assert_eq!((replica.counted("lost"), replica.counted("done")), (1.0, 1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_org_costs_housekeeping_nothing() {
    let server = TestServer::start().await;
    let client = server.database.connect().await;
    let orgs = "INSERT INTO orgs SELECT n, 'org ' || n, '{}', now(), now() FROM generate_series(2, 10001) n;
        UPDATE counters SET value = 10001 WHERE name = 'org'";
    client.batch_execute(orgs).await.unwrap();
    let invite = json!({"loginOrEmail": "ann@example.org", "role": "Viewer"});
    server.admin().post("/api/org/invites", &invite).await.expect(200);
    assert_eq!(
        server.database.scalar::<String>("SELECT id FROM jobs WHERE owner_org_id > 0").await,
        "tidy-org-1"
    );
    let transactions = async || {
        // A connection reports its transactions at the latest after ten seconds of idling.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";
        server.database.scalar::<i64>(sql).await
    };
    let before = transactions().await;
    server.clock.advance(24 * 60 * 60);
    server.tidy().await;
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM invites").await, 0);
    let sent = transactions().await - before;
    assert!(sent < 200, "{sent} transactions for 10,000 idle orgs");
    // The org that had work is idle now, too.
    assert_eq!(count(&server.database, "true").await, 1);
}
