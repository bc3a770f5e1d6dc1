-- Service accounts are found by uid as well as by id.
CREATE INDEX ON service_accounts (org_id, uid);
