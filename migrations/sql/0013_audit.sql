-- What audit queries need. The events are the audit log; there is no second table of entries.

-- The trace that the request belongs to, empty for most. It is in meta as well, where no index can find it.
ALTER TABLE events ADD COLUMN trace_id text NOT NULL DEFAULT '';
-- The owner is bound by row level security too, and this concerns all tenants.
ALTER TABLE events NO FORCE ROW LEVEL SECURITY;
UPDATE events SET trace_id = meta::json ->> 'trace_id' WHERE meta::json ->> 'trace_id' <> '';

CREATE INDEX events_by_actor ON events (org_id, actor_id, type, pos);
CREATE INDEX events_by_type ON events (org_id, type, pos);
CREATE INDEX events_by_trace ON events (org_id, trace_id, pos) WHERE trace_id <> '';

-- Every login, in lower case, that a user or service account ever had, so that a deleted or renamed actor is found.
-- Users belong to the server, so this does; on Citus it is a reference table. Prefixes need the byte order.
CREATE TABLE actor_logins (
    login text COLLATE "C" NOT NULL,
    actor_id bigint NOT NULL,
    PRIMARY KEY (login, actor_id)
);
INSERT INTO actor_logins
    SELECT lower(payload::json -> 'profile' ->> 'login'), (payload::json ->> 'id')::bigint
        FROM events WHERE org_id = 0 AND type IN ('user.created', 'user.profile_changed')
    UNION
    SELECT lower(payload::json ->> 'login'), (payload::json ->> 'id')::bigint
        FROM events WHERE type = 'service_account.created';
GRANT SELECT, INSERT ON actor_logins TO kymograph_app;

ALTER TABLE events FORCE ROW LEVEL SECURITY;
