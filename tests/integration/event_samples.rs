//! All stored events must remain readable: a committed sample of every version of every event.

use std::path::PathBuf;

use kymograph_domain::registry;
use kymograph_tests::TestServer;

use crate::route_examples::Objects;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("event_samples")
}

fn path(event_type: &str, version: i32) -> PathBuf {
    folder().join(format!("{event_type}.v{version}.json"))
}

/// With `UPDATE_SAMPLES` set, writes a sample of each event that has none, from the events of the route examples.
#[tokio::test]
async fn event_samples_can_be_made() {
    if std::env::var_os("UPDATE_SAMPLES").is_none() {
        return;
    }
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    for (number, route) in server.routes.iter().enumerate().filter(|(_, route)| !route.is_public) {
        let objects = Objects::make(&server, &format!("sample{number}")).await;
        // The admin's own account is not changed, because it creates the next objects.
        if route.path != "/api/user" && !route.path.starts_with("/api/user/") {
            objects.call(&server.admin().in_org(objects.org), route, number).await;
        }
        objects.call(&server.client(&format!("sample{number}-user"), "secret"), route, number).await;
    }
    let sql = "SELECT DISTINCT ON (type) type, schema_version, payload FROM events ORDER BY type, length(payload) DESC";
    for row in server.database.connect().await.query(sql, &[]).await.unwrap() {
        let path = path(row.get(0), row.get(1));
        if !path.exists() {
            std::fs::write(path, format!("{}\n", row.get::<_, &str>(2))).unwrap();
        }
    }
}

#[test]
fn every_event_of_every_version_has_a_sample_that_can_be_read() {
    for (event_type, current) in registry::event_types() {
        for version in 1..=current {
            let path = path(event_type, version);
            let sample = std::fs::read_to_string(&path);
            let sample =
                sample.unwrap_or_else(|_| panic!("{} is missing, see CONTRIBUTING.md", path.display()));
            let event = registry::decode(event_type, version, sample.trim());
            let event = event.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(event.stored_type(), event_type);
            if version == current {
                assert_eq!(
                    event.payload().unwrap(),
                    sample.trim(),
                    "{event_type} is written in another way now"
                );
            }
        }
    }
}

#[test]
fn every_sample_is_of_an_event() {
    let types = registry::event_types();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = types.iter().any(|(event_type, current)| {
            (1..=*current).any(|version| name == format!("{event_type}.v{version}.json"))
        });
        assert!(known, "{name} is a sample of nothing");
    }
}
