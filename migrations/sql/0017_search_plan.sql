-- Up to three words are looked for by a statement that is parsed once. It is planned for its patterns each time still:
-- see 0014.
RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA public TO kymograph_search;
SET LOCAL ROLE kymograph_search;
CREATE OR REPLACE FUNCTION match_dashboards(tenant bigint, patterns text[], at_most bigint, descending boolean)
    RETURNS SETOF dashboards LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = pg_catalog, public, pg_temp
    SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    one text := lower(patterns[1]);
    two text := lower(patterns[2]);
    three text := lower(patterns[3]);
    conditions text;
    direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
BEGIN
    IF tenant IS DISTINCT FROM app_org_id() THEN
        RETURN;
    END IF;
    IF cardinality(patterns) > 3 THEN
        SELECT string_agg(format(' AND lower_title LIKE %L', lower(pattern)), '') INTO conditions
            FROM unnest(patterns) AS pattern;
        RETURN QUERY EXECUTE format('SELECT * FROM public.dashboards WHERE org_id = $1 AND deleted IS NULL %s
            ORDER BY lower_title %s, uid %s LIMIT $2', conditions, direction, direction) USING tenant, at_most;
    ELSIF descending THEN
        RETURN QUERY SELECT * FROM public.dashboards WHERE org_id = tenant AND deleted IS NULL
            AND (one IS NULL OR lower_title LIKE one) AND (two IS NULL OR lower_title LIKE two)
            AND (three IS NULL OR lower_title LIKE three)
            ORDER BY lower_title DESC, uid DESC LIMIT at_most;
    ELSE
        RETURN QUERY SELECT * FROM public.dashboards WHERE org_id = tenant AND deleted IS NULL
            AND (one IS NULL OR lower_title LIKE one) AND (two IS NULL OR lower_title LIKE two)
            AND (three IS NULL OR lower_title LIKE three)
            ORDER BY lower_title, uid LIMIT at_most;
    END IF;
END
$$;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kymograph_search;
SET LOCAL ROLE kymograph_owner;
