-- Read model of preferences. The owner is 'org' or 'user-<id>'. What nobody chose is an empty text.
CREATE TABLE preferences (
    org_id bigint NOT NULL,
    owner text NOT NULL,
    theme text NOT NULL,
    timezone text NOT NULL,
    week_start text NOT NULL,
    language text NOT NULL,
    regional_format text NOT NULL,
    home_dashboard_uid text NOT NULL,
    query_history_tab text NOT NULL,
    bookmark_urls text[] NOT NULL,
    PRIMARY KEY (org_id, owner)
);
ALTER TABLE preferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE preferences FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON preferences USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON preferences TO kymograph_app;
