//! Attacks on the server as a whole, at a small scale: other clients are served meanwhile, and memory stays bounded.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use kymograph_tests::{RawConnection, ServerProcess, TestServer, basic};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The maximum memory of the server under any attack.
const MAX_MEMORY: usize = 300 * 1024 * 1024;
/// The maximum memory while large lists are built.
const MAX_LISTS: usize = 250 * MIB;
const MIB: usize = 1024 * 1024;
const KIB: usize = 1024;
/// The addresses of the attackers.
const OTHERS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];

#[tokio::test]
async fn half_heads_do_not_use_up_the_file_descriptors() {
    let mut server = ServerProcess::start("descriptors").await;
    server.restart_with_descriptors(256).await;
    let mut halves = Vec::new();
    for _ in 0..300 {
        let mut half = RawConnection::open(server.address()).await;
        half.send("GET /api/org HTTP/1.1\r\nHost: localhost\r\nX-Half: ").await;
        halves.push(half);
    }
    let began = Instant::now();
    server.admin().get("/api/org").await.expect(200);
    server.anonymous().get("/readyz").await.expect(200);
    server.admin().post("/api/folders", &json!({"title": "Ops"})).await.expect(200);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let log = server.log();
    assert!(log.contains("one address has half of all connections"), "{log}");
    assert!(!log.contains("could not accept"), "{log}");
    drop(halves);
    assert!(server.stop().await);
}

/// Sends a body on many connections at once, and returns the statuses.
async fn flood(server: &ServerProcess, connections: usize, head: String, bytes: usize) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let mut connection = RawConnection::open(server.address()).await;
        let head = head.clone();
        tasks.spawn(async move {
            connection.send(head).await;
            let chunk = vec![b'['; MIB];
            for _ in 0..bytes / MIB {
                if !connection.send(&chunk).await {
                    break;
                }
            }
            connection.answer().await.map_or(0, |answer| answer.status)
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_do_not_use_up_the_memory() {
    let server = ServerProcess::start("bodies").await;
    let org = json!({"name": "Other"});
    let org = server.admin().post("/api/orgs", &org).await.expect(200).body["orgId"].as_i64().unwrap();
    let user = json!({"login": "other", "password": "secret", "OrgId": org});
    server.admin().post("/api/admin/users", &user).await.expect(200);
    let other = server.anonymous().with_basic("other", "secret");
    other.get("/api/org").await.expect(200);
    let before = server.resident_memory();

    // Without credentials no body is read.
    let head = |credentials: &str, bytes: usize| {
        format!(
            "POST /api/dashboards/db HTTP/1.1\r\nHost: localhost\r\n{credentials}Content-Length: {bytes}\r\n\r\n"
        )
    };
    let statuses = flood(&server, 80, head("", 15 * MIB), 15 * MIB).await;
    assert!(statuses.iter().all(|status| matches!(status, 401 | 0)), "{statuses:?}");
    let after = server.resident_memory();
    assert!(after < before + 40 * MIB, "{before} -> {after}");

    // With credentials, an org gets its share.
    let admin = basic("admin", "admin");
    let flooded = flood(&server, 80, head(&admin, 15 * MIB), 15 * MIB);
    let others = async {
        for _ in 0..20 {
            other.get("/api/org").await.expect(200);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (statuses, ()) = tokio::join!(flooded, others);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 400 | 413 | 429 | 0)), "{statuses:?}");
    let memory = server.resident_memory();
    assert!(memory < MAX_MEMORY, "{memory}");
    let log = server.log();
    assert!(log.contains("the memory budget for request bodies is exhausted"), "{log}");
    assert!(log.lines().count() < 30, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_dashboards_do_not_use_up_the_memory() {
    const DASHBOARDS: usize = 12;
    let mut server = ServerProcess::start("large").await;
    for number in 0..DASHBOARDS {
        let text = number.to_string().repeat(8 * MIB / number.to_string().len());
        let form = json!({"dashboard": {"uid": format!("large{number}"), "title": number.to_string(), "text": text}});
        server.admin().post("/api/dashboards/db", &form).await.expect(200);
    }
    server.kill_server();
    server.restart().await;
    server.wait_until_ready().await;
    let mut reads = JoinSet::new();
    for number in 0..3 * DASHBOARDS {
        let path = format!("/api/dashboards/uid/large{}", number % DASHBOARDS);
        let request = server.admin().request(reqwest::Method::GET, &path);
        reads.spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.map_or(0, |body| body.len()))
        });
    }
    let mut most = 0;
    while !reads.is_empty() {
        most = most.max(server.resident_memory());
        if let Ok(Some(read)) = tokio::time::timeout(Duration::from_millis(10), reads.join_next()).await {
            let (status, bytes) = read.unwrap();
            assert!(status == 200 && (bytes == 0 || bytes > 8 * MIB - 10), "{status}, {bytes} bytes");
        }
    }
    assert!(most < MAX_MEMORY, "{most}");
    let whole = server.admin().get("/api/dashboards/uid/large7").await.expect(200);
    assert_eq!(whole.body["dashboard"]["text"], "7".repeat(8 * MIB));
}

/// Sends a request on this many connections and keeps them, and returns the number closed by the server.
async fn keep(
    server: &ServerProcess,
    connections: usize,
    request: &str,
    kept: &mut Vec<RawConnection>,
) -> usize {
    let mut closed = 0;
    for number in 0..connections {
        let mut connection = RawConnection::from(OTHERS[number % 2], server.address()).await;
        assert!(connection.send(request).await);
        let answer = connection.answer().await.unwrap();
        assert!(matches!(answer.status, 200 | 401), "{answer:?}");
        closed += usize::from(answer.head.contains("connection: close"));
        kept.push(connection);
    }
    closed
}

#[tokio::test]
async fn idle_connections_keep_little_memory() {
    const CONNECTIONS: usize = 400;
    let server = ServerProcess::start("idle").await;
    let body = format!("{{\"user\":\"nobody\",\"password\":\"{}\"}}", "x".repeat(65_000));
    let large_body =
        format!("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let large_head =
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nx-fill: {}\r\n\r\n", "x".repeat(31 * KIB));
    let mut kept = Vec::new();
    keep(&server, 20, &large_body, &mut kept).await;
    keep(&server, 20, &large_head, &mut kept).await;
    let before = server.resident_memory();
    assert_eq!(keep(&server, CONNECTIONS, &large_body, &mut kept).await, 0);
    let bodies = server.resident_memory();
    assert!(bodies < before + CONNECTIONS * 40 * KIB, "{before} -> {bodies}");
    // Half of 16 MiB is for buffers of such large heads.
    let closed = keep(&server, CONNECTIONS, &large_head, &mut kept).await;
    assert!((100..200).contains(&closed), "{closed}");
    assert_eq!(keep(&server, 1, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut kept).await, 0);
    let heads = server.resident_memory();
    assert!(heads < bodies + 16 * MIB, "{bodies} -> {heads}");
}

#[tokio::test]
async fn half_heads_that_are_large_displace_each_other() {
    let server = ServerProcess::start("heads").await;
    let half = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nx-fill: {}", "x".repeat(30 * KIB));
    let mut halves = Vec::new();
    for number in 0..700 {
        let mut connection = RawConnection::from(OTHERS[number % 2], server.address()).await;
        connection.send(&half).await;
        halves.push(connection);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.resident_memory() < MAX_MEMORY);
    let mut connection = RawConnection::open(server.address()).await;
    assert!(connection.send(format!("{half}\r\n\r\n")).await);
    assert_eq!(connection.answer().await.unwrap().status, 200);
    let log = server.log();
    assert!(log.contains("large request heads take too much memory"), "{log}");
    assert!(log.lines().count() < 10, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_cost_others_neither_memory_nor_downloads() {
    const BYTES: usize = 8 * MIB;
    let server = ServerProcess::start("unread").await;
    let form = json!({"dashboard": {"uid": "large", "title": "Large", "text": "x".repeat(BYTES)}});
    server.admin().post("/api/dashboards/db", &form).await.expect(200);
    let request = format!(
        "GET /api/dashboards/uid/large HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        basic("admin", "admin")
    );
    // A client that reads more slowly than those that lose their responses may, but steadily.
    let mut download = RawConnection::narrow(Ipv4Addr::LOCALHOST, server.address()).await;
    assert!(download.send(&request).await);
    let download = tokio::spawn(async move {
        for piece in 0..BYTES / MIB {
            assert!(download.skip(MIB).await, "piece {piece} did not come");
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    });
    let (mut unread, mut most) = (Vec::new(), 0);
    while !download.is_finished() {
        let mut connection = RawConnection::narrow(OTHERS[unread.len() % 2], server.address()).await;
        connection.send(&request).await;
        unread.push(connection);
        tokio::time::sleep(Duration::from_millis(60)).await;
        most = most.max(server.resident_memory());
    }
    download.await.unwrap();
    assert!(unread.len() > 30, "only {} read nothing", unread.len());
    assert!(most < MAX_MEMORY, "{most}");
    server.admin().get("/api/dashboards/uid/large").await.expect(200);
}

/// Adds entries to the log of the first org: `$1` short ones, and as many of the maximum length.
const FILL: &str = "INSERT INTO events SELECT org_id, pos + n, 'dashboard-filler-' || n % 1000, 'dashboard', pos * 100000 + n,
        'dashboard.updated', 1, recorded_at + n * interval '1 millisecond', 1, 'admin',
        CASE WHEN n > $1 THEN repeat('r', 128) ELSE 'filler' END, CASE WHEN n > $1 THEN repeat('c', 128) ELSE 'filler' END,
        CASE WHEN n > $1 THEN (meta::jsonb || jsonb_build_object('user_agent', repeat('\"', 500)))::text ELSE meta END,
        '{}', 0, ''
    FROM events, generate_series(1, 2 * $1::bigint) AS n
    WHERE org_id = 1 AND pos = (SELECT max(pos) FROM events WHERE org_id = 1)";
const MOVE_HEAD: &str = "UPDATE heads SET pos = e.pos, last_at = e.recorded_at FROM events e
    WHERE heads.org_id = 1 AND e.org_id = 1 AND e.pos = (SELECT max(pos) FROM events WHERE org_id = 1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_that_nobody_reads_hold_little_memory_and_leave_few_lines() {
    const ENTRIES: i64 = 20_000;
    let server = ServerProcess::start("exports").await;
    let database = server.database().await;
    database.execute(FILL, &[&ENTRIES]).await.unwrap();
    database.execute(MOVE_HEAD, &[]).await.unwrap();
    server.admin().get("/api/audit/events").await.expect(200);
    let before = server.resident_memory();
    let request = format!(
        "GET /api/audit/events/export?order=newest HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        basic("admin", "admin")
    );
    for _ in 0..5 {
        let mut unread = Vec::new();
        for from in OTHERS {
            let mut connection = RawConnection::narrow(from, server.address()).await;
            assert!(connection.send(&request).await);
            unread.push(connection);
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let after = server.resident_memory();
        assert!(after < before + 48 * MIB, "{before} -> {after}");
        drop(unread);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("an export was aborted")).count();
    assert!((1..=3).contains(&lines), "{log}");
    for order in ["order=oldest", "order=newest", "order=oldest&action=dashboard.updated"] {
        let export = server.admin().get(&format!("/api/audit/events/export?{order}")).await.expect(200);
        let id = |line: &str| line[r#"{"id":"#.len()..line.find(',').unwrap()].parse::<i64>().unwrap();
        let mut ids: Vec<_> = export.text.lines().map(id).collect();
        if order == "order=newest" {
            ids.reverse();
        }
        assert!(ids.len() >= 2 * usize::try_from(ENTRIES).unwrap(), "{order}: {}", ids.len());
        assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{order}");
    }
}

/// Adds this many dashboards with long titles and 25 distinct, long tags to the only existing one, and as many entries to the
/// audit log.
async fn fill(server: &ServerProcess, dashboards: i64) {
    let form = json!({"dashboard": {"uid": "first", "title": "x".repeat(700), "tags": ["common"]}});
    server.admin().post("/api/dashboards/db", &form).await.expect(200);
    let database = server.database().await;
    let copies = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos, created,
            created_by, updated, updated_by, creator_id)
        SELECT org_id, uid || n, id + n, generation, title || n, slug, tags || ARRAY(
            SELECT rpad(n || '-' || tag || '-', 152, 'x') FROM generate_series(1, 25) AS tag),
            folder_uid, version, pos, created, created_by, updated, updated_by, creator_id
        FROM dashboards, generate_series(1, $1::bigint) AS n WHERE uid = 'first'";
    database.execute(copies, &[&dashboards]).await.unwrap();
    let copies = "INSERT INTO events SELECT (e).* FROM (
            SELECT jsonb_populate_record(e, jsonb_build_object('version', version + n, 'pos', pos + n,
                'actor_login', repeat('y', 190), 'causation_id', repeat('z', 128))) AS e
            FROM events e, generate_series(1, $1::bigint) AS n
            WHERE e.org_id = 1 AND e.pos = (SELECT max(pos) FROM events WHERE org_id = 1)) AS copies";
    database.execute(copies, &[&dashboards]).await.unwrap();
}

/// Sends this many requests at once, and returns the statuses, the peak memory, and the longest waiting time of other
/// clients.
async fn read_at_once(
    server: &ServerProcess,
    path: &str,
    count: usize,
) -> (Vec<(u16, usize)>, usize, Duration) {
    let mut reads = JoinSet::new();
    for _ in 0..count {
        let request = server.admin().request(reqwest::Method::GET, path);
        reads.spawn(async move {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.bytes().await.map_or(0, |body| body.len()))
        });
    }
    watched(server, reads).await
}

/// Waits for requests, and returns their results, the peak memory meanwhile, and the longest waiting time of other clients.
async fn watched<T: 'static>(server: &ServerProcess, mut requests: JoinSet<T>) -> (Vec<T>, usize, Duration) {
    let (mut results, mut most, mut longest) = (Vec::new(), 0, Duration::ZERO);
    while !requests.is_empty() {
        let began = Instant::now();
        server.anonymous().get("/livez").await.expect(200);
        longest = longest.max(began.elapsed());
        most = most.max(server.resident_memory());
        if let Ok(Some(result)) = tokio::time::timeout(Duration::from_millis(10), requests.join_next()).await
        {
            results.push(result.unwrap());
        }
    }
    (results, most, longest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_lists_do_not_use_up_the_memory() {
    let server = ServerProcess::start("lists").await;
    fill(&server, 6000).await;
    let tags = server.admin().get("/api/dashboards/tags").await.expect(200).body;
    let tags = tags.as_array().unwrap();
    assert_eq!(tags.len(), 5000);
    assert!(tags.contains(&json!({"term": "common", "count": 6001})), "the most used are there");
    for (path, count, bytes) in [
        ("/api/dashboards/tags", 6, 250_000),
        ("/api/search?limit=2500&type=dash-db", 8, 10_000_000),
        ("/api/audit/events?limit=5000", 12, 3_000_000),
    ] {
        let (answers, memory, waited) = read_at_once(&server, path, count).await;
        let given = answers.iter().filter(|(status, length)| *status == 200 && *length > bytes).count();
        let refused = answers.iter().filter(|(status, _)| *status == 429).count();
        assert!(given > 0 && given + refused == count, "{path}: {answers:?}");
        assert!(memory < MAX_LISTS, "{path}: {memory}");
        assert!(waited < Duration::from_secs(1), "{path}: {waited:?}");
    }
    let refused = server.admin().get("/api/search?limit=5000&type=dash-db").await;
    refused.expect_message(413, "The answer would be too large: ask for a smaller page, or for less");
}

#[tokio::test]
async fn a_form_has_so_many_values_and_no_more() {
    let server = TestServer::start().await;
    let admin = server.admin();
    // The other values are the object, two names, the text and the list.
    let form = |count: usize| json!({"name": "TV", "more": vec![0; count]});
    admin.post("/api/playlists", &form(20_000 - 5)).await.expect(200);
    let refused = admin.post("/api/playlists", &form(20_000 - 4)).await.expect(400);
    assert!(refused.text.contains("more than 20000 values"), "{}", refused.text);
}

/// A source that responds to each query with a matrix of this many bytes.
async fn large_source(bytes: usize) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let points = ",[1700000015,\"1.5\"]".repeat(bytes / 20);
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[1700000000,"1"]{points}]}}]}}}}"#
    );
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let body = std::sync::Arc::new(head + &body);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let mut head = [0; 8192];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(body.as_bytes()).await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_data_sources_do_not_use_up_the_memory() {
    let server = ServerProcess::start_with("sources", &[("GF_DATA_SOURCES_ALLOW_LOOPBACK", "true")]).await;
    let admin = server.admin();
    let url = large_source(8 * MIB).await;
    for (uid, kind) in [("large", "prometheus"), ("test", "testdata")] {
        let source = json!({"name": uid, "uid": uid, "type": kind, "url": url});
        admin.post("/api/datasources", &source).await.expect(200);
    }
    let many = |uid: &str, count: usize, points: usize| {
        let query = |at: usize| {
            json!({"refId": format!("Q{at}"), "datasource": {"uid": uid}, "expr": "x", "seriesCount": 20,
                "intervalMs": 1, "maxDataPoints": points})
        };
        json!({"from": "1700000000000", "to": "1700100000000", "queries": (0..count).map(query).collect::<Vec<_>>()})
    };
    for (uid, count, points, clients) in
        [("large", 100, 100, 4), ("large", 1, 100, 30), ("test", 100, 10_000, 8), ("test", 1, 100, 30)]
    {
        let form = many(uid, count, points);
        let mut asked = JoinSet::new();
        for _ in 0..clients {
            let request = server.admin().request(reqwest::Method::POST, "/api/ds/query").json(&form);
            asked.spawn(async move {
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                drop(answer.bytes().await);
                status
            });
        }
        let (answers, most, longest) = watched(&server, asked).await;
        // Too many or too large responses are refused, for some queries or for all.
        assert!(answers.iter().all(|status| matches!(status, 200 | 400 | 413 | 429)), "{uid}: {answers:?}");
        assert!(most < MAX_MEMORY, "{uid} {count}: {most}");
        assert!(longest < Duration::from_secs(1), "{uid} {count}: {longest:?}");
        assert!(count > 1 || answers.contains(&200), "{uid}: {answers:?}");
    }
}
