-- Whom a call is accounted to beside its key and user, and what it was charged beside tokens. An
-- empty name is one that the request did not say.
ALTER TABLE settlements ADD COLUMN team_id       TEXT    NOT NULL DEFAULT '';
ALTER TABLE settlements ADD COLUMN agent_id      TEXT    NOT NULL DEFAULT '';
ALTER TABLE settlements ADD COLUMN session_id    TEXT    NOT NULL DEFAULT '';
ALTER TABLE settlements ADD COLUMN images        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE settlements ADD COLUMN tool_calls    INTEGER NOT NULL DEFAULT 0;
-- 1 where the model had no price.
ALTER TABLE settlements ADD COLUMN unpriced      INTEGER NOT NULL DEFAULT 0;
-- 1 where the call used more than was reserved for it.
ALTER TABLE settlements ADD COLUMN over_reserved INTEGER NOT NULL DEFAULT 0;
-- Which sending of its request the call is.
ALTER TABLE settlements ADD COLUMN attempt       INTEGER NOT NULL DEFAULT 1;
