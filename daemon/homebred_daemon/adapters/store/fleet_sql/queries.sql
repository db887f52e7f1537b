-- name: desired
-- The newest that was taken.
SELECT * FROM desired;

-- name: keep_desired
-- A newer one; an older one changes nothing.
INSERT INTO desired (only_row, device_id, version, issued_at_s, policy_digest, policy_length, gazetteer_digest,
    gazetteer_length, labels)
VALUES (1, :device_id, :version, :issued_at_s, :policy_digest, :policy_length, :gazetteer_digest, :gazetteer_length,
    :labels)
ON CONFLICT (only_row) DO UPDATE SET device_id = excluded.device_id, version = excluded.version,
    issued_at_s = excluded.issued_at_s, policy_digest = excluded.policy_digest, policy_length = excluded.policy_length,
    gazetteer_digest = excluded.gazetteer_digest, gazetteer_length = excluded.gazetteer_length, labels = excluded.labels
WHERE excluded.version > desired.version;

-- name: undecide_parts
-- What was refused may be tried again.
UPDATE parts SET digest = '', state = '', problem_code = '', problem = '';

-- name: parts
-- What became of each part.
SELECT * FROM parts;

-- name: keep_part
-- What became of one.
INSERT INTO parts (name, digest, state, problem_code, problem, applied)
VALUES (:name, :digest, :state, :problem_code, :problem, :applied)
ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, state = excluded.state, problem_code = excluded.problem_code,
    problem = excluded.problem, applied = excluded.applied;

-- name: stopping
-- The stop order that holds.
SELECT * FROM stopping;

-- name: keep_stop
-- A newer one, or one that stops in the same epoch, or one that another key has signed; else it changes nothing.
INSERT INTO stopping (only_row, epoch, stopped, reason_code, issued_at_s, key_id, signature)
VALUES (1, :epoch, :stopped, :reason_code, :issued_at_s, :key_id, :signature)
ON CONFLICT (only_row) DO UPDATE SET epoch = excluded.epoch, stopped = excluded.stopped,
    reason_code = excluded.reason_code, issued_at_s = excluded.issued_at_s, key_id = excluded.key_id,
    signature = excluded.signature
WHERE excluded.epoch > stopping.epoch OR (excluded.epoch = stopping.epoch AND excluded.stopped > stopping.stopped)
    OR excluded.key_id <> stopping.key_id;

-- name: forget_desired
-- This device has another name now: what was desired of the one before is nothing to it.
DELETE FROM desired;

-- name: forget_parts
-- The same.
UPDATE parts SET digest = '', state = '', problem_code = '', problem = '';
