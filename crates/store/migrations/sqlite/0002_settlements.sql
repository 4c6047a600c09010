-- One row for each model call that was dispatched. call_id makes settling twice harmless.
CREATE TABLE settlements (
    call_id               TEXT    NOT NULL PRIMARY KEY,
    request_id            TEXT    NOT NULL,
    settled_at            INTEGER NOT NULL,
    duration_ms           INTEGER NOT NULL,
    key_id                TEXT    NOT NULL,
    user_id               TEXT    NOT NULL,
    operation             TEXT    NOT NULL,
    model                 TEXT    NOT NULL,
    target                TEXT    NOT NULL,
    stream                INTEGER NOT NULL,
    outcome               TEXT    NOT NULL,
    status                INTEGER NOT NULL,
    input_tokens          INTEGER NOT NULL,
    cached_read_tokens    INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    reasoning_tokens      INTEGER NOT NULL,
    audio_input_tokens    INTEGER NOT NULL,
    audio_output_tokens   INTEGER NOT NULL,
    estimated             INTEGER NOT NULL
) STRICT;

-- Reports ask for a span of time and sum over all of it. It is the only index beside the primary
-- key because each further one is paid for by every call.
CREATE INDEX settlements_by_time ON settlements (settled_at);
