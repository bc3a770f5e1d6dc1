-- Who may do what with single folders and dashboards. A row in resource_permissions says that one has a list of its
-- own, which may be empty; resource_grants are the lists. A grantee is a text like user:5, team:3 or role:Viewer; a
-- higher level has a higher number.
CREATE TABLE resource_permissions (
    org_id bigint NOT NULL,
    kind text NOT NULL,
    uid text NOT NULL,
    resource_id bigint NOT NULL,
    PRIMARY KEY (org_id, kind, uid)
);
CREATE TABLE resource_grants (
    org_id bigint NOT NULL,
    kind text NOT NULL,
    uid text NOT NULL,
    grantee text NOT NULL,
    level smallint NOT NULL,
    resource_id bigint NOT NULL,
    pos bigint NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, kind, uid, grantee)
);
CREATE INDEX ON resource_grants (org_id, grantee);
ALTER TABLE resource_permissions ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_permissions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON resource_permissions USING (org_id = app_org_id());
ALTER TABLE resource_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON resource_grants USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON resource_permissions, resource_grants TO kymograph_app;

-- Who created a folder or dashboard administers it, as long as it is at the root, has no list of its own, and is
-- younger than its creator's membership.
ALTER TABLE folders ADD COLUMN creator_id bigint NOT NULL DEFAULT 0;
ALTER TABLE dashboards ADD COLUMN creator_id bigint NOT NULL DEFAULT 0;
ALTER TABLE user_orgs ADD COLUMN since timestamptz NOT NULL DEFAULT now();

-- What is there already. Row level security shows the owner of the tables, too, one org at a time only.
DO $$
DECLARE
    org bigint;
BEGIN
    FOR org IN SELECT id FROM orgs LOOP
        PERFORM set_config('app.org_id', org::text, true);
        UPDATE folders f SET creator_id = e.actor_id FROM events e WHERE f.org_id = org
            AND e.org_id = org AND e.stream_id = 'folder-' || f.uid AND e.recorded_at = f.created;
        UPDATE dashboards d SET creator_id = e.actor_id FROM events e WHERE d.org_id = org
            AND e.org_id = org AND e.stream_id = 'dashboard-' || d.uid AND e.recorded_at = d.created;
        UPDATE user_orgs u SET since = m.created FROM memberships m
            WHERE u.member_org_id = org AND m.org_id = org AND m.user_id = u.user_id;
    END LOOP;
    PERFORM set_config('app.org_id', '', true);
END
$$;
ALTER TABLE folders ALTER COLUMN creator_id DROP DEFAULT;
ALTER TABLE dashboards ALTER COLUMN creator_id DROP DEFAULT;
ALTER TABLE user_orgs ALTER COLUMN since DROP DEFAULT;
