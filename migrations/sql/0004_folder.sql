-- Read model of folders. The parent of a folder at the root is the empty text.
CREATE TABLE folders (
    org_id bigint NOT NULL,
    uid text NOT NULL,
    id bigint NOT NULL,
    title text NOT NULL,
    slug text NOT NULL,
    description text NOT NULL,
    parent_uid text NOT NULL,
    version bigint NOT NULL,
    created timestamptz NOT NULL,
    created_by text NOT NULL,
    updated timestamptz NOT NULL,
    updated_by text NOT NULL,
    PRIMARY KEY (org_id, uid),
    UNIQUE (org_id, id)
);
CREATE INDEX ON folders (org_id, parent_uid, title);
ALTER TABLE folders ENABLE ROW LEVEL SECURITY;
ALTER TABLE folders FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON folders USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON folders TO kymograph_app;
