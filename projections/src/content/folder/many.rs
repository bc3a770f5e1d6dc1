//! Many events at once: only the last change of each folder is written, and all of them by one statement.

use std::collections::HashMap;

use kymograph_domain::content::folder::{FolderCreated, FolderEvent};
use kymograph_domain::kernel::slug::slugify;
use time::OffsetDateTime;

use super::check_place;
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::rows::{ManyRows, Texts};
use crate::kernel::statement::Statements;
use crate::kernel::text::uid_or_empty;

static INSERT: ManyRows = ManyRows {
    before: "INSERT INTO folders (org_id, uid, id, title, slug, description, parent_uid, version,
        created, created_by, updated, updated_by, creator_id)
    ",
    of_lists: "SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
        $9::timestamptz[], $10::text[], $11::timestamptz[], $12::text[], $13::bigint[])",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
    texts: Texts::new(),
};
static UPDATE: ManyRows = ManyRows {
    before: "UPDATE folders SET title = new.title, slug = new.slug, description = new.description,
        version = version + new.changes, updated = new.updated, updated_by = new.updated_by
    FROM ",
    of_lists: "unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::text[])",
    written: "(VALUES {rows})",
    row: "(?::text, ?::text, ?::text, ?::text, ?::bigint, ?::timestamptz, ?::text)",
    after: "
        AS new (uid, title, slug, description, changes, updated, updated_by)
    WHERE folders.org_id = $1 AND folders.uid = new.uid",
    texts: Texts::new(),
};

/// The final state of a folder.
struct Change<'a> {
    uid: &'a str,
    /// Its creation, if it was created.
    created: Option<(&'a FolderCreated, Recorded<'a>)>,
    title: &'a str,
    description: &'a str,
    /// The number of events.
    count: i64,
    at: OffsetDateTime,
    by: &'a str,
}

/// Changes of one org that are not written yet.
#[derive(Default)]
pub(super) struct Many<'a> {
    org: i64,
    changes: Vec<Change<'a>>,
    /// The index of each folder in the list.
    places: HashMap<&'a str, usize>,
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Takes an event if it creates a folder or changes its title or description.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool {
        let (uid, title, description, created) = match recorded.event.of::<FolderEvent>() {
            Some(FolderEvent::Created(created)) => {
                (&created.uid, &created.title, &created.description, Some((created, *recorded)))
            }
            Some(FolderEvent::Updated(updated)) => (&updated.uid, &updated.title, &updated.description, None),
            Some(FolderEvent::Moved(_) | FolderEvent::Deleted(_)) | None => return false,
        };
        self.org = recorded.org.0;
        let (at, by) = (recorded.recorded_at.date(), recorded.actor_login);
        let new = Change { uid: uid.as_str(), created, title, description, count: 1, at, by };
        match self.places.get(new.uid).and_then(|place| self.changes.get_mut(*place)) {
            Some(change) => *change = Change { created: change.created, count: change.count + 1, ..new },
            None => {
                self.places.insert(new.uid, self.changes.len());
                self.changes.push(new);
            }
        }
        true
    }

    fn write(&mut self, statements: &mut Statements) {
        let Self { org, changes, .. } = std::mem::take(self);
        let (created, updated): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.created.is_some());
        if !created.is_empty() {
            insert(org, &created, statements);
        }
        if !updated.is_empty() {
            update(org, &updated, statements);
        }
    }
}

fn insert(org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let births: Vec<_> = changes.iter().filter_map(|change| Some((change, change.created?))).collect();
    let row = |(change, (created, recorded)): &(&Change<'_>, (&FolderCreated, Recorded<'_>))| {
        [
            change.uid.into(),
            created.id.into(),
            change.title.into(),
            slugify(change.title).into(),
            change.description.into(),
            uid_or_empty(created.parent_uid.as_ref()).into(),
            change.count.into(),
            recorded.recorded_at.date().into(),
            recorded.actor_login.into(),
            change.at.into(),
            change.by.into(),
            recorded.actor_id.0.into(),
        ]
    };
    INSERT.write(org, births.iter().map(row).collect(), statements);
    for (_, (created, recorded)) in &births {
        check_place(recorded, &created.uid, created.parent_uid.as_ref(), statements);
    }
}

fn update(org: i64, changes: &[Change<'_>], statements: &mut Statements) {
    let row = |change: &Change<'_>| {
        [
            change.uid.into(),
            change.title.into(),
            slugify(change.title).into(),
            change.description.into(),
            change.count.into(),
            change.at.into(),
            change.by.into(),
        ]
    };
    UPDATE.write(org, changes.iter().map(row).collect(), statements);
}
