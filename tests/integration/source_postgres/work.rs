//! The limits of a source's work: rows, bytes, time, connections; and forbidden statements.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kymograph_app::source::backend::{Backend, ErrorOrigin, Query, ResourceRequest};
use kymograph_domain::source::frame::Column;
use kymograph_sources::postgres::{MAX_CONNECTIONS_OF_ORG, MAX_ROWS};
use serde_json::json;
use tokio::time::sleep;
use tokio_postgres::Client;

use super::{MIB, Source, column, notices, query, start};

/// The number of statements that the source currently runs.
async fn at_work(client: &Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kymograph' AND usename = 'ann'
        AND state = 'active' AND pid <> pg_backend_pid() AND query NOT LIKE '%pg_stat_activity%'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn works(client: &Client) {
    while at_work(client).await == 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn rests(client: &Client) {
    let begun = Instant::now();
    while at_work(client).await > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "a statement that nobody waits for runs on");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn answers_end_at_the_limits_with_a_notice() {
    let (_postgres, mut source, client) = start("source-limits").await;
    let all = source.table(&format!("SELECT n FROM generate_series(1, {MAX_ROWS}) AS n")).await;
    assert_eq!((all.fields[0].column.len(), notices(&all).len()), (MAX_ROWS, 0));
    let cut = source.table(&format!("SELECT n FROM generate_series(1, {}) AS n", MAX_ROWS + 5)).await;
    assert_eq!((cut.fields[0].column.len(), notices(&cut).len()), (MAX_ROWS, 1));
    assert!(notices(&cut)[0].contains("more than 1000000 rows"), "{:?}", notices(&cut));
    source.context.max_bytes = MIB;
    let sql = "SELECT n, repeat('x', 1000) AS t FROM generate_series(1, 100000000) AS n";
    let cut = source.table(sql).await;
    let rows = cut.fields[0].column.len();
    assert!((900..1050).contains(&rows), "{rows}");
    assert_eq!(
        notices(&cut)[0],
        format!("The query returns more than an answer may hold; these are the first {rows} rows")
    );
    let Column::Int32(cells) = column(&cut, "n") else { panic!("{cut:?}") };
    assert!(cells.values.iter().zip(1..).all(|(found, expected)| *found == expected));
    // The server does not compute the other rows.
    rests(&client).await;
    let error = source.refusal("SELECT repeat('x', 3000000)").await;
    assert!(error.message.contains("a row is larger than"), "{error:?}");
    let error = source.refusal(&format!("SELECT '{}'", "x".repeat(MIB))).await;
    assert!(error.message.contains("longer than"), "{error:?}");
}

#[tokio::test]
async fn a_statement_can_neither_write_nor_leave_anything_behind() {
    let (_postgres, mut source, client) = start("source-readonly").await;
    client.batch_execute("CREATE TABLE kept (n int)").await.unwrap();
    source.change(|source| drop(source.content.json_data.insert("maxOpenConns".to_owned(), json!(1))));
    for (sql, told) in [
        ("INSERT INTO kept VALUES (1)", "25006"),
        ("WITH w AS (INSERT INTO kept VALUES (1) RETURNING n) SELECT * FROM w", "25006"),
        ("CREATE TABLE other (n int)", "25006"),
        ("SELECT 1; DROP TABLE kept", "42601"),
        ("SELECT 1; COMMIT; DROP TABLE kept", "42601"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "25001"),
        ("SELECT nothing FROM kept", "42703"),
        ("SELECT $1::int", "08P01"),
        ("SELECT 1 / 0", "22012"),
        ("SELECT 1 / (500 - n) FROM generate_series(1, 1000) AS n", "22012"),
        ("SELEC", "42601"),
        ("SELECT /* open", "42601"),
    ] {
        let error = source.refusal(sql).await;
        assert!(error.message.starts_with("Numbers: ") && error.message.contains(told), "{sql}: {error:?}");
        assert!(
            error.origin == ErrorOrigin::Downstream && (error.status == 400 || told == "08P01"),
            "{sql}: {error:?}"
        );
    }
    let pid = "SELECT pg_backend_pid() AS pid";
    let before = source.table(pid).await;
    for sql in [
        "SET TRANSACTION READ WRITE",
        "SET default_transaction_read_only = off",
        "SET statement_timeout = 0",
        "SELECT set_config('search_path', 'nowhere', false)",
        "SELECT pg_advisory_lock(7)",
        "PREPARE stays AS SELECT 1",
        "COMMIT",
        "COMMIT AND CHAIN",
        "BEGIN",
        "LISTEN something",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    ] {
        source.table(sql).await;
        assert!(source.refusal("INSERT INTO kept VALUES (1)").await.message.contains("25006"), "{sql}");
    }
    let left = "SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') + (SELECT count(*) FROM pg_prepared_statements)
        + (SELECT count(*) FROM pg_cursors WHERE is_holdable) + (SELECT count(*) FROM pg_listening_channels()) AS n";
    let left = source.table(left).await;
    assert_eq!(column(&left, "n"), &Column::Int64(kymograph_domain::source::frame::Cells::nullable(vec![0])));
    let path = source.table("SHOW search_path").await;
    assert_eq!(super::texts(&path, "search_path"), [Some("\"$user\", public".to_owned())]);
    // All of this used one connection.
    assert_eq!(source.table(pid).await, before);
    for copy in ["COPY kept TO STDOUT", "COPY (SELECT 1) TO STDOUT"] {
        assert!(source.refusal(copy).await.message.contains("COPY is not served"), "{copy}");
    }
    assert!(source.refusal("COPY kept FROM STDIN").await.message.contains("25006"));
    let rows: i64 = client.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0);
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn what_nobody_waits_for_is_cancelled_at_the_server() {
    let (postgres, source, client) = start("source-cancel").await;
    let encrypted = Source::at(postgres.port, json!({"sslmode": "require"}));
    for source in [&source, &encrypted] {
        // A statement that computes, and one that sends rows.
        for sql in
            ["SELECT pg_sleep(30)", "SELECT n, pg_sleep(0.001)::text FROM generate_series(1, 1000000) AS n"]
        {
            tokio::select! {
                answer = source.answer(query(&json!({"rawSql": sql, "format": "table"}))) => panic!("{answer:?}"),
                () = works(&client) => {}
            }
            rests(&client).await;
        }
    }
}

#[tokio::test]
async fn connections_are_few_and_shared() {
    let (_postgres, mut source, client) = start("source-pool").await;
    source.change(|source| drop(source.content.json_data.insert("maxOpenConns".to_owned(), json!(2))));
    let sleeping = (0..6).map(|number| Query {
        ref_id: number.to_string(),
        ..query(&json!({"rawSql": "SELECT pg_sleep(0.2)::text AS slept", "format": "table"}))
    });
    let queries: Vec<_> = sleeping.collect();
    let (answers, most) = {
        let mut asking = pin!(source.backend.query(&source.context, &queries));
        let mut most = 0;
        loop {
            tokio::select! {
                answers = &mut asking => break (answers, most),
                working = at_work(&client) => most = most.max(working),
            }
        }
    };
    assert!(answers.len() == 6 && answers.values().all(Result::is_ok), "{answers:?}");
    assert_eq!(most, 2);
    // A query that waits for too long gets an error.
    let hold = || source.answer(query(&json!({"rawSql": "SELECT pg_sleep(7)::text", "format": "table"})));
    let answers = join_all([hold(), hold(), hold()]).await;
    let busy: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(busy.len() == 1 && busy[0].status == 503, "{busy:?}");
    // A changed source has its own connections.
    let pid = source.table("SELECT pg_backend_pid() AS pid").await;
    source.change(|source| source.version = 2);
    assert_ne!(source.table("SELECT pg_backend_pid() AS pid").await, pid);
    // A connection that the server closed is replaced.
    let close = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'ann' AND pid <> pg_backend_pid()";
    client.query_one(close, &[]).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    source.table("SELECT 1").await;
}

#[tokio::test]
async fn connections_with_nothing_to_do_give_way() {
    let (_postgres, mut source, _client) = start("source-share").await;
    // Each version has its own pool, and keeps a connection.
    for version in 0..=i64::try_from(MAX_CONNECTIONS_OF_ORG).unwrap() {
        source.change(|source| source.version = version);
        source.table("SELECT 1").await;
    }
}

#[tokio::test]
async fn there_is_nothing_beside_queries() {
    let source = Source::at(1, json!({"sslmode": "disable"}));
    let request = ResourceRequest {
        method: "GET".to_owned(),
        path: "tables".to_owned(),
        query: String::new(),
        headers: Vec::new(),
        body: axum::body::Bytes::new(),
    };
    let error = source.backend.call_resource(&source.context, request).await.unwrap_err();
    assert_eq!(error.status, 404);
}
