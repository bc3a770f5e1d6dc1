//! The statements of a search. Each looks for dashboards in its own way, and all ask the same of what they find.

use kymograph_app::search::{SearchQuery, SearchSort};

use crate::database::Planning;

/// How many words the index on parts of titles is asked for at once.
const MAX_INDEXED_WORDS: usize = 30;

/// The folders that match.
///
/// An empty list of words, uids, ids or folders stands for any; each word must be there. The patterns of the words come
/// as one text of lines: what is made of it with immutable functions is known to the planner, and titles are lowered by
/// the same function as what is looked for in them.
macro_rules! folders {
    () => {
        "SELECT id, uid, title, lower_title, slug, true AS is_folder, '{}'::text[] AS tags, parent_uid AS folder_uid
        FROM folders
        WHERE org_id = $1 AND $7 AND lower_title LIKE ALL (string_to_array(lower($2), E'\n'))
            AND ($4::text[] = '{}' OR uid = ANY ($4)) AND ($5::bigint[] = '{}' OR id = ANY ($5))
            AND ($6::text[] = '{}' OR parent_uid = ANY ($6)) AND ($13::bigint[] = '{}' OR id = ANY ($13))"
    };
}

/// The dashboards that match, looked for in a table or function, which of its rows are looked at being up to a
/// condition. Each tag and a tag for each pattern of tags must be there.
macro_rules! dashboards {
    ($source:expr, $condition:expr) => {
        concat!(
            "SELECT d.id, d.uid, d.title, d.lower_title, d.slug, false, d.tags, d.folder_uid
            FROM ",
            $source,
            " d
            WHERE $8 AND ",
            $condition,
            "
                AND ($3::text[] = '{}' OR d.tags @> $3)
                AND ($12::text[] = '{}' OR NOT EXISTS (SELECT FROM unnest($12) AS pattern
                    WHERE NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE tag LIKE pattern)))
                AND ($4::text[] = '{}' OR d.uid = ANY ($4)) AND ($5::bigint[] = '{}' OR d.id = ANY ($5))
                AND ($6::text[] = '{}' OR d.folder_uid = ANY ($6))
                AND ($13::bigint[] = '{}' OR (d.folder_uid = '' AND 0 = ANY ($13)) OR d.folder_uid = ANY (
                    ARRAY(SELECT uid FROM folders WHERE org_id = $1 AND id = ANY ($13))))"
        )
    };
}

/// Folders and dashboards as they were at a position of the log, which have the names of the tables here. A dashboard was
/// what its last version by then says, but one that came out of the trash since that version is in the folder that it was
/// put into, and has the id that it had. Its title tells the readable part of its address.
macro_rules! past {
    () => {
        "WITH folders AS (
            SELECT $1::bigint AS org_id, past.*, lower(title) AS lower_title
            FROM unnest($15::text[], $16::bigint[], $17::text[], $18::text[], $19::text[])
                AS past (uid, id, title, slug, parent_uid)),
        dashboards AS (
            SELECT l.org_id, l.uid, v.title, lower(v.title) AS lower_title, ''::text AS slug, v.tags,
                (SELECT id FROM dashboard_lives born WHERE born.org_id = $1 AND born.uid = l.uid
                    AND born.from_pos <= $14 AND born.id > 0 ORDER BY born.from_pos DESC LIMIT 1) AS id,
                CASE WHEN v.pos < l.from_pos THEN l.folder_uid ELSE v.folder_uid END AS folder_uid
            FROM dashboard_lives l CROSS JOIN LATERAL (
                SELECT generation, version FROM dashboard_versions
                WHERE org_id = $1 AND dashboard_uid = l.uid AND pos <= $14
                ORDER BY generation DESC, version DESC LIMIT 1) AS last
            JOIN dashboard_versions v ON v.org_id = $1 AND v.dashboard_uid = l.uid
                AND v.generation = last.generation AND v.version = last.version
            WHERE l.org_id = $1 AND l.from_pos <= $14 AND l.to_pos > $14)
        "
    };
}

/// A page of the folders and then the dashboards. The parts are cut by themselves and come one after the other, so that
/// nothing is sorted twice; there may be more dashboards than the page has room for. The limit is `$9`: `$11`, which is
/// never less, is there because all statements have the same parameters.
macro_rules! folders_first {
    ($source:expr, $condition:expr, $order:expr) => {
        concat!(
            "(",
            folders!(),
            " ORDER BY lower_title, uid LIMIT $9 OFFSET $10) UNION ALL (",
            dashboards!($source, $condition),
            $order,
            " LIMIT least($9, $11) OFFSET CASE WHEN $10 = 0 THEN 0
                ELSE greatest($10 - (SELECT count(*) FROM (",
            folders!(),
            ") AS before), 0) END)"
        )
    };
}

/// A page of folders and dashboards together.
macro_rules! mixed {
    ($source:expr, $condition:expr, $direction:expr) => {
        concat!(
            "SELECT * FROM (
                (",
            folders!(),
            " ORDER BY lower_title ",
            $direction,
            ", uid ",
            $direction,
            " LIMIT $11)
                UNION ALL
                (",
            dashboards!($source, $condition),
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

/// A statement for each order, and how often it is planned. Where dashboards are looked for in the order of titles,
/// planning for the parameters tells whether that is the better way.
struct Way {
    folders_first: &'static str,
    ascending: &'static str,
    descending: &'static str,
    planning: Planning,
}

/// The ways through the table itself, or through what has its name.
macro_rules! table {
    ($planning:ident, $condition:expr) => {
        table!("", $planning, $condition)
    };
    ($with:expr, $planning:ident, $condition:expr) => {
        table!(@ $with, $planning, concat!(
            "d.org_id = $1 AND ", $condition, " AND d.lower_title LIKE ALL (string_to_array(lower($2), E'\n'))"
        ))
    };
    (@ $with:expr, $planning:ident, $condition:expr) => {
        Way {
            folders_first: concat!(
                $with, folders_first!("dashboards", $condition, " ORDER BY d.lower_title, d.uid")
            ),
            ascending: concat!($with, mixed!("dashboards", $condition, "ASC")),
            descending: concat!($with, mixed!("dashboards", $condition, "DESC")),
            planning: Planning::$planning,
        }
    };
}

/// The ways through the function that finds the words of titles, which gives what it finds in order.
macro_rules! function {
    ($at_most:literal) => {
        Way {
            folders_first: folders_first!(function!(@ $at_most, "false"), "true", ""),
            ascending: mixed!(function!(@ $at_most, "false"), "true", "ASC"),
            descending: mixed!(function!(@ $at_most, "true"), "true", "DESC"),
            planning: Planning::Once,
        }
    };
    (@ $at_most:literal, $descending:literal) => {
        concat!("match_dashboards($1, string_to_array($2, E'\n'), ", $at_most, ", ", $descending, ")")
    };
}

/// Through the titles in order, until there are enough.
const BY_TITLE: Way = table!(EachTime, "d.deleted IS NULL");
/// By the words of titles, as many as the page can need.
const BY_WORDS: Way = function!("$11");
/// By the words of titles, and then by what else is asked for.
const BY_WORDS_AND_MORE: Way = function!("NULL");
const BY_UID: Way = table!(Once, "d.deleted IS NULL AND d.uid = ANY ($4)");
const BY_ID: Way = table!(Once, "d.deleted IS NULL AND d.id = ANY ($5)");
const BY_FOLDER: Way = table!(Once, "d.deleted IS NULL AND d.folder_uid = ANY ($6)");
const IN_TRASH: Way = table!(EachTime, "d.deleted IS NOT NULL");
const IN_PAST: Way = table!(past!(), EachTime, "true");

/// The statement that finds what a query asks for by looking at the least, and how often to plan it.
pub(super) fn statement(query: &SearchQuery, words: usize, is_past: bool) -> (&'static str, Planning) {
    let way = if is_past {
        &IN_PAST
    } else if query.deleted {
        &IN_TRASH
    } else if !query.uids.is_empty() {
        &BY_UID
    } else if !query.ids.is_empty() {
        &BY_ID
    } else if (1..=MAX_INDEXED_WORDS).contains(&words) {
        let is_all = query.tags.is_empty() && query.folder_uids.is_empty() && query.folder_ids.is_empty();
        if is_all { &BY_WORDS } else { &BY_WORDS_AND_MORE }
    } else if !query.folder_uids.is_empty() {
        &BY_FOLDER
    } else {
        &BY_TITLE
    };
    let sql = match query.sort {
        None => way.folders_first,
        Some(SearchSort::TitleAscending) => way.ascending,
        Some(SearchSort::TitleDescending) => way.descending,
    };
    (sql, way.planning)
}
