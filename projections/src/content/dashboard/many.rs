//! Many events at once: only the last change of each dashboard is written, and all of them by one statement.

use std::collections::{BTreeSet, HashMap};

use kymograph_domain::content::dashboard::{DashboardContent, DashboardEvent};
use kymograph_domain::kernel::slug::slugify;
use time::OffsetDateTime;

use super::words;
use crate::content::folder::check_folder_exists;
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::rows::{ManyRows, Texts};
use crate::kernel::statement::Statements;
use crate::kernel::text::uid_or_empty;

static INSERT_VERSIONS: ManyRows = ManyRows {
    before: "INSERT INTO dashboard_versions (org_id, dashboard_uid, generation, version, pos,
        restored_from, message, created, created_by, title, tags, folder_uid)
    ",
    of_lists: "SELECT $1, uid, generation, version, pos, restored_from, message, created, created_by, title, tags::text[], folder_uid
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::timestamptz[],
        $9::text[], $10::text[], $11::text[], $12::text[]) AS new (uid, generation, version, pos, restored_from, message,
        created, created_by, title, tags, folder_uid)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
    texts: Texts::new(),
};
static INSERT_LIVES: ManyRows = ManyRows {
    before: "INSERT INTO dashboard_lives (org_id, uid, from_pos, to_pos, id, folder_uid)
    ",
    of_lists: "SELECT $1, uid, from_pos, 9223372036854775807, id, folder_uid
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) AS new (uid, from_pos, id, folder_uid)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, 9223372036854775807, ?, ?)",
    after: "",
    texts: Texts::new(),
};
static INSERT_DASHBOARDS: ManyRows = ManyRows {
    before: "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid,
        version, pos, created, created_by, updated, updated_by, deleted, creator_id)
    ",
    of_lists: "SELECT $1, uid, id, generation, title, slug, tags::text[], folder_uid, version, pos, created, created_by, updated,
        updated_by, NULL, creator_id
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
        $10::bigint[], $11::timestamptz[], $12::text[], $13::timestamptz[], $14::text[], $15::bigint[]) AS new (uid, id,
        generation, title, slug, tags, folder_uid, version, pos, created, created_by, updated, updated_by, creator_id)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?)",
    after: "",
    texts: Texts::new(),
};
/// Replaces dashboards in the trash.
static REPLACE_DASHBOARDS: ManyRows = ManyRows {
    after: "ON CONFLICT (org_id, uid) DO UPDATE SET id = excluded.id, generation = excluded.generation,
        title = excluded.title, slug = excluded.slug, tags = excluded.tags, folder_uid = excluded.folder_uid,
        version = excluded.version, pos = excluded.pos, created = excluded.created,
        created_by = excluded.created_by, updated = excluded.updated, updated_by = excluded.updated_by,
        deleted = NULL, creator_id = excluded.creator_id",
    texts: Texts::new(),
    ..INSERT_DASHBOARDS
};
static UPDATE_DASHBOARDS: ManyRows = ManyRows {
    before: "UPDATE dashboards SET title = new.title, slug = new.slug, tags = new.tags::text[],
        folder_uid = new.folder_uid, version = new.version, pos = new.pos, updated = new.updated,
        updated_by = new.updated_by
    FROM ",
    of_lists: "unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::timestamptz[], $10::text[])",
    written: "(VALUES {rows})",
    row: "(?::text, ?::text, ?::text, ?::text[], ?::text, ?::bigint, ?::bigint, ?::timestamptz, ?::text)",
    after: " AS new (uid, title, slug, tags, folder_uid, version, pos, updated, updated_by)
    WHERE dashboards.org_id = $1 AND dashboards.uid = new.uid",
    texts: Texts::new(),
};

/// The creation of a dashboard.
#[derive(Clone, Copy)]
struct Birth<'a> {
    id: i64,
    generation: i64,
    at: OffsetDateTime,
    by: &'a str,
    creator: i64,
}

/// The final state of a dashboard.
struct Change<'a> {
    /// Its creation, if it was created.
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

/// Changes of one org that are not written yet.
#[derive(Default)]
pub(super) struct Many<'a> {
    org: i64,
    /// The changes of dashboards by uid, in any order: they affect different rows.
    changes: HashMap<&'a str, Change<'a>>,
    versions: Vec<Version<'a>>,
    /// The uid, position, id and content of the created dashboards.
    lives: Vec<(&'a str, i64, i64, &'a DashboardContent)>,
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Takes an event if it changes the content of a dashboard.
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
        // Sorted keys reuse the index page of the previous key.
        changes.sort_unstable_by_key(|change| change.content.uid.as_str());
        let (created, updated): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.created.is_some());
        let (new, again): (Vec<_>, Vec<_>) =
            created.into_iter().partition(|change| born(change).generation == 1);
        // Before the dashboards get their new titles.
        words::insert(self.org, self.versions.iter().map(|version| version.content), statements);
        for (sql, created) in [(&INSERT_DASHBOARDS, new), (&REPLACE_DASHBOARDS, again)] {
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
    let row = |version: &Version<'_>| {
        [
            version.content.uid.as_str().into(),
            version.generation.into(),
            version.version.into(),
            version.position.into(),
            version.restored_from.into(),
            version.content.message.as_str().into(),
            version.at.into(),
            version.by.into(),
            version.content.listed_title().into(),
            version.content.tags.as_slice().into(),
            uid_or_empty(version.content.folder_uid.as_ref()).into(),
        ]
    };
    INSERT_VERSIONS.write(org, versions.iter().map(row).collect(), statements);
}

fn insert_lives(org: i64, lives: &[(&str, i64, i64, &DashboardContent)], statements: &mut Statements) {
    let row = |(uid, position, id, content): &(&str, i64, i64, &DashboardContent)| {
        [(*uid).into(), (*position).into(), (*id).into(), uid_or_empty(content.folder_uid.as_ref()).into()]
    };
    INSERT_LIVES.write(org, lives.iter().map(row).collect(), statements);
}

/// The creation of a dashboard.
fn born<'a>(change: &Change<'a>) -> Birth<'a> {
    let unborn = Birth { id: 0, generation: 0, at: change.at, by: change.by, creator: 0 };
    change.created.unwrap_or(unborn)
}

fn insert(sql: &'static ManyRows, org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let row = |change: &Change<'_>| {
        let (content, birth) = (change.content, born(change));
        [
            content.uid.as_str().into(),
            birth.id.into(),
            birth.generation.into(),
            content.listed_title().into(),
            slugify(content.listed_title()).into(),
            content.tags.as_slice().into(),
            uid_or_empty(content.folder_uid.as_ref()).into(),
            change.version.into(),
            change.position.into(),
            birth.at.into(),
            birth.by.into(),
            change.at.into(),
            change.by.into(),
            birth.creator.into(),
        ]
    };
    sql.write(org, changes.iter().map(row).collect(), statements);
}

fn update(org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let row = |change: &Change<'_>| {
        let content = change.content;
        [
            content.uid.as_str().into(),
            content.listed_title().into(),
            slugify(content.listed_title()).into(),
            content.tags.as_slice().into(),
            uid_or_empty(content.folder_uid.as_ref()).into(),
            change.version.into(),
            change.position.into(),
            change.at.into(),
            change.by.into(),
        ]
    };
    UPDATE_DASHBOARDS.write(org, changes.iter().map(row).collect(), statements);
}
