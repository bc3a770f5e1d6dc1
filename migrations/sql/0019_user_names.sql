-- The logins and e-mail addresses by which users are found, folded by the server: one namespace, so that nobody's
-- login is another's address. Belongs to the server; on Citus a reference table. The server fills it from `users`
-- in the transaction of this migration, because SQL folds letters in another way.
CREATE TABLE user_names (
    name text NOT NULL,
    user_id bigint NOT NULL,
    is_login boolean NOT NULL,
    is_email boolean NOT NULL,
    PRIMARY KEY (name, user_id)
);
CREATE INDEX ON user_names (user_id);
GRANT SELECT, INSERT, UPDATE, DELETE ON user_names TO kymograph_app;

DROP INDEX users_login;
DROP INDEX users_email;

-- Unconfirmed names that users chose themselves, and the org that invited the address.
ALTER TABLE users ADD COLUMN email_is_claimed boolean NOT NULL DEFAULT false;
ALTER TABLE users ADD COLUMN email_vouched_org_id bigint;
ALTER TABLE users ADD COLUMN login_is_claimed boolean NOT NULL DEFAULT false;

-- Failed log-ins are counted by account: 'user/<id>', or 'login/<what was typed>' where there is no user. Expired rows
-- are deleted by time.
ALTER TABLE login_attempts RENAME COLUMN login TO account;
CREATE INDEX ON login_attempts (at);

-- Mails that the server sent because somebody asked it to, so that nobody can make it send many: by user and by the
-- SHA-256 of the folded address. On Citus a local table of the coordinator.
CREATE TABLE sent_mails (
    user_id bigint NOT NULL,
    address_hash bytea NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX ON sent_mails (user_id, at);
CREATE INDEX ON sent_mails (address_hash, at);
CREATE INDEX ON sent_mails (at);
GRANT SELECT, INSERT, DELETE ON sent_mails TO kymograph_app;
