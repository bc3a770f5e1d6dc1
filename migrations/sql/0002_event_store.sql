-- The log and what belongs to it. Each table's key begins with the tenant, see docs/ARCHITECTURE.md.

-- The org that the current transaction acts for. After a transaction the setting is an empty text, not NULL, so
-- that a connection without a tenant sees nothing.
CREATE FUNCTION app_org_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.org_id', true), '')::bigint;

-- The user whose own memberships the current transaction may read in all orgs.
CREATE FUNCTION app_user_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::bigint;

CREATE TABLE events (
    org_id bigint NOT NULL,
    pos bigint NOT NULL CHECK (pos > 0),
    stream_id text NOT NULL,
    stream_type text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text NOT NULL,
    schema_version integer NOT NULL CHECK (schema_version > 0),
    recorded_at timestamptz NOT NULL,
    actor_id bigint NOT NULL,
    actor_login text NOT NULL,
    causation_id text NOT NULL,
    correlation_id text NOT NULL,
    meta text NOT NULL,
    payload text NOT NULL,
    -- CRC-32 of the payload, so that damage to what nothing else repeats is found.
    checksum bigint NOT NULL,
    PRIMARY KEY (org_id, pos),
    UNIQUE (org_id, stream_id, version)
);

-- Dashboards are tens of kilobytes; lz4 costs a fraction of the time of the default compression. A server built
-- without it keeps the default.
DO $$
BEGIN
    ALTER TABLE events ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value THEN
    NULL;
END
$$;

-- The log of the current org as `postgres-es` lays it out, for a fold that shares no code with ours.
CREATE VIEW postgres_es_events WITH (security_invoker = true) AS
    SELECT stream_type AS aggregate_type, stream_id AS aggregate_id, version AS sequence, type AS event_type,
        schema_version::text AS event_version, json_build_object(type, payload::json) AS payload,
        meta::json AS metadata
    FROM events WHERE org_id = app_org_id();

-- The end of each stream: how many events it has and what they fold to. The check makes a failed compare-and-set,
-- which writes -1, an error that rolls the transaction back.
CREATE TABLE streams (
    org_id bigint NOT NULL,
    stream_id text NOT NULL,
    type text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    state text NOT NULL,
    PRIMARY KEY (org_id, stream_id)
) WITH (fillfactor = 80);

-- The end of each org's log. Moved last in each transaction, so that the lock on it lasts about one flush.
CREATE TABLE heads (
    org_id bigint NOT NULL,
    pos bigint NOT NULL CHECK (pos > 0),
    last_at timestamptz NOT NULL,
    PRIMARY KEY (org_id)
) WITH (fillfactor = 50);

-- The answers of requests that came with an Idempotency-Key. The outcome of a command is kept with its events, so
-- that it cannot be lost; the response made of it is added before the client gets it.
CREATE TABLE idempotency (
    org_id bigint NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    outcome text,
    status integer,
    response text,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, key)
);
CREATE INDEX ON idempotency (org_id, expires_at);

-- What must not be in the log, such as password hashes.
CREATE TABLE secrets (
    org_id bigint NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (org_id, key)
);

-- The last numeric id handed out.
CREATE TABLE counters (
    org_id bigint NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (org_id, name)
) WITH (fillfactor = 50);

DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['events', 'streams', 'heads', 'idempotency', 'secrets', 'counters'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        EXECUTE format('CREATE POLICY tenant ON %I USING (org_id = app_org_id())', owned);
    END LOOP;
END
$$;

GRANT SELECT, INSERT ON events TO kymograph_app;
GRANT SELECT, INSERT, UPDATE ON streams, heads, counters TO kymograph_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency, secrets TO kymograph_app;
