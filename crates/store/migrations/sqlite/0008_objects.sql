-- What is kept for callers: stored responses, files, batches.
CREATE TABLE objects (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    is_open INTEGER NOT NULL,
    worker TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    version INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE INDEX objects_by_owner ON objects (kind, owner, created_at, id);
CREATE INDEX objects_by_expiry ON objects (expires_at);
CREATE INDEX objects_open ON objects (kind, created_at, id) WHERE is_open = 1;

CREATE TABLE object_parts (
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (id, number)
) STRICT;
