-- One row for each model call that was dispatched. call_id makes settling twice harmless.
CREATE TABLE settlements (
    call_id               TEXT    NOT NULL PRIMARY KEY,
    request_id            TEXT    NOT NULL,
    settled_at            BIGINT  NOT NULL,
    duration_ms           BIGINT  NOT NULL,
    key_id                TEXT    NOT NULL,
    user_id               TEXT    NOT NULL,
    team_id               TEXT    NOT NULL DEFAULT '',
    agent_id              TEXT    NOT NULL DEFAULT '',
    session_id            TEXT    NOT NULL DEFAULT '',
    operation             TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    target                TEXT    NOT NULL,
    stream                BOOLEAN NOT NULL,
    attempt               BIGINT  NOT NULL DEFAULT 1,
    outcome               TEXT    NOT NULL,
    status                INTEGER NOT NULL,
    input_tokens          BIGINT  NOT NULL,
    cached_read_tokens    BIGINT  NOT NULL,
    cache_write_5m_tokens BIGINT  NOT NULL,
    cache_write_1h_tokens BIGINT  NOT NULL,
    output_tokens         BIGINT  NOT NULL,
    reasoning_tokens      BIGINT  NOT NULL,
    audio_input_tokens    BIGINT  NOT NULL,
    audio_output_tokens   BIGINT  NOT NULL,
    images                BIGINT  NOT NULL DEFAULT 0,
    tool_calls            BIGINT  NOT NULL DEFAULT 0,
    estimated             BOOLEAN NOT NULL,
    unpriced              BOOLEAN NOT NULL DEFAULT FALSE,
    over_reserved         BOOLEAN NOT NULL DEFAULT FALSE,
    cost_micros           BIGINT  NOT NULL
);

-- Reports ask for a span of time. It is the only index beside the primary key because each further
-- one is paid for by every call.
CREATE INDEX settlements_by_time ON settlements (settled_at);

-- Calls that have left and are not settled, each as its replica wrote it down.
CREATE TABLE intents (
    call_id TEXT  NOT NULL PRIMARY KEY,
    replica TEXT  NOT NULL,
    body    BYTEA NOT NULL
);

CREATE INDEX intents_by_replica ON intents (replica);

-- When each replica was last heard of, by the clock of the database.
CREATE TABLE replicas (
    replica TEXT        NOT NULL PRIMARY KEY,
    seen_at TIMESTAMPTZ NOT NULL
);
