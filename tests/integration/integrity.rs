//! Decisions based on one log and written to another hold when both change at once; and `verify` reports the damage if
//! they do not.

use futures_util::future::join_all;
use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};

use crate::route_examples::Objects;
use crate::verify::{damage_table, restore_table};

/// The number of rounds of a race.
const ROUNDS: usize = 40;

/// Another server on the same database.
async fn second(server: &TestServer) -> TestServer {
    TestServer::on_database(server.database.clone(), &[]).await
}

async fn faults(server: &TestServer) -> Vec<String> {
    verify_database(&server.database.config).await.unwrap().faults
}

/// A change by a client to an object while it is deleted.
async fn write(client: Client, path: String, body: Value) -> Answer {
    client.post(&path, &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_deleted_becomes_no_member() {
    let server = TestServer::start().await;
    let other = second(&server).await;
    let (admin, other) = (server.admin(), other.admin());
    let mut orgs = Vec::new();
    for number in 0..4 {
        orgs.push(server.new_org(&format!("Acme {number}")).await);
    }
    let team = json!({"name": "Team"});
    let team =
        admin.clone().in_org(orgs[0]).post("/api/teams", &team).await.expect(200).body["teamId"].clone();
    let mut added = 0;
    for round in 0..ROUNDS {
        let login = format!("u{round}");
        let user = json!({"login": login, "password": "secret", "OrgId": orgs[0]});
        let id = admin.post("/api/admin/users", &user).await.expect(200).body["id"].clone();
        let deleting = {
            let (client, path) = (admin.clone(), format!("/api/admin/users/{id}"));
            async move { client.delete(&path).await }
        };
        let member = json!({"loginOrEmail": login, "role": "Admin"});
        let adding = orgs[1..].iter().enumerate().map(|(number, org)| {
            let client = if (round + number) % 2 == 0 { admin.clone() } else { other.clone() };
            write(client, format!("/api/orgs/{org}/users"), member.clone())
        });
        let joining =
            write(other.clone().in_org(orgs[0]), format!("/api/teams/{team}/members"), json!({"userId": id}));
        let (deleted, adding, _) = tokio::join!(deleting, join_all(adding), joining);
        deleted.expect(200);
        for answer in adding {
            assert!([200, 404].contains(&answer.status), "{} {}", answer.status, answer.text);
            added += usize::from(answer.status == 200);
        }
    }
    let ghosts = "SELECT count(*) FROM memberships WHERE user_id NOT IN (SELECT id FROM users)";
    assert_eq!(server.database.scalar::<i64>(ghosts).await, 0);
    assert_eq!(faults(&server).await, Vec::<String>::new());
    assert!(added > 0, "nobody was added before the end: this was no race");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_after_the_end_of_an_org() {
    let server = TestServer::start().await;
    let other = second(&server).await;
    let mut written = 0;
    for round in 0..ROUNDS {
        let org = server.new_org(&format!("Acme {round}")).await;
        let clients = [server.admin().in_org(org), other.admin().in_org(org)];
        let writes = [
            ("/api/folders", json!({"title": "Ops"})),
            ("/api/dashboards/db", json!({"dashboard": {"title": "CPU"}})),
            ("/api/teams", json!({"name": "Team"})),
            ("/api/serviceaccounts", json!({"name": "robot", "role": "Viewer"})),
            ("/api/org/invites", json!({"loginOrEmail": "ann@example.org", "role": "Viewer"})),
            ("/api/folders", json!({"title": "Old", "uid": "old"})),
        ];
        let writing = writes.iter().enumerate().map(|(number, (path, body))| {
            write(clients[(round + number) % 2].clone(), (*path).to_owned(), body.clone())
        });
        let deleting = async {
            // Sooner or later than the others, but among them.
            tokio::time::sleep(std::time::Duration::from_micros(500 * (round as u64 % 10))).await;
            server.admin().delete(&format!("/api/orgs/{org}")).await
        };
        let (deleted, writing) = tokio::join!(deleting, join_all(writing));
        deleted.expect(200);
        for answer in writing {
            // A folder that was deleted with its org before it could be read is a 412.
            let is_refused = [401, 403, 404, 412].contains(&answer.status);
            assert!(answer.status < 300 || is_refused, "{}: {}", answer.request, answer.text);
            written += usize::from(answer.status < 300);
        }
    }
    let late = "SELECT count(*) FROM events e JOIN events d ON d.org_id = e.org_id AND d.type = 'org.deleted'
        WHERE e.pos > d.pos";
    assert_eq!(server.database.scalar::<i64>(late).await, 0);
    assert_eq!(faults(&server).await, Vec::<String>::new());
    assert!(written > 0, "nothing was written before the end: this was no race");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_what_is_deleted_beside_being_used() {
    let server = TestServer::start().await;
    let other = second(&server).await;
    let (admin, other) = (server.admin(), other.admin());
    let (_, ann) = server.new_member(1, "ann", "Viewer").await;
    for round in 0..ROUNDS {
        let (folder, kept) = (format!("f{round}"), format!("k{round}"));
        for uid in [&folder, &kept] {
            admin.post("/api/folders", &json!({"uid": uid, "title": uid})).await.expect(200);
        }
        let team = json!({"name": format!("t{round}")});
        let team = admin.post("/api/teams", &team).await.expect(200).body["teamId"].clone();
        let account = json!({"name": format!("r{round}"), "role": "Viewer"});
        let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
        let grants =
            json!({"items": [{"teamId": team, "permission": 1}, {"userId": account, "permission": 2}]});
        let preference = json!({"theme": "dark"});
        let preferences = format!("/api/teams/{team}/preferences");
        let ended = [
            (&other, format!("/api/folders/{folder}")),
            (&admin, format!("/api/teams/{team}")),
            (&other, format!("/api/serviceaccounts/{account}")),
        ];
        let (_, writing, preferred) = tokio::join!(
            join_all(ended.iter().map(|(client, path)| client.delete(path))),
            join_all([
                write(
                    admin.clone(),
                    "/api/dashboards/db".into(),
                    json!({"dashboard": {"title": "CPU"}, "folderUid": folder})
                ),
                write(other.clone(), "/api/folders".into(), json!({"title": "In", "parentUid": folder})),
                write(admin.clone(), format!("/api/folders/{folder}/permissions"), grants.clone()),
                write(other.clone(), format!("/api/folders/{kept}/permissions"), grants),
                write(other.clone(), format!("/api/teams/{team}/members"), json!({"userId": ann})),
                write(admin.clone(), format!("/api/serviceaccounts/{account}/tokens"), json!({"name": "x"})),
            ]),
            other.put(&preferences, &preference),
        );
        for answer in writing.iter().chain([&preferred]) {
            assert!(answer.status < 500 && answer.status != 429, "{}: {}", answer.request, answer.text);
        }
    }
    assert_eq!(faults(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_org_that_is_not_there_takes_no_writes() {
    let server = TestServer::start().await;
    let nowhere = server.admin().in_org(999);
    for (path, body) in [
        ("/api/folders", json!({"title": "Ops"})),
        ("/api/dashboards/db", json!({"dashboard": {"title": "CPU"}})),
        ("/api/teams", json!({"name": "Team"})),
    ] {
        let answer = nowhere.post(path, &body).await;
        assert!([401, 403, 404].contains(&answer.status), "{}: {}", answer.request, answer.text);
    }
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM events WHERE org_id = 999").await, 0);
}

#[tokio::test]
async fn a_member_who_is_no_user_counts_for_no_admin() {
    let server = TestServer::start().await;
    let org = server.new_org("Acme").await;
    let ghost = format!(
        "INSERT INTO memberships (org_id, user_id, role, created, updated) VALUES ({org}, 99, 'Admin', now(), now())"
    );
    server.database.connect().await.batch_execute(&ghost).await.unwrap();
    server.admin().delete(&format!("/api/orgs/{org}/users/1")).await.expect(400);
}

/// Damage to a table, and the expected report beyond the comparison with the log.
const DAMAGES: &[(&str, &str, &str)] = &[
    (
        "memberships",
        "INSERT INTO memberships (org_id, user_id, role, created, updated) VALUES (2, 99, 'Admin', now(), now())",
        "org 2: memberships 99 is a member, but not a user",
    ),
    (
        "user_orgs",
        "INSERT INTO user_orgs (user_id, member_org_id, role, since) VALUES (99, 2, 'Admin', now())",
        "user_orgs 99 of 2 is a membership of a missing user or org",
    ),
    (
        "user_orgs",
        "INSERT INTO user_orgs (user_id, member_org_id, role, since) VALUES (1, 3, 'Admin', now())",
        "user_orgs 1 of 3 is a membership of a missing user or org",
    ),
    ("memberships", "UPDATE memberships SET role = 'Viewer' WHERE org_id = 2", "org 2: orgs 2 has no admin"),
    ("teams", "DELETE FROM teams", "is a member of a missing team"),
    ("teams", "DELETE FROM teams", "is granted to a missing grantee"),
    ("folders", "UPDATE folders SET parent_uid = 'gone'", "folders zebra-folder is in a missing folder"),
    ("folders", "UPDATE folders SET parent_uid = uid", "folders zebra-folder is inside itself"),
    ("folders", "DELETE FROM folders", "dashboards zebra-dashboard is in a missing folder"),
    (
        "folders",
        "DELETE FROM folders",
        "resource_permissions folder zebra-folder has permissions, but does not exist",
    ),
    ("dashboards", "DELETE FROM dashboards", "is on a dashboard that is not there"),
    ("dashboards", "DELETE FROM dashboards", "stars zebra-dashboard is starred, but not a dashboard"),
    ("data_sources", "DELETE FROM data_sources", "is a correlation of a missing data source"),
    ("service_accounts", "DELETE FROM service_accounts", "is a token of a missing service account"),
    (
        "preferences",
        "UPDATE preferences SET owner = 'team-99' WHERE owner = 'org'",
        "preferences team-99 has preferences, but is not a team",
    ),
    ("users", "UPDATE users SET is_disabled = true", "users 2 exist, but none is a server admin"),
    (
        "user_quotas",
        "INSERT INTO user_quotas (user_id, target, max) VALUES (99, 'org', 1)",
        "user_quotas 99 has a quota, but is not a user",
    ),
    (
        "quotas",
        "UPDATE quotas SET owner_org_id = 3 WHERE owner_org_id = 2",
        "quotas 3 has a quota, but is not an org",
    ),
    (
        "events",
        "UPDATE events SET pos = pos + 100 WHERE org_id = 2 AND type = 'org.created'",
        "org 2: membership.added at position 2, before the org was created",
    ),
];

#[tokio::test]
async fn what_refers_to_what_is_not_there_is_named() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    assert_eq!(zebra.org, 2);
    assert_eq!(faults(&server).await, Vec::<String>::new());
    let mut client = server.database.connect().await;
    for (table, damage, expected) in DAMAGES {
        damage_table(&client, table, damage).await;
        let found = faults(&server).await;
        assert!(found.iter().any(|fault| fault.contains(expected)), "{damage}: {found:#?}");
        restore_table(&mut client, table).await;
    }
    assert_eq!(faults(&server).await, Vec::<String>::new());

    server.admin().delete("/api/orgs/2").await.expect(200);
    let late = "UPDATE events SET pos = pos + 1000 WHERE org_id = 2 AND type = 'team.created'";
    damage_table(&client, "events", late).await;
    let found = faults(&server).await;
    assert!(found.iter().any(|fault| fault.contains("team.created at position 10")), "{found:#?}");
    assert!(found.iter().any(|fault| fault.contains("before the org was created")), "{found:#?}");
}
