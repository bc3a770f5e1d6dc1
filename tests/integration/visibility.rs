//! Lists show members exactly the contents that a naive computation over all rights allows, right after each change, on each
//! server.

use std::collections::{BTreeMap, BTreeSet};

use kymograph_tests::{Client, TestDatabase, TestServer};
use serde_json::{Value, json};

const LEVELS: [i64; 3] = [1, 2, 4];
const TEAMS: usize = 3;
const STEPS: usize = 70;
/// More dashboards than are examined one by one. Their titles come last.
const FILLERS: i64 = 5_010;

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one_of<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grantee {
    Member(usize),
    Team(usize),
    Viewers,
    Editors,
}

type List = BTreeMap<Grantee, i64>;

/// A folder or dashboard.
#[derive(Clone, Debug)]
struct Node {
    /// Its folder, empty at the root.
    place: String,
    /// The member who created it.
    creator: Option<usize>,
    list: Option<List>,
}

struct Member {
    client: Client,
    elsewhere: Client,
    id: i64,
    role: &'static str,
    teams: BTreeSet<usize>,
}

struct World {
    admin: Client,
    members: Vec<Member>,
    teams: Vec<i64>,
    folders: BTreeMap<String, Node>,
    dashboards: BTreeMap<String, Node>,
}

impl World {
    async fn new(server: &TestServer, other: &TestServer, has_fillers: bool) -> Self {
        let admin = server.admin();
        let mut teams = Vec::new();
        for number in 0..TEAMS {
            let team = json!({"name": format!("Team {number}")});
            let team = admin.post("/api/teams", &team).await.expect(200).body;
            teams.push(team["teamId"].as_i64().unwrap());
        }
        let mut members = Vec::new();
        for role in ["None", "Viewer", "Editor"] {
            let (client, id) = server.new_member(1, &role.to_lowercase(), role).await;
            let elsewhere = other.client(&role.to_lowercase(), "secret");
            members.push(Member { client, elsewhere, id, role, teams: BTreeSet::new() });
        }
        let mut world = Self { admin, members, teams, folders: BTreeMap::new(), dashboards: BTreeMap::new() };
        if has_fillers {
            world.fill(server).await;
        }
        world
    }

    /// A folder visible to all, with so many dashboards that every member sees many.
    async fn fill(&mut self, server: &TestServer) {
        self.admin.post("/api/folders", &json!({"uid": "fillers", "title": "fillers"})).await.expect(200);
        let list = (0..self.members.len()).map(|member| (Grantee::Member(member), 4)).collect();
        self.set_list("/api/folders/fillers", &list).await;
        let node = Node { place: String::new(), creator: None, list: Some(list) };
        self.folders.insert("fillers".to_owned(), node);
        let sql = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos,
                created, created_by, updated, updated_by, creator_id)
            SELECT 1, 'filler-' || n, 1000000 + n, 1, 'zz', 'zz', '{}', 'fillers', 1, 1, now(), 'admin', now(),
                'admin', 0 FROM generate_series(1, $1::bigint) AS n";
        server.database.connect().await.execute(sql, &[&FILLERS]).await.unwrap();
    }

    async fn set_list(&self, path: &str, list: &List) {
        let item = |(grantee, level): (&Grantee, &i64)| match grantee {
            Grantee::Member(member) => json!({"userId": self.members[*member].id, "permission": level}),
            Grantee::Team(team) => json!({"teamId": self.teams[*team], "permission": level}),
            Grantee::Viewers => json!({"role": "Viewer", "permission": level}),
            Grantee::Editors => json!({"role": "Editor", "permission": level}),
        };
        let items: Vec<Value> = list.iter().map(item).collect();
        self.admin.post(&format!("{path}/permissions"), &json!({"items": items})).await.expect(200);
    }

    /// The level of a member on a folder or dashboard: the maximum of its own and those of its parent folders.
    fn level(&self, member: usize, node: &Node) -> i64 {
        let own = self.own_level(member, node);
        self.folders.get(&node.place).map_or(own, |folder| own.max(self.level(member, folder)))
    }

    fn own_level(&self, number: usize, node: &Node) -> i64 {
        let member = &self.members[number];
        let Some(list) = &node.list else {
            return match member.role {
                _ if !node.place.is_empty() => 0,
                _ if node.creator == Some(number) => 4,
                "Viewer" => 1,
                "Editor" => 2,
                _ => 0,
            };
        };
        let counts = |grantee: &Grantee| match grantee {
            Grantee::Member(granted) => *granted == number,
            Grantee::Team(team) => member.teams.contains(team),
            Grantee::Viewers => member.role != "None",
            Grantee::Editors => member.role == "Editor",
        };
        list.iter().filter(|(grantee, _)| counts(grantee)).map(|(_, level)| *level).max().unwrap_or(0)
    }

    /// The uids, which are also the titles, of the nodes on which a member has at least this level.
    fn visible<'a>(&self, member: usize, level: i64, nodes: &'a BTreeMap<String, Node>) -> Vec<&'a str> {
        let is_visible = |node: &Node| self.level(member, node) >= level;
        nodes.iter().filter(|(_, node)| is_visible(node)).map(|(uid, _)| uid.as_str()).collect()
    }

    /// Makes one change, mostly as the admin.
    async fn change(&mut self, dice: &mut Dice) -> String {
        match dice.below(15) {
            0..5 => self.change_folder(dice).await,
            5..10 => self.change_dashboard(dice).await,
            10..13 => self.change_list(dice).await,
            13 => self.change_role(dice).await,
            _ => self.change_team(dice).await,
        }
    }

    fn folder_uids(&self) -> Vec<String> {
        self.folders.keys().filter(|uid| *uid != "fillers").cloned().collect()
    }

    fn some_place(&self, dice: &mut Dice) -> String {
        let mut places = self.folder_uids();
        places.push(String::new());
        dice.one_of(&places)
    }

    async fn change_folder(&mut self, dice: &mut Dice) -> String {
        let (uids, place) = (self.folder_uids(), self.some_place(dice));
        match dice.below(5) {
            3 if !uids.is_empty() => {
                let uid = dice.one_of(&uids);
                let path = format!("/api/folders/{uid}/move");
                let moved = self.admin.post(&path, &json!({"parentUid": place})).await;
                if moved.status == 200 {
                    self.folders.get_mut(&uid).unwrap().place.clone_from(&place);
                }
                format!("move {uid} to {place}: {}", moved.status)
            }
            4 if uids.len() > 8 => {
                let uid = dice.one_of(&uids);
                self.admin.delete(&format!("/api/folders/{uid}")).await.expect(200);
                self.forget(&uid);
                format!("delete {uid}")
            }
            _ => {
                let uid = format!("f{:02}", dice.below(25));
                let (client, creator) = self.creator(dice, &place);
                let folder = json!({"uid": uid, "title": uid, "parentUid": place});
                let made = client.post("/api/folders", &folder).await;
                if made.status == 200 {
                    self.folders.insert(uid.clone(), Node { place: place.clone(), creator, list: None });
                }
                format!("create {uid} in {place}: {}", made.status)
            }
        }
    }

    async fn change_dashboard(&mut self, dice: &mut Dice) -> String {
        let uids: Vec<_> = self.dashboards.keys().cloned().collect();
        if uids.len() > 10 && dice.below(5) == 0 {
            let uid = dice.one_of(&uids);
            self.admin.delete(&format!("/api/dashboards/uid/{uid}")).await.expect(200);
            self.dashboards.remove(&uid);
            return format!("delete {uid}");
        }
        let (uid, place) = (format!("d{:02}", dice.below(30)), self.some_place(dice));
        let tags = json!([format!("t{}", &uid[2..])]);
        let save = json!({
            "dashboard": {"uid": uid, "title": uid, "tags": tags}, "folderUid": place, "overwrite": true,
        });
        let is_new = !self.dashboards.contains_key(&uid);
        let (client, creator) = if is_new { self.creator(dice, &place) } else { (self.admin.clone(), None) };
        let saved = client.post("/api/dashboards/db", &save).await;
        if saved.status != 200 {
            // A dashboard in the trash may belong to another user.
            saved.expect(403);
            return format!("not save {uid}");
        }
        let new = Node { place: place.clone(), creator, list: None };
        self.dashboards.entry(uid.clone()).or_insert(new).place.clone_from(&place);
        format!("save {uid} in {place}")
    }

    async fn change_list(&mut self, dice: &mut Dice) -> String {
        let of_folder = dice.below(3) > 0;
        let uids = if of_folder { self.folder_uids() } else { self.dashboards.keys().cloned().collect() };
        if uids.is_empty() {
            return "nothing".to_owned();
        }
        let (uid, list) = (dice.one_of(&uids), self.some_list(dice));
        let (path, nodes) = if of_folder {
            (format!("/api/folders/{uid}"), &mut self.folders)
        } else {
            (format!("/api/dashboards/uid/{uid}"), &mut self.dashboards)
        };
        nodes.get_mut(&uid).unwrap().list = Some(list.clone());
        self.set_list(&path, &list).await;
        format!("grant on {uid}: {list:?}")
    }

    async fn change_role(&mut self, dice: &mut Dice) -> String {
        let (role, member) = (dice.one_of(&["None", "Viewer", "Editor"]), dice.below(self.members.len()));
        let path = format!("/api/org/users/{}", self.members[member].id);
        self.admin.patch(&path, &json!({"role": role})).await.expect(200);
        self.members[member].role = role;
        // The other server is notified of a changed role.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        format!("{member} becomes {role}")
    }

    async fn change_team(&mut self, dice: &mut Dice) -> String {
        let (member, team) = (dice.below(self.members.len()), dice.below(TEAMS));
        let path = format!("/api/teams/{}/members", self.teams[team]);
        let id = self.members[member].id;
        if self.members[member].teams.remove(&team) {
            self.admin.delete(&format!("{path}/{id}")).await.expect(200);
            return format!("{member} leaves team {team}");
        }
        self.members[member].teams.insert(team);
        self.admin.post(&path, &json!({"userId": id})).await.expect(200);
        format!("{member} joins team {team}")
    }

    /// The creator of an object: sometimes an editor, at the root.
    fn creator(&self, dice: &mut Dice, place: &str) -> (Client, Option<usize>) {
        let editors: Vec<_> =
            (0..self.members.len()).filter(|at| self.members[*at].role == "Editor").collect();
        if place.is_empty() && !editors.is_empty() && dice.below(2) == 0 {
            let editor = dice.one_of(&editors);
            return (self.members[editor].client.clone(), Some(editor));
        }
        (self.admin.clone(), None)
    }

    fn some_list(&self, dice: &mut Dice) -> List {
        let grantee = |dice: &mut Dice| match dice.below(6) {
            0 => Grantee::Viewers,
            1 => Grantee::Editors,
            2 | 3 => Grantee::Team(dice.below(TEAMS)),
            _ => Grantee::Member(dice.below(self.members.len())),
        };
        (0..dice.below(4)).map(|_| (grantee(dice), dice.one_of(&LEVELS))).collect()
    }

    fn forget(&mut self, uid: &str) {
        self.folders.remove(uid);
        self.dashboards.retain(|_, dashboard| dashboard.place != uid);
        let inside: Vec<_> = self
            .folders
            .iter()
            .filter(|(_, folder)| folder.place == uid)
            .map(|(uid, _)| uid.clone())
            .collect();
        inside.iter().for_each(|inner| self.forget(inner));
    }

    /// Compares the results of a member's queries with the expected ones.
    async fn check(&self, number: usize, dice: &mut Dice, after: &str) {
        for (at, client) in
            [("here", &self.members[number].client), ("there", &self.members[number].elsewhere)]
        {
            let context = format!("{number} {at} after {after}");
            self.check_searches(number, client, dice, &context).await;
        }
        self.check_folders(number, dice, after).await;
    }

    async fn check_searches(&self, number: usize, client: &Client, dice: &mut Dice, context: &str) {
        let (folders, dashboards) =
            (self.visible(number, 1, &self.folders), self.visible(number, 1, &self.dashboards));
        let all: Vec<_> = folders.iter().chain(&dashboards).copied().collect();
        let inside = |place: &str, nodes: &[&'_ str], of: &BTreeMap<String, Node>| -> Vec<String> {
            nodes.iter().filter(|uid| of[**uid].place == place).map(|uid| (*uid).to_owned()).collect()
        };
        let owned = |uids: &[&str]| uids.iter().map(|uid| (*uid).to_owned()).collect::<Vec<_>>();
        let digit = dice.below(10).to_string();
        let with_digit: Vec<_> = all.iter().copied().filter(|uid| uid.contains(&digit)).collect();
        let tagged: Vec<_> = dashboards.iter().copied().filter(|uid| uid.ends_with(&digit)).collect();
        let mut backwards: Vec<_> = with_digit.clone();
        backwards.sort_unstable_by(|one, other| other.cmp(one));
        let place =
            dice.one_of(&self.folders.keys().map(String::as_str).chain(["general"]).collect::<Vec<_>>());
        let in_place = if place == "general" { "" } else { place };
        let placed =
            [inside(in_place, &folders, &self.folders), inside(in_place, &dashboards, &self.dashboards)];
        let editable = [
            owned(&self.visible(number, 2, &self.folders)),
            owned(&self.visible(number, 2, &self.dashboards)),
        ];
        let (limit, page) = (1 + dice.below(7), 1 + dice.below(4));
        let paged = |uids: &[&str]| owned(uids).into_iter().skip(limit * (page - 1)).take(limit).collect();
        let paging = format!("limit={limit}&page={page}");
        let cases: [(String, Vec<String>); 11] = [
            (String::new(), owned(&all)),
            ("permission=Edit".to_owned(), editable.concat()),
            (paging.clone(), paged(&all)),
            (format!("type=dash-db&{paging}"), paged(&dashboards)),
            (format!("query={digit}"), owned(&with_digit)),
            (format!("query={digit}&{paging}"), paged(&with_digit)),
            (format!("query={digit}&sort=alpha-desc&{paging}"), paged(&backwards)),
            (format!("tag=t{digit}"), owned(&tagged)),
            (format!("tag=t{digit}*&query={digit}"), owned(&tagged)),
            (format!("folderUIDs={place}"), placed.concat()),
            (
                format!(
                    "dashboardUIDs={}&type=dash-db",
                    self.dashboards.keys().next().map_or("d", String::as_str)
                ),
                {
                    owned(
                        &dashboards
                            .iter()
                            .copied()
                            .take(1)
                            .filter(|uid| self.dashboards.keys().next().unwrap() == uid)
                            .collect::<Vec<_>>(),
                    )
                },
            ),
        ];
        for (query, expected) in cases {
            let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
            let uids = hits.as_array().unwrap().iter().map(|hit| hit["uid"].as_str().unwrap());
            // The titles of fillers come last.
            let found: Vec<_> = uids.filter(|uid| !uid.starts_with("filler-")).collect();
            assert_eq!(found, expected, "{context}: {query}");
        }
        self.check_pages(client, limit, [&all, &dashboards], context).await;
    }

    /// Reads pages in sequence and one again, each of which begins where an earlier one ended.
    async fn check_pages(&self, client: &Client, limit: usize, lists: [&[&str]; 2], context: &str) {
        for page in [2, 3, 4, 3] {
            for (kind, list) in ["", "&type=dash-db"].into_iter().zip(lists) {
                let query = format!("limit={limit}&page={page}{kind}");
                let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
                let uids = hits.as_array().unwrap().iter().map(|hit| hit["uid"].as_str().unwrap());
                let found: Vec<_> = uids.filter(|uid| !uid.starts_with("filler-")).collect();
                let expected = list.iter().copied().skip(limit * (page - 1)).take(limit);
                assert_eq!(found, expected.collect::<Vec<_>>(), "{context}: {query}");
            }
        }
    }

    async fn check_folders(&self, number: usize, dice: &mut Dice, after: &str) {
        let client = &self.members[number].client;
        let dashboards = self.visible(number, 1, &self.dashboards);
        let parent = dice.one_of(&self.folders.keys().map(String::as_str).chain([""]).collect::<Vec<_>>());
        let may_list = self.folders.get(parent).is_none_or(|folder| self.level(number, folder) > 0);
        for (name, level) in [("View", 1), ("Edit", 2)] {
            let query = format!("/api/folders?limit=1000&parentUid={parent}&permission={name}");
            let listed = client.get(&query).await;
            assert_eq!(listed.status, if may_list { 200 } else { 403 }, "{number} after {after}: {query}");
            if may_list {
                let uids =
                    listed.body.as_array().unwrap().iter().map(|folder| folder["uid"].as_str().unwrap());
                let visible = self.visible(number, level, &self.folders);
                let expected: Vec<_> =
                    visible.into_iter().filter(|uid| self.folders[*uid].place == parent).collect();
                assert_eq!(uids.collect::<Vec<_>>(), expected, "{number} after {after}: {query}");
            }
        }
        let tags = client.get("/api/dashboards/tags").await.expect(200).body;
        let counted: i64 = tags.as_array().unwrap().iter().map(|tag| tag["count"].as_i64().unwrap()).sum();
        assert_eq!(counted, i64::try_from(dashboards.len()).unwrap(), "{number} after {after}: {tags}");
    }
}

async fn compare(seed: u64, has_fillers: bool) {
    let server = TestServer::start().await;
    let database = TestDatabase { config: server.database.config.clone() };
    let other = TestServer::on_database(database, &[]).await;
    let mut world = World::new(&server, &other, has_fillers).await;
    let mut dice = Dice(seed);
    for step in 0..STEPS {
        let change = world.change(&mut dice).await;
        let after = format!("step {step}, {change}");
        if step < 20 {
            continue;
        }
        let member = dice.below(world.members.len());
        world.check(member, &mut dice, &after).await;
    }
    assert!(world.folders.len() > 5 && world.dashboards.len() > 5, "there was little to see");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_little_sees_what_it_may_after_each_change() {
    compare(0x9e37_79b9, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_much_sees_what_it_may_after_each_change() {
    compare(0x00c0_ffee, true).await;
}
