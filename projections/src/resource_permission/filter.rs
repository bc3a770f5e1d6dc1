//! The part of a query that leaves out what an actor may not see, before it is counted and cut into pages.

use kymograph_app::authorization::ContentFilter;
use kymograph_domain::{AccessLevel, Timestamp};
use tokio_postgres::types::ToSql;

use crate::statement::Param;

/// The parameters of a filter, in the order in which the macros here take their places.
pub(crate) struct FilterParams<'a> {
    is_unlimited: bool,
    grantees: &'a [String],
    level: i16,
    default_level: i16,
    user: i64,
    creator_since: Param,
}

impl<'a> FilterParams<'a> {
    pub(crate) fn of(filter: &'a ContentFilter) -> Self {
        Self {
            is_unlimited: filter.is_unlimited,
            grantees: &filter.grantees,
            level: filter.level.number(),
            default_level: filter.default_level.map_or(0, AccessLevel::number),
            user: filter.user.0,
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
            &self.user,
            &*self.creator_since,
        ];
        [own, &filter].concat()
    }
}

/// Whether one of the grantees has the level on a row `t` itself.
macro_rules! granted {
    ($kind:literal, $t:literal, $grantees:literal, $level:literal) => {
        concat!(
            "EXISTS (SELECT FROM resource_grants g WHERE g.org_id = $1 AND g.kind = '",
            $kind,
            "' AND g.uid = ",
            $t,
            ".uid AND g.grantee = ANY (",
            $grantees,
            "::text[]) AND g.level >= ",
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

/// A member of a `WITH RECURSIVE`, for `LEFT JOIN allowed_folders ON allowed_uid = …`: the folders on which the actor has
/// the level, because it is granted there, or is open at the root, and all folders inside those. It is empty for who
/// may see all.
///
/// To be joined, because a look at the set for each row would be a scan of it: it is too large to be hashed by
/// PostgreSQL's guess.
macro_rules! allowed_folders {
    ($all:literal, $grantees:literal, $level:literal, $default:literal, $user:literal, $since:literal) => {
        concat!(
            "allowed_folders (allowed_uid) AS (
                SELECT f.uid FROM folders f WHERE NOT ", $all, "::boolean AND f.org_id = $1 AND (",
            $crate::resource_permission::filter::granted!("folder", "f", $grantees, $level),
            " OR (f.parent_uid = '' AND ",
            $crate::resource_permission::filter::open_at_root!("folder", "f", $level, $default, $user, $since),
            "))
                UNION
                SELECT f.uid FROM allowed_folders JOIN folders f ON f.org_id = $1 AND f.parent_uid = allowed_uid
            )"
        )
    };
}

/// Whether a row of `folders`, to which `allowed_folders` is joined by its uid, is let through.
macro_rules! allows_folder {
    ($all:literal) => {
        concat!("(", $all, "::boolean OR allowed_uid IS NOT NULL)")
    };
}

/// Whether a row `d` of `dashboards`, to which `allowed_folders` is joined by its folder, is let through.
macro_rules! allows_dashboard {
    ($all:literal, $grantees:literal, $level:literal, $default:literal, $user:literal, $since:literal) => {
        concat!(
            "(",
            $all,
            "::boolean OR allowed_uid IS NOT NULL OR ",
            $crate::resource_permission::filter::granted!("dashboard", "d", $grantees, $level),
            " OR (d.folder_uid = '' AND ",
            $crate::resource_permission::filter::open_at_root!(
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

pub(crate) use {allowed_folders, allows_dashboard, allows_folder, granted, open_at_root};
