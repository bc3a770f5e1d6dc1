//! Correlations that are created or deleted together, as with a data source.

use std::collections::BTreeSet;

use kymograph_domain::source::correlation::{Correlation, CorrelationCreated, CorrelationEvent};

use super::{check_few, json_of};
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::rows::{ManyRows, Texts};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::uid_or_empty;
use crate::params;
use crate::source::data_source::CHECK_EXISTS;

static INSERT: ManyRows = ManyRows {
    before: "INSERT INTO correlations (org_id, uid, source_uid, target_uid, content)
    ",
    of_lists:
        "SELECT $1, uid, source_uid, target_uid, content
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS new (uid, source_uid, target_uid, content)",
    written: "VALUES {rows}",
    row: "($1, ?, ?, ?, ?)",
    after: "",
    texts: Texts::new(),
};
const DELETE: &str = "DELETE FROM correlations WHERE org_id = $1 AND uid = ANY ($2)";

/// Correlations of one org that are not written yet: either all new, or all deleted.
#[derive(Default)]
pub(super) struct Many<'a> {
    org: i64,
    created: Vec<&'a CorrelationCreated>,
    deleted: Vec<String>,
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Takes a correlation if all correlations taken so far are created, or all deleted, like this one.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool {
        match recorded.event.of::<CorrelationEvent>() {
            Some(CorrelationEvent::Created(created)) if self.deleted.is_empty() => {
                self.created.push(created);
            }
            Some(CorrelationEvent::Deleted(deleted)) if self.created.is_empty() => {
                self.deleted.push(deleted.uid.to_string());
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
            statements.write(DELETE, params![org, deleted]);
        }
    }
}

fn write_created(org: i64, created: &[&CorrelationCreated], statements: &mut Statements) {
    let (mut rows, mut data_sources) = (Vec::with_capacity(created.len()), BTreeSet::new());
    for CorrelationCreated { uid, source_uid, target_uid, content } in created {
        let target = uid_or_empty(target_uid.as_ref());
        rows.push([uid.as_str().into(), source_uid.as_str().into(), target.into(), json_of(content).into()]);
        data_sources.extend(std::iter::once(source_uid).chain(target_uid));
    }
    INSERT.write(org, rows, statements);
    for uid in &data_sources {
        let on_failure = OnFailure::Broken(Correlation::DATA_SOURCES_EXIST);
        statements.check(&CHECK_EXISTS, params![org, uid.to_string()], on_failure);
    }
    check_few(org, data_sources.into_iter(), statements);
}
