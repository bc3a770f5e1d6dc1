-- Read model of stars. The id tells a dashboard from another one that had the uid before.
CREATE TABLE stars (
    org_id bigint NOT NULL,
    user_id bigint NOT NULL,
    dashboard_uid text NOT NULL,
    dashboard_id bigint NOT NULL,
    PRIMARY KEY (org_id, user_id, dashboard_uid)
);
CREATE INDEX ON stars (org_id, dashboard_uid);
ALTER TABLE stars ENABLE ROW LEVEL SECURITY;
ALTER TABLE stars FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON stars USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON stars TO kymograph_app;
