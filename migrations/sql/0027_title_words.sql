-- Common words, see docs/adr/0015-search.md. Where a word is in many titles, and all of those come late in their order, going
-- through the titles until a page is full passes over all that come before, and the index on parts finds all that match. So for
-- each word it is kept how the titles begin that it is or was in: as far as their first digit after eight characters, for which 0
-- stands, and at most 32 characters. Such a beginning stands for a stretch in the order of titles, and only those stretches
-- are gone through that can have the word. A word with the empty beginning is in any title at all, and the word * stands for
-- any in titles of more than 20 words, or with one of more than 64 bytes. Words are what is between separators; those of digits
-- alone and of less than three bytes are not kept.
--
-- Distributed by org_id.
CREATE TABLE title_words (
    org_id bigint NOT NULL,
    word text COLLATE "C" NOT NULL,
    beginning text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, word, beginning)
);

-- The owner is bound by row level security too, and this concerns all tenants.
ALTER TABLE dashboards NO FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard_versions NO FORCE ROW LEVEL SECURITY;
-- Many titles have the same words, digits aside, and begin alike.
SET LOCAL work_mem = '64MB';
INSERT INTO title_words
    SELECT DISTINCT org_id, lower(word), part.beginning FROM (
        SELECT DISTINCT org_id, beginning, words FROM (
            SELECT org_id, regexp_replace(left(lower(title), 32), '^(.{8}[^0-9]*)[0-9].*$', '\10') AS beginning, ARRAY(
                SELECT word FROM unnest(string_to_array(translate(title, E'\n -_/()[]{},;|=+*&%$#@!?<>"\\~', repeat(' ', 29)), ' ')) AS word
                WHERE octet_length(word) >= 3 AND ltrim(word, '0123456789') <> '') AS words
            FROM (SELECT org_id, title FROM dashboards UNION ALL SELECT org_id, title FROM dashboard_versions) AS titles
        ) AS titles) AS titles,
    unnest(CASE WHEN cardinality(words) > 20 OR EXISTS (SELECT FROM unnest(words) AS word WHERE octet_length(word) > 64)
        THEN '{*}' ELSE words END) AS word, unnest(ARRAY['', titles.beginning]) AS part (beginning);
RESET work_mem;
ALTER TABLE dashboards FORCE ROW LEVEL SECURITY;
ALTER TABLE dashboard_versions FORCE ROW LEVEL SECURITY;

ALTER TABLE title_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE title_words FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON title_words USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON title_words TO kymograph_app;
GRANT SELECT ON title_words TO kymograph_search;

-- As for the parts of titles in 0014.
DO $$
DECLARE
    operators text;
BEGIN
    SELECT format('%I.gin_trgm_ops', nspname) INTO operators
        FROM pg_opclass JOIN pg_namespace ON pg_namespace.oid = opcnamespace
        WHERE opcname = 'gin_trgm_ops' AND EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gin');
    IF operators IS NOT NULL THEN
        EXECUTE format('CREATE INDEX title_words_by_part ON title_words USING gin (org_id, word %s) WHERE beginning = ''''', operators);
    END IF;
END
$$;
CREATE INDEX title_words_by_word ON title_words (org_id, word) WHERE beginning = '';
ANALYZE title_words;

RESET ROLE;
GRANT USAGE, CREATE ON SCHEMA public TO kymograph_search;
SET LOCAL ROLE kymograph_search;

-- A page of the dashboards of the current tenant, by title, whose titles match all patterns and that the actor may see (see
-- find_dashboards in 0020), for patterns that many titles match: found by going through the stretches of titles that can
-- have a word that matches a part of one of the patterns. Beyond 1,000 stretches it is everything that follows, and of more
-- than 32 words, or where titles are not in the order of their characters, it is everything.
CREATE FUNCTION find_by_common_word(
        tenant bigint, patterns text[], part text, in_folders text[], granted bigint[], level smallint,
        default_level smallint, actor bigint, creator_since timestamptz, size bigint, skipped bigint
    )
    RETURNS TABLE (id bigint, uid text, title text, slug text, tags text[], folder_uid text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1000
    SET search_path = pg_catalog, public, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    max_words CONSTANT int := 32;
    max_stretches CONSTANT int := 1000;
    -- No title is longer.
    behind_all CONSTANT text := repeat(chr(1114111), 400);
    lowered text[] := ARRAY(SELECT lower(pattern) FROM unnest(patterns) AS pattern);
    first text := coalesce(lowered[1], '%');
    in_order boolean;
    words text[];
    beginnings text[] := ARRAY[''];
    open_from int := 1;
BEGIN
    IF tenant IS DISTINCT FROM app_org_id() THEN
        RETURN;
    END IF;
    SELECT CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'b' THEN true WHEN 'i' THEN false
        ELSE datcollate IN ('C', 'POSIX') END INTO in_order FROM pg_database AS d WHERE datname = current_database();
    words := ARRAY(SELECT word FROM public.title_words
        WHERE org_id = tenant AND beginning = '' AND word LIKE lower(part) LIMIT max_words + 1);
    IF in_order AND cardinality(words) <= max_words THEN
        open_from := max_stretches + 1;
        beginnings := ARRAY(SELECT DISTINCT found.beginning
            FROM unnest(array_append(words, '*')) AS wanted CROSS JOIN LATERAL (
                SELECT beginning FROM public.title_words
                WHERE org_id = tenant AND word = wanted AND beginning > '' ORDER BY beginning LIMIT open_from) AS found
            ORDER BY found.beginning LIMIT open_from);
    END IF;
    -- What PostgreSQL cannot estimate it takes for rare: it would find all that match before it sorts them.
    RETURN QUERY SELECT d.id, d.uid, d.title, d.slug, d.tags, d.folder_uid FROM (
            SELECT found.id, found.uid, found.lower_title
            FROM unnest(beginnings) WITH ORDINALITY AS stretch (low, number) CROSS JOIN LATERAL (
                SELECT d.id, d.uid, d.lower_title FROM public.dashboards d
                WHERE d.org_id = tenant AND d.deleted IS NULL AND d.lower_title >= low
                    AND d.lower_title < CASE WHEN number >= open_from THEN behind_all
                        WHEN length(low) > 8 AND right(low, 1) = '0' THEN left(low, -1) || ':'
                        WHEN length(low) = 32 THEN low || behind_all ELSE low || E'\x01' END
                    AND CASE WHEN d.lower_title LIKE first AND d.lower_title LIKE ALL (lowered) THEN true ELSE false END
                    AND (in_folders IS NULL OR d.folder_uid IN (SELECT unnest((SELECT in_folders)))
                        OR d.id IN (SELECT unnest((SELECT granted)))
                        OR (d.folder_uid = '' AND (default_level >= level OR (d.creator_id = actor AND d.created >= creator_since))
                            AND NOT EXISTS (SELECT FROM public.resource_permissions p
                                WHERE p.org_id = tenant AND p.kind = 'dashboard' AND p.uid = d.uid)))
                ORDER BY d.lower_title, d.uid OFFSET 0) AS found
            LIMIT size OFFSET skipped) AS page
        CROSS JOIN LATERAL (SELECT * FROM public.dashboards d WHERE d.org_id = tenant AND d.id = page.id OFFSET 0) AS d
        ORDER BY page.lower_title, page.uid;
END
$$;
REVOKE EXECUTE ON FUNCTION find_by_common_word FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_by_common_word TO kymograph_app;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM kymograph_search;
SET LOCAL ROLE kymograph_owner;

-- As in 0020, but folders are compared with the first word before all: most lack it, and a list takes twice the time.
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
    first text := patterns[1];
BEGIN
    PERFORM set_config('app.org_id', tenant::text, true);
    RETURN QUERY
        (SELECT id, uid, title, slug, true, '{}'::text[], parent_uid FROM folders
            WHERE org_id = tenant AND with_folders
                AND CASE WHEN lower_title LIKE first AND lower_title LIKE ALL (patterns) THEN true ELSE false END
            ORDER BY lower_title, uid LIMIT size)
        UNION ALL
        (SELECT id, uid, title, slug, false, tags, folder_uid
            FROM match_dashboards(tenant, string_to_array(words, E'\n'), string_to_array(parts, E'\n'), size, false)
            WHERE with_dashboards LIMIT size);
END
$$;
