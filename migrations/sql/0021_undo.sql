-- Undoing looks up the events of a request by its correlation id. A request that has no other correlation id than its
-- own has its events side by side in the log, so only those of an undertaking with an id of the client's choice are here.
CREATE INDEX events_by_correlation ON events (org_id, correlation_id, pos) WHERE correlation_id <> causation_id;
