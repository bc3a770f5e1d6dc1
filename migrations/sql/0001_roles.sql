-- Three roles, none of which can log in: whoever runs the server is made a member of them.
--   kymograph_owner     owns the tables, and is subject to row level security like everybody else;
--   kymograph_migrator  may become the owner, to change the schema;
--   kymograph_app       serves requests: no superuser, no way round row level security, no DDL, and of the log
--                       it can only read and append.
-- Roles belong to the whole cluster, so another database may have made them already.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['kymograph_owner', 'kymograph_migrator', 'kymograph_app'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    EXECUTE 'GRANT kymograph_owner TO kymograph_migrator';
    EXECUTE format('GRANT kymograph_migrator, kymograph_app TO %I', current_user);
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO kymograph_owner;
GRANT USAGE ON SCHEMA public TO kymograph_app;
