//! Requests that match the routes of the router, built from existing objects. The tests over all routes take the list
//! of routes from the router itself; a route with a parameter or a body unknown here fails them.

use axum::http::Method;
use kymograph_api::kernel::routes::Route;
use kymograph_tests::{Client, TestServer, upstream_url};
use serde_json::{Value, json};

/// Objects of one org, named so that they can be recognised in any response.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) name: String,
    pub(crate) org: i64,
    pub(crate) user: i64,
    pub(crate) session: i64,
    pub(crate) invite: String,
    pub(crate) team: i64,
    pub(crate) service_account: i64,
    pub(crate) token: i64,
    pub(crate) playlist: String,
    pub(crate) data_source: i64,
    pub(crate) correlation: String,
    /// An annotation of the whole org.
    pub(crate) annotation: i64,
    /// An entry of the org's log that can be undone.
    pub(crate) undoable: i64,
    /// An undoable entry of the server's log.
    pub(crate) undoable_of_server: i64,
}

impl Objects {
    /// Creates an org with a member who has a session, a team, a service account with a used token, a folder with
    /// permissions, a dashboard with two versions, and one in the trash. There is a dead job with its name.
    pub(crate) async fn make(server: &TestServer, name: &str) -> Self {
        let org = server.new_org(&format!("{name} org")).await;
        let (member, user) = server.new_member(org, &format!("{name}-user"), "Editor").await;
        let login = json!({"user": format!("{name}-user"), "password": "secret"});
        server.anonymous().post("/login", &login).await.expect(200);
        let session = member.get("/api/user/auth-tokens").await.expect(200).body[0]["id"].as_i64().unwrap();
        let admin = server.admin().in_org(org);
        let folder = json!({"title": format!("{name} folder"), "uid": format!("{name}-folder")});
        admin.post("/api/folders", &folder).await.expect(200);
        for message in ["first", "second"] {
            let dashboard = json!({
                "dashboard": {"title": format!("{name} dashboard"), "uid": format!("{name}-dashboard"), "tags": [name]},
                "folderUid": format!("{name}-folder"), "message": message, "overwrite": true,
            });
            admin.post("/api/dashboards/db", &dashboard).await.expect(200);
        }
        let deleted = json!({"title": format!("{name} deleted"), "uid": format!("{name}-deleted")});
        admin.post("/api/dashboards/db", &json!({"dashboard": deleted})).await.expect(200);
        admin.delete(&format!("/api/dashboards/uid/{name}-deleted")).await.expect(200);
        member.post(&format!("/api/user/stars/dashboard/uid/{name}-dashboard"), &json!({})).await.expect(200);
        member.put("/api/user/preferences", &json!({"timezone": "utc"})).await.expect(200);
        admin.put("/api/org/preferences", &json!({"timezone": "utc"})).await.expect(200);
        let invite = json!({"loginOrEmail": format!("{name}@example.org"), "role": "Viewer"});
        admin.post("/api/org/invites", &invite).await.expect(200);
        let invites = admin.get("/api/org/invites").await.expect(200).body;
        let invite = invites[0]["code"].as_str().unwrap().to_owned();
        let team = make_team(&admin, name).await;
        let (service_account, token) = make_service_account(server, &admin, name).await;
        let playlist =
            admin.post("/api/playlists", &json!({"name": format!("{name} playlist")})).await.expect(200).body;
        let playlist = playlist["uid"].as_str().unwrap().to_owned();
        admin
            .put(&format!("/api/playlists/{playlist}"), &json!({"name": format!("{name} list")}))
            .await
            .expect(200);
        let data_source = make_data_sources(&admin, name).await;
        let correlation = make_correlation(&admin, name).await;
        let annotation = make_annotations(&admin, name).await;
        let permissions = json!({"items": [
            {"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2},
            {"teamId": team, "permission": 1}, {"userId": user, "permission": 4},
        ]});
        admin.post(&format!("/api/folders/{name}-folder/permissions"), &permissions).await.expect(200);
        let person = json!({"login": format!("{name}-user"), "name": format!("{name} person")});
        admin.put(&format!("/api/users/{user}"), &person).await.expect(200);
        make_dead_job(server, name).await;
        let of_org = "/api/audit/events?action=preference.changed&targetType=preference&targetUid=org";
        let of_server = format!("/api/admin/audit/events?targetType=user&targetUid={user}");
        let undoable = newest(&admin, of_org).await;
        let undoable_of_server = newest(&admin, &of_server).await;
        let name = name.to_owned();
        Self {
            name,
            org,
            user,
            session,
            invite,
            team,
            service_account,
            token,
            playlist,
            data_source,
            correlation,
            annotation,
            undoable,
            undoable_of_server,
        }
    }

    /// The path of a route with these objects in the places of its parameters.
    pub(crate) fn path(&self, route: &Route) -> String {
        let segments = route.path.split('/').map(|segment| match segment {
            "{org_id}" => self.org.to_string(),
            "{org_name}" => format!("{}%20org", self.name),
            "{user_id}" => self.user.to_string(),
            "{folder_uid}" => format!("{}-folder", self.name),
            "{event_id}" if route.path.starts_with("/api/admin/") => self.undoable_of_server.to_string(),
            "{event_id}" => self.undoable.to_string(),
            "{folder_id}" | "{version}" | "{flag_id}" => "1".to_owned(),
            "{quota_target}" if route.path.contains("{org_id}") => "dashboard".to_owned(),
            "{quota_target}" => "org".to_owned(),
            "{team_id}" => self.team.to_string(),
            "{service_account_id}" => self.service_account.to_string(),
            "{token_id}" => self.token.to_string(),
            "{annotation_id}" => self.annotation.to_string(),
            "{uid}" if route.path.starts_with("/api/playlists/") => self.playlist.clone(),
            "{uid}" if route.path.ends_with("/trash") => format!("{}-deleted", self.name),
            "{*source_path}" => "labels".to_owned(),
            "{data_source_uid}" => format!("{}-source", self.name),
            "{correlation_uid}" => self.correlation.clone(),
            "{data_source_id}" => self.data_source.to_string(),
            "{data_source_name}" => format!("{}%20source", self.name),
            "{role}" => "Viewer".to_owned(),
            "{uid}" if route.path.contains("/dashboards/") => format!("{}-dashboard", self.name),
            "{dashboard_uid}" => format!("{}-dashboard", self.name),
            "{invitation_code}" => self.invite.clone(),
            // The code of an invite gives access to it without credentials.
            "{code}" => format!("{}-1-0", self.org),
            "{job_id}" => format!("{}-job", self.name),
            "{hash}" => "0123456789abcdef0123456789abcdef".to_owned(),
            parameter if parameter.starts_with('{') => {
                panic!("{} has {parameter}, which is unknown to the route examples", route.path)
            }
            plain => plain.to_owned(),
        });
        let path = segments.collect::<Vec<_>>().join("/");
        if path.ends_with("/users/lookup") { format!("{path}?loginOrEmail={}-user", self.name) } else { path }
    }

    /// A body for a route. The number distinguishes bodies if names must be unique.
    pub(crate) fn body(&self, route: &Route, number: usize) -> Value {
        let name = format!("{} {number}", self.name);
        match (route.method.as_str(), route.path) {
            ("POST", "/api/orgs") | ("PUT", "/api/org" | "/api/orgs/{org_id}") => json!({"name": name}),
            ("PUT", path) if path.ends_with("/address") => json!({"city": name}),
            ("PUT", "/api/org/audit") => json!({"queries": number.is_multiple_of(2)}),
            ("POST", path) if path.ends_with("/users") && path.contains("org") => {
                json!({"loginOrEmail": "admin", "role": "Viewer"})
            }
            ("PATCH", path) if path.contains("/users/") => json!({"role": "Viewer"}),
            ("POST", "/api/admin/users") => json!({"login": name, "password": "secret"}),
            ("PUT", "/api/user" | "/api/users/{user_id}") => json!({"login": name}),
            ("PUT", "/api/user/password") => json!({"oldPassword": "secret", "newPassword": "secret"}),
            ("PUT", path) if path.ends_with("/password") => json!({"password": "secret2"}),
            ("PUT", path) if path.ends_with("/permissions") => json!({"isGrafanaAdmin": true}),
            ("POST", path) if path.ends_with("/revoke-auth-token") => json!({"authTokenId": self.session}),
            (
                "POST" | "PUT",
                "/api/playlists" | "/api/playlists/{uid}" | "/api/teams" | "/api/teams/{team_id}",
            ) => json!({"name": name}),
            ("POST", "/api/annotations") => json!({"text": name, "tags": ["new"]}),
            ("PUT" | "PATCH", "/api/annotations/{annotation_id}") => json!({"text": name}),
            ("POST", "/api/annotations/graphite") => json!({"what": name}),
            ("POST", "/api/annotations/mass-delete") => json!({"annotationId": self.annotation}),
            ("POST", "/api/teams/{team_id}/members") => json!({"userId": 1}),
            ("PUT", "/api/teams/{team_id}/members") => json!({"members": ["admin"]}),
            ("PUT", "/api/teams/{team_id}/members/{user_id}") => json!({"permission": 4}),
            ("POST", path) if path.ends_with("/restore") => json!({"version": 1}),
            ("POST" | "PATCH", path) if path.starts_with("/api/serviceaccounts") => json!({"name": name}),
            ("POST", "/api/folders") => json!({"title": name}),
            ("PUT", "/api/folders/{folder_uid}") => json!({"title": name, "overwrite": true}),
            ("PUT", path) if path.ends_with("/{quota_target}") => json!({"limit": 1000}),
            ("PUT" | "PATCH", path) if path.ends_with("/preferences") => json!({"theme": "dark"}),
            ("POST", "/api/org/invites") => {
                json!({"loginOrEmail": format!("{name}@example.org"), "role": "Viewer"})
            }
            ("POST", "/api/dashboards/db" | "/api/dashboards/import" | "/api/dashboards/interpolate") => {
                json!({"dashboard": {"title": name}})
            }
            ("POST", "/api/dashboards/calculate-diff") => {
                let version =
                    |version: i64| json!({"uid": format!("{}-dashboard", self.name), "version": version});
                json!({"base": version(1), "new": version(2)})
            }
            ("POST", path) if path.ends_with("/permissions") => {
                json!({"items": [{"role": "Viewer", "permission": 2}]})
            }
            (
                "POST",
                "/api/access-control/folders/{folder_uid}"
                | "/api/access-control/dashboards/{uid}"
                | "/api/access-control/datasources/{data_source_uid}",
            ) => {
                json!({"permissions": [{"builtInRole": "Viewer", "permission": "Edit"}]})
            }
            ("POST", "/api/ds/query") => {
                let query = json!({"refId": "A", "datasource": {"uid": "__expr__"}, "type": "math", "expression": "1"});
                json!({"from": "now-1h", "to": "now", "queries": [query]})
            }
            ("POST", "/api/datasources/uid/{data_source_uid}/correlations") => {
                json!({"targetUID": format!("{}-source", self.name), "label": name,
                    "config": {"field": "message", "target": {"expr": "up"}}})
            }
            ("PATCH", "/api/datasources/uid/{data_source_uid}/correlations/{correlation_uid}") => {
                json!({"label": name})
            }
            ("POST", "/api/datasources") => json!({"name": name, "type": "prometheus"}),
            ("PUT", path) if path.starts_with("/api/datasources/") => json!({"name": name, "type": "loki"}),
            ("POST", path) if path.starts_with("/api/access-control/") => json!({"permission": "Edit"}),
            _ => json!({}),
        }
    }

    /// Sends a request for a route.
    pub(crate) async fn call(
        &self,
        client: &Client,
        route: &Route,
        number: usize,
    ) -> kymograph_tests::Answer {
        let mut request = client.request(route.method.clone(), &self.path(route));
        if route.method != Method::GET && route.method != Method::DELETE {
            request = request.json(&self.body(route, number));
        }
        client.send(request).await
    }
}

/// The newest entry that a query finds.
async fn newest(client: &Client, path: &str) -> i64 {
    let found = client.get(path).await.expect(200).body;
    found["events"][0]["id"].as_i64().unwrap()
}

/// A dead job of a kind unknown to all servers.
async fn make_dead_job(server: &TestServer, name: &str) {
    let sql = "INSERT INTO jobs (id, owner_org_id, kind, payload, state, due_at)
        VALUES ($1, 0, 'example', '{}', 'dead', now())";
    server.database.connect().await.execute(sql, &[&format!("{name}-job")]).await.unwrap();
}

/// Creates an annotation of a dashboard, and a changed one of the org, and returns the id of the latter.
async fn make_annotations(admin: &Client, name: &str) -> i64 {
    let on_dashboard = json!({
        "text": format!("{name} deployed"), "dashboardUID": format!("{name}-dashboard"), "panelId": 1, "tags": [name, "ops"],
    });
    admin.post("/api/annotations", &on_dashboard).await.expect(200);
    let of_org = json!({"text": format!("{name} began"), "tags": [name, "ops"], "data": {"by": name}});
    let id = admin.post("/api/annotations", &of_org).await.expect(200).body["id"].as_i64().unwrap();
    let changed = json!({"text": format!("{name} has begun"), "timeEnd": 9_000_000_000_000_i64});
    admin.put(&format!("/api/annotations/{id}"), &changed).await.expect(200);
    id
}

/// Creates a data source with a secret, which became the default again when another one was deleted; returns its
/// numeric id.
async fn make_data_sources(admin: &Client, name: &str) -> i64 {
    let source = |url: &str| {
        json!({"name": format!("{name} source"), "uid": format!("{name}-source"), "type": "loki", "url": url,
            "isDefault": true, "secureJsonData": {"token": name}})
    };
    let added = admin.post("/api/datasources", &source("")).await.expect(200).body;
    let path = format!("/api/datasources/uid/{name}-source");
    admin.put(&path, &source("http://127.0.0.1:9")).await.expect(200);
    let default = json!({"name": format!("{name} default"), "type": "loki", "isDefault": true});
    let default = admin.post("/api/datasources", &default).await.expect(200).body["id"].clone();
    admin.delete(&format!("/api/datasources/{default}")).await.expect(200);
    admin.put(&path, &source(upstream_url())).await.expect(200);
    added["id"].as_i64().unwrap()
}

/// Creates a changed correlation of the data source to itself, and returns its uid.
async fn make_correlation(admin: &Client, name: &str) -> String {
    let path = format!("/api/datasources/uid/{name}-source/correlations");
    let correlation = json!({
        "targetUID": format!("{name}-source"), "label": format!("{name} link"), "description": "Logs to traces",
        "config": {"field": "message", "target": {"expr": name}, "transformations": [
            {"type": "regex", "expression": "host=(.*)", "field": "line", "mapValue": "host"}, {"type": "logfmt"},
        ]},
    });
    let created = admin.post(&path, &correlation).await.expect(200).body;
    let uid = created["result"]["uid"].as_str().unwrap().to_owned();
    let change = json!({"label": format!("{name} correlation")});
    admin.patch(&format!("{path}/{uid}"), &change).await.expect(200);
    uid
}

/// A team whose only member is the user of its name.
async fn make_team(admin: &Client, name: &str) -> i64 {
    let team = admin.post("/api/teams", &json!({"name": format!("{name} team")})).await.expect(200);
    let id = team.body["teamId"].as_i64().unwrap();
    let members = json!({"members": [format!("{name}-user")]});
    admin.put(&format!("/api/teams/{id}/members"), &members).await.expect(200);
    id
}

/// Creates a service account with a used token.
async fn make_service_account(server: &TestServer, admin: &Client, name: &str) -> (i64, i64) {
    let account = json!({"name": format!("{name} account"), "role": "Viewer"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201);
    let id = account.body["id"].as_i64().unwrap();
    let token = json!({"name": format!("{name} token"), "secondsToLive": 3600});
    let token = admin.post(&format!("/api/serviceaccounts/{id}/tokens"), &token).await.expect(200).body;
    let key = token["key"].as_str().unwrap();
    server.client("api_key", key).get("/api/folders").await.expect(200);
    (id, token["id"].as_i64().unwrap())
}
