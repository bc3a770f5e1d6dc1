-- Users and orgs belong to the server, not to a tenant: on Citus these two are reference tables.
CREATE TABLE users (
    id bigint NOT NULL PRIMARY KEY,
    uid text NOT NULL,
    login text NOT NULL,
    email text NOT NULL,
    name text NOT NULL,
    theme text NOT NULL,
    current_org_id bigint NOT NULL,
    is_server_admin boolean NOT NULL,
    is_disabled boolean NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_login ON users (lower(login));
CREATE UNIQUE INDEX users_uid ON users (uid);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE orgs (
    id bigint NOT NULL PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL
);
CREATE UNIQUE INDEX orgs_name ON orgs (name);

CREATE TABLE memberships (
    org_id bigint NOT NULL,
    user_id bigint NOT NULL,
    role text NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX ON memberships (user_id);
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON memberships USING (org_id = app_org_id());
-- At log-in the org is not known yet: the user's own memberships lead to it.
CREATE POLICY own ON memberships FOR SELECT USING (user_id = app_user_id());

-- What the log does not decide: sessions, failed log-ins, and when a user was last seen. On Citus the first and
-- the last are distributed by user, the second by login.
CREATE TABLE sessions (
    user_id bigint NOT NULL,
    id bigint NOT NULL,
    token bytea NOT NULL,
    previous_token bytea NOT NULL,
    created timestamptz NOT NULL,
    rotated timestamptz NOT NULL,
    seen timestamptz NOT NULL,
    client_ip text NOT NULL,
    user_agent text NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX ON sessions (token);
CREATE INDEX ON sessions (previous_token);

CREATE TABLE login_attempts (
    login text NOT NULL,
    at timestamptz NOT NULL,
    ip text NOT NULL
);
CREATE INDEX ON login_attempts (login, at);

CREATE TABLE user_seen (
    user_id bigint NOT NULL PRIMARY KEY,
    seen timestamptz NOT NULL
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, DELETE
    ON users, orgs, memberships, sessions, login_attempts, user_seen TO kymograph_app;
