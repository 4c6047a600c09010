-- API keys. A key is never deleted; the clear text of a key is never stored.
CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    role         TEXT    NOT NULL,
    hint         TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at   INTEGER NOT NULL, -- milliseconds since 1970, like every moment here
    expires_at   INTEGER,
    revoked_at   INTEGER,
    rotated_from TEXT
) STRICT;

-- Counts the changes of api_keys, in the transaction of the change: other processes compare it.
CREATE TABLE key_generation (
    only_row   INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO key_generation (only_row, generation) VALUES (1, 0);
