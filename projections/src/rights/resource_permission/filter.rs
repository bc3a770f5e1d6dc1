//! The parts of queries that filter out what an actor may not see, before rows are counted and paginated. In each of
//! them `$1` is the org.

use kymograph_app::rights::authorization::ContentFilter;
use kymograph_domain::{AccessLevel, Timestamp};
use tokio_postgres::types::ToSql;

use crate::kernel::sql::{Place, Values};
use crate::kernel::statement::Param;

/// The parameters of a filter.
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

    /// Adds them to the parameters of a query. The first place says whether the filter passes everything.
    pub(crate) fn push_to<'b>(
        &'b self,
        values: &mut Values<&'b (dyn ToSql + Sync)>,
    ) -> (Place, FilterPlaces) {
        let is_unlimited = values.push(&self.is_unlimited);
        let grantees = values.push(&self.grantees);
        let [level, default_level, member, since] =
            values.push_all([&self.level, &self.default_level, &self.member, &*self.creator_since]);
        (is_unlimited, FilterPlaces { grantees, open: OpenPlaces { level, default_level, member, since } })
    }
}

/// The places of the parameters that determine what is open at the root.
#[derive(Clone, Copy)]
pub(crate) struct OpenPlaces {
    pub(crate) level: Place,
    pub(crate) default_level: Place,
    pub(crate) member: Place,
    pub(crate) since: Place,
}

impl OpenPlaces {
    /// The places that start at the given one.
    pub(crate) const fn from(Place(first): Place) -> Self {
        Self {
            level: Place(first),
            default_level: Place(first + 1),
            member: Place(first + 2),
            since: Place(first + 3),
        }
    }

    /// Whether a row `t` at the root has no access-control list and so is open: by the role's default, and to its
    /// creator.
    pub(crate) fn open_at_root(&self, kind: &str, t: &str) -> String {
        let Self { level, default_level, member, since } = self;
        // By default all members with access may query a data source, but not change it.
        let default_level = match kind {
            "data_source" => format!("least({default_level}::smallint, 1)"),
            _ => format!("{default_level}::smallint"),
        };
        format!(
            "(({default_level} >= {level}::smallint
                OR ({t}.creator_id = {member} AND {t}.created >= {since}::timestamptz))
            AND NOT EXISTS (SELECT FROM resource_permissions p
                WHERE p.org_id = $1 AND p.kind = '{kind}' AND p.uid = {t}.uid))"
        )
    }
}

/// The places of a filter.
#[derive(Clone, Copy)]
pub(crate) struct FilterPlaces {
    grantees: Place,
    pub(crate) open: OpenPlaces,
}

impl FilterPlaces {
    /// The places that start at the given one.
    pub(crate) const fn from(first: Place) -> Self {
        Self { grantees: first, open: OpenPlaces::from(Place(first.0 + 1)) }
    }

    /// The grantees whose grants apply: those of the filter, and the teams of the member.
    pub(crate) fn grantees(&self) -> String {
        let (grantees, member) = (self.grantees, self.open.member);
        format!(
            "({grantees}::text[] || ARRAY(SELECT 'team:' || m.team_id FROM team_members m
                WHERE m.org_id = $1 AND m.user_id = {member}))"
        )
    }

    /// Whether one of the grantees has the level on a row `t` itself.
    pub(crate) fn granted(&self, kind: &str, t: &str) -> String {
        let (grantees, level) = (self.grantees(), self.open.level);
        format!(
            "EXISTS (SELECT FROM resource_grants g WHERE g.org_id = $1 AND g.kind = '{kind}' AND g.uid = {t}.uid \
            AND g.grantee = ANY ({grantees}) AND g.level >= {level}::smallint)"
        )
    }

    /// See [`OpenPlaces::open_at_root`].
    pub(crate) fn open_at_root(&self, kind: &str, t: &str) -> String {
        self.open.open_at_root(kind, t)
    }
}

/// The allowed folders, for `… IN`. PostgreSQL builds a hash table of them whatever their estimated number, and does
/// not process each of them while planning, because it does not see them.
pub(crate) fn among(list: Place, of: &str) -> String {
    format!("(SELECT unnest((SELECT {list}::{of}[])))")
}

/// Whether a row `f` of `folders` is allowed.
pub(crate) fn allows_folder(folders: Place) -> String {
    format!("({folders}::text[] IS NULL OR f.uid IN {})", among(folders, "text"))
}

/// The places of the parameters that determine which dashboards are allowed.
#[derive(Clone, Copy)]
pub(crate) struct AllowedPlaces {
    pub(crate) folders: Place,
    pub(crate) ids: Place,
    pub(crate) open: OpenPlaces,
}

impl AllowedPlaces {
    /// The places that start at the given one.
    pub(crate) const fn from(Place(first): Place) -> Self {
        let (folders, ids) = (Place(first), Place(first + 1));
        Self { folders, ids, open: OpenPlaces::from(Place(first + 2)) }
    }

    /// Whether a row `d` of `dashboards` is allowed: because its folder is, which the condition `and` can restrict;
    /// because it is granted individually; or because it is open at the root.
    pub(crate) fn allows_dashboard(&self, and: &str) -> String {
        let Self { folders, ids, open } = self;
        let (in_folders, in_ids) = (among(*folders, "text"), among(*ids, "bigint"));
        let open_at_root = open.open_at_root("dashboard", "d");
        format!(
            "({folders}::text[] IS NULL OR (d.folder_uid IN {in_folders}{and}) OR d.id IN {in_ids} \
            OR (d.folder_uid = '' AND {open_at_root}))"
        )
    }
}
