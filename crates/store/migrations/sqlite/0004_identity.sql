-- Whom a key belongs to and what it is restricted to. Keys from before belong to no team and are
-- not restricted.
ALTER TABLE api_keys ADD COLUMN team_id TEXT;
ALTER TABLE api_keys ADD COLUMN scopes TEXT; -- a JSON object of lists; NULL restricts nothing
ALTER TABLE api_keys ADD COLUMN environment TEXT;
ALTER TABLE api_keys ADD COLUMN service TEXT;

-- What short-lived tokens are signed with: all processes that share the store use the same.
CREATE TABLE token_secret (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    secret   BLOB    NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- When a credential of a provider was first seen with a value, so that its age is known.
CREATE TABLE credential_ages (
    name          TEXT    NOT NULL,
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (name, digest)
) STRICT;
