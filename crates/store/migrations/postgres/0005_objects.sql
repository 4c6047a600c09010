-- What is kept for callers: stored responses, files, batches.
CREATE TABLE objects (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    owner       TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    is_open     BOOLEAN NOT NULL,
    worker      TEXT    NOT NULL,
    lease_until BIGINT  NOT NULL,
    version     BIGINT  NOT NULL,
    bytes       BIGINT  NOT NULL,
    head        BYTEA   NOT NULL
);

CREATE INDEX objects_by_owner ON objects (kind, owner, created_at, id);
CREATE INDEX objects_by_expiry ON objects (expires_at);
CREATE INDEX objects_open ON objects (kind, created_at, id) WHERE is_open;

CREATE TABLE object_parts (
    id      TEXT COLLATE "C" NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    number  BIGINT NOT NULL,
    content BYTEA  NOT NULL,
    PRIMARY KEY (id, number)
);
