-- Read model of teams and their members.
CREATE TABLE teams (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    uid text NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, uid),
    UNIQUE (org_id, name)
);

CREATE TABLE team_members (
    org_id bigint NOT NULL,
    team_id bigint NOT NULL,
    user_id bigint NOT NULL,
    permission text NOT NULL,
    PRIMARY KEY (org_id, team_id, user_id)
);
CREATE INDEX ON team_members (org_id, user_id);

ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON teams USING (org_id = app_org_id());
ALTER TABLE team_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE team_members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON team_members USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON teams, team_members TO kymograph_app;
