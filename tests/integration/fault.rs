//! Processes killed in the middle of work: nothing that was acknowledged is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kymograph_tests::{Client, ServerProcess};
use serde_json::{Value, json};

const WRITERS: usize = 32;
const ROUNDS: usize = 10;

/// Acknowledged versions by the message they were saved with.
type Acknowledged = Arc<Mutex<HashMap<String, (String, i64)>>>;

/// Saves versions of one dashboard until told to stop. A save without a response is retried with its idempotency key
/// until it is acknowledged or the writer has to stop.
async fn write(
    admin: Client,
    writer: usize,
    round: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
) {
    let uid = format!("d{writer}");
    for number in 0.. {
        let message = format!("{writer}/{round}/{number}");
        let save = json!({"dashboard": {"title": uid, "uid": uid}, "message": message, "overwrite": true});
        let keyed = admin.clone().with_header("Idempotency-Key", &message);
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let request = keyed.request(reqwest::Method::POST, "/api/dashboards/db").json(&save);
            let Ok(response) = request.send().await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let status = response.status().as_u16();
            if status == 200 {
                if let Ok(body) = response.json::<Value>().await {
                    let version = body["version"].as_i64().unwrap();
                    acknowledged.lock().unwrap().insert(message, (uid.clone(), version));
                    break;
                }
            } else {
                assert_eq!(status, 503, "a writer was answered {status}");
                assert!(response.headers().contains_key("retry-after"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn check_acknowledged(admin: &Client, acknowledged: &Acknowledged) {
    let acknowledged = acknowledged.lock().unwrap().clone();
    let mut stored: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    for writer in 0..WRITERS {
        let uid = format!("d{writer}");
        let body =
            admin.get(&format!("/api/dashboards/uid/{uid}/versions?limit=5000")).await.expect(200).body;
        for version in body["versions"].as_array().unwrap() {
            let message = version["message"].as_str().unwrap().to_owned();
            stored.entry(message).or_default().push((uid.clone(), version["version"].as_i64().unwrap()));
        }
    }
    for (message, saved) in &acknowledged {
        assert_eq!(stored.get(message), Some(&vec![saved.clone()]), "{message} was acknowledged once");
    }
    // A save that was retried until it was acknowledged is written only once.
    assert!(stored.values().all(|saves| saves.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_process_loses_nothing_that_was_acknowledged() {
    let mut server = ServerProcess::start("fault").await;
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                tokio::spawn(write(server.admin(), writer, round, stop.clone(), acknowledged.clone()))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300 + 97 * round as u64)).await;
        let before = acknowledged.lock().unwrap().len();
        match round % 3 {
            0 => {
                server.kill_server();
                server.kill_postgres();
                server.restart().await;
            }
            1 => server.kill_postgres(),
            _ => {
                server.kill_server();
                server.restart().await;
            }
        }
        // The server recovers by itself, and the writers continue.
        for attempt in 0.. {
            if acknowledged.lock().unwrap().len() > before + WRITERS {
                break;
            }
            assert!(attempt < 600, "round {round}: the writers did not get on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        check_acknowledged(&server.admin(), &acknowledged).await;
    }
    let verified = server.command(&["verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(server.stop().await, "the server did not end well");
    assert!(!server.postgres_runs(), "PostgreSQL was left running");
    let verified = server.command(&["verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(!server.postgres_runs(), "verify left PostgreSQL running");
}

#[tokio::test]
async fn a_data_folder_is_held_by_one_server() {
    let server = ServerProcess::start("held").await;
    let second = server.command(&["serve"]).stderr(std::process::Stdio::piped()).output().unwrap();
    assert!(!second.status.success());
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(message.contains("is in use by the server with pid"), "{message}");
    server.admin().get("/api/org").await.expect(200);
}

#[tokio::test]
async fn health_tells_the_loss_of_the_database_and_its_return() {
    let server = ServerProcess::start("health").await;
    let client = server.anonymous();
    assert_eq!(client.get("/api/health").await.expect(200).body["database"], "ok");
    server.kill_postgres();
    client.get("/livez").await.expect(200);
    let mut was_unavailable = false;
    for attempt in 0.. {
        let answer = server.admin().get("/api/search").await;
        match answer.status {
            200 if was_unavailable || attempt > 10 => break,
            200 => {}
            status => {
                assert_eq!(status, 503, "{}", answer.text);
                assert!(answer.headers.contains_key("retry-after"));
                was_unavailable = true;
            }
        }
        assert!(attempt < 600, "the database did not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The change feed occasionally takes a moment longer to reconnect.
    server.wait_until_ready().await;
}
