//! Many events at once: of the changes of a dashboard only the last is written, and all that are left by one statement.

use std::collections::{BTreeSet, HashMap};

use kymograph_domain::content::dashboard::{DashboardContent, DashboardEvent};
use kymograph_domain::kernel::slug::slugify;
use time::OffsetDateTime;

use crate::content::folder::check_folder_exists;
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::statement::{Statements, column};
use crate::kernel::text::uid_or_empty;
use crate::params;

const INSERT_VERSIONS: &str =
    "INSERT INTO dashboard_versions (org_id, dashboard_uid, generation, version, pos,
        restored_from, message, created, created_by, title, tags, folder_uid)
    SELECT $1, uid, generation, version, pos, restored_from, message, created, created_by, title, tags::text[], folder_uid
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::timestamptz[],
        $9::text[], $10::text[], $11::text[], $12::text[]) AS new (uid, generation, version, pos, restored_from, message,
        created, created_by, title, tags, folder_uid)";
const INSERT_LIVES: &str = "INSERT INTO dashboard_lives (org_id, uid, from_pos, to_pos, id, folder_uid)
    SELECT $1, uid, from_pos, 9223372036854775807, id, folder_uid
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS new (uid, from_pos, id, folder_uid)";
/// Tags are written as the literals of lists, because lists of lists have to be of equal length.
macro_rules! insert_dashboards {
    () => {
        "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid,
        version, pos, created, created_by, updated, updated_by, deleted, creator_id)
    SELECT $1, uid, id, generation, title, slug, tags::text[], folder_uid, version, pos, created, created_by, updated,
        updated_by, NULL, creator_id
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
        $10::bigint[], $11::timestamptz[], $12::text[], $13::timestamptz[], $14::text[], $15::bigint[]) AS new (uid, id,
        generation, title, slug, tags, folder_uid, version, pos, created, created_by, updated, updated_by, creator_id)"
    };
}
const INSERT_DASHBOARDS: &str = insert_dashboards!();
/// Takes the places of dashboards in the trash.
const REPLACE_DASHBOARDS: &str = concat!(
    insert_dashboards!(),
    "ON CONFLICT (org_id, uid) DO UPDATE SET id = excluded.id, generation = excluded.generation,
        title = excluded.title, slug = excluded.slug, tags = excluded.tags, folder_uid = excluded.folder_uid,
        version = excluded.version, pos = excluded.pos, created = excluded.created,
        created_by = excluded.created_by, updated = excluded.updated, updated_by = excluded.updated_by,
        deleted = NULL, creator_id = excluded.creator_id"
);
const UPDATE_DASHBOARDS: &str = "UPDATE dashboards SET title = new.title, slug = new.slug, tags = new.tags::text[],
        folder_uid = new.folder_uid, version = new.version, pos = new.pos, updated = new.updated,
        updated_by = new.updated_by
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::timestamptz[], $10::text[]) AS new (uid, title, slug, tags, folder_uid, version, pos, updated, updated_by)
    WHERE dashboards.org_id = $1 AND dashboards.uid = new.uid";

/// How a dashboard began.
#[derive(Clone, Copy)]
struct Birth<'a> {
    id: i64,
    generation: i64,
    at: OffsetDateTime,
    by: &'a str,
    creator: i64,
}

/// What a dashboard comes to.
struct Change<'a> {
    /// Its birth, if it was created.
    created: Option<Birth<'a>>,
    content: &'a DashboardContent,
    version: i64,
    position: i64,
    at: OffsetDateTime,
    by: &'a str,
}

/// A version.
struct Version<'a> {
    content: &'a DashboardContent,
    generation: i64,
    version: i64,
    restored_from: i64,
    position: i64,
    at: OffsetDateTime,
    by: &'a str,
}

/// Changes of one org that are yet to be written.
#[derive(Default)]
pub(super) struct Many<'a> {
    org: i64,
    /// The changes of dashboards by uid, in no order: they concern different rows.
    changes: HashMap<&'a str, Change<'a>>,
    versions: Vec<Version<'a>>,
    /// The uid, position, id and folder of those that were created.
    lives: Vec<(&'a str, i64, i64, &'a DashboardContent)>,
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Takes an event, if it is one that gives a dashboard another content.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool {
        let Some(event) = recorded.event.of::<DashboardEvent>() else { return false };
        let (content, generation, version, restored_from, id) = match event {
            DashboardEvent::Created(created) => {
                (&created.content, created.generation, 1, 0, Some(created.id))
            }
            DashboardEvent::Updated(updated) => {
                (&updated.content, updated.generation, updated.version, 0, None)
            }
            DashboardEvent::VersionRestored(restored) => {
                (&restored.content, restored.generation, restored.version, restored.restored_from, None)
            }
            DashboardEvent::Deleted(_) | DashboardEvent::Restored(_) | DashboardEvent::Purged(_) => {
                return false;
            }
        };
        self.org = recorded.org.0;
        let (position, at, by) = (recorded.position, recorded.recorded_at.date(), recorded.actor_login);
        self.versions.push(Version { content, generation, version, restored_from, position, at, by });
        let uid = content.uid.as_str();
        let created = match id {
            Some(id) => {
                self.lives.push((uid, position, id, content));
                Some(Birth { id, generation, at, by, creator: recorded.actor_id.0 })
            }
            None => self.changes.get(uid).and_then(|change| change.created),
        };
        self.changes.insert(uid, Change { created, content, version, position, at, by });
        true
    }

    fn write(&mut self, statements: &mut Statements) {
        let mut changes: Vec<_> = self.changes.drain().map(|(_, change)| change).collect();
        // Keys that come in order find the page of the index that the one before has left.
        changes.sort_unstable_by_key(|change| change.content.uid.as_str());
        let (created, updated): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.created.is_some());
        let (new, again): (Vec<_>, Vec<_>) =
            created.into_iter().partition(|change| born(change).generation == 1);
        for (sql, created) in [(INSERT_DASHBOARDS, new), (REPLACE_DASHBOARDS, again)] {
            if !created.is_empty() {
                insert(sql, self.org, &created, statements);
            }
        }
        if !updated.is_empty() {
            update(self.org, &updated, statements);
        }
        if !self.lives.is_empty() {
            insert_lives(self.org, &std::mem::take(&mut self.lives), statements);
        }
        if !self.versions.is_empty() {
            let versions = std::mem::take(&mut self.versions);
            insert_versions(self.org, &versions, statements);
            let folders = versions.iter().filter_map(|version| version.content.folder_uid.as_ref());
            for folder in folders.collect::<BTreeSet<_>>() {
                check_folder_exists(self.org, folder, statements);
            }
        }
    }
}

fn insert_versions(org: i64, versions: &[Version<'_>], statements: &mut Statements) {
    let params = params![
        org,
        column(versions, |version| version.content.uid.to_string()),
        column(versions, |version| version.generation),
        column(versions, |version| version.version),
        column(versions, |version| version.position),
        column(versions, |version| version.restored_from),
        column(versions, |version| version.content.message.clone()),
        column(versions, |version| version.at),
        column(versions, |version| version.by.to_owned()),
        column(versions, |version| version.content.listed_title().to_owned()),
        column(versions, |version| list_literal(&version.content.tags)),
        column(versions, |version| uid_or_empty(version.content.folder_uid.as_ref())),
    ];
    statements.write(INSERT_VERSIONS, params);
}

fn insert_lives(org: i64, lives: &[(&str, i64, i64, &DashboardContent)], statements: &mut Statements) {
    let params = params![
        org,
        column(lives, |(uid, ..)| (*uid).to_owned()),
        column(lives, |(_, position, ..)| *position),
        column(lives, |(_, _, id, _)| *id),
        column(lives, |(.., content)| uid_or_empty(content.folder_uid.as_ref())),
    ];
    statements.write(INSERT_LIVES, params);
}

/// How a dashboard that was created began.
fn born<'a>(change: &Change<'a>) -> Birth<'a> {
    let unborn = Birth { id: 0, generation: 0, at: change.at, by: change.by, creator: 0 };
    change.created.unwrap_or(unborn)
}

fn insert(sql: &'static str, org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let params = params![
        org,
        column(changes, |change| change.content.uid.to_string()),
        column(changes, |change| born(change).id),
        column(changes, |change| born(change).generation),
        column(changes, |change| change.content.listed_title().to_owned()),
        column(changes, |change| slugify(change.content.listed_title())),
        column(changes, |change| list_literal(&change.content.tags)),
        column(changes, |change| uid_or_empty(change.content.folder_uid.as_ref())),
        column(changes, |change| change.version),
        column(changes, |change| change.position),
        column(changes, |change| born(change).at),
        column(changes, |change| born(change).by.to_owned()),
        column(changes, |change| change.at),
        column(changes, |change| change.by.to_owned()),
        column(changes, |change| born(change).creator),
    ];
    statements.write(sql, params);
}

fn update(org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let params = params![
        org,
        column(changes, |change| change.content.uid.to_string()),
        column(changes, |change| change.content.listed_title().to_owned()),
        column(changes, |change| slugify(change.content.listed_title())),
        column(changes, |change| list_literal(&change.content.tags)),
        column(changes, |change| uid_or_empty(change.content.folder_uid.as_ref())),
        column(changes, |change| change.version),
        column(changes, |change| change.position),
        column(changes, |change| change.at),
        column(changes, |change| change.by.to_owned()),
    ];
    statements.write(UPDATE_DASHBOARDS, params);
}

/// A list of texts as PostgreSQL writes one.
fn list_literal(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}
