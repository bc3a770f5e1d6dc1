//! Annotations.

mod many;
mod reader;
mod statement;

use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::content::annotation::{AnnotationChanged, AnnotationContent, AnnotationEvent};

use crate::kernel::projector::{Gathered, Projector, Recorded, project_gathered};
use crate::kernel::statement::Statements;
use crate::params;
use many::{Counts, Many, write_terms};

pub use reader::PgAnnotationReader;

/// Keeps `annotations`, `annotation_terms` and `annotation_tag_counts`.
pub struct AnnotationProjector;

/// Deletes the annotations of the org `$1`.
const DELETE_ORG: &[&str] = &[
    "DELETE FROM annotation_tag_counts WHERE org_id = $1",
    "DELETE FROM annotation_terms WHERE org_id = $1",
    "DELETE FROM annotations WHERE org_id = $1",
];
/// Removes the annotations `$2` from the dependent tables, by their rows in `annotations`.
const TAKE_OUT: &[&str] = &[
    "UPDATE annotation_tag_counts c SET used = c.used - gone.used FROM (
        SELECT a.dashboard_id, tag, count(*) AS used
        FROM annotations a CROSS JOIN LATERAL unnest(array_append(a.tags, '')) AS tag
        WHERE a.org_id = $1 AND a.id = ANY ($2) GROUP BY a.dashboard_id, tag) AS gone
    WHERE c.org_id = $1 AND c.tag = gone.tag AND c.dashboard_id = gone.dashboard_id",
    "DELETE FROM annotation_tag_counts c USING annotations a
    WHERE a.org_id = $1 AND a.id = ANY ($2) AND c.org_id = $1 AND c.tag = ANY (array_append(a.tags, ''))
        AND c.dashboard_id = a.dashboard_id AND c.used = 0",
    "DELETE FROM annotation_terms t USING annotations a
    WHERE a.org_id = $1 AND a.id = ANY ($2) AND t.org_id = $1 AND t.term = ANY (a.terms)
        AND t.time_end = a.time_end AND t.time = a.time AND t.id = a.id",
];
const DELETE: &str = "DELETE FROM annotations WHERE org_id = $1 AND id = ANY ($2)";
const UPDATE: &str =
    "UPDATE annotations SET time = $3, time_end = $4, text = $5, tags = $6, terms = $7, data = $8,
        updated = $9
    WHERE org_id = $1 AND id = $2";

impl Projector for AnnotationProjector {
    fn name(&self) -> &'static str {
        "annotations"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["annotation", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["annotations", "annotation_terms", "annotation_tag_counts"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            DELETE_ORG.iter().for_each(|sql| statements.write(sql, params![recorded.org.0]));
        }
        match recorded.event.of() {
            Some(AnnotationEvent::Changed(changed)) => change(recorded, changed, statements),
            Some(AnnotationEvent::Created(_) | AnnotationEvent::Deleted(_)) => {
                let mut only = Many::default();
                only.take(recorded);
                only.write(statements);
            }
            None => {}
        }
    }

    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        project_gathered(self, Many::default(), recorded, statements);
    }
}

fn change(recorded: &Recorded<'_>, changed: &AnnotationChanged, statements: &mut Statements) {
    let (org, AnnotationChanged { id, dashboard_id, content }) = (recorded.org.0, changed);
    take_out(org, &[id.0], statements);
    let (tags, terms, data) = columns(content);
    let params = params![
        org,
        id.0,
        content.time,
        content.time_end,
        content.text.clone(),
        tags,
        terms,
        data,
        recorded.recorded_at.date(),
    ];
    statements.write(UPDATE, params);
    write_terms(org, &[(id.0, *dashboard_id, content)], statements);
    let mut counts = Counts::default();
    counts.add(*dashboard_id, content);
    counts.write(org, statements);
}

/// Removes annotations from the dependent tables.
fn take_out(org: i64, ids: &[i64], statements: &mut Statements) {
    TAKE_OUT.iter().for_each(|sql| statements.write(sql, params![org, ids.to_vec()]));
}

/// The tags, terms and data as stored.
fn columns(content: &AnnotationContent) -> (Vec<String>, Vec<String>, String) {
    let data = content.data.as_ref().map(|data| data.as_str().to_owned()).unwrap_or_default();
    (content.tags.clone(), content.terms().into_iter().map(str::to_owned).collect(), data)
}
