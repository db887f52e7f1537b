-- The queue of tasks that a person must answer. What a task or an answer says is in it as ciphertext alone.

CREATE TABLE items (
    seq               INTEGER PRIMARY KEY, -- in the order filed
    route_id          TEXT NOT NULL UNIQUE,
    task_id           TEXT NOT NULL,
    workflow          TEXT NOT NULL, -- empty: none
    classes           TEXT NOT NULL, -- JSON list
    reason_code       TEXT NOT NULL,
    filed_by          TEXT NOT NULL, -- principal
    filed_at_utc      TEXT NOT NULL, -- times are of one length, so that they sort
    expires_at_utc    TEXT NOT NULL, -- when it ends by itself; ended: when it is erased
    state             TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'answered', 'declined', 'expired')),
    claimed_by        TEXT NOT NULL, -- principal; empty: nobody
    claim_id          TEXT NOT NULL,
    claim_ends_at_utc TEXT, -- with 'claimed'
    resolution_mark   TEXT NOT NULL, -- keyed digest of the answer or the reason; empty: none
    due_at_utc        TEXT NOT NULL -- when time next does something to it
) STRICT;

CREATE INDEX items_by_due ON items (due_at_utc);

CREATE INDEX items_by_state ON items (state, seq);

-- Rows of one length, overwritten in their place and never deleted nor moved: SQLite leaves copies of what it moves between
-- pages, and a copy of a key that must be gone would undo the shredding.
CREATE TABLE data_keys (
    slot     INTEGER PRIMARY KEY,
    is_used  INTEGER NOT NULL CHECK (is_used IN (0, 1)),
    data_key BLOB NOT NULL -- an item's or a correction's own key, sealed; zeros: free
) STRICT;

CREATE INDEX data_keys_free ON data_keys (slot) WHERE is_used = 0;

CREATE TABLE contents (
    route_id   TEXT PRIMARY KEY NOT NULL, -- of an item above; deleted with the item's end by time
    slot       INTEGER NOT NULL, -- of its key
    content    BLOB NOT NULL, -- sealed with it
    resolution BLOB, -- sealed with it
    size_bytes INTEGER NOT NULL
) STRICT;

CREATE INDEX contents_by_size ON contents (size_bytes);

CREATE TABLE corrections (
    route_id   TEXT PRIMARY KEY NOT NULL, -- of an answered task
    slot       INTEGER NOT NULL, -- of its key
    content    BLOB NOT NULL, -- sealed with it
    due_at_utc TEXT NOT NULL -- when it is erased
) STRICT;

CREATE TABLE counts (
    name   TEXT PRIMARY KEY NOT NULL CHECK (name IN ('answered', 'declined', 'expired', 'erased')),
    number INTEGER NOT NULL -- since this file was made
) STRICT;
