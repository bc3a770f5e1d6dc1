-- Read model of data sources.
CREATE TABLE data_sources (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    uid text NOT NULL,
    name text NOT NULL,
    content text NOT NULL,
    secrets text[] NOT NULL,
    is_default boolean NOT NULL,
    read_only boolean NOT NULL,
    version bigint NOT NULL,
    creator_id bigint NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, uid),
    UNIQUE (org_id, name)
);
CREATE UNIQUE INDEX ON data_sources (org_id) WHERE is_default;

ALTER TABLE data_sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE data_sources FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON data_sources USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON data_sources TO kymograph_app;
