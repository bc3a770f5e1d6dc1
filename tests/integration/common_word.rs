//! Frequent words of titles are found wherever they are visible, and nothing is missed.

use axum::http::Method;
use kymograph_infra::migrate::{connect, migrate};
use kymograph_tests::{Client, TestServer, master_keys};
use serde_json::json;

const WORDS: [&str; 16] = [
    "memory",
    "Memories",
    "CPU",
    "host",
    "latency_p99",
    "memo-board",
    "ΟΔΟΣ",
    "Größe",
    "日本語の",
    "x1y2z3",
    "memory:heap",
    "it's",
    "100%",
    "a.b.c",
    "Remember",
    "ÉTÉ2024",
];
const BEGINNINGS: [&str; 10] = [
    "",
    "prod ",
    "Production environment of the west ",
    "2024 ",
    "Überlauf ",
    "zz top ",
    "Team 7 / ",
    "12345678",
    "memory of host-",
    "Σ",
];
const BETWEEN: [&str; 7] = [" ", "-", "_", " / ", ".", ": ", ""];
const TITLES: usize = 12_000;
/// Titles with distinct beginnings, more than are examined one by one.
const SPREAD: usize = 1_500;

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn title(&mut self, number: usize) -> String {
        if number < SPREAD {
            let letter =
                |place: u32| char::from(b'a' + u8::try_from(number / 26_usize.pow(place) % 26).unwrap());
            return format!("{}{}{} spread", letter(2), letter(1), letter(0));
        }
        let count = if self.below(50) == 0 { 25 } else { 1 + self.below(4) };
        let mut title = self.one(&BEGINNINGS).to_owned();
        for _ in 0..count {
            title = title + self.one(&WORDS) + self.one(&BETWEEN);
        }
        match self.below(4) {
            0 => title += &number.to_string(),
            1 => title += &"long".repeat(self.below(20)),
            2 => title += "spread",
            _ => (),
        }
        title
    }

    /// A part of a word.
    fn part(&mut self) -> String {
        let word: Vec<_> = self.one(&WORDS).chars().collect();
        let length = word.len().min(3 + self.below(5));
        let from = self.below(word.len() - length + 1);
        word[from..from + length].iter().collect()
    }
}

const SEED: &str = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos,
        created, created_by, updated, updated_by, deleted, creator_id)
    SELECT 1, 'seeded-' || n, 10 + n, 1, title, '', '{}', (ARRAY['', 'open', 'closed'])[1 + n % 3], 1, 1, now(), 'admin', now(),
        'admin', CASE WHEN n % 13 = 0 THEN now() END, 1
    FROM unnest($1::text[]) WITH ORDINALITY AS titles (title, n)";

fn migration() -> &'static str {
    let mut migrations = kymograph_migrations::MIGRATIONS.iter();
    migrations.find(|migration| migration.name.ends_with("_title_words")).unwrap().sql
}

/// Stores the words of titles as the migration does.
pub(crate) async fn keep_words(client: &tokio_postgres::Client) {
    let (_, fill) = migration().split_once("INSERT INTO title_words").unwrap();
    let (fill, _) = fill.split_once(";\n").unwrap();
    let fill = format!("INSERT INTO title_words {fill} ON CONFLICT DO NOTHING; ANALYZE");
    client.batch_execute(&fill).await.unwrap();
}

async fn seed(client: &tokio_postgres::Client) {
    let mut dice = Dice(7);
    let titles: Vec<_> = (0..TITLES).map(|number| dice.title(number)).collect();
    client.execute(SEED, &[&titles]).await.unwrap();
    keep_words(client).await;
}

/// The patterns that find words.
fn patterns(words: &str) -> Vec<String> {
    let escaped = |word: &str| word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    words.split(' ').map(|word| format!("%{}%", escaped(word))).collect()
}

/// A page of the titles that contain all words.
const EXPECTED: &str = "SELECT uid FROM dashboards WHERE org_id = 1 AND deleted IS NULL
        AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS pattern WHERE lower_title NOT LIKE lower(pattern))
        AND folder_uid <> ALL ($2::text[])
    ORDER BY lower_title, uid LIMIT $3 OFFSET $4";

async fn expected(
    client: &tokio_postgres::Client,
    words: &str,
    hidden: &[&str],
    page: i64,
    size: i64,
) -> Vec<String> {
    let skipped = (page - 1) * size;
    let rows = client.query(EXPECTED, &[&patterns(words), &hidden, &size, &skipped]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn found(client: &Client, words: &str, page: i64, size: i64) -> Vec<String> {
    let (page, size) = (page.to_string(), size.to_string());
    let query = [("query", words), ("type", "dash-db"), ("page", &page), ("limit", &size)];
    let hits = client.send(client.request(Method::GET, "/api/search").query(&query)).await.expect(200).body;
    hits.as_array().unwrap().iter().map(|hit| hit["uid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn common_words_find_what_is_in_titles() {
    let server = TestServer::start().await;
    let (admin, client) = (server.admin(), server.database.connect().await);
    for uid in ["open", "closed"] {
        admin.post("/api/folders", &json!({"uid": uid, "title": uid})).await.expect(200);
    }
    admin.post("/api/folders/closed/permissions", &json!({"items": []})).await.expect(200);
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    seed(&client).await;

    let (mut dice, mut not_empty) = (Dice(1), 0);
    for round in 0..120 {
        let mut words = dice.part();
        if round % 3 == 0 {
            words = format!("{words} {}", dice.part().to_uppercase());
        }
        let page = 1 + i64::try_from(dice.below(3)).unwrap();
        for (who, hidden) in [(&admin, [].as_slice()), (&vic, &["closed"])] {
            let uids = expected(&client, &words, hidden, page, 40).await;
            assert_eq!(found(who, &words, page, 40).await, uids, "{words} {page}");
            not_empty += usize::from(!uids.is_empty());
        }
    }
    assert!(not_empty > 120, "{not_empty}");
    // Beyond the number of ranges that are examined one by one.
    for page in 1..=4 {
        let uids = expected(&client, "pread", &["closed"], page, 700).await;
        assert_eq!(found(&vic, "pread", page, 700).await, uids, "{page}");
    }
    // More words than are examined.
    let uids = expected(&client, "memo", &[], 1, 100).await;
    let words = "INSERT INTO title_words SELECT 1, 'memo' || n, '' FROM generate_series(1, 40) AS n";
    client.batch_execute(words).await.unwrap();
    assert_eq!(found(&admin, "memo", 1, 100).await, uids);
    // The previous results depended on these words.
    client.batch_execute("DELETE FROM title_words").await.unwrap();
    assert_eq!(found(&admin, "memo", 1, 100).await, Vec::<String>::new());
    assert_eq!(found(&vic, "memo", 1, 100).await, Vec::<String>::new());
}

#[tokio::test]
async fn titles_in_another_order_than_that_of_characters_are_gone_through() {
    let server = TestServer::start().await;
    let admin = server.database.connect().await;
    let made =
        "CREATE DATABASE in_order_of_english TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";
    admin.batch_execute(made).await.unwrap();
    let config = server.database.config.with_config(|config| {
        config.dbname("in_order_of_english");
    });
    migrate(&config, &master_keys()).await.unwrap();
    let client = connect(&config).await.unwrap();
    seed(&client).await;
    client.batch_execute("SET app.org_id = '1'").await.unwrap();
    let page = "SELECT uid FROM find_by_common_word(1, $1, $2, NULL, NULL, 1::smallint, 0::smallint, 0, NULL, 100, 0)";
    let mut dice = Dice(3);
    for _ in 0..40 {
        let words = dice.part();
        let part = words.split(['-', '_', '%']).max_by_key(|part| part.len()).unwrap();
        let rows = client.query(page, &[&patterns(&words), &format!("%{part}%")]).await.unwrap();
        let uids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(uids, expected(&client, &words, &[], 1, 100).await, "{words}");
    }
}

const ROWS: &str = "SELECT org_id || ' ' || word || ' ' || beginning FROM title_words ORDER BY 1";

async fn kept(client: &tokio_postgres::Client) -> Vec<String> {
    client.query(ROWS, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn the_words_that_are_kept_are_those_of_all_titles_there_ever_were() {
    let server = TestServer::start().await;
    let (admin, client) = (server.admin(), server.database.connect().await);
    let other = server.new_org("Other").await;
    let save = async |admin: &Client, uid: &str, title: &str| {
        let save = json!({"dashboard": {"uid": uid, "title": title}, "overwrite": true});
        admin.post("/api/dashboards/db", &save).await.expect(200);
    };
    let (long, many) = (format!("A {}", "x".repeat(65)), "word and ".repeat(500));
    for (number, title) in [
        "CPU of host-1",
        "Μέγεθος: ΟΔΟΣ.Α ΣΣ",
        "İİ İstanbul Kelvin ǅ",
        "123 45",
        &long,
        &many,
        "50% off_by\\one\ttab\nline",
        "MEMORY memory Memory",
    ]
    .into_iter()
    .enumerate()
    {
        save(&admin, &format!("d{number}"), title).await;
        save(&admin.clone().in_org(other), "d", title).await;
    }
    save(&admin, "d0", "Renamed (twice)").await;
    admin.post("/api/dashboards/uid/d0/restore", &json!({"version": 1})).await.expect(200);
    admin.delete("/api/dashboards/uid/d1").await.expect(200);
    let before = kept(&client).await;
    let has = |row: &str| before.iter().any(|kept| kept == row);
    assert!(
        has("1 host cpu of host-0") && has("1 renamed renamed (twice)") && has("1 * ") && !has("1 45 "),
        "{before:?}"
    );

    // An unchanged title does not check its words, and a restored one does.
    client.batch_execute("DELETE FROM title_words").await.unwrap();
    save(&admin, "d0", "CPU of host-1").await;
    assert_eq!(kept(&client).await, Vec::<String>::new());
    save(&admin, "d2", "CPU of host-1").await;
    assert_eq!(kept(&client).await.len(), 4);

    let redo = format!(
        "DROP TABLE title_words; DROP FUNCTION find_by_common_word; BEGIN; SET LOCAL ROLE kymograph_owner; {}; COMMIT",
        migration()
    );
    client.batch_execute(&redo).await.unwrap();
    assert_eq!(kept(&client).await, before);
    admin.delete(&format!("/api/orgs/{other}")).await.expect(200);
    assert!(kept(&client).await.iter().all(|row| row.starts_with("1 ")));
}
