-- Read model of annotations. One that is of the whole org has 0 and the empty text as its dashboard, and one that is a point in
-- time ends when it begins. Times are milliseconds since the epoch, as clients choose them. All indexes are on numbers and
-- texts, because row level security keeps those on lists from being used.
CREATE TABLE annotations (
    org_id bigint NOT NULL,
    id bigint NOT NULL,
    dashboard_id bigint NOT NULL,
    dashboard_uid text NOT NULL,
    panel_id bigint NOT NULL,
    user_id bigint NOT NULL,
    time bigint NOT NULL,
    time_end bigint NOT NULL,
    text text NOT NULL,
    tags text[] NOT NULL,
    -- The tags, and the keys of those that are pairs.
    terms text[] NOT NULL,
    data text NOT NULL,
    created timestamptz NOT NULL,
    updated timestamptz NOT NULL,
    PRIMARY KEY (org_id, id)
);
-- Lists go through annotations from the latest end on, until a page is full.
CREATE INDEX annotations_by_time ON annotations (org_id, time_end, time, id) INCLUDE (dashboard_id);
CREATE INDEX annotations_by_dashboard ON annotations (org_id, dashboard_id, time_end, time, id);
CREATE INDEX annotations_by_user ON annotations (org_id, user_id, time_end, time, id) INCLUDE (dashboard_id);
-- What began before a time and ended after it.
CREATE INDEX annotations_by_region ON annotations (org_id, time_end, time, id) INCLUDE (dashboard_id)
    WHERE time < time_end;

-- What annotations are found by, with as much of each as decides on a page.
CREATE TABLE annotation_terms (
    org_id bigint NOT NULL,
    term text NOT NULL,
    time_end bigint NOT NULL,
    time bigint NOT NULL,
    id bigint NOT NULL,
    dashboard_id bigint NOT NULL,
    PRIMARY KEY (org_id, term, time_end, time, id) INCLUDE (dashboard_id)
);
CREATE INDEX annotation_terms_by_region ON annotation_terms (org_id, term, time_end, time, id) INCLUDE (dashboard_id)
    WHERE time < time_end;

-- How many annotations have a tag, by dashboard, because not everybody sees all. The empty tag counts all annotations.
CREATE TABLE annotation_tag_counts (
    org_id bigint NOT NULL,
    tag text NOT NULL,
    dashboard_id bigint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (org_id, tag, dashboard_id)
) WITH (fillfactor = 70);

ALTER TABLE annotations ENABLE ROW LEVEL SECURITY;
ALTER TABLE annotations FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON annotations USING (org_id = app_org_id());
ALTER TABLE annotation_terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE annotation_terms FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON annotation_terms USING (org_id = app_org_id());
ALTER TABLE annotation_tag_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE annotation_tag_counts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON annotation_tag_counts USING (org_id = app_org_id());
GRANT SELECT, INSERT, UPDATE, DELETE ON annotations, annotation_terms, annotation_tag_counts TO kymograph_app;
