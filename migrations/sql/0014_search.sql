-- Searching by the words of a title, see docs/adr/0015-search.md.

-- Titles as they are compared and sorted.
ALTER TABLE folders ADD COLUMN lower_title text GENERATED ALWAYS AS (lower(title)) STORED;
ALTER TABLE dashboards ADD COLUMN lower_title text GENERATED ALWAYS AS (lower(title)) STORED;
CREATE INDEX ON folders (org_id, lower_title, uid);
CREATE INDEX ON dashboards (org_id, lower_title, uid) WHERE deleted IS NULL;
CREATE INDEX ON dashboards (org_id, lower_title, uid) WHERE deleted IS NOT NULL;
DROP INDEX dashboards_org_id_title_idx;

-- Row level security keeps indexes on parts of titles, and statistics about titles, from being used. A role of its own
-- is above it; it cannot log in, and owns nothing but the function below, which looks at the current tenant only.
-- Whoever may not make such a role gets one without the privilege, and searches that read all titles of an org.
RESET ROLE;
DO $$
BEGIN
    BEGIN
        CREATE ROLE kymograph_search NOLOGIN NOSUPERUSER BYPASSRLS NOCREATEDB NOCREATEROLE;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN
            CREATE ROLE kymograph_search NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
            RAISE WARNING 'a superuser can make searching faster: ALTER ROLE kymograph_search BYPASSRLS';
    END;
    EXECUTE format('GRANT kymograph_search TO %I', current_user);
END
$$;
GRANT USAGE, CREATE ON SCHEMA public TO kymograph_search;

-- Both extensions come with PostgreSQL, though some packages leave them out.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE EXTENSION IF NOT EXISTS btree_gin;
EXCEPTION
    WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
        RAISE WARNING 'searching reads all titles of an org, because an extension is missing: %', sqlerrm;
END
$$;

SET LOCAL ROLE kymograph_owner;
GRANT SELECT ON dashboards TO kymograph_search;
DO $$
DECLARE
    operators text;
BEGIN
    SELECT format('%I.gin_trgm_ops', nspname) INTO operators
        FROM pg_opclass JOIN pg_namespace ON pg_namespace.oid = opcnamespace
        WHERE opcname = 'gin_trgm_ops' AND EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin');
    IF operators IS NOT NULL THEN
        EXECUTE format('CREATE INDEX ON dashboards USING gin (org_id, lower_title %s) WHERE deleted IS NULL', operators);
    END IF;
END
$$;

-- The dashboards of the current tenant whose titles match all patterns: the first of them by title, or all. Each call is
-- planned for its patterns, because rare words are found by the index on parts, and common ones by going through the
-- titles in order until there are enough.
SET LOCAL ROLE kymograph_search;
CREATE FUNCTION match_dashboards(tenant bigint, patterns text[], at_most bigint, descending boolean)
    RETURNS SETOF dashboards LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
    conditions text;
    direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
BEGIN
    IF tenant IS DISTINCT FROM app_org_id() THEN
        RETURN;
    END IF;
    SELECT coalesce(string_agg(format(' AND lower_title LIKE %L', lower(pattern)), ''), '') INTO conditions
        FROM unnest(patterns) AS pattern;
    RETURN QUERY EXECUTE format('SELECT * FROM public.dashboards WHERE org_id = $1 AND deleted IS NULL %s
        ORDER BY lower_title %s, uid %s LIMIT $2', conditions, direction, direction) USING tenant, at_most;
END
$$;
REVOKE EXECUTE ON FUNCTION match_dashboards FROM PUBLIC;
GRANT EXECUTE ON FUNCTION match_dashboards TO kymograph_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kymograph_search;
SET LOCAL ROLE kymograph_owner;
