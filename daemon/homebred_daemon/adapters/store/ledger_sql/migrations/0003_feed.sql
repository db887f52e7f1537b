CREATE TABLE feed (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order recorded, without holes: the dropped ones are missing
    kind     TEXT NOT NULL CHECK (kind IN ('outcome', 'feedback')),
    decision INTEGER NOT NULL -- seq of a decision above
) STRICT;

CREATE INDEX feed_by_decision ON feed (decision);

CREATE TABLE writers (
    number         INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE, -- random; the first one's names this file
    after_position INTEGER NOT NULL -- the last in the feed before it
) STRICT;
