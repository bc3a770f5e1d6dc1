//! Nobody without rights learns or changes anything, on any route that the router has.

use axum::http::Method;
use kymograph_tests::TestServer;

use crate::route_examples::Objects;

/// The number of events in the log of an org.
async fn head(server: &TestServer, org: i64) -> i64 {
    let sql = format!("SELECT coalesce((SELECT pos FROM heads WHERE org_id = {org}), 0)");
    server.database.scalar(&sql).await
}

#[tokio::test]
async fn without_credentials_nothing_is_given_away() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let before = head(&server, zebra.org).await;
    for (number, route) in server.routes.iter().enumerate() {
        let anonymous = server.anonymous().in_org(zebra.org);
        let answer = zebra.call(&anonymous, route, number).await;
        if !route.is_public {
            assert_eq!(answer.status, 401, "{} {}", route.method, route.path);
        }
        assert!(!answer.text.contains("zebra"), "{}: {}", answer.request, answer.text);
    }
    assert_eq!(head(&server, zebra.org).await, before);
}

#[tokio::test]
async fn the_admin_of_another_org_gets_and_changes_nothing() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let lion = server.new_org("lion org").await;
    let (admin, _) = server.new_member(lion, "lion-admin", "Admin").await;
    let (before, users_before) = (head(&server, zebra.org).await, head(&server, 0).await);
    for (number, route) in server.routes.iter().enumerate() {
        // What the lions name themselves is no secret of the zebras.
        let mut example = Objects { name: "zebra".into(), ..zebra.clone() };
        if route.method != Method::GET && !route.path.contains('{') {
            example.name = "lion".into();
        }
        let answer = example.call(&admin, route, number).await;
        assert!(!answer.text.contains("zebra"), "{}: {}", answer.request, answer.text);
        let named = example.call(&admin.clone().in_org(zebra.org), route, number).await;
        if !route.is_public {
            assert_eq!(named.status, 401, "{} {} in the other org", route.method, route.path);
        }
    }
    assert_eq!(head(&server, zebra.org).await, before, "the other org's log has moved");
    let sql = "SELECT count(*) FROM events WHERE org_id = 0 AND pos > $1 AND actor_login <> 'lion-admin'
        AND stream_id NOT LIKE 'user-%'";
    let foreign: i64 = server.database.connect().await.query_one(sql, &[&users_before]).await.unwrap().get(0);
    assert_eq!(foreign, 0);
}

#[tokio::test]
async fn what_is_another_orgs_looks_like_what_is_not_there() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let lion = server.new_org("lion org").await;
    let (admin, _) = server.new_member(lion, "lion-admin", "Admin").await;
    let (name, invite) = ("nobody".to_owned(), "9999-1-0".to_owned());
    let (org, user, session, team, service_account, token) = (9999, 9999, 9999, 9999, 9999, 9999);
    let nobody = Objects { name, org, user, session, invite, team, service_account, token };
    for (number, route) in server.routes.iter().enumerate() {
        let names_one_object = route.path.contains('{') && !route.is_public;
        if !names_one_object {
            continue;
        }
        let foreign = zebra.call(&admin, route, number).await;
        let missing = nobody.call(&admin, route, number).await;
        assert_eq!(foreign.status, missing.status, "{} {}", route.method, route.path);
        assert_eq!(foreign.body, missing.body, "{} {}", route.method, route.path);
    }
}
