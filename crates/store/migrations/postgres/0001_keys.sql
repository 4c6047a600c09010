-- API keys. A key is never deleted; the clear text of a key is never stored. Texts of callers are
-- kept with `\` doubled and NUL as `\0`, which PostgreSQL cannot hold.
CREATE TABLE api_keys (
    id           TEXT   NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL,
    user_id      TEXT   NOT NULL,
    role         TEXT   NOT NULL,
    hint         TEXT   NOT NULL,
    digest       BYTEA  NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at   BIGINT NOT NULL, -- milliseconds since 1970, like every moment here
    expires_at   BIGINT,
    revoked_at   BIGINT,
    rotated_from TEXT,
    team_id      TEXT,
    scopes       TEXT, -- a JSON object of lists; NULL restricts nothing
    environment  TEXT,
    service      TEXT
);

-- Counts the changes of api_keys, in the transaction of the change: other replicas compare it.
CREATE TABLE key_generation (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    generation BIGINT  NOT NULL
);

INSERT INTO key_generation (only_row, generation) VALUES (1, 0);

-- What short-lived tokens are signed with: all replicas use the same.
CREATE TABLE token_secret (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    secret   BYTEA   NOT NULL CHECK (length(secret) = 32)
);

-- When a credential of a provider was first seen with a value, so that its age is known.
CREATE TABLE credential_ages (
    name          TEXT   NOT NULL,
    digest        BYTEA  NOT NULL CHECK (length(digest) = 32),
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (name, digest)
);
