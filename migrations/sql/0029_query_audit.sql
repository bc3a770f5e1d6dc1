-- Whether the audit log of an org records queries to data sources.
ALTER TABLE orgs ADD COLUMN audits_queries boolean NOT NULL DEFAULT false;
