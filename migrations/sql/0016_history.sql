-- What was there at a time.

-- The owner is bound by row level security too, and the backfills here concern all tenants.
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;

-- What a search as of a time needs to know of dashboards, which is without their documents. Each version says what the
-- dashboard was called and where it was; the position in the key spares looking at versions that came later.
ALTER TABLE dashboard_versions ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN folder_uid text NOT NULL DEFAULT '';
ALTER TABLE dashboard_versions DROP CONSTRAINT dashboard_versions_pkey,
    ADD PRIMARY KEY (org_id, dashboard_uid, generation, version) INCLUDE (pos);
ALTER TABLE dashboard_versions NO FORCE ROW LEVEL SECURITY;
UPDATE dashboard_versions v SET title = content ->> 'title', folder_uid = coalesce(content ->> 'folder_uid', ''),
        tags = ARRAY (SELECT json_array_elements_text(content -> 'tags'))
    FROM events e, LATERAL (SELECT replace(e.payload, '\u0000', '\ufffd')::json -> 'content') AS contents (content)
    WHERE e.org_id = v.org_id AND e.pos = v.pos;
ALTER TABLE dashboard_versions FORCE ROW LEVEL SECURITY;

-- The times in which a dashboard was there: from its creation, or from when it came out of the trash, to its deletion. The
-- id is 0 where it came out of the trash, because it has the id that it had.
CREATE TABLE dashboard_lives (
    org_id bigint NOT NULL,
    uid text NOT NULL,
    from_pos bigint NOT NULL,
    to_pos bigint NOT NULL,
    id bigint NOT NULL,
    folder_uid text NOT NULL,
    PRIMARY KEY (org_id, uid, from_pos)
);
INSERT INTO dashboard_lives
    SELECT e.org_id, substr(e.stream_id, length('dashboard-') + 1), e.pos,
        coalesce((SELECT min(d.pos) FROM events d WHERE d.org_id = e.org_id AND d.stream_id = e.stream_id
            AND d.pos > e.pos AND d.type = 'dashboard.deleted'), 9223372036854775807),
        coalesce((said ->> 'id')::bigint, 0),
        coalesce(said -> 'content' ->> 'folder_uid', said ->> 'folder_uid', '')
    FROM events e JOIN orgs ON orgs.id = e.org_id,
        LATERAL (SELECT replace(e.payload, '\u0000', '\ufffd')::json) AS payloads (said)
    WHERE e.type IN ('dashboard.created', 'dashboard.restored');
ALTER TABLE dashboard_lives ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard_lives FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dashboard_lives USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON dashboard_lives TO kymograph_app;

ALTER TABLE events FORCE ROW LEVEL SECURITY;
