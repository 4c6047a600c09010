-- Who holds shares of budgets that the counters have set aside for it, and whether it spends them
-- without asking: `asking`, `alone`, `recalled`, `released`, `dead`.
CREATE TABLE share_holders (
    holder  TEXT        NOT NULL PRIMARY KEY,
    state   TEXT        NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);
