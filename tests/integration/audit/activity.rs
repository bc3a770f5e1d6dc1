//! Counts of audit entries over time.

use std::collections::BTreeMap;

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

use super::{busy_server, events, save};

/// The number of successes, denials and failures in a bucket.
fn numbers(bucket: &Value) -> [usize; 3] {
    ["success", "denied", "failure"].map(|name| usize::try_from(bucket[name].as_u64().unwrap()).unwrap())
}

async fn buckets(client: &Client, query: &str) -> Vec<Value> {
    let body = client.get(&format!("/api/audit/activity?{query}")).await.expect(200).body;
    body["buckets"].as_array().unwrap().clone()
}

#[tokio::test]
async fn activity_counts_days_and_hours_by_outcome() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    viewer.post("/api/folders", &json!({"title": "x"})).await.expect(403);
    server.access.flush().await;
    let all = events(&admin, "limit=1000").await;
    let back = "UPDATE events SET recorded_at = recorded_at - interval '1 day' WHERE org_id = 1 AND pos <= 3";
    server.database.connect().await.batch_execute(back).await.unwrap();
    let days = admin.get("/api/audit/activity?days=3").await.expect(200).body["buckets"].clone();
    let days = days.as_array().unwrap();
    assert_eq!(days.len(), 3);
    assert_eq!(numbers(&days[0]), [0, 0, 0]);
    assert_eq!(numbers(&days[1]), [3, 0, 0]);
    assert_eq!(numbers(&days[2]), [all.len() - 4, 1, 0]);
    assert!(days[2]["from"].as_str().unwrap().ends_with("T00:00:00Z"));
    assert_eq!(
        admin.get("/api/audit/activity").await.expect(200).body["buckets"].as_array().unwrap().len(),
        30
    );
    let hours =
        admin.get("/api/audit/activity?days=2&interval=hour").await.expect(200).body["buckets"].clone();
    let hours = hours.as_array().unwrap();
    assert_eq!(hours.len(), 48);
    let sum = hours.iter().map(|hour| numbers(hour).iter().sum::<usize>()).sum::<usize>();
    assert_eq!(sum, all.len());
}

/// A server whose log has entries of three days, including refusals.
async fn server_of_three_days() -> TestServer {
    let (server, ..) = busy_server().await;
    let trace = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    save(&server.client("ann", "secret").with_header(trace.0, trace.1), "cpu", 3).await;
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    viewer.delete("/api/dashboards/uid/cpu").await.expect(403);
    server.client("ann", "wrong").get("/api/org").await.expect(401);
    server.access.flush().await;
    let database = server.database.connect().await;
    for (days, positions) in [(2, "1 AND 4"), (1, "5 AND 9")] {
        let back = format!(
            "UPDATE events SET recorded_at = recorded_at - interval '{days} days'
                WHERE org_id = 1 AND pos BETWEEN {positions}"
        );
        database.batch_execute(&back).await.unwrap();
    }
    server
}

/// Counts the listed entries by day and outcome.
fn by_day(events: &[Value]) -> BTreeMap<String, [usize; 3]> {
    let mut days = BTreeMap::new();
    for event in events {
        let day = event["occurredAt"].as_str().unwrap()[..10].to_owned();
        let kinds = ["success", "denied", "failure"];
        let kind = kinds.iter().position(|kind| event["outcome"] == *kind).unwrap();
        days.entry(day).or_insert([0; 3])[kind] += 1;
    }
    days
}

#[tokio::test]
async fn activity_counts_what_the_list_shows_by_every_filter() {
    let server = server_of_three_days().await;
    let admin = server.admin();
    let all = events(&admin, "limit=1000&order=oldest").await;
    assert_eq!(by_day(&all).len(), 3, "{all:?}");
    let times = [1, 6].map(|index| all[index]["occurredAt"].as_str().unwrap().to_owned());
    let between = format!("from={}&to={}", times[0], times[1]);
    for time in ["", between.as_str()] {
        for filter in [
            "",
            "action=dashboard.*",
            "action=dashboard.created&action=access.*",
            "targetType=dashboard",
            "outcome=success",
            "outcome=denied",
            "actor=ann",
            "actor=an*&action=dashboard.*",
            "actor=nobody",
            "targetType=dashboard&targetUid=cpu",
            "targetType=dashboard&targetUid=cpu&actor=ann",
            "targetType=dashboard&targetUid=cpu&excludeActor=ann&excludeAction=dashboard.created",
            "traceId=0AF7651916CD43DD8448EB211C80319C",
            "traceId=0af7651916cd43dd8448eb211c80319c&excludeActor=ann",
            "excludeActor=ann",
            "excludeActor=an*&excludeAction=dashboard.deleted",
            "excludeActor=admin&action=dashboard.*",
            "excludeOutcome=success",
            "excludeOutcome=denied&excludeOutcome=failure",
            "excludeTargetType=dashboard&excludeTargetType=access",
            "excludeAction=*",
        ] {
            let listed = by_day(&events(&admin, &format!("limit=1000&{filter}&{time}")).await);
            let counted = buckets(&admin, &format!("{filter}&{time}")).await;
            let counted: BTreeMap<_, _> = counted
                .iter()
                .map(|bucket| (bucket["from"].as_str().unwrap()[..10].to_owned(), numbers(bucket)))
                .filter(|(_, numbers)| *numbers != [0; 3])
                .collect();
            assert_eq!(counted, listed, "{filter} {time}");
        }
    }
}

#[tokio::test]
async fn activity_is_bounded_by_from_and_to() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let froms = async |query: &str| {
        let buckets = buckets(&admin, query).await;
        let froms = buckets.iter().map(|bucket| bucket["from"].as_str().unwrap().to_owned());
        froms.collect::<Vec<_>>()
    };
    assert_eq!(
        froms("from=2026-03-01T23:59:59Z&to=2026-03-03T00:00:00Z").await,
        ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]
    );
    // Days are in UTC, regardless of the zone of a given time.
    assert_eq!(froms("from=2026-03-02T00:30:00%2B01:00&to=2026-03-01T23:59:59Z").await.len(), 1);
    let hours = froms("interval=hour&from=2026-03-01T10:59:59Z&to=2026-03-01T12:00:00Z").await;
    assert_eq!(hours, ["2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"]);
    // With one end only: up to now, and this many days up to the end.
    assert_eq!(
        froms("to=2026-03-02T10:00:00Z&days=2").await,
        ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"]
    );
    let today = froms("days=1").await;
    assert_eq!(froms(&format!("from={}", today[0])).await, today);
    assert_eq!(froms("from=2999-01-01T10:00:00Z").await, ["2999-01-01T00:00:00Z"]);
    let longest = froms("from=2025-01-01T00:00:00Z&to=2026-02-04T23:59:59.999999Z").await;
    assert_eq!(longest.len(), 400);
    assert_eq!(froms("to=0001-01-01T00:00:00Z").await.len(), 30);
    assert_eq!(froms("from=9999-12-31T00:00:00Z&to=9999-12-31T23:59:59Z").await.len(), 1);
}
