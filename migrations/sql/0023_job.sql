-- Work that is done after the commit that caused it. A worker looks for what is due in all orgs at once, so the table
-- belongs to no tenant and has no row level security; a payload names things and holds none of their content. On Citus
-- it is a local table of the coordinator. Times are the database's, so that servers need not agree on one.
CREATE TABLE jobs (
    -- A random text, or for work of which an org has one at most the kind and the org.
    id text NOT NULL PRIMARY KEY,
    -- Whose turn it takes; 0 for the server's.
    owner_org_id bigint NOT NULL,
    kind text NOT NULL,
    payload text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'dead')),
    -- The time from which a worker may claim it: for one that runs the end of its lease, for a dead one when it died.
    due_at timestamptz NOT NULL,
    -- How often it was claimed, its last success not counted.
    attempts integer NOT NULL DEFAULT 0,
    -- Moves with each claim: who claimed it before cannot settle it any more. It begins at the time in microseconds, so
    -- that it is higher than that of an earlier job of the same id.
    epoch bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    last_error text NOT NULL DEFAULT '',
    created timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
-- Whether anything is due, and whose turn it is.
CREATE INDEX jobs_by_time ON jobs (due_at) WHERE state <> 'dead';
CREATE INDEX jobs_by_org ON jobs (owner_org_id, due_at) WHERE state <> 'dead';
-- Lists, and what died long ago.
CREATE INDEX jobs_by_state ON jobs (state, created);
GRANT SELECT, INSERT, UPDATE, DELETE ON jobs TO kymograph_app;

-- Orgs may have open invites or kept answers, those that were deleted too. Each is looked at once, within the first hour.
SELECT set_config('app.org_id', '0', true);
INSERT INTO jobs (id, owner_org_id, kind, payload, due_at)
    SELECT 'tidy-org-' || org, org, 'tidy-org', '{"org":' || org || '}', now() + random() * interval '1 hour'
    FROM counters, generate_series(1, value) AS org
    WHERE org_id = 0 AND name = 'org';
SELECT set_config('app.org_id', '', true);
