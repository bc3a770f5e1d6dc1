//! Effects of events on dashboards beyond the dashboard.

use super::DashboardEvent;
use crate::kernel::effect::{Counted, Effects, Ending, QuotaTarget};

impl Effects for DashboardEvent {
    /// A dashboard in the trash has not ended, because it may be restored, until another one is created with its uid.
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Created(created) if created.generation > 1 => Some(Ending::Dashboard(&created.content.uid)),
            Self::Deleted(deleted) if !deleted.in_trash => Some(Ending::Dashboard(&deleted.uid)),
            Self::Purged(purged) => Some(Ending::Dashboard(&purged.uid)),
            _ => None,
        }
    }

    fn counted(&self) -> Option<Counted> {
        let change = match self {
            Self::Created(_) | Self::Restored(_) => 1,
            Self::Deleted(_) => -1,
            // A purged dashboard was in the trash, where it no longer counts.
            Self::Updated(_) | Self::VersionRestored(_) | Self::Purged(_) => 0,
        };
        Some(Counted { target: QuotaTarget::Dashboard, change })
    }

    fn changes_only_itself(&self) -> bool {
        matches!(self, Self::Updated(_) | Self::VersionRestored(_))
    }
}
