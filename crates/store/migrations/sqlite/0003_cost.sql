-- What a call cost, in micro-dollars. Calls from before prices were known cost nothing.
ALTER TABLE settlements ADD COLUMN cost_micros INTEGER NOT NULL DEFAULT 0;
