-- Lists of what an actor may see, see docs/adr/0027-allowed-contents.md. They go through dashboards and folders in the order of
-- titles, or through the dashboards of some folders, and look at nothing but an index until a page is full: so these
-- indexes have all that decides on who may see a row.
DROP INDEX dashboards_org_id_lower_title_uid_idx;
CREATE INDEX dashboards_by_title ON dashboards (org_id, lower_title, uid)
    INCLUDE (folder_uid, id, creator_id, created) WHERE deleted IS NULL;
DROP INDEX dashboards_org_id_folder_uid_title_idx;
CREATE INDEX dashboards_by_folder ON dashboards (org_id, folder_uid, lower_title, uid)
    INCLUDE (id, creator_id, created) WHERE deleted IS NULL;
DROP INDEX folders_org_id_lower_title_uid_idx;
CREATE INDEX folders_by_title ON folders (org_id, lower_title, uid) INCLUDE (id, parent_uid);

-- As for the parts of titles in 0014.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin') THEN
        CREATE INDEX dashboards_by_tag ON dashboards USING gin (org_id, tags) WHERE deleted IS NULL;
    END IF;
END
$$;
GRANT SELECT ON resource_permissions TO kymograph_search;
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA public TO kymograph_search;
SET LOCAL ROLE kymograph_search;

-- A page of the dashboards of the current tenant, by title: those whose titles match all patterns, and that have all tags and a
-- tag for each pattern of tags. Of folders and single dashboards that are named only what is in them is found, and at the root
-- what is open to the actor; where no folders are named (NULL), everything is. Whoever knows a part of each pattern that is
-- rarer than the rest can name it (see 0018).
--
-- It is planned for what is looked for each time, but not for the folders: to estimate how many dashboards are in each of
-- thousands takes longer than to find them. Where most dashboards have the tags, it is better to go through the titles and
-- look at the tags of what the actor may see than to look at the tags of all.
CREATE FUNCTION find_dashboards(
        tenant bigint, patterns text[], parts text[], wanted_tags text[], tag_patterns text[], tags_are_common boolean,
        in_folders text[], granted bigint[], level smallint, default_level smallint, actor bigint, creator_since timestamptz,
        size bigint, skipped bigint, descending boolean
    )
    RETURNS TABLE (
        id bigint, uid text, title text, lower_title text, slug text, tags text[], folder_uid text
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
    by_words text;
    by_parts text;
    by_tags text := '';
    by_rights text := '';
    tagged text := '';
BEGIN
    IF tenant IS DISTINCT FROM app_org_id() THEN
        RETURN;
    END IF;
    SELECT coalesce(string_agg(format(' AND lower_title LIKE %L', lower(pattern)), ''), '') INTO by_words
        FROM unnest(patterns) AS pattern;
    SELECT string_agg(format(' AND lower_title LIKE %L', lower(part)), '') INTO by_parts FROM unnest(parts) AS part;
    IF by_parts IS NULL OR by_parts = by_words THEN
        by_parts := by_words;
        by_words := '';
    END IF;
    IF cardinality(wanted_tags) > 0 THEN
        by_tags := ' AND d.tags @> $2';
    END IF;
    IF cardinality(tag_patterns) > 0 THEN
        by_tags := by_tags || ' AND NOT EXISTS (SELECT FROM unnest($3) AS pattern
            WHERE NOT EXISTS (SELECT FROM unnest(d.tags) AS tag WHERE tag LIKE pattern))';
    END IF;
    IF in_folders IS NOT NULL THEN
        by_rights := ' AND (d.folder_uid IN (SELECT unnest((SELECT $4))) OR d.id IN (SELECT unnest((SELECT $5)))
            OR (d.folder_uid = '''' AND ($7 >= $6 OR (d.creator_id = $8 AND d.created >= $9))
                AND NOT EXISTS (SELECT FROM public.resource_permissions p
                    WHERE p.org_id = $1 AND p.kind = ''dashboard'' AND p.uid = d.uid)))';
    END IF;
    IF tags_are_common AND by_tags <> '' THEN
        tagged := format(' AND (SELECT true %s FROM public.dashboards d WHERE d.org_id = $1 AND d.id = found.id)', by_tags);
        by_tags := '';
    END IF;
    -- OFFSET 0 keeps what is outside from the index. What is around it has no order of its own, because then PostgreSQL would
    -- plan what is inside for all rows instead of for a page.
    RETURN QUERY EXECUTE format(
        'SELECT d.id, d.uid, d.title, d.lower_title, d.slug, d.tags, d.folder_uid FROM (
            SELECT found.id, found.uid, found.lower_title FROM (
                SELECT d.id, d.uid, d.lower_title FROM public.dashboards d
                WHERE d.org_id = $1 AND d.deleted IS NULL %1$s %2$s %3$s
                ORDER BY d.lower_title %6$s, d.uid %6$s OFFSET 0) AS found
            WHERE true %4$s %5$s LIMIT $10 OFFSET $11) AS page
        CROSS JOIN LATERAL (SELECT * FROM public.dashboards d WHERE d.org_id = $1 AND d.id = page.id OFFSET 0) AS d
        ORDER BY page.lower_title %6$s, page.uid %6$s',
        by_parts, by_tags, by_rights, tagged, by_words, direction)
    USING tenant, wanted_tags, tag_patterns, in_folders, granted, level, default_level, actor, creator_since, size, skipped;
END
$$;
REVOKE EXECUTE ON FUNCTION find_dashboards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_dashboards TO kymograph_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kymograph_search;
SET LOCAL ROLE kymograph_owner;

-- As in 0018, but the words are taken apart once and not for each folder, and folders are gone through in order.
CREATE OR REPLACE FUNCTION find_by_words(
        tenant bigint, words text, parts text, with_folders boolean, with_dashboards boolean, size bigint
    )
    RETURNS TABLE (
        id bigint, uid text, title text, slug text, is_folder boolean, tags text[], folder_uid text
    )
    LANGUAGE plpgsql STABLE ROWS 1000
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    patterns text[] := string_to_array(lower(words), E'\n');
BEGIN
    PERFORM set_config('app.org_id', tenant::text, true);
    RETURN QUERY
        (SELECT id, uid, title, slug, true, '{}'::text[], parent_uid FROM folders
            WHERE org_id = tenant AND with_folders AND CASE WHEN lower_title LIKE ALL (patterns) THEN true ELSE false END
            ORDER BY lower_title, uid LIMIT size)
        UNION ALL
        (SELECT id, uid, title, slug, false, tags, folder_uid
            FROM match_dashboards(tenant, string_to_array(words, E'\n'), string_to_array(parts, E'\n'), size, false)
            WHERE with_dashboards LIMIT size);
END
$$;
