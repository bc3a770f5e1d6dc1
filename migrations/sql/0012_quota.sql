-- How much each org has, and how much it may have: numbers only, which the server adds up over all orgs, so the table
-- belongs to no tenant and has no row level security. On Citus it is distributed by owner_org_id. The rows of org 0
-- count the orgs and users of the server. A max that is null leaves the limit to the settings of the server.
CREATE TABLE quotas (
    owner_org_id bigint NOT NULL,
    target text NOT NULL,
    used bigint NOT NULL,
    max bigint,
    PRIMARY KEY (owner_org_id, target)
) WITH (fillfactor = 50);

-- How much a user may have. What it has are its rows in user_orgs. On Citus it is distributed by user.
CREATE TABLE user_quotas (
    user_id bigint NOT NULL,
    target text NOT NULL,
    max bigint NOT NULL,
    PRIMARY KEY (user_id, target)
);

-- Memberships once more, by user: an org's memberships are shown to that org only, but a user's orgs are counted over
-- all of them. On Citus it is distributed by user.
CREATE TABLE user_orgs (
    user_id bigint NOT NULL,
    member_org_id bigint NOT NULL,
    role text NOT NULL,
    PRIMARY KEY (user_id, member_org_id)
);
CREATE INDEX ON user_orgs (member_org_id);

GRANT SELECT, INSERT, UPDATE, DELETE ON quotas, user_quotas, user_orgs TO kymograph_app;

-- What is there already. Row level security shows the owner of the tables, too, one org at a time only.
DO $$
DECLARE
    org bigint;
BEGIN
    FOR org IN SELECT id FROM orgs LOOP
        PERFORM set_config('app.org_id', org::text, true);
        INSERT INTO quotas (owner_org_id, target, used) VALUES
            (org, 'org_user', (SELECT count(*) FROM memberships WHERE org_id = org)),
            (org, 'dashboard', (SELECT count(*) FROM dashboards WHERE org_id = org)),
            (org, 'folder', (SELECT count(*) FROM folders WHERE org_id = org)),
            (org, 'api_key', (SELECT count(*) FROM service_account_tokens WHERE org_id = org)),
            (org, 'star', (SELECT count(*) FROM stars WHERE org_id = org)),
            (org, 'data_source', 0),
            (org, 'alert_rule', 0);
        INSERT INTO user_orgs SELECT user_id, org_id, role FROM memberships WHERE org_id = org;
    END LOOP;
    PERFORM set_config('app.org_id', '', true);
    INSERT INTO quotas (owner_org_id, target, used)
        SELECT 0, 'org', count(*) FROM orgs HAVING count(*) > 0
        UNION ALL SELECT 0, 'user', count(*) FROM users HAVING count(*) > 0;
END
$$;

-- A user's orgs are read from user_orgs now, so that row level security knows no exception any more.
DROP POLICY own ON memberships;
DROP FUNCTION app_user_id();
