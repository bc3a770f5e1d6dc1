//! The statements of a search. Each looks for dashboards in its own way, and all ask the same of what they find.

use kymograph_app::search::{SearchQuery, SearchSort};

use crate::database::Planning;
use crate::resource_permission::filter::{allowed_folders, allows_dashboard, allows_folder};

/// The folders that match.
///
/// An empty list of words, uids, ids or folders stands for any; each word must be there. The patterns of the words come
/// as one text of lines: what is made of it with immutable functions is known to the planner, and titles are lowered by
/// the same function as what is looked for in them.
macro_rules! folders {
    ($who:ident) => {
        concat!(
            "SELECT f.id, f.uid, f.title, f.lower_title, f.slug, true AS is_folder, '{}'::text[] AS tags,
                f.parent_uid AS folder_uid
            FROM ",
            folders_table!($who),
            " f",
            join!($who, "f.uid"),
            "
            WHERE f.org_id = $1 AND $7 AND f.lower_title LIKE ALL (string_to_array(lower($2), E'\n'))",
            asked!($who, folder),
            allows!($who, folder)
        )
    };
}

/// The dashboards that match, looked for in a table or function, which of its rows are looked at being up to a
/// condition. Each tag and a tag for each pattern of tags must be there.
macro_rules! dashboards {
    ($who:ident, $source:expr, $condition:expr) => {
        concat!(
            "SELECT d.id, d.uid, d.title, d.lower_title, d.slug, false, d.tags, d.folder_uid
            FROM ",
            $source,
            " d",
            join!($who, "d.folder_uid"),
            "
            WHERE $8 AND ",
            $condition,
            asked!($who, dashboard),
            allows!($who, dashboard)
        )
    };
}

/// The conditions on all but words.
macro_rules! asked {
    ($who:ident,folder) => {
        "
                AND ($4::text[] = '{}' OR f.uid = ANY ($4)) AND ($5::bigint[] = '{}' OR f.id = ANY ($5))
                AND ($6::text[] = '{}' OR f.parent_uid = ANY ($6)) AND ($13::bigint[] = '{}' OR f.id = ANY ($13))"
    };
    ($who:ident,dashboard) => {
        concat!(
            "
                AND ($3::text[] = '{}' OR d.tags @> $3)
                AND ($12::text[] = '{}' OR NOT EXISTS (SELECT FROM unnest($12) AS pattern
                    WHERE NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE tag LIKE pattern)))
                AND ($4::text[] = '{}' OR d.uid = ANY ($4)) AND ($5::bigint[] = '{}' OR d.id = ANY ($5))
                AND ($6::text[] = '{}' OR d.folder_uid = ANY ($6))
                AND ($13::bigint[] = '{}' OR d.folder_uid = ANY (
                    ARRAY(SELECT uid FROM ",
            folders_table!($who),
            " WHERE org_id = $1 AND id = ANY ($13))))"
        )
    };
}

/// How many dashboards come before those of a page on which folders come first.
macro_rules! dashboards_before {
    ($who:ident) => {
        concat!(
            "CASE WHEN $10 = 0 THEN 0
                ELSE greatest($10 - (SELECT count(*) FROM (",
            folders!($who),
            ") AS before), 0) END"
        )
    };
}

/// What a statement begins with: nothing for those who may see all, the folders that the others may see, and for what
/// was, all that there was.
///
/// A dashboard was what its last version by then says, but one that came out of the trash since that version is in the
/// folder that it was put into, and has the id that it had. Its title tells the readable part of its address. Who may not
/// see all sees what is still there and can be seen today.
macro_rules! with {
    (all) => {
        ""
    };
    (allowed) => {
        concat!("WITH RECURSIVE ", allowed_folders!("$14", "$15", "$16", "$17", "$18", "$19"), " ")
    };
    (trashed) => {
        with!(allowed)
    };
    (past) => {
        concat!(
            with!(allowed),
            ", visible AS (
                SELECT d.id FROM dashboards d LEFT JOIN allowed_folders ON allowed_uid = d.folder_uid
                WHERE d.org_id = $1 AND d.deleted IS NULL AND ",
            allows_dashboard!("$14", "$15", "$16", "$17", "$18", "$19"),
            "),
            past_folders AS (
                SELECT $1::bigint AS org_id, past.*, lower(title) AS lower_title
                FROM unnest($21::text[], $22::bigint[], $23::text[], $24::text[], $25::text[])
                    AS past (uid, id, title, slug, parent_uid)),
            past_dashboards AS (SELECT * FROM (
                SELECT l.org_id, l.uid, v.title, lower(v.title) AS lower_title, ''::text AS slug, v.tags,
                    (SELECT id FROM dashboard_lives born WHERE born.org_id = $1 AND born.uid = l.uid
                        AND born.from_pos <= $20 AND born.id > 0 ORDER BY born.from_pos DESC LIMIT 1) AS id,
                    CASE WHEN v.pos < l.from_pos THEN l.folder_uid ELSE v.folder_uid END AS folder_uid
                FROM dashboard_lives l CROSS JOIN LATERAL (
                    SELECT generation, version FROM dashboard_versions
                    WHERE org_id = $1 AND dashboard_uid = l.uid AND pos <= $20
                    ORDER BY generation DESC, version DESC LIMIT 1) AS last
                JOIN dashboard_versions v ON v.org_id = $1 AND v.dashboard_uid = l.uid
                    AND v.generation = last.generation AND v.version = last.version
                WHERE l.org_id = $1 AND l.from_pos <= $20 AND l.to_pos > $20) AS past
                WHERE $14::boolean OR id IN (SELECT id FROM visible))
            "
        )
    };
}

/// Where folders are looked for.
macro_rules! folders_table {
    (past) => {
        "past_folders"
    };
    ($who:ident) => {
        "folders"
    };
}

/// Joins the folders that the actor may see. Of what is in the trash that is the folder that it was deleted from, and not
/// another one that was created since with its uid.
macro_rules! join {
    (trashed, "d.folder_uid") => {
        concat!(
            join!(allowed, "d.folder_uid"),
            " AND d.deleted > (SELECT f.created FROM folders f WHERE f.org_id = $1 AND f.uid = allowed_uid)"
        )
    };
    (trashed, $folder:literal) => {
        join!(allowed, $folder)
    };
    (allowed, $folder:literal) => {
        concat!(" LEFT JOIN allowed_folders ON allowed_uid = ", $folder)
    };
    ($who:ident, $folder:literal) => {
        ""
    };
}

/// The condition that the actor may see a row.
macro_rules! allows {
    (trashed, $kind:ident) => {
        allows!(allowed, $kind)
    };
    (allowed,folder) => {
        concat!(" AND ", allows_folder!("$14"))
    };
    (allowed,dashboard) => {
        concat!(" AND ", allows_dashboard!("$14", "$15", "$16", "$17", "$18", "$19"))
    };
    ($who:ident, $kind:ident) => {
        ""
    };
}

/// A page of the folders and then the dashboards. The parts are cut by themselves and come one after the other, so that
/// nothing is sorted twice; there may be more dashboards than the page has room for. The limit is `$9`: `$11`, which is
/// never less, is there because all statements have the same parameters.
macro_rules! folders_first {
    ($who:ident, $source:expr, $condition:expr, $order:expr) => {
        concat!(
            with!($who),
            "(",
            folders!($who),
            " ORDER BY lower_title, uid LIMIT $9 OFFSET $10) UNION ALL (",
            dashboards!($who, $source, $condition),
            $order,
            " LIMIT least($9, $11) OFFSET ",
            dashboards_before!($who),
            ")"
        )
    };
}

/// A page of folders and dashboards together.
macro_rules! mixed {
    ($who:ident, $source:expr, $condition:expr, $direction:expr) => {
        concat!(
            with!($who),
            "SELECT * FROM (
                (",
            folders!($who),
            " ORDER BY lower_title ",
            $direction,
            ", uid ",
            $direction,
            " LIMIT $11)
                UNION ALL
                (",
            dashboards!($who, $source, $condition),
            " ORDER BY d.lower_title ",
            $direction,
            ", d.uid ",
            $direction,
            " LIMIT $11)
            ) AS found
            ORDER BY lower_title ",
            $direction,
            ", uid ",
            $direction,
            " LIMIT $9 OFFSET $10"
        )
    };
}

/// A statement for each order.
struct Orders {
    folders_first: &'static str,
    ascending: &'static str,
    descending: &'static str,
}

/// The statements for those who may see all and for the others, and how often they are planned. Where dashboards are
/// looked for in the order of titles, planning for the parameters tells whether that is the better way.
struct Way {
    all: Orders,
    allowed: Orders,
    planning: Planning,
}

/// The ways through a table.
macro_rules! table {
    ($planning:ident, $condition:literal) => {
        Way {
            all: table!(all, "dashboards", $condition),
            allowed: table!(allowed, "dashboards", $condition),
            planning: Planning::$planning,
        }
    };
    ($who:ident, $source:expr, $condition:expr) => {
        table!(@ $who, $source, concat!(
            "d.org_id = $1 AND ", $condition, " AND d.lower_title LIKE ALL (string_to_array(lower($2), E'\n'))"
        ))
    };
    (@ $who:ident, $source:expr, $condition:expr) => {
        Orders {
            folders_first: folders_first!($who, $source, $condition, " ORDER BY d.lower_title, d.uid"),
            ascending: mixed!($who, $source, $condition, "ASC"),
            descending: mixed!($who, $source, $condition, "DESC"),
        }
    };
}

/// The ways through the function that finds the words of titles, which gives what it finds in order.
macro_rules! function {
    ($who:ident, $at_most:literal) => {
        Orders {
            folders_first: folders_first!($who, function!(@ $at_most, "false"), "true", ""),
            ascending: mixed!($who, function!(@ $at_most, "false"), "true", "ASC"),
            descending: mixed!($who, function!(@ $at_most, "true"), "true", "DESC"),
        }
    };
    (@ $at_most:literal, $descending:literal) => {
        concat!("match_dashboards($1, string_to_array($2, E'\n'), NULL, ", $at_most, ", ", $descending, ")")
    };
}

/// The condition that each word is in the title of a dashboard or in one of its tags.
macro_rules! in_tags {
    () => {
        "d.org_id = $1 AND d.deleted IS NULL AND NOT EXISTS (
            SELECT FROM unnest(string_to_array(lower($2), E'\n')) AS word WHERE d.lower_title NOT LIKE word
                AND NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE lower(tag) LIKE word))"
    };
}

/// Through the titles in order, until there are enough.
const BY_TITLE: Way = table!(EachTime, "d.deleted IS NULL");
/// By the words of titles, and then by what else is asked for.
const BY_WORDS_AND_MORE: Way =
    Way { all: function!(all, "NULL"), allowed: function!(allowed, "NULL"), planning: Planning::Once };
/// By the words of titles alone. Those who may see all are asked for no more than the page can need.
const BY_WORDS: Way = Way { all: function!(all, "$11"), ..BY_WORDS_AND_MORE };
/// The first page of that, for those who may see all: what people see at each key. It has parameters of its own.
pub(super) const FIRST_BY_WORDS: &str = "SELECT id, uid, title, slug, is_folder, tags, folder_uid
    FROM find_by_words($1, $2, $3, $4, $5, $6)";
/// By the words of titles and tags.
const BY_WORDS_IN_TAGS: Way = Way {
    all: table!(@ all, "dashboards", in_tags!()),
    allowed: table!(@ allowed, "dashboards", in_tags!()),
    planning: Planning::Once,
};
const BY_UID: Way = table!(Once, "d.deleted IS NULL AND d.uid = ANY ($4)");
const BY_ID: Way = table!(Once, "d.deleted IS NULL AND d.id = ANY ($5)");
const BY_FOLDER: Way = table!(Once, "d.deleted IS NULL AND d.folder_uid = ANY ($6)");
const IN_TRASH: Way = Way {
    all: table!(all, "dashboards", "d.deleted IS NOT NULL"),
    allowed: table!(trashed, "dashboards", "d.deleted IS NOT NULL"),
    planning: Planning::EachTime,
};
const IN_PAST: Orders = table!(past, "past_dashboards", "true");

/// What decides on the statement of a search.
pub(super) struct Searched<'a> {
    pub(super) query: &'a SearchQuery,
    /// Whether words are looked for.
    pub(super) has_words: bool,
    /// Whether they may be in the tags of a dashboard, too.
    pub(super) words_in_tags: bool,
    /// Whether the actor may see all.
    pub(super) is_unlimited: bool,
    /// Whether what was is searched.
    pub(super) is_past: bool,
    /// Whether the first page is wanted.
    pub(super) is_first: bool,
}

impl Searched<'_> {
    /// The statement that finds it by looking at the least, and how often to plan it. The statements for those who may
    /// see all have no parameters of a filter; those for what was always do.
    pub(super) fn statement(&self) -> (&'static str, Planning) {
        let way = self.way();
        let (orders, planning) = match (self.is_past, self.is_unlimited) {
            (true, _) => (&IN_PAST, Planning::EachTime),
            (false, true) => (&way.all, way.planning),
            (false, false) => (&way.allowed, way.planning),
        };
        let sql = match self.query.sort {
            None => orders.folders_first,
            Some(SearchSort::TitleAscending) => orders.ascending,
            Some(SearchSort::TitleDescending) => orders.descending,
        };
        (sql, planning)
    }

    /// Whether it is found by [`FIRST_BY_WORDS`].
    pub(super) fn is_first_by_words(&self) -> bool {
        let is_now_and_all = self.is_unlimited && !self.is_past;
        is_now_and_all && self.is_first && self.query.sort.is_none() && self.has_only_words()
    }

    /// Whether words are all that is asked for.
    fn has_only_words(&self) -> bool {
        let query = self.query;
        let lists_are_empty = query.tags.is_empty()
            && query.uids.is_empty()
            && query.ids.is_empty()
            && query.folder_uids.is_empty()
            && query.folder_ids.is_empty();
        lists_are_empty && !query.deleted && !self.words_in_tags && self.has_words
    }

    fn way(&self) -> &'static Way {
        let query = self.query;
        if self.has_only_words() {
            &BY_WORDS
        } else if query.deleted {
            &IN_TRASH
        } else if !query.uids.is_empty() {
            &BY_UID
        } else if !query.ids.is_empty() {
            &BY_ID
        } else if self.words_in_tags && self.has_words {
            &BY_WORDS_IN_TAGS
        } else if self.has_words {
            &BY_WORDS_AND_MORE
        } else if !query.folder_uids.is_empty() {
            &BY_FOLDER
        } else {
            &BY_TITLE
        }
    }
}
