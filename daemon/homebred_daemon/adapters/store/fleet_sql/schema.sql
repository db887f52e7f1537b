-- What a device must not forget of its fleet: the floors that never fall, what is desired, what became of it.

CREATE TABLE desired (
    only_row          INTEGER PRIMARY KEY CHECK (only_row = 1),
    device_id         TEXT NOT NULL, -- for whom it was issued
    version           INTEGER NOT NULL, -- the floor: nothing at or under it is taken any more
    issued_at_s       INTEGER NOT NULL, -- Unix seconds of the controller's clock
    policy_digest     TEXT NOT NULL, -- empty: the device's own configuration is to hold
    policy_length     INTEGER NOT NULL,
    gazetteer_digest  TEXT NOT NULL, -- the same
    gazetteer_length  INTEGER NOT NULL,
    labels            TEXT NOT NULL -- JSON object of texts
) STRICT;

CREATE TABLE parts (
    name         TEXT PRIMARY KEY, -- policy, gazetteer
    digest       TEXT NOT NULL, -- of what was asked for
    state        TEXT NOT NULL, -- a word of homebred.v1.PartReport; empty: not decided
    problem_code TEXT NOT NULL,
    problem      TEXT NOT NULL,
    applied      TEXT NOT NULL -- digest of what holds because the fleet wanted it; empty: the device's own configuration
) STRICT, WITHOUT ROWID;

CREATE TABLE stopping (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch       INTEGER NOT NULL, -- the floor, of orders of this key
    stopped     INTEGER NOT NULL,
    reason_code TEXT NOT NULL,
    issued_at_s INTEGER NOT NULL, -- Unix seconds of the controller's clock
    key_id      TEXT NOT NULL, -- which key of the director's has signed it
    signature   BLOB NOT NULL -- over homebred_protocol.stop_orders.to_be_signed
) STRICT;
