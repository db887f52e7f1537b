-- name: begin
-- A new install.
INSERT INTO installs (
    specialist, number, digest, release, state, begun_at_s, changed_at_s, attempts, code, reason, pairs, version,
    good, seen, reference_good, reference_seen, built, builder
) VALUES (
    :specialist, :number, :digest, :release, :state, :now_s, :now_s, 0, '', '', '{}', '', 0, 0, 0, 0, '', ''
);

-- name: move
-- Its next state.
UPDATE installs
SET state = :state, changed_at_s = :now_s, attempts = 0, code = :code, reason = :reason, built = :built,
    builder = :builder
WHERE seq = :seq;

-- name: hold
-- What it waits for.
UPDATE installs SET attempts = :attempts, code = :code, reason = :reason WHERE seq = :seq;

-- name: compare
-- What it and what serves made of the same tasks.
UPDATE installs SET pairs = :pairs WHERE seq = :seq;

-- name: refer
-- What the incumbent did.
UPDATE installs SET version = :version, reference_good = :good, reference_seen = :seen WHERE seq = :seq;

-- name: find
-- One install.
SELECT * FROM installs WHERE seq = :seq;

-- name: unfinished
-- Those that have not ended, the oldest first.
SELECT * FROM installs
WHERE state IN (
    'downloading', 'verifying', 'checking', 'building', 'gating', 'shadowing', 'activating', 'probation', 'rolling_back'
)
ORDER BY seq;

-- name: in_probation
-- The one of a specialist in probation, unless it is this one.
SELECT * FROM installs WHERE specialist = :specialist AND state = 'probation' AND seq <> :seq;

-- name: history
-- All of a specialist, or of all, the newest first.
SELECT * FROM installs WHERE :specialist = '' OR specialist = :specialist ORDER BY seq DESC;

-- name: step
-- One move.
INSERT INTO steps (install, at_s, event, state, code, reason, facts, built, told)
VALUES (:install, :at_s, :event, :state, :code, :reason, :facts, :built, 0);

-- name: steps
-- All moves of an install, the oldest first.
SELECT * FROM steps WHERE install = :install ORDER BY seq;

-- name: untold
-- Moves that nobody was told of, the oldest first.
SELECT * FROM steps WHERE told = 0 ORDER BY seq LIMIT :limit;

-- name: told
-- One was told.
UPDATE steps SET told = 1 WHERE seq = :seq;

-- name: decline
-- Something signed that became no install, unless that was said just lately.
INSERT INTO refusals (at_s, about, code, digest, told)
SELECT :now_s, :about, :code, :digest, 0
WHERE NOT EXISTS (
    SELECT 1 FROM refusals
    WHERE about = :about AND code = :code AND digest = :digest AND abs(at_s - :now_s) < :apart_s
);

-- name: declined
-- All of them, the oldest first.
SELECT * FROM refusals ORDER BY seq;

-- name: untold_declined
-- Those that nobody was told of, the oldest first.
SELECT * FROM refusals WHERE told = 0 ORDER BY seq LIMIT :limit;

-- name: told_declined
-- One was told.
UPDATE refusals SET told = 1 WHERE seq = :seq;

-- name: forget_refusals
-- All but the newest; those go first that were told.
DELETE FROM refusals WHERE seq NOT IN (SELECT seq FROM refusals ORDER BY told, seq DESC LIMIT :kept);

-- name: through
-- The cursor behind the last outcome that was counted.
SELECT through FROM feed;

-- name: keep_through
-- Outcomes up to this cursor are counted.
INSERT INTO feed (only, through) VALUES (1, :through) ON CONFLICT (only) DO UPDATE SET through = excluded.through;

-- name: count
-- Outcomes of what answered; older ones fade, so that what is kept is what it did lately.
INSERT INTO tallies (specialist, version, good, seen) VALUES (:specialist, :version, :good, :seen)
ON CONFLICT (specialist, version) DO UPDATE
SET good = max(0, CASE WHEN tallies.seen >= :most THEN tallies.good / 2 ELSE tallies.good END + excluded.good),
    seen = CASE WHEN tallies.seen >= :most THEN tallies.seen / 2 ELSE tallies.seen END + excluded.seen;

-- name: count_on_probation
-- The same outcomes for its probation, where it is in one.
UPDATE installs SET good = max(0, good + :good), seen = seen + :seen
WHERE specialist = :specialist AND version = :version AND state = 'probation';

-- name: tally
-- What one did lately.
SELECT good, seen FROM tallies WHERE specialist = :specialist AND version = :version;

-- name: forget_tallies
-- Of versions that answered nothing since many others did; bounded a specialist.
DELETE FROM tallies
WHERE specialist = :specialist AND rowid NOT IN (
    SELECT rowid FROM tallies WHERE specialist = :specialist ORDER BY rowid DESC LIMIT :kept
);

-- name: forget_steps
-- Of installs that have ended, beyond the newest of a specialist.
DELETE FROM steps WHERE install IN (
    SELECT seq FROM installs
    WHERE specialist = :specialist
        AND state IN ('settled', 'refused', 'rolled_back', 'superseded', 'withdrawn')
        AND seq NOT IN (SELECT seq FROM installs WHERE specialist = :specialist ORDER BY seq DESC LIMIT :kept)
);

-- name: forget
-- Those installs themselves.
DELETE FROM installs
WHERE specialist = :specialist
    AND state IN ('settled', 'refused', 'rolled_back', 'superseded', 'withdrawn')
    AND seq NOT IN (SELECT seq FROM installs WHERE specialist = :specialist ORDER BY seq DESC LIMIT :kept);
