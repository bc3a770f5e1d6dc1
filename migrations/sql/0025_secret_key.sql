-- Secrets are sealed with a key of their org, and that with a master key which is not in the database. Within this
-- migration the server seals those that are there, and puts the new table in the place of the one with plain text.
CREATE TABLE secret_keys (
    org_id bigint NOT NULL PRIMARY KEY,
    master_key text NOT NULL,
    wrapped bytea NOT NULL
);
CREATE TABLE sealed_secrets (
    org_id bigint NOT NULL,
    key text NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (org_id, key)
);

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['secret_keys', 'sealed_secrets'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = app_org_id())', owned);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON secret_keys, sealed_secrets TO kymograph_app;
