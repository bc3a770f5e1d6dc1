//! The statements of a search. Each looks for dashboards in its own way, and all ask the same of what they find.
//!
//! A page is found by its rows' ids first, as far as possible in an index alone, and then the rows are read: a member who may
//! see a fifth of an org, and wants its fiftieth page, has to go past a large part of the org.

use crate::rights::resource_permission::filter::{allows_dashboard, allows_folder, among};

/// A condition of which PostgreSQL expects that many rows meet it, so that it goes through them in order. It would else guess
/// from nothing that none does.
macro_rules! met_by_many {
    ($condition:expr) => {
        concat!("CASE WHEN ", $condition, " THEN true ELSE false END")
    };
}

/// The condition that each word is in the title. The patterns of the words come as one text of lines, which is taken apart once
/// and not for each row. Titles are lowered by the same function as what is looked for in them.
macro_rules! has_words {
    ($t:literal) => {
        met_by_many!(concat!(
            $t,
            ".lower_title LIKE ALL ((SELECT string_to_array(lower($2), E'\n'))::text[])"
        ))
    };
}

/// The conditions on folders. An empty list of words, uids, ids or folders stands for any.
macro_rules! folder_conditions {
    ($parents:literal, $folder_ids:literal) => {
        concat!(
            has_words!("f"),
            " AND ($3::text[] = '{}' OR f.uid = ANY ($3)) AND ($4::bigint[] = '{}' OR f.id = ANY ($4))
                AND (",
            $parents,
            "::text[] = '{}' OR f.parent_uid = ANY (",
            $parents,
            ")) AND (",
            $folder_ids,
            "::bigint[] = '{}' OR f.id = ANY (",
            $folder_ids,
            "))"
        )
    };
}

/// The folders that meet a condition and are let through. `$7` has those that are, and is NULL for all.
macro_rules! folders {
    ($condition:expr) => {
        concat!(
            "SELECT f.id, f.uid, f.lower_title, true AS is_folder FROM folders f WHERE f.org_id = $1 AND ",
            $condition,
            " AND ",
            allows_folder!("$7")
        )
    };
}

/// The folders that meet the conditions, looked up by a column for each of a list of uids.
macro_rules! folders_by {
    ($column:literal, $uids:literal) => {
        concat!(
            "SELECT f.id, f.uid, f.lower_title, true AS is_folder FROM unnest(",
            $uids,
            "::text[]) AS named (uid)
            CROSS JOIN LATERAL (SELECT * FROM folders f WHERE f.org_id = $1 AND f.",
            $column,
            " = named.uid OFFSET 0) AS f WHERE ",
            folder_conditions!("$5", "$6")
        )
    };
}

/// The folders inside of the folders `$5` that are let through.
macro_rules! folders_inside {
    () => {
        concat!(folders_by!("parent_uid", "$5"), " AND ", allows_folder!("$7"))
    };
}

/// The folders that are let through, which are few, one by one.
macro_rules! few_folders {
    () => {
        folders_by!("uid", "$7")
    };
}

/// A page of folders from the title `$10` and uid `$11` on.
macro_rules! folders_page {
    ($folders:expr) => {
        concat!(
            "SELECT f.id, f.uid, f.title, f.slug, true AS is_folder, '{}'::text[] AS tags, f.parent_uid AS folder_uid,
                f.lower_title
            FROM (",
            $folders,
            " AND (f.lower_title, f.uid) >= ($10, $11) ORDER BY f.lower_title, f.uid LIMIT $8 OFFSET $9) AS page
            CROSS JOIN LATERAL (SELECT * FROM folders f WHERE f.org_id = $1 AND f.id = page.id OFFSET 0) AS f
            ORDER BY page.lower_title, page.uid"
        )
    };
}

/// A page of folders, and how many there are.
pub(super) struct FolderStatements {
    pub(super) page: &'static str,
    pub(super) count: &'static str,
}

macro_rules! folder_statements {
    ($folders:expr) => {
        FolderStatements {
            page: folders_page!($folders),
            count: concat!("SELECT count(*) FROM (", $folders, ") AS found"),
        }
    };
}

/// In the order of titles, until there are enough.
pub(super) const FOLDERS: FolderStatements =
    folder_statements!(folders!(met_by_many!(folder_conditions!("$5", "$6"))));
/// For folders that are named.
pub(super) const NAMED_FOLDERS: FolderStatements =
    folder_statements!(folders!(folder_conditions!("$5", "$6")));
/// For folders inside of named ones.
pub(super) const FOLDERS_INSIDE: FolderStatements = folder_statements!(folders_inside!());
/// For few folders that are let through.
pub(super) const FEW_FOLDERS: FolderStatements = folder_statements!(few_folders!());

/// The conditions on dashboards but those on words and folders. Each tag and a tag for each pattern of tags must be there.
macro_rules! conditions {
    () => {
        "($3::text[] = '{}' OR d.uid = ANY ($3)) AND ($4::bigint[] = '{}' OR d.id = ANY ($4))
                AND ($6::text[] = '{}' OR d.tags @> $6)
                AND ($10::text[] = '{}' OR NOT EXISTS (SELECT FROM unnest($10) AS pattern
                    WHERE NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE tag LIKE pattern)))"
    };
}

/// The condition that a dashboard is in one of some folders, if any are named.
macro_rules! in_folders {
    () => {
        " AND ($5::text[] = '{}' OR d.folder_uid = ANY ($5))"
    };
}

/// The condition that each word is in the title of a dashboard or in one of its tags.
macro_rules! has_words_in_tags {
    () => {
        "NOT EXISTS (
            SELECT FROM unnest(string_to_array(lower($2), E'\n')) AS word WHERE d.lower_title NOT LIKE word
                AND NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE lower(tag) LIKE word))"
    };
}

/// The condition that the actor may see a dashboard.
macro_rules! allowed {
    () => {
        allows_dashboard!("$7", "$11", "$12", "$13", "$14", "$15")
    };
    // A dashboard in the trash belongs to the folder that it was deleted from, and not to another one that was created since with
    // its uid.
    (trashed) => {
        allows_dashboard!(
            "$7",
            "$11",
            "$12",
            "$13",
            "$14",
            "$15",
            " AND d.deleted > (SELECT f.created FROM folders f WHERE f.org_id = $1 AND f.uid = d.folder_uid)"
        )
    };
}

/// The dashboards that match, of all whose `deleted` is as said and that meet what follows it.
macro_rules! dashboards {
    ($condition:expr, $allowed:expr) => {
        concat!(
            "SELECT d.id, d.uid, d.lower_title, false AS is_folder FROM dashboards d WHERE d.org_id = $1 AND d.deleted ",
            $condition,
            " AND ",
            conditions!(),
            in_folders!(),
            " AND ",
            $allowed
        )
    };
}

/// The conditions on dashboards where neither uids, ids nor tags are asked for. All statements have the same parameters.
macro_rules! words_alone {
    () => {
        concat!(has_words!("d"), " AND ($3::text[], $4::bigint[], $6::text[], $10::text[]) IS NOT NULL")
    };
}

/// The conditions on dashboards where they are.
macro_rules! words_and_tags {
    ($words:expr) => {
        concat!($words, " AND ", conditions!())
    };
}

/// The dashboards that match, looked for in each of some folders.
macro_rules! dashboards_inside {
    ($condition:expr) => {
        concat!(
            "SELECT d.id, d.uid, d.lower_title, false AS is_folder FROM unnest($5::text[]) AS inside (uid)
            CROSS JOIN LATERAL (SELECT d.id, d.uid, d.lower_title FROM dashboards d
                WHERE d.org_id = $1 AND d.folder_uid = inside.uid AND d.deleted IS NULL AND ",
            $condition,
            " AND ",
            allowed!(),
            " OFFSET 0) AS d"
        )
    };
}

/// The same, and those elsewhere that are granted by themselves.
macro_rules! few_dashboards {
    ($condition:expr) => {
        concat!(
            "SELECT * FROM (",
            dashboards_inside!($condition),
            " UNION ALL SELECT d.id, d.uid, d.lower_title, false FROM unnest($11::bigint[]) AS granted (id)
            CROSS JOIN LATERAL (SELECT * FROM dashboards d
                WHERE d.org_id = $1 AND d.id = granted.id AND d.deleted IS NULL OFFSET 0) AS d
            WHERE d.folder_uid NOT IN ",
            among!("$5", "text"),
            " AND ",
            $condition,
            ") AS d"
        )
    };
}

/// A page of dashboards.
macro_rules! dashboards_page {
    ($dashboards:expr) => {
        dashboards_page!($dashboards, "$8", "$9")
    };
    ($dashboards:expr, $size:literal, $offset:literal) => {
        concat!(
            "SELECT d.id, d.uid, d.title, d.slug, false AS is_folder, d.tags, d.folder_uid, d.lower_title FROM (",
            $dashboards,
            " ORDER BY d.lower_title, d.uid LIMIT ",
            $size,
            " OFFSET ",
            $offset,
            ") AS page
            CROSS JOIN LATERAL (
                SELECT * FROM dashboards d WHERE d.org_id = $1 AND d.id = page.id /* deleted or not */ OFFSET 0) AS d
            ORDER BY page.lower_title, page.uid"
        )
    };
}

/// A page of folders and dashboards together. The limit of both is `$16`, how far the page reaches.
macro_rules! mixed_page {
    ($dashboards:expr, $direction:literal) => {
        concat!(
            "SELECT found.* FROM (
                SELECT id, lower_title, uid, is_folder FROM (
                    (SELECT * FROM (",
            folders!(folder_conditions!("$20", "$19")),
            ") AS f WHERE $17 ORDER BY f.lower_title ",
            $direction,
            ", f.uid ",
            $direction,
            " LIMIT $16)
                    UNION ALL
                    (SELECT * FROM (",
            $dashboards,
            ") AS d WHERE $18 ORDER BY d.lower_title ",
            $direction,
            ", d.uid ",
            $direction,
            " LIMIT $16)
                ) AS both_kinds
                ORDER BY lower_title ",
            $direction,
            ", uid ",
            $direction,
            " LIMIT $8 OFFSET $9) AS page
            CROSS JOIN LATERAL (
                SELECT f.id, f.uid, f.title, f.slug, true AS is_folder, '{}'::text[] AS tags,
                    f.parent_uid AS folder_uid
                FROM folders f WHERE page.is_folder AND f.org_id = $1 AND f.id = page.id
                UNION ALL
                SELECT d.id, d.uid, d.title, d.slug, false, d.tags, d.folder_uid
                FROM dashboards d
                WHERE NOT page.is_folder AND d.org_id = $1 AND d.id = page.id /* deleted or not */) AS found
            ORDER BY page.lower_title ",
            $direction,
            ", page.uid ",
            $direction
        )
    };
}

/// A page of what there was. Its folders are named, because the log tells them; a dashboard was what its last version by then
/// says, but one that came out of the trash since that version is in the folder that it was put into, and has the id that it
/// had. Its title tells the readable part of its address. Who may not see all sees what is still there and can be seen today.
macro_rules! past_page {
    ($order:literal) => {
        concat!(
            "WITH visible AS (
                SELECT d.id FROM dashboards d WHERE d.org_id = $1 AND d.deleted IS NULL AND ",
            allowed!(),
            "),
            past_folders AS (
                SELECT past.*, lower(title) AS lower_title
                FROM unnest($22::text[], $23::bigint[], $24::text[], $25::text[], $26::text[])
                    AS past (uid, id, title, slug, parent_uid)),
            past_dashboards AS (SELECT * FROM (
                SELECT l.uid, v.title, lower(v.title) AS lower_title, ''::text AS slug, v.tags,
                    (SELECT id FROM dashboard_lives born WHERE born.org_id = $1 AND born.uid = l.uid
                        AND born.from_pos <= $21 AND born.id > 0 ORDER BY born.from_pos DESC LIMIT 1) AS id,
                    CASE WHEN v.pos < l.from_pos THEN l.folder_uid ELSE v.folder_uid END AS folder_uid
                FROM dashboard_lives l CROSS JOIN LATERAL (
                    SELECT generation, version FROM dashboard_versions
                    WHERE org_id = $1 AND dashboard_uid = l.uid AND pos <= $21
                    ORDER BY generation DESC, version DESC LIMIT 1) AS last
                JOIN dashboard_versions v ON v.org_id = $1 AND v.dashboard_uid = l.uid
                    AND v.generation = last.generation AND v.version = last.version
                WHERE l.org_id = $1 AND l.from_pos <= $21 AND l.to_pos > $21) AS past
                WHERE $7::text[] IS NULL OR id IN (SELECT id FROM visible))
            SELECT id, uid, title, slug, is_folder, tags, folder_uid FROM (
                SELECT f.id, f.uid, f.title, f.lower_title, f.slug, true AS is_folder, '{}'::text[] AS tags,
                    f.parent_uid AS folder_uid
                FROM past_folders f WHERE $17 AND ",
            folder_conditions!("$20", "$19"),
            " UNION ALL
                SELECT d.id, d.uid, d.title, d.lower_title, d.slug, false, d.tags, d.folder_uid
                FROM past_dashboards d WHERE $18 AND ",
            has_words!("d"),
            " AND ",
            conditions!(),
            in_folders!(),
            ") AS found ORDER BY ",
            $order,
            " LIMIT least($8::bigint, $16::bigint) OFFSET $9"
        )
    };
}

/// A statement for each order: dashboards alone by title, and both kinds together.
pub(super) struct Way {
    pub(super) dashboards: &'static str,
    pub(super) ascending: &'static str,
    pub(super) descending: &'static str,
}

macro_rules! way {
    ($dashboards:expr) => {
        Way {
            dashboards: dashboards_page!($dashboards),
            ascending: mixed_page!($dashboards, "ASC"),
            descending: mixed_page!($dashboards, "DESC"),
        }
    };
}

/// The function that finds words and tags, which gives what it finds in order.
macro_rules! found {
    ($descending:literal) => {
        concat!(
            "SELECT d.id, d.uid, d.lower_title, false AS is_folder
            FROM find_dashboards($1, string_to_array($2, E'\n'), NULL, $6, $10, false, $7, $11, $12, $13, $14, $15, $16, 0, ",
            $descending,
            ") AS d WHERE true",
            in_folders!()
        )
    };
}

/// Through the titles in order, until there are enough. Without folders it has parameters of its own, and begins with the title
/// `$10` and uid `$11`.
pub(super) const BY_TITLE: Way = {
    const MIXED: Way = way!(dashboards!("IS NULL AND $2::text IS NOT NULL", allowed!()));
    let all = dashboards_page!(
        concat!(
            "SELECT d.id, d.uid, d.lower_title FROM dashboards d WHERE d.org_id = $1 AND d.deleted IS NULL AND ",
            allows_dashboard!("$2", "$3", "$4", "$5", "$6", "$7"),
            " AND (d.lower_title, d.uid) >= ($10, $11)"
        ),
        "$8",
        "$9"
    );
    Way { dashboards: all, ..MIXED }
};
/// By the words of titles and by tags. Without folders it has parameters of its own, and the function is alone, because beside
/// tables none can be distributed.
pub(super) const BY_WORDS_AND_TAGS: Way = Way {
    dashboards: "SELECT id, uid, title, slug, false AS is_folder, tags, folder_uid
        FROM find_dashboards($1, string_to_array($2, E'\n'), string_to_array($3, E'\n'), $4, $5, $6, $7, $8, $9, $10, $11,
            $12, $13, $14, false)",
    ascending: mixed_page!(found!("false"), "ASC"),
    descending: mixed_page!(found!("true"), "DESC"),
};
/// The first page of what words find, for those who may see all: what people see at each key. It has parameters of its own.
pub(super) const FIRST_BY_WORDS: &str = "SELECT id, uid, title, slug, is_folder, tags, folder_uid
    FROM find_by_words($1, $2, $3, $4, $5, $6)";
/// By the words of titles and tags.
pub(super) const BY_WORDS_IN_TAGS: Way =
    way!(dashboards!(concat!("IS NULL AND ", has_words_in_tags!()), allowed!()));
pub(super) const BY_UID: Way =
    way!(dashboards!(concat!("IS NULL AND d.uid = ANY ($3) AND ", has_words!("d")), allowed!()));
pub(super) const BY_ID: Way =
    way!(dashboards!(concat!("IS NULL AND d.id = ANY ($4) AND ", has_words!("d")), allowed!()));
/// In the folders `$5`.
pub(super) const INSIDE: Way = way!(dashboards_inside!(words_alone!()));
pub(super) const INSIDE_BY_TAGS: Way = way!(dashboards_inside!(words_and_tags!(has_words!("d"))));
pub(super) const INSIDE_BY_WORDS_IN_TAGS: Way =
    way!(dashboards_inside!(words_and_tags!(has_words_in_tags!())));
/// In the folders `$5`, which are all that the actor may see, and what else is granted.
pub(super) const FEW: Way = way!(few_dashboards!(words_alone!()));
pub(super) const FEW_BY_TAGS: Way = way!(few_dashboards!(words_and_tags!(has_words!("d"))));
pub(super) const FEW_BY_WORDS_IN_TAGS: Way = way!(few_dashboards!(words_and_tags!(has_words_in_tags!())));
pub(super) const IN_TRASH: Way =
    way!(dashboards!(concat!("IS NOT NULL AND ", has_words!("d")), allowed!(trashed)));
pub(super) const IN_PAST: Way = Way {
    dashboards: past_page!("is_folder DESC, lower_title, uid"),
    ascending: past_page!("lower_title ASC, uid ASC"),
    descending: past_page!("lower_title DESC, uid DESC"),
};
