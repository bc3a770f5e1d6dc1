-- Searching by words, see docs/adr/0015-search.md. What is planned each time (see 0014) is to be as small as can be: it has a
-- statement of its own for one, two and three words, and gives no more columns than others ask for. Its rows are no longer of
-- the type of the table, so that the table can be exchanged under it.
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA public TO kymograph_search;
SET LOCAL ROLE kymograph_search;
DROP FUNCTION match_dashboards;

-- The dashboards of the current tenant whose titles match all patterns: the first of them by title, or all. Whoever knows a
-- part of each that is rarer than the rest can name it, and the index is asked for nothing else.
CREATE FUNCTION match_dashboards(tenant bigint, patterns text[], parts text[], at_most bigint, descending boolean)
    RETURNS TABLE (
        id bigint, uid text, title text, lower_title text, slug text, tags text[], folder_uid text, created timestamptz,
        creator_id bigint
    )
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = pg_catalog, public, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    one text := lower(patterns[1]);
    two text := lower(patterns[2]);
    three text := lower(patterns[3]);
    of_one text := coalesce(lower(parts[1]), one);
    of_two text := coalesce(lower(parts[2]), two);
    of_three text := coalesce(lower(parts[3]), three);
    few int := CASE WHEN descending THEN 0 ELSE cardinality(patterns) END;
    conditions text;
    direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
BEGIN
    IF tenant IS DISTINCT FROM app_org_id() THEN
        RETURN;
    END IF;
    -- OFFSET 0 keeps the patterns from the index.
    CASE few
    WHEN 1 THEN
        RETURN QUERY SELECT * FROM (
            SELECT id, uid, title, lower_title, slug, tags, folder_uid, created, creator_id FROM public.dashboards
            WHERE org_id = tenant AND deleted IS NULL AND lower_title LIKE of_one
            ORDER BY lower_title, uid OFFSET 0) AS found
            WHERE lower_title LIKE one LIMIT at_most;
    WHEN 2 THEN
        RETURN QUERY SELECT * FROM (
            SELECT id, uid, title, lower_title, slug, tags, folder_uid, created, creator_id FROM public.dashboards
            WHERE org_id = tenant AND deleted IS NULL AND lower_title LIKE of_one AND lower_title LIKE of_two
            ORDER BY lower_title, uid OFFSET 0) AS found
            WHERE lower_title LIKE one AND lower_title LIKE two LIMIT at_most;
    WHEN 3 THEN
        RETURN QUERY SELECT * FROM (
            SELECT id, uid, title, lower_title, slug, tags, folder_uid, created, creator_id FROM public.dashboards
            WHERE org_id = tenant AND deleted IS NULL AND lower_title LIKE of_one AND lower_title LIKE of_two
                AND lower_title LIKE of_three
            ORDER BY lower_title, uid OFFSET 0) AS found
            WHERE lower_title LIKE one AND lower_title LIKE two AND lower_title LIKE three LIMIT at_most;
    ELSE
        SELECT string_agg(format(' AND lower_title LIKE %L', lower(pattern)), '') INTO conditions
            FROM unnest(patterns) AS pattern;
        RETURN QUERY EXECUTE format(
            'SELECT id, uid, title, lower_title, slug, tags, folder_uid, created, creator_id FROM public.dashboards
            WHERE org_id = $1 AND deleted IS NULL %s ORDER BY lower_title %s, uid %s LIMIT $2',
            conditions, direction, direction) USING tenant, at_most;
    END CASE;
END
$$;
REVOKE EXECUTE ON FUNCTION match_dashboards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION match_dashboards TO kymograph_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kymograph_search;
SET LOCAL ROLE kymograph_owner;

-- The first page of what words find, for those who may see all: what people see at each key. Patterns and parts are texts of
-- lines. It sets the tenant itself, so that its one message to PostgreSQL is the whole transaction.
CREATE FUNCTION find_by_words(
        tenant bigint, words text, parts text, with_folders boolean, with_dashboards boolean, size bigint
    )
    RETURNS TABLE (
        id bigint, uid text, title text, slug text, is_folder boolean, tags text[], folder_uid text
    )
    LANGUAGE plpgsql STABLE ROWS 1000
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('app.org_id', tenant::text, true);
    RETURN QUERY
        (SELECT id, uid, title, slug, true, '{}'::text[], parent_uid FROM folders
            WHERE org_id = tenant AND with_folders AND lower_title LIKE ALL (string_to_array(lower(words), E'\n'))
            ORDER BY lower_title, uid LIMIT size)
        UNION ALL
        (SELECT id, uid, title, slug, false, tags, folder_uid
            FROM match_dashboards(tenant, string_to_array(words, E'\n'), string_to_array(parts, E'\n'), size, false)
            WHERE with_dashboards LIMIT size);
END
$$;
REVOKE EXECUTE ON FUNCTION find_by_words FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_by_words TO kymograph_app;
