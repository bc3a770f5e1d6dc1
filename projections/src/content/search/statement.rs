//! The statements of a search. Each has its own access path to dashboards, and all apply the same conditions.
//!
//! The ids of a page are found first, as far as possible in an index alone, and then its rows are read: a member who
//! may see a fifth of an org, and requests the fiftieth page, has to skip a large part of the org.

use std::sync::LazyLock;

use crate::kernel::sql::Place;
use crate::rights::resource_permission::filter::{AllowedPlaces, OpenPlaces, allows_folder, among};

/// The places of `Search::dashboard_params` that determine what the actor may see.
const ALLOWED: AllowedPlaces =
    AllowedPlaces { folders: Place(7), ids: Place(11), open: OpenPlaces::from(Place(12)) };

/// A condition that PostgreSQL expects many rows to meet, so that it scans them in order. Otherwise it would assume
/// without any data that none does.
fn met_by_many(condition: &str) -> String {
    format!("CASE WHEN {condition} THEN true ELSE false END")
}

/// The condition that each word is in the title. The patterns of the words are passed as one text of lines, which is
/// split once and not for each row; most titles lack the first word, and comparing with one text takes half the time of
/// a list. Titles and patterns are lowered by the same function.
fn has_words(t: &str) -> String {
    met_by_many(&format!(
        "{t}.lower_title LIKE (SELECT coalesce(nullif(split_part(lower($2), E'\n', 1), ''), '%'))
            AND {t}.lower_title LIKE ALL ((SELECT string_to_array(lower($2), E'\n'))::text[])"
    ))
}

/// The conditions on folders. An empty list of words, uids, ids or folders matches any.
fn folder_conditions(parents: Place, folder_ids: Place) -> String {
    let has_words = has_words("f");
    format!(
        "{has_words} AND ($3::text[] = '{{}}' OR f.uid = ANY ($3)) AND ($4::bigint[] = '{{}}' OR f.id = ANY ($4))
                AND ({parents}::text[] = '{{}}' OR f.parent_uid = ANY ({parents})) AND \
        ({folder_ids}::bigint[] = '{{}}' OR f.id = ANY ({folder_ids}))"
    )
}

/// The folders that meet a condition and are allowed. `$7` has the allowed ones, and is NULL for all.
fn folders(condition: &str) -> String {
    format!(
        "SELECT f.id, f.uid, f.lower_title, true AS is_folder FROM folders f WHERE f.org_id = $1 AND {condition} AND {}",
        allows_folder(Place(7))
    )
}

/// The folders that meet the conditions, looked up by a column for each of a list of uids.
fn folders_by(column: &str, uids: Place) -> String {
    format!(
        "SELECT f.id, f.uid, f.lower_title, true AS is_folder FROM unnest({uids}::text[]) AS named (uid)
            CROSS JOIN LATERAL (SELECT * FROM folders f WHERE f.org_id = $1 AND f.{column} = named.uid OFFSET 0) AS f \
        WHERE {}",
        folder_conditions(Place(5), Place(6))
    )
}

/// A page of folders from the title `$10` and uid `$11` on.
fn folders_page(folders: &str) -> String {
    format!(
        "SELECT f.id, f.uid, f.title, f.slug, true AS is_folder, '{{}}'::text[] AS tags, f.parent_uid AS folder_uid,
                f.lower_title
            FROM ({folders} AND (f.lower_title, f.uid) >= ($10, $11) ORDER BY f.lower_title, f.uid LIMIT $8 OFFSET $9) AS page
            CROSS JOIN LATERAL (SELECT * FROM folders f WHERE f.org_id = $1 AND f.id = page.id OFFSET 0) AS f
            ORDER BY page.lower_title, page.uid"
    )
}

/// A page of folders, and their total number.
pub(super) struct FolderStatements {
    pub(super) page: String,
    pub(super) count: String,
}

impl FolderStatements {
    fn of(folders: &str) -> Self {
        Self { page: folders_page(folders), count: format!("SELECT count(*) FROM ({folders}) AS found") }
    }
}

/// Statements that are made at first use.
type Folders = LazyLock<FolderStatements>;

/// In the order of titles, until the page is full.
pub(super) static FOLDERS: Folders =
    Folders::new(|| FolderStatements::of(&folders(&met_by_many(&folder_conditions(Place(5), Place(6))))));
/// For folders that are named.
pub(super) static NAMED_FOLDERS: Folders =
    Folders::new(|| FolderStatements::of(&folders(&folder_conditions(Place(5), Place(6)))));
/// For folders inside the folders `$5`.
pub(super) static FOLDERS_INSIDE: Folders = Folders::new(|| {
    let inside = folders_by("parent_uid", Place(5));
    FolderStatements::of(&format!("{inside} AND {}", allows_folder(Place(7))))
});
/// For few allowed folders, one by one.
pub(super) static FEW_FOLDERS: Folders = Folders::new(|| FolderStatements::of(&folders_by("uid", Place(7))));

/// The conditions on dashboards except words and folders. All tags, and a tag for each pattern, must be present.
const CONDITIONS: &str =
    "($3::text[] = '{}' OR d.uid = ANY ($3)) AND ($4::bigint[] = '{}' OR d.id = ANY ($4))
                AND ($6::text[] = '{}' OR d.tags @> $6)
                AND ($10::text[] = '{}' OR NOT EXISTS (SELECT FROM unnest($10) AS pattern
                    WHERE NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE tag LIKE pattern)))";

/// The condition that a dashboard is in one of some folders, if any are named.
const IN_FOLDERS: &str = " AND ($5::text[] = '{}' OR d.folder_uid = ANY ($5))";

/// The condition that each word is in the title of a dashboard or in one of its tags.
const HAS_WORDS_IN_TAGS: &str = "NOT EXISTS (
            SELECT FROM unnest(string_to_array(lower($2), E'\n')) AS word WHERE d.lower_title NOT LIKE word
                AND NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE lower(tag) LIKE word))";

/// The matching dashboards whose `deleted` meets the beginning of the condition, and that meet the rest of it.
fn dashboards(condition: &str) -> String {
    dashboards_allowed(condition, "")
}

/// The same, with a further condition on access by a folder.
fn dashboards_allowed(condition: &str, and: &str) -> String {
    let allowed = ALLOWED.allows_dashboard(and);
    format!(
        "SELECT d.id, d.uid, d.lower_title, false AS is_folder FROM dashboards d WHERE d.org_id = $1 AND d.deleted {condition} \
        AND {CONDITIONS}{IN_FOLDERS} AND {allowed}"
    )
}

/// The conditions on dashboards without uids, ids and tags. All statements have the same parameters.
fn words_alone() -> String {
    format!("{} AND ($3::text[], $4::bigint[], $6::text[], $10::text[]) IS NOT NULL", has_words("d"))
}

/// The conditions on dashboards with these.
fn words_and_tags(words: &str) -> String {
    format!("{words} AND {CONDITIONS}")
}

/// The matching dashboards, looked up in each of some folders.
fn dashboards_inside(condition: &str) -> String {
    let allowed = ALLOWED.allows_dashboard("");
    format!(
        "SELECT d.id, d.uid, d.lower_title, false AS is_folder FROM unnest($5::text[]) AS inside (uid)
            CROSS JOIN LATERAL (SELECT d.id, d.uid, d.lower_title FROM dashboards d
                WHERE d.org_id = $1 AND d.folder_uid = inside.uid AND d.deleted IS NULL AND {condition} AND {allowed} \
        OFFSET 0) AS d"
    )
}

/// The same, and dashboards elsewhere that are granted individually.
fn few_dashboards(condition: &str) -> String {
    let (inside, among) = (dashboards_inside(condition), among(Place(5), "text"));
    format!(
        "SELECT * FROM ({inside} UNION ALL SELECT d.id, d.uid, d.lower_title, false FROM unnest($11::bigint[]) AS granted (id)
            CROSS JOIN LATERAL (SELECT * FROM dashboards d
                WHERE d.org_id = $1 AND d.id = granted.id AND d.deleted IS NULL OFFSET 0) AS d
            WHERE d.folder_uid NOT IN {among} AND {condition}) AS d"
    )
}

/// A page of dashboards.
fn dashboards_page(dashboards: &str) -> String {
    format!(
        "SELECT d.id, d.uid, d.title, d.slug, false AS is_folder, d.tags, d.folder_uid, d.lower_title FROM ({dashboards} \
        ORDER BY d.lower_title, d.uid LIMIT $8 OFFSET $9) AS page
            CROSS JOIN LATERAL (
                SELECT * FROM dashboards d WHERE d.org_id = $1 AND d.id = page.id /* deleted or not */ OFFSET 0) AS d
            ORDER BY page.lower_title, page.uid"
    )
}

/// A page of folders and dashboards together. The limit of both is `$16`, the end of the page.
fn mixed_page(dashboards: &str, way: &str) -> String {
    let folders = folders(&folder_conditions(Place(20), Place(19)));
    format!(
        "SELECT found.* FROM (
                SELECT id, lower_title, uid, is_folder FROM (
                    (SELECT * FROM ({folders}) AS f WHERE $17 ORDER BY f.lower_title {way}, f.uid {way} LIMIT $16)
                    UNION ALL
                    (SELECT * FROM ({dashboards}) AS d WHERE $18 ORDER BY d.lower_title {way}, d.uid {way} LIMIT $16)
                ) AS both_kinds
                ORDER BY lower_title {way}, uid {way} LIMIT $8 OFFSET $9) AS page
            CROSS JOIN LATERAL (
                SELECT f.id, f.uid, f.title, f.slug, true AS is_folder, '{{}}'::text[] AS tags,
                    f.parent_uid AS folder_uid
                FROM folders f WHERE page.is_folder AND f.org_id = $1 AND f.id = page.id
                UNION ALL
                SELECT d.id, d.uid, d.title, d.slug, false, d.tags, d.folder_uid
                FROM dashboards d
                WHERE NOT page.is_folder AND d.org_id = $1 AND d.id = page.id /* deleted or not */) AS found
            ORDER BY page.lower_title {way}, page.uid {way}"
    )
}

/// A page of the past. Its folders are passed as parameters, because they come from the log; a dashboard has the state
/// of its last version then, but one that was restored from the trash since that version is in the folder it was
/// restored to, and has the id it had. The readable part of its address is derived from its title. Those who may not
/// see everything see what still exists and is visible to them today.
fn past_page(order: &str) -> String {
    let (allowed, folder_conditions) =
        (ALLOWED.allows_dashboard(""), folder_conditions(Place(20), Place(19)));
    let has_words = has_words("d");
    format!(
        "WITH visible AS (
                SELECT d.id FROM dashboards d WHERE d.org_id = $1 AND d.deleted IS NULL AND {allowed}),
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
                SELECT f.id, f.uid, f.title, f.lower_title, f.slug, true AS is_folder, '{{}}'::text[] AS tags,
                    f.parent_uid AS folder_uid
                FROM past_folders f WHERE $17 AND {folder_conditions} UNION ALL
                SELECT d.id, d.uid, d.title, d.lower_title, d.slug, false, d.tags, d.folder_uid
                FROM past_dashboards d WHERE $18 AND {has_words} AND {CONDITIONS}{IN_FOLDERS}) AS found \
        ORDER BY {order} LIMIT least($8::bigint, $16::bigint) OFFSET $9"
    )
}

/// A statement for each order: dashboards alone by title, and both kinds together.
pub(super) struct Way {
    pub(super) dashboards: String,
    pub(super) ascending: String,
    pub(super) descending: String,
}

impl Way {
    fn of(dashboards: &str) -> Self {
        Self {
            dashboards: dashboards_page(dashboards),
            ascending: mixed_page(dashboards, "ASC"),
            descending: mixed_page(dashboards, "DESC"),
        }
    }
}

/// Statements that are made at first use.
type Ways = LazyLock<Way>;

/// The function that finds words and tags, which returns its matches in order.
fn found(descending: bool) -> String {
    format!(
        "SELECT d.id, d.uid, d.lower_title, false AS is_folder
            FROM find_dashboards($1, string_to_array($2, E'\n'), NULL, $6, $10, false, $7, $11, $12, $13, $14, $15, $16, 0, \
        {descending}) AS d WHERE true{IN_FOLDERS}"
    )
}

/// Scans the titles in order, until the page is full. Without folders it has parameters of its own, and starts at the
/// title `$10` and uid `$11`.
pub(super) static BY_TITLE: Ways = Ways::new(|| {
    let allowed = AllowedPlaces::from(Place(2)).allows_dashboard("");
    let all = format!(
        "SELECT d.id, d.uid, d.lower_title FROM dashboards d WHERE d.org_id = $1 AND d.deleted IS NULL AND {allowed} \
        AND (d.lower_title, d.uid) >= ($10, $11)"
    );
    Way { dashboards: dashboards_page(&all), ..Way::of(&dashboards("IS NULL AND $2::text IS NOT NULL")) }
});
/// By the words of titles and by tags. Without folders it has parameters of its own, and the function stands alone,
/// because a function joined with tables cannot be distributed.
pub(super) static BY_WORDS_AND_TAGS: Ways = Ways::new(|| {
    Way {
    dashboards: "SELECT id, uid, title, slug, false AS is_folder, tags, folder_uid
        FROM find_dashboards($1, string_to_array($2, E'\n'), string_to_array($3, E'\n'), $4, $5, $6, $7, $8, $9, $10, $11,
            $12, $13, $14, false)"
        .to_owned(),
    ascending: mixed_page(&found(false), "ASC"),
    descending: mixed_page(&found(true), "DESC"),
}
});
/// The same on distributed tables, where no function can be joined.
pub(super) static BY_WORDS_AND_TAGS_DISTRIBUTED: Ways = Ways::new(|| Way {
    dashboards: BY_WORDS_AND_TAGS.dashboards.clone(),
    ..Way::of(&dashboards(&format!("IS NULL AND {}", has_words("d"))))
});
/// The first page of a search for words, for those who may see everything: it runs at each keystroke. It has parameters
/// of its own.
pub(super) const FIRST_BY_WORDS: &str = "SELECT id, uid, title, slug, is_folder, tags, folder_uid
    FROM find_by_words($1, $2, $3, $4, $5, $6)";
/// By a word that occurs in many titles. It has parameters of its own.
pub(super) const BY_COMMON_WORD: &str = "SELECT id, uid, title, slug, false AS is_folder, tags, folder_uid
    FROM find_by_common_word($1, string_to_array($2, E'\n'), $3, $4, $5, $6, $7, $8, $9, $10, $11)";
/// By the words of titles and tags.
pub(super) static BY_WORDS_IN_TAGS: Ways =
    Ways::new(|| Way::of(&dashboards(&format!("IS NULL AND {HAS_WORDS_IN_TAGS}"))));
pub(super) static BY_UID: Ways =
    Ways::new(|| Way::of(&dashboards(&format!("IS NULL AND d.uid = ANY ($3) AND {}", has_words("d")))));
pub(super) static BY_ID: Ways =
    Ways::new(|| Way::of(&dashboards(&format!("IS NULL AND d.id = ANY ($4) AND {}", has_words("d")))));
/// In the folders `$5`.
pub(super) static INSIDE: Ways = Ways::new(|| Way::of(&dashboards_inside(&words_alone())));
pub(super) static INSIDE_BY_TAGS: Ways =
    Ways::new(|| Way::of(&dashboards_inside(&words_and_tags(&has_words("d")))));
pub(super) static INSIDE_BY_WORDS_IN_TAGS: Ways =
    Ways::new(|| Way::of(&dashboards_inside(&words_and_tags(HAS_WORDS_IN_TAGS))));
/// In the folders `$5`, which are all that the actor may see, and individually granted dashboards.
pub(super) static FEW: Ways = Ways::new(|| Way::of(&few_dashboards(&words_alone())));
pub(super) static FEW_BY_TAGS: Ways =
    Ways::new(|| Way::of(&few_dashboards(&words_and_tags(&has_words("d")))));
pub(super) static FEW_BY_WORDS_IN_TAGS: Ways =
    Ways::new(|| Way::of(&few_dashboards(&words_and_tags(HAS_WORDS_IN_TAGS))));
/// A dashboard in the trash belongs to the folder it was deleted from, and not to another one that was created since
/// with the same uid.
pub(super) static IN_TRASH: Ways = Ways::new(|| {
    let created_before =
        " AND d.deleted > (SELECT f.created FROM folders f WHERE f.org_id = $1 AND f.uid = d.folder_uid)";
    Way::of(&dashboards_allowed(&format!("IS NOT NULL AND {}", has_words("d")), created_before))
});
pub(super) static IN_PAST: Ways = Ways::new(|| Way {
    dashboards: past_page("is_folder DESC, lower_title, uid"),
    ascending: past_page("lower_title ASC, uid ASC"),
    descending: past_page("lower_title DESC, uid DESC"),
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_beside_distributed_tables() {
        let Way { ascending, descending, .. } = &*BY_WORDS_AND_TAGS_DISTRIBUTED;
        assert!(!ascending.contains("find_dashboards") && !descending.contains("find_dashboards"));
        assert!(BY_WORDS_AND_TAGS.ascending.contains("FROM find_dashboards($1"));
        let alone = &BY_WORDS_AND_TAGS_DISTRIBUTED.dashboards;
        assert!(alone.contains("find_dashboards") && !alone.contains("FROM dashboards"));
    }

    #[test]
    fn each_parameter_is_where_it_is_given() {
        assert!(BY_TITLE.dashboards.contains("($2::text[] IS NULL OR"));
        for way in [&INSIDE, &FEW, &BY_UID, &IN_TRASH] {
            assert!(
                way.dashboards.contains("($7::text[] IS NULL OR") && way.dashboards.contains("$12::smallint")
            );
        }
    }
}
