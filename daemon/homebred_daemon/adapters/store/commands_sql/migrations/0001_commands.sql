-- Commands of the fleet's controller by their id: what was asked for, how far it is, and what of it was told.

CREATE TABLE commands (
    seq          INTEGER PRIMARY KEY, -- in the order in which they came
    id           TEXT NOT NULL UNIQUE,
    op           TEXT NOT NULL, -- a word of core.commands, or 'unknown'
    deadline_s   INTEGER NOT NULL, -- Unix seconds of the controller's clock
    issued_by    TEXT NOT NULL,
    parameters   TEXT NOT NULL, -- JSON object of words; empty where it was refused
    state        TEXT NOT NULL CHECK (state IN ('accepted', 'waiting', 'done', 'failed', 'refused', 'expired')),
    at_s         INTEGER NOT NULL, -- of this state, Unix seconds of the device's clock
    problem_code TEXT NOT NULL,
    problem      TEXT NOT NULL,
    answer       TEXT NOT NULL, -- JSON object
    attachment   BLOB NOT NULL, -- one zstd frame; empty: none
    revision     INTEGER NOT NULL, -- counts its results
    told         INTEGER NOT NULL -- the newest that the broker acknowledged; 0: none
) STRICT;

CREATE INDEX commands_untold ON commands (seq) WHERE told < revision;

CREATE INDEX commands_open ON commands (seq) WHERE state IN ('accepted', 'waiting');
