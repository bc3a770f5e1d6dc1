//! Effects of events on users beyond the user.

use super::UserEvent;
use crate::kernel::effect::{Effects, Ending};

impl Effects for UserEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(deleted) => Some(Ending::User(deleted.id)),
            _ => None,
        }
    }
}
