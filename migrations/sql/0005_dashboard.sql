-- Read model of dashboards. The document is not copied: pos is the event that has it. A dashboard at the root has
-- the empty text as its folder.
CREATE TABLE dashboards (
    org_id bigint NOT NULL,
    uid text NOT NULL,
    id bigint NOT NULL,
    generation bigint NOT NULL,
    title text NOT NULL,
    slug text NOT NULL,
    tags text[] NOT NULL,
    folder_uid text NOT NULL,
    version bigint NOT NULL,
    pos bigint NOT NULL,
    created timestamptz NOT NULL,
    created_by text NOT NULL,
    updated timestamptz NOT NULL,
    updated_by text NOT NULL,
    PRIMARY KEY (org_id, uid),
    UNIQUE (org_id, id)
) WITH (fillfactor = 70);
CREATE INDEX ON dashboards (org_id, folder_uid, title);
CREATE INDEX ON dashboards (org_id, title);

-- The versions of all dashboards there ever were. A generation is one life of a uid, from creation to deletion.
CREATE TABLE dashboard_versions (
    org_id bigint NOT NULL,
    dashboard_uid text NOT NULL,
    generation bigint NOT NULL,
    version bigint NOT NULL,
    pos bigint NOT NULL,
    restored_from bigint NOT NULL,
    message text NOT NULL,
    created timestamptz NOT NULL,
    created_by text NOT NULL,
    PRIMARY KEY (org_id, dashboard_uid, generation, version)
);

ALTER TABLE dashboards ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboards FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dashboards USING (org_id = app_org_id());
ALTER TABLE dashboard_versions ENABLE ROW LEVEL SECURITY;
ALTER TABLE dashboard_versions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON dashboard_versions USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON dashboards, dashboard_versions TO kymograph_app;
