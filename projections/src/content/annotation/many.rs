//! Annotations that are created or deleted together.

use std::collections::{BTreeMap, BTreeSet};

use kymograph_domain::content::annotation::{
    Annotation, AnnotationContent, AnnotationCreated, AnnotationEvent,
};
use time::OffsetDateTime;

use super::{DELETE, columns, take_out};
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::rows::{Cell, ManyRows, Texts};
use crate::kernel::statement::{OnFailure, Statements};
use crate::params;
use crate::rights::resource_permission::CHECK_DASHBOARD;

static INSERT: ManyRows = ManyRows {
    before: "INSERT INTO annotations (org_id, id, dashboard_id, dashboard_uid, panel_id, user_id, time, time_end, text, tags,
        terms, data, created, updated)
    ",
    of_lists: "SELECT $1, id, dashboard_id, dashboard_uid, panel_id, user_id, time, time_end, text, tags::text[], terms::text[],
        data, at, at
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[]) AS new (id, dashboard_id, dashboard_uid,
        panel_id, user_id, time, time_end, text, tags, terms, data, at, updated)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
    texts: Texts::new(),
};
static INSERT_TERMS: ManyRows = ManyRows {
    before: "INSERT INTO annotation_terms (org_id, term, time_end, time, id, dashboard_id)
    ",
    of_lists: "SELECT $1, term, time_end, time, id, dashboard_id
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
        AS new (term, time_end, time, id, dashboard_id)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?, ?)",
    after: "",
    texts: Texts::new(),
};
static COUNT: ManyRows = ManyRows {
    before: "INSERT INTO annotation_tag_counts (org_id, tag, dashboard_id, used)
    ",
    of_lists: "SELECT $1, tag, dashboard_id, used FROM unnest($2::text[], $3::bigint[], $4::bigint[])
        AS new (tag, dashboard_id, used)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?)",
    after: " ON CONFLICT (org_id, tag, dashboard_id) DO UPDATE SET used = annotation_tag_counts.used + excluded.used",
    texts: Texts::new(),
};

/// Annotations of one org that are not written yet: either all new, or all deleted.
#[derive(Default)]
pub(super) struct Many<'a> {
    org: i64,
    created: Vec<(&'a AnnotationCreated, OffsetDateTime)>,
    deleted: Vec<i64>,
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Takes an annotation if all annotations taken so far are created, or all deleted, like this one.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool {
        match recorded.event.of::<AnnotationEvent>() {
            Some(AnnotationEvent::Created(created)) if self.deleted.is_empty() => {
                self.created.push((created, recorded.recorded_at.date()));
            }
            Some(AnnotationEvent::Deleted(deleted)) if self.created.is_empty() => {
                self.deleted.push(deleted.id.0);
            }
            _ => return false,
        }
        self.org = recorded.org.0;
        true
    }

    fn write(&mut self, statements: &mut Statements) {
        let Self { org, created, deleted } = std::mem::take(self);
        if !created.is_empty() {
            write_created(org, &created, statements);
        }
        if !deleted.is_empty() {
            take_out(org, &deleted, statements);
            statements.write(DELETE, params![org, deleted]);
        }
    }
}

fn write_created(org: i64, created: &[(&AnnotationCreated, OffsetDateTime)], statements: &mut Statements) {
    let (mut rows, mut contents) = (Vec::with_capacity(created.len()), Vec::with_capacity(created.len()));
    let (mut counts, mut dashboards) = (Counts::default(), BTreeSet::new());
    for (AnnotationCreated { id, dashboard, panel_id, user_id, content }, at) in created {
        let (uid, dashboard_id) =
            dashboard.as_ref().map_or(("", 0), |dashboard| (dashboard.uid.as_str(), dashboard.id));
        let (tags, terms, data) = columns(content);
        rows.push([
            id.0.into(),
            dashboard_id.into(),
            uid.into(),
            (*panel_id).into(),
            user_id.0.into(),
            content.time.into(),
            content.time_end.into(),
            content.text.as_str().into(),
            Cell::Texts(tags),
            Cell::Texts(terms),
            data.into(),
            (*at).into(),
            (*at).into(),
        ]);
        contents.push((id.0, dashboard_id, content));
        counts.add(dashboard_id, content);
        dashboards.extend(dashboard.as_ref().map(|dashboard| (dashboard.uid.as_str(), dashboard.id)));
    }
    INSERT.write(org, rows, statements);
    write_terms(org, &contents, statements);
    counts.write(org, statements);
    for (uid, id) in dashboards {
        let params = params![org, uid.to_owned(), id];
        statements.check(&CHECK_DASHBOARD, params, OnFailure::Broken(Annotation::DASHBOARD_EXISTS));
    }
}

/// Writes the terms by which annotations are found, each with the id and the dashboard of its annotation.
pub(super) fn write_terms(
    org: i64,
    annotations: &[(i64, i64, &AnnotationContent)],
    statements: &mut Statements,
) {
    let rows = annotations.iter().flat_map(|(id, dashboard_id, content)| {
        let (time, time_end) = (content.time, content.time_end);
        let row = move |term: &str| {
            [term.into(), time_end.into(), time.into(), (*id).into(), (*dashboard_id).into()]
        };
        content.terms().into_iter().map(row)
    });
    let rows: Vec<[Cell; 5]> = rows.collect();
    if !rows.is_empty() {
        INSERT_TERMS.write(org, rows, statements);
    }
}

/// The increase of the number of annotations with a tag on a dashboard. The empty tag counts all of them.
#[derive(Default)]
pub(super) struct Counts<'a>(BTreeMap<(&'a str, i64), i64>);

impl<'a> Counts<'a> {
    pub(super) fn add(&mut self, dashboard_id: i64, content: &'a AnnotationContent) {
        for tag in content.tags.iter().map(String::as_str).chain([""]) {
            *self.0.entry((tag, dashboard_id)).or_default() += 1;
        }
    }

    pub(super) fn write(self, org: i64, statements: &mut Statements) {
        let row =
            |((tag, dashboard_id), used): ((&str, i64), i64)| [tag.into(), dashboard_id.into(), used.into()];
        COUNT.write(org, self.0.into_iter().map(row).collect(), statements);
    }
}
