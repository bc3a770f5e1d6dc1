-- Read model of correlations. Without a data source as its target, `target_uid` is empty.
CREATE TABLE correlations (
    org_id bigint NOT NULL,
    uid text NOT NULL,
    source_uid text NOT NULL,
    target_uid text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (org_id, uid)
);
CREATE INDEX ON correlations (org_id, source_uid, uid);
CREATE INDEX ON correlations (org_id, target_uid);

ALTER TABLE correlations ENABLE ROW LEVEL SECURITY;
ALTER TABLE correlations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON correlations USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON correlations TO kymograph_app;
