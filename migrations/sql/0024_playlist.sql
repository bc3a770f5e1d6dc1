-- Read model of playlists.
CREATE TABLE playlists (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    uid text NOT NULL,
    name text NOT NULL,
    show_for text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, uid)
);
CREATE INDEX ON playlists (org_id, name, uid);

ALTER TABLE playlists ENABLE ROW LEVEL SECURITY;
ALTER TABLE playlists FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON playlists USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON playlists TO kymograph_app;
