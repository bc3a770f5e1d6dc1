//! Effects of an event beyond its own aggregate. Each noun defines its own, so that their consumers need not know the
//! noun.

use serde::{Deserialize, Serialize};

use crate::kernel::id::{TeamId, UserId};
use crate::kernel::uid::Uid;

/// The target of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaTarget {
    /// Members of an org.
    OrgUser,
    /// Dashboards of an org.
    Dashboard,
    /// Folders of an org.
    Folder,
    /// Data sources of an org.
    DataSource,
    /// Tokens of the service accounts of an org.
    ApiKey,
    /// Alert rules of an org.
    AlertRule,
    /// Orgs that a user is a member of.
    Org,
}

impl QuotaTarget {
    /// The targets of quotas of an org.
    pub const OF_ORG: &'static [Self] =
        &[Self::OrgUser, Self::Dashboard, Self::Folder, Self::DataSource, Self::ApiKey, Self::AlertRule];

    /// The targets of quotas of a user.
    pub const OF_USER: &'static [Self] = &[Self::Org];

    /// The name, as it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrgUser => "org_user",
            Self::Dashboard => "dashboard",
            Self::Folder => "folder",
            Self::DataSource => "data_source",
            Self::ApiKey => "api_key",
            Self::AlertRule => "alert_rule",
            Self::Org => "org",
        }
    }
}

/// An object that ends, so that nothing can refer to it or depend on it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending<'a> {
    /// The org of the event, with all that it owns.
    Org,
    /// A user.
    User(UserId),
    /// The membership of a user in the org.
    Member(UserId),
    /// The right of a member to invite others.
    Inviter(UserId),
    /// A service account.
    ServiceAccount(UserId),
    /// A team.
    Team(TeamId),
    /// A folder.
    Folder(&'a Uid),
    /// A data source.
    DataSource(&'a Uid),
    /// A dashboard that cannot be restored: one that is in the trash has not ended.
    Dashboard(&'a Uid),
}

/// A change of a number that a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The quota.
    pub target: QuotaTarget,
    /// The difference, negative for a decrease. Zero for an event of such an object that does not change the number.
    pub change: i64,
}

/// The effects of an event.
pub trait Effects {
    /// The object that ends with it.
    fn ending(&self) -> Option<Ending<'_>> {
        None
    }

    /// The change of a number that a quota of the org limits.
    fn counted(&self) -> Option<Counted> {
        None
    }

    /// True if it changes nothing that decisions on other objects depend on, so that they can be made before its
    /// commit.
    fn changes_only_itself(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::access::{AccessEvent, AccessLoggedIn, AccessTarget};

    #[test]
    fn an_event_has_no_effects_unless_its_noun_tells_some() {
        let target = AccessTarget::default();
        let event: AccessEvent = AccessLoggedIn { target, user_id: UserId(1), session_id: 2 }.into();
        assert_eq!((event.ending(), event.counted()), (None, None));
        assert!(!event.changes_only_itself());
    }
}
