-- Read model of service accounts and their tokens.
CREATE TABLE service_accounts (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    uid text NOT NULL,
    login text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    is_disabled boolean NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, login)
);

CREATE TABLE service_account_tokens (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    service_account_id bigint NOT NULL,
    name text NOT NULL,
    expires timestamptz,
    created timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    UNIQUE (org_id, name)
);
CREATE INDEX ON service_account_tokens (org_id, service_account_id);

-- What the log does not decide: when a token was last used.
CREATE TABLE service_account_token_seen (
    org_id bigint NOT NULL,
    token_id bigint NOT NULL,
    service_account_id bigint NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (org_id, token_id)
) WITH (fillfactor = 50);

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['service_accounts', 'service_account_tokens', 'service_account_token_seen'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = app_org_id())', owned);
    END LOOP;
END
$$;

-- Whose a token is, by its SHA-256. A request with a token names no org: this table leads to it, so it belongs to
-- the server and has no row level security; on Citus it is a reference table. It opens nothing by itself: the
-- token must also be in its org's service_account_tokens.
CREATE TABLE token_hashes (
    hash bytea NOT NULL PRIMARY KEY,
    owner_org_id bigint NOT NULL,
    service_account_id bigint NOT NULL,
    token_id bigint NOT NULL
);
CREATE INDEX ON token_hashes (owner_org_id, service_account_id);

GRANT SELECT, INSERT, UPDATE, DELETE
    ON service_accounts, service_account_tokens, service_account_token_seen TO kymograph_app;
GRANT SELECT, INSERT, DELETE ON token_hashes TO kymograph_app;
