//! The parts of queries that leave out what an actor may not see, before it is counted and cut into pages.

use kymograph_app::rights::authorization::ContentFilter;
use kymograph_domain::{AccessLevel, Timestamp};
use tokio_postgres::types::ToSql;

use crate::kernel::statement::Param;

/// The parameters of a filter, in the order in which the macros here take their places.
pub(crate) struct FilterParams<'a> {
    is_unlimited: bool,
    grantees: &'a [String],
    level: i16,
    default_level: i16,
    member: Option<i64>,
    creator_since: Param,
}

impl<'a> FilterParams<'a> {
    pub(crate) fn of(filter: &'a ContentFilter) -> Self {
        Self {
            is_unlimited: filter.is_unlimited,
            grantees: &filter.grantees,
            level: filter.level.number(),
            default_level: filter.default_level.map_or(0, AccessLevel::number),
            member: filter.member.map(|member| member.0),
            creator_since: Box::new(filter.creator_since.map(Timestamp::date)),
        }
    }

    /// The parameters of a query: first its own, then those of the filter.
    pub(crate) fn after<'b>(&'b self, own: &[&'b (dyn ToSql + Sync)]) -> Vec<&'b (dyn ToSql + Sync)> {
        let filter: [&(dyn ToSql + Sync); 6] = [
            &self.is_unlimited,
            &self.grantees,
            &self.level,
            &self.default_level,
            &self.member,
            &*self.creator_since,
        ];
        [own, &filter].concat()
    }
}

/// The grantees whose grants count: those of the filter, and the teams of the member.
macro_rules! grantees {
    ($grantees:literal, $user:literal) => {
        concat!(
            "(",
            $grantees,
            "::text[] || ARRAY(SELECT 'team:' || m.team_id FROM team_members m
                WHERE m.org_id = $1 AND m.user_id = ",
            $user,
            "))"
        )
    };
}

/// Whether one of the grantees has the level on a row `t` itself.
macro_rules! granted {
    ($kind:literal, $t:literal, $grantees:literal, $level:literal, $user:literal) => {
        concat!(
            "EXISTS (SELECT FROM resource_grants g WHERE g.org_id = $1 AND g.kind = '",
            $kind,
            "' AND g.uid = ",
            $t,
            ".uid AND g.grantee = ANY (",
            $crate::rights::resource_permission::filter::grantees!($grantees, $user),
            ") AND g.level >= ",
            $level,
            "::smallint)"
        )
    };
}

/// Whether a row `t` at the root has no list of its own and so is open: by the role's default, and to its creator.
macro_rules! open_at_root {
    ($kind:literal, $t:literal, $level:literal, $default:literal, $user:literal, $since:literal) => {
        concat!(
            "((",
            $default,
            "::smallint >= ",
            $level,
            "::smallint
                OR (",
            $t,
            ".creator_id = ",
            $user,
            " AND ",
            $t,
            ".created >= ",
            $since,
            "::timestamptz))
            AND NOT EXISTS (SELECT FROM resource_permissions p
                WHERE p.org_id = $1 AND p.kind = '",
            $kind,
            "' AND p.uid = ",
            $t,
            ".uid))"
        )
    };
}

/// The folders that are allowed, for `… IN`. PostgreSQL makes a hash table of them whatever it thinks of how many they are,
/// and does not look at each while it plans, because it does not see them.
macro_rules! among {
    ($list:literal, $type:literal) => {
        concat!("(SELECT unnest((SELECT ", $list, "::", $type, "[])))")
    };
}

/// Whether a row `f` of `folders` is let through.
macro_rules! allows_folder {
    ($folders:literal) => {
        concat!(
            "(",
            $folders,
            "::text[] IS NULL OR f.uid IN ",
            $crate::rights::resource_permission::filter::among!($folders, "text"),
            ")"
        )
    };
}

/// Whether a row `d` of `dashboards` is let through: because it is in a folder that is, which the condition that is added can
/// restrict; because it is granted by itself; or because it is open at the root.
macro_rules! allows_dashboard {
    ($folders:literal, $ids:literal, $level:literal, $default:literal, $user:literal, $since:literal) => {
        $crate::rights::resource_permission::filter::allows_dashboard!(
            $folders, $ids, $level, $default, $user, $since, ""
        )
    };
    (
        $folders:literal, $ids:literal, $level:literal, $default:literal, $user:literal, $since:literal, $and:expr
    ) => {
        concat!(
            "(",
            $folders,
            "::text[] IS NULL OR (d.folder_uid IN ",
            $crate::rights::resource_permission::filter::among!($folders, "text"),
            $and,
            ") OR d.id IN ",
            $crate::rights::resource_permission::filter::among!($ids, "bigint"),
            " OR (d.folder_uid = '' AND ",
            $crate::rights::resource_permission::filter::open_at_root!(
                "dashboard",
                "d",
                $level,
                $default,
                $user,
                $since
            ),
            "))"
        )
    };
}

pub(crate) use {allows_dashboard, allows_folder, among, granted, grantees, open_at_root};
