//! Counts for many events at once: created or deleted folders and dashboards are counted together. Each count is a row,
//! of which every update leaves a version behind that the next update in the same transaction has to skip.

use std::collections::BTreeSet;

use kymograph_domain::OrgId;
use kymograph_domain::kernel::effect::{Counted, Ending};

use super::limit::Limits;
use super::{REMOVE_STARS, remove};
use crate::kernel::projector::{Gathered, Recorded};
use crate::kernel::statement::Statements;
use crate::params;

/// Objects of one kind that were all created, or all deleted, and are not counted yet.
pub(super) struct Many<'a> {
    limits: &'a Limits,
    org: OrgId,
    /// The change of the count, positive or negative.
    sum: Option<Counted>,
    /// The dashboards that were deleted with their stars, without duplicates.
    starless: BTreeSet<&'a str>,
}

impl<'a> Many<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self { limits, org: OrgId::SERVER, sum: None, starless: BTreeSet::new() }
    }
}

impl<'a> Gathered<'a> for Many<'a> {
    /// Counts the objects that an event adds or removes. Additions and removals are not offset against each other: the
    /// additions might have exceeded a limit in between.
    fn take(&mut self, recorded: &Recorded<'a>) -> bool {
        let Some(counted) = recorded.event.counted() else { return false };
        if counted.change != 0 {
            let sum = self.sum.get_or_insert(Counted { change: 0, ..counted });
            if sum.target != counted.target || sum.change * counted.change < 0 {
                return false;
            }
            sum.change += counted.change;
        }
        self.org = recorded.org;
        if let Some(Ending::Dashboard(uid)) = recorded.event.ending() {
            self.starless.insert(uid.as_str());
        }
        true
    }

    fn write(&mut self, statements: &mut Statements) {
        match self.sum.take() {
            Some(Counted { target, change }) if change > 0 => {
                self.limits.add(self.org, target, change, statements);
            }
            Some(Counted { target, change }) => remove(self.org, target, -change, statements),
            None => {}
        }
        if !self.starless.is_empty() {
            let uids: Vec<_> = std::mem::take(&mut self.starless).into_iter().map(str::to_owned).collect();
            statements.write(REMOVE_STARS, params![self.org.0, uids]);
        }
    }
}

#[cfg(test)]
mod tests {
    use kymograph_domain::content::dashboard::{DashboardDeleted, DashboardPurged};
    use kymograph_domain::content::folder::FolderDeleted;
    use kymograph_domain::{StoredEvent, Timestamp, Uid, UserId};

    use super::super::QuotaProjector;
    use crate::kernel::projector::{Projector, Recorded};
    use crate::kernel::statement::Statements;

    fn statements(events: &[Box<dyn StoredEvent>]) -> usize {
        let recorded: Vec<_> = events
            .iter()
            .zip(1..)
            .map(|(event, position)| Recorded {
                org: kymograph_domain::OrgId(2),
                position,
                recorded_at: Timestamp(0),
                actor_id: UserId(1),
                actor_login: "admin",
                event: &**event,
            })
            .collect();
        let mut statements = Statements::default();
        QuotaProjector::new(None, &[]).project_many(&recorded, &mut statements);
        statements.into_vec().len()
    }

    #[test]
    fn what_a_big_folder_takes_with_it_is_counted_by_few_statements() {
        let uid = |number: usize| Uid::try_new(&format!("d{number}")).unwrap();
        let dashboards = |in_trash| {
            let deleted = move |number| -> kymograph_domain::content::dashboard::DashboardEvent {
                DashboardDeleted { uid: uid(number), in_trash }.into()
            };
            (0..3_000).map(move |number| Box::new(deleted(number)) as Box<dyn StoredEvent>)
        };
        assert_eq!(statements(&dashboards(true).collect::<Vec<_>>()), 1);
        assert_eq!(statements(&dashboards(false).collect::<Vec<_>>()), 2);
        let purged = (0..3_000).map(|number| -> Box<dyn StoredEvent> {
            Box::new(kymograph_domain::content::dashboard::DashboardEvent::from(DashboardPurged {
                uid: uid(number),
            }))
        });
        assert_eq!(statements(&dashboards(true).chain(purged).collect::<Vec<_>>()), 2);
        let folders = (0..3_000).map(|number| -> Box<dyn StoredEvent> {
            Box::new(kymograph_domain::content::folder::FolderEvent::from(FolderDeleted { uid: uid(number) }))
        });
        assert_eq!(statements(&folders.collect::<Vec<_>>()), 1);
    }
}
