//! Dashboards and their versions.

mod many;
mod past;
mod reader;
pub(crate) mod words;

use std::sync::Arc;

use cqrs_es::Aggregate;
use kymograph_app::content::dashboard::DashboardView;
use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_domain::account::org::{Org, OrgEvent};
use kymograph_domain::content::dashboard::{
    Dashboard, DashboardContent, DashboardDeleted, DashboardEvent, DashboardPurged,
};
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, Uid};

use crate::content::folder::check_folder_exists;
use crate::kernel::projector::{Projector, Recorded, project_gathered};
use crate::kernel::sql::{Place, Tables, Text};
use crate::kernel::statement::{Param, Statements};
use crate::kernel::text::uid_or_empty;
use crate::params;

use many::Many;
use words::{beginning, kept_words};

pub use reader::PgDashboardReader;

/// Keeps `dashboards`, `dashboard_versions`, `dashboard_lives` and `title_words`.
pub struct DashboardProjector;

/// The version, the dashboard and the words of its title are written by one statement, because each statement has a
/// cost. A dashboard with the same uid can be in the trash; the new one replaces it.
fn insert_text(words: &str) -> String {
    format!(
        "WITH version AS (
        INSERT INTO dashboard_versions (org_id, dashboard_uid, generation, version, pos, restored_from, message,
            created, created_by, title, tags, folder_uid)
            VALUES ($1, $2, $4, 1, $9, 0, $12, $10, $11, $5, $7, $8)),{words}
    life AS (INSERT INTO dashboard_lives (org_id, uid, from_pos, to_pos, id, folder_uid)
        VALUES ($1, $2, $9, 9223372036854775807, $3, $8))
    INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos, created,
        created_by, updated, updated_by, deleted, creator_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10, $11, $10, $11, NULL, $13)
    ON CONFLICT (org_id, uid) DO UPDATE SET id = $3, generation = $4, title = $5, slug = $6, tags = $7,
        folder_uid = $8, version = 1, pos = $9, created = $10, created_by = $11, updated = $10, updated_by = $11,
        deleted = NULL, creator_id = $13"
    )
}

fn update_text(words: &str) -> String {
    format!(
        "WITH{words} version AS (
        INSERT INTO dashboard_versions (org_id, dashboard_uid, generation, version, pos, restored_from, message,
            created, created_by, title, tags, folder_uid)
            VALUES ($1, $2, $11, $7, $8, $12, $13, $9, $10, $3, $5, $6))
    UPDATE dashboards SET title = $3, slug = $4, tags = $5, folder_uid = $6, version = $7, pos = $8, updated = $9,
        updated_by = $10 WHERE org_id = $1 AND uid = $2"
    )
}

/// The part of the statement that writes the words, `$14`, of a title.
fn words_text(title: Place, condition: &str) -> String {
    let beginning = beginning(&title.to_string());
    format!(
        "
    words AS (INSERT INTO title_words (org_id, word, beginning)
        SELECT $1, word, beginning FROM unnest(string_to_array(lower($14), E'\\n')) AS word,
            unnest(ARRAY['', {beginning}]) AS beginning
        {condition} ON CONFLICT DO NOTHING),"
    )
}

/// A text with the words, and one without, for tables where they cannot be written together.
struct Texts {
    with_words: Text,
    without: Text,
}

static INSERT: Texts = Texts {
    with_words: Text::new(|| insert_text(&words_text(Place(5), ""))),
    without: Text::new(|| insert_text("")),
};
/// An unchanged title needs no words.
static UPDATE: Texts = Texts {
    with_words: Text::new(|| {
        let is_new = "WHERE NOT EXISTS (
            SELECT FROM dashboards WHERE org_id = $1 AND uid = $2 AND title = $3 /* deleted or not */)";
        update_text(&words_text(Place(3), is_new))
    }),
    without: Text::new(|| update_text("")),
};

const END_LIFE: &str = "UPDATE dashboard_lives SET to_pos = $3
    WHERE org_id = $1 AND uid = $2 AND to_pos = 9223372036854775807";
const BEGIN_LIFE_AGAIN: &str = "INSERT INTO dashboard_lives (org_id, uid, from_pos, to_pos, id, folder_uid)
    VALUES ($1, $2, $3, 9223372036854775807, 0, $4)";

/// The numbers of a version.
struct Version {
    generation: i64,
    version: i64,
    restored_from: i64,
}

impl Projector for DashboardProjector {
    fn name(&self) -> &'static str {
        "dashboards"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["dashboard", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["dashboards", "dashboard_versions", "dashboard_lives", "title_words"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM dashboards WHERE org_id = $1", params![org]);
            statements.write("DELETE FROM dashboard_versions WHERE org_id = $1", params![org]);
            statements.write("DELETE FROM dashboard_lives WHERE org_id = $1", params![org]);
            statements.write("DELETE FROM title_words WHERE org_id = $1", params![org]);
        }
        let Some(event) = recorded.event.of::<DashboardEvent>() else { return };
        if let DashboardEvent::Deleted(deleted) = event {
            statements.write(END_LIFE, params![org, deleted.uid.to_string(), recorded.position]);
        }
        match event {
            DashboardEvent::Created(created) => {
                insert(recorded, created.id, created.generation, &created.content, statements);
            }
            DashboardEvent::Updated(updated) => {
                let version =
                    Version { generation: updated.generation, version: updated.version, restored_from: 0 };
                update(recorded, &version, &updated.content, statements);
            }
            DashboardEvent::VersionRestored(restored) => {
                let version = Version {
                    generation: restored.generation,
                    version: restored.version,
                    restored_from: restored.restored_from,
                };
                update(recorded, &version, &restored.content, statements);
            }
            DashboardEvent::Deleted(deleted) if deleted.in_trash => {
                let sql = "UPDATE dashboards SET deleted = $3 WHERE org_id = $1 AND uid = $2";
                statements.write(sql, params![org, deleted.uid.to_string(), recorded.recorded_at.date()]);
            }
            DashboardEvent::Deleted(DashboardDeleted { uid, .. })
            | DashboardEvent::Purged(DashboardPurged { uid }) => {
                let sql = "DELETE FROM dashboards WHERE org_id = $1 AND uid = $2";
                statements.write(sql, params![org, uid.to_string()]);
            }
            DashboardEvent::Restored(restored) => {
                let sql =
                    "UPDATE dashboards SET deleted = NULL, folder_uid = $3 WHERE org_id = $1 AND uid = $2";
                let folder = uid_or_empty(restored.folder_uid.as_ref());
                statements.write(sql, params![org, restored.uid.to_string(), folder.clone()]);
                let uid = restored.uid.to_string();
                statements.write(BEGIN_LIFE_AGAIN, params![org, uid, recorded.position, folder]);
                check_folder(org, restored.folder_uid.as_ref(), statements);
            }
        }
    }

    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        project_gathered(self, Many::default(), recorded, statements);
    }
}

fn insert(
    recorded: &Recorded<'_>,
    id: i64,
    generation: i64,
    content: &DashboardContent,
    statements: &mut Statements,
) {
    let (uid, title, tags) =
        (content.uid.to_string(), content.listed_title().to_owned(), content.tags.clone());
    let (slug, folder) = (slugify(&title), uid_or_empty(content.folder_uid.as_ref()));
    let (at, by) = (recorded.recorded_at.date(), recorded.actor_login.to_owned());
    let (org, pos, message) = (recorded.org.0, recorded.position, content.message.clone());
    let creator = recorded.actor_id.0;
    let params = params![org, uid, id, generation, title, slug, tags, folder, pos, at, by, message, creator];
    write_with_words(&INSERT, params, org, content, statements);
    check_folder(org, content.folder_uid.as_ref(), statements);
}

fn update(
    recorded: &Recorded<'_>,
    version: &Version,
    content: &DashboardContent,
    statements: &mut Statements,
) {
    let (uid, title, tags) =
        (content.uid.to_string(), content.listed_title().to_owned(), content.tags.clone());
    let (slug, folder) = (slugify(&title), uid_or_empty(content.folder_uid.as_ref()));
    let (at, by) = (recorded.recorded_at.date(), recorded.actor_login.to_owned());
    let (org, pos, message) = (recorded.org.0, recorded.position, content.message.clone());
    let Version { generation, version, restored_from } = *version;
    let params = params![
        org,
        uid,
        title,
        slug,
        tags,
        folder,
        version,
        pos,
        at,
        by,
        generation,
        restored_from,
        message
    ];
    write_with_words(&UPDATE, params, org, content, statements);
    check_folder(org, content.folder_uid.as_ref(), statements);
}

/// Adds a statement that also keeps the words of the title, or, where they cannot be written together, separate
/// statements.
fn write_with_words(
    texts: &'static Texts,
    mut params: Vec<Param>,
    org: i64,
    content: &DashboardContent,
    statements: &mut Statements,
) {
    match statements.tables() {
        Tables::Local => {
            params.push(Box::new(kept_words(content.listed_title()).join("\n")));
            statements.write(&texts.with_words, params);
        }
        Tables::Distributed => {
            statements.write(&texts.without, params);
            words::insert(org, std::iter::once(content), statements);
        }
    }
}

fn check_folder(org: i64, folder: Option<&Uid>, statements: &mut Statements) {
    if let Some(folder) = folder {
        check_folder_exists(org, folder, statements);
    }
}

/// A cache of dashboards by org and uid.
pub type DashboardCache = ReadCache<(OrgId, Uid), Arc<DashboardView>>;

/// A cache for documents of up to `max_bytes` in total, invalidated by this feed. Rights depend on the folder that a
/// dashboard is in.
#[must_use]
pub fn dashboard_cache(max_bytes: u64, feed: &Arc<FeedHealth>) -> DashboardCache {
    let weigh = |_: &_, dashboard: &Arc<DashboardView>| {
        let DashboardView { title, slug, created_by, updated_by, .. } = &**dashboard;
        let texts = [title, slug, created_by, updated_by, dashboard.data.as_str()];
        u32::try_from(texts.iter().map(|text| text.len()).sum::<usize>() + 500).unwrap_or(u32::MAX)
    };
    ReadCache::with_weight_for(max_bytes, MAX_AGE, weigh)
        .while_live(feed)
        .dropped_by::<Dashboard, Uid>(|org, uid| (org, uid))
        .outdated_in_org_by(&[Org::TYPE])
}
