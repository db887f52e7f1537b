-- The ledger: every decision with exactly what it depended on, and what became of it. Content-free.

CREATE TABLE documents (
    position   INTEGER PRIMARY KEY, -- one that decisions name again moves to the end
    kind       TEXT NOT NULL CHECK (kind IN ('policy', 'registry', 'ceiling')),
    digest     TEXT NOT NULL, -- 'sha256:' of body
    kept_after INTEGER NOT NULL, -- last decision before it came to its position; 0: none
    row_digest TEXT NOT NULL, -- over every column above
    body       BLOB NOT NULL,
    UNIQUE (kind, digest) -- a policy and a ceiling may be the same few bytes
) STRICT;

CREATE TABLE decisions (
    seq                     INTEGER PRIMARY KEY, -- from 1, without holes: the oldest go first
    route_id                TEXT NOT NULL UNIQUE,
    supersedes              TEXT NOT NULL, -- the route whose failure led here; empty: none
    selected_runtime        TEXT NOT NULL,
    selected_model_or_stack TEXT NOT NULL,
    local_reason            TEXT NOT NULL,
    redaction_required      INTEGER NOT NULL CHECK (redaction_required IN (0, 1)),
    evidence_required       INTEGER NOT NULL CHECK (evidence_required IN (0, 1)),
    fallback_target         TEXT NOT NULL,
    route_created_at_utc    TEXT NOT NULL,
    reason_code             TEXT NOT NULL,
    classes                 TEXT NOT NULL, -- JSON list
    policy_digest           TEXT NOT NULL,
    trace                   TEXT NOT NULL, -- JSON list
    inputs                  TEXT NOT NULL, -- JSON: DecisionInputs, documents by digest
    previous_digest         TEXT NOT NULL, -- row_digest of the row before; empty: the first
    row_digest              TEXT NOT NULL  -- over every other column
) STRICT;

CREATE TABLE outcomes (
    route_id          TEXT PRIMARY KEY NOT NULL, -- of a decision above
    recorded_at_utc   TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('answer', 'degraded', 'review', 'error')),
    answered_by       TEXT NOT NULL, -- specialist id; empty: nobody
    findings          TEXT NOT NULL, -- JSON list of what verification found: slow, empty, truncated, …
    finish_reason     TEXT NOT NULL,
    error_code        TEXT NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    first_token_ms    REAL,
    total_ms          REAL NOT NULL,
    confidence        REAL, -- mean token probability
    row_digest        TEXT NOT NULL -- over every other column
) STRICT;

CREATE TABLE gaps (
    last_seq        INTEGER PRIMARY KEY, -- the last decision dropped
    recorded_at_utc TEXT NOT NULL,
    reason          TEXT NOT NULL,
    decisions       INTEGER NOT NULL, -- how many were dropped
    row_digest      TEXT NOT NULL -- over every other column
) STRICT;

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

-- What ended or was said, in the order recorded, for who follows the ledger. An order, no evidence: nothing is checked.
CREATE TABLE feed (
    position INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order recorded, without holes: the dropped ones are missing
    kind     TEXT NOT NULL CHECK (kind IN ('outcome', 'feedback')),
    decision INTEGER NOT NULL -- seq of a decision above
) STRICT;

CREATE INDEX feed_by_decision ON feed (decision);

-- Processes that wrote to the feed: where a power cut has taken rows, a later one begins at an earlier position.
CREATE TABLE writers (
    number         INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE, -- random; the first one's names this file
    after_position INTEGER NOT NULL -- the last in the feed before it
) STRICT;
