-- Read model of open invites. The code of an invite is a secret: 'invite/<id>/code'.
CREATE TABLE invites (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    invited_by bigint NOT NULL,
    created timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id)
);
ALTER TABLE invites ENABLE ROW LEVEL SECURITY;
ALTER TABLE invites FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON invites USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON invites TO kymograph_app;
