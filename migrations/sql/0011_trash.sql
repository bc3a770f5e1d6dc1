-- When a dashboard was moved to the trash. One that is created again under the same uid takes its place.
ALTER TABLE dashboards ADD COLUMN deleted timestamptz;
