-- What is on its way to the controller: events that wait, batches that were cut, and losses that were counted.

CREATE TABLE boots (
    number   INTEGER PRIMARY KEY, -- counts the starts since the device was enrolled
    id       TEXT NOT NULL UNIQUE, -- random
    last_seq INTEGER NOT NULL -- the last number given to an event; 0: none
) STRICT;

CREATE TABLE streams (
    boot        INTEGER NOT NULL, -- number of a boot above
    stream      INTEGER NOT NULL, -- by importance: homebred.v1.Stream
    cut_seq     INTEGER NOT NULL, -- the last number in a batch
    gone_seq    INTEGER NOT NULL, -- the last number that was acknowledged or refused, and is kept no longer
    gone_events INTEGER NOT NULL, -- acknowledged or refused
    PRIMARY KEY (boot, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    stream     INTEGER NOT NULL,
    boot       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, -- of the quota
    body       BLOB NOT NULL, -- homebred.v1.Event without its seq
    PRIMARY KEY (stream, boot, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE batches (
    number     INTEGER PRIMARY KEY, -- in the order cut
    boot       INTEGER NOT NULL,
    stream     INTEGER NOT NULL,
    after_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL, -- of the quota
    payload    BLOB NOT NULL -- homebred.v1.TelemetryBatch, as it is sent however often
) STRICT;

CREATE INDEX batches_by_stream ON batches (boot, stream, last_seq);

CREATE TABLE gaps (
    number     INTEGER PRIMARY KEY, -- in the order begun
    boot_id    TEXT NOT NULL, -- whose events; empty: they never had numbers
    stream     INTEGER NOT NULL,
    first_seq  INTEGER NOT NULL,
    last_seq   INTEGER NOT NULL,
    events     INTEGER NOT NULL,
    reason     TEXT NOT NULL, -- a word of homebred.v1.GapReason
    noted_at_s INTEGER NOT NULL, -- Unix seconds of the first loss in it
    cut_in     INTEGER -- number of the batch that tells it; null: none yet
) STRICT;

CREATE INDEX gaps_by_batch ON gaps (cut_in);

CREATE TABLE standing (
    only_row            INTEGER PRIMARY KEY CHECK (only_row = 1),
    cursor              TEXT NOT NULL, -- how far the ledger was read; empty: not at all
    events              INTEGER NOT NULL, -- rows of `events`, and what is in `batches`
    size_bytes          INTEGER NOT NULL, -- of them, of the quota
    lost_events         INTEGER NOT NULL, -- the following: since the device was enrolled
    cut_events          INTEGER NOT NULL,
    acknowledged_events INTEGER NOT NULL
) STRICT;
