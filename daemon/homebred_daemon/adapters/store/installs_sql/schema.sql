-- Releases on their way to serving: how far each is, every step with its facts, and outcomes of what answers.

CREATE TABLE installs (
    seq            INTEGER PRIMARY KEY, -- in the order in which they were begun
    specialist     TEXT NOT NULL,
    number         INTEGER NOT NULL,
    digest         TEXT NOT NULL, -- of the release's manifest
    release        TEXT NOT NULL, -- JSON: what is installed, so that a restart needs nobody else
    state          TEXT NOT NULL,
    begun_at_s     INTEGER NOT NULL, -- trusted Unix seconds, as every time here
    changed_at_s   INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    code           TEXT NOT NULL,
    reason         TEXT NOT NULL,
    pairs          TEXT NOT NULL, -- JSON object of integers: what it and what serves made of the same tasks
    version        TEXT NOT NULL, -- whose outcomes count for it; empty until it is activated
    good           INTEGER NOT NULL, -- outcomes since it was activated
    seen           INTEGER NOT NULL,
    reference_good INTEGER NOT NULL, -- of what it took the place of
    reference_seen INTEGER NOT NULL,
    built          TEXT NOT NULL, -- digest of what its recipe made here; empty: nothing
    builder        TEXT NOT NULL -- who made it; empty: nobody
) STRICT;

CREATE INDEX installs_of ON installs (specialist, seq);

CREATE UNIQUE INDEX installs_on_their_way ON installs (specialist)
WHERE state IN ('downloading', 'verifying', 'checking', 'building', 'gating', 'shadowing', 'activating');

CREATE UNIQUE INDEX installs_watched ON installs (specialist) WHERE state = 'probation';

CREATE TABLE steps (
    seq     INTEGER PRIMARY KEY,
    install INTEGER NOT NULL REFERENCES installs (seq),
    at_s    INTEGER NOT NULL,
    event   TEXT NOT NULL, -- empty: it was begun
    state   TEXT NOT NULL, -- that it led to
    code    TEXT NOT NULL,
    reason  TEXT NOT NULL,
    facts   TEXT NOT NULL, -- JSON object of integers
    built   TEXT NOT NULL, -- digest of what had been built by then; empty: nothing
    told    INTEGER NOT NULL -- 1: the fleet's telemetry has it
) STRICT;

CREATE INDEX steps_of ON steps (install, seq);

CREATE INDEX steps_untold ON steps (seq) WHERE told = 0;

CREATE TABLE refusals (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: it stands in a signed receipt
    at_s   INTEGER NOT NULL,
    about  TEXT NOT NULL, -- a target's path, a repository, or empty: all
    code   TEXT NOT NULL,
    digest TEXT NOT NULL, -- of the target; empty: not known
    told   INTEGER NOT NULL
) STRICT;

CREATE TABLE tallies (
    specialist TEXT NOT NULL,
    version    TEXT NOT NULL, -- of manifest, base and adapter: of what answered
    good       INTEGER NOT NULL,
    seen       INTEGER NOT NULL,
    PRIMARY KEY (specialist, version)
) STRICT;

CREATE TABLE feed (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    through TEXT NOT NULL -- cursor behind the last outcome that was counted
) STRICT;
