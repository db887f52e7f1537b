-- What callers say of answers, and how far back a crash can have left something open.

CREATE TABLE feedback (
    route_id        TEXT PRIMARY KEY NOT NULL, -- of a decision above
    recorded_at_utc TEXT NOT NULL,
    verdict         TEXT NOT NULL CHECK (verdict IN ('good', 'bad', 'corrected')),
    has_correction  INTEGER NOT NULL CHECK (has_correction IN (0, 1)), -- kept, encrypted, elsewhere
    row_digest      TEXT NOT NULL -- over every other column
) STRICT;

CREATE TABLE marks (
    name       TEXT PRIMARY KEY NOT NULL CHECK (name = 'finished'),
    seq        INTEGER NOT NULL, -- every decision up to this one has its outcome
    row_digest TEXT NOT NULL -- over every other column
) STRICT;
