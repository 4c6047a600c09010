-- Requests that are carried out once, with their answers once there is one.
CREATE TABLE idempotency (
    key         BYTEA  NOT NULL PRIMARY KEY,
    request     BYTEA  NOT NULL,
    owner       TEXT   NOT NULL,
    lease_until BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    status      INTEGER,
    headers     TEXT,
    body        BYTEA
);

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);
