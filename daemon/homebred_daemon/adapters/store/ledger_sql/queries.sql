-- name: add_document
-- Keeps a document under its digest; one that is there stays as it is and moves to its new position.
INSERT INTO documents (position, kind, digest, kept_after, row_digest, body)
VALUES (:position, :kind, :digest, :kept_after, :row_digest, :body)
ON CONFLICT (kind, digest) DO UPDATE
SET position = excluded.position, kept_after = excluded.kept_after, row_digest = excluded.row_digest;

-- name: documents
-- Every document.
SELECT * FROM documents ORDER BY position;

-- name: last_position
-- Where the next document goes behind.
SELECT coalesce(max(position), 0) AS number FROM documents;

-- name: newest_document
-- The document of a kind that came to its position last.
SELECT digest FROM documents WHERE kind = :kind ORDER BY position DESC LIMIT 1;

-- name: document
-- A document's bytes.
SELECT body FROM documents WHERE digest = :digest AND kind = :kind;

-- name: last_decision
-- Where the chain of decisions stands.
SELECT seq, row_digest FROM decisions ORDER BY seq DESC LIMIT 1;

-- name: first_decision
-- The oldest decision that is held.
SELECT seq FROM decisions ORDER BY seq LIMIT 1;

-- name: add_decision
-- One decision, whole.
INSERT INTO decisions (
    seq, route_id, supersedes, selected_runtime, selected_model_or_stack, local_reason, redaction_required,
    evidence_required, fallback_target, route_created_at_utc, reason_code, classes, policy_digest, trace, inputs,
    previous_digest, row_digest
) VALUES (
    :seq, :route_id, :supersedes, :selected_runtime, :selected_model_or_stack, :local_reason, :redaction_required,
    :evidence_required, :fallback_target, :route_created_at_utc, :reason_code, :classes, :policy_digest, :trace, :inputs,
    :previous_digest, :row_digest
);

-- name: add_outcome
-- What became of a route, unless its decision was dropped and counted meanwhile.
INSERT INTO outcomes (
    route_id, recorded_at_utc, status, answered_by, findings, finish_reason, error_code, prompt_tokens, cached_tokens,
    completion_tokens, first_token_ms, total_ms, confidence, row_digest
)
SELECT
    :route_id, :recorded_at_utc, :status, :answered_by, :findings, :finish_reason, :error_code, :prompt_tokens,
    :cached_tokens, :completion_tokens, :first_token_ms, :total_ms, :confidence, :row_digest
WHERE EXISTS (SELECT 1 FROM decisions WHERE route_id = :route_id) OR NOT EXISTS (SELECT 1 FROM gaps);

-- name: decisions
-- Every decision in the order made.
SELECT * FROM decisions ORDER BY seq;

-- name: outcomes
-- Every outcome.
SELECT * FROM outcomes ORDER BY recorded_at_utc, route_id;

-- name: drop_outcomes_before
-- The outcomes of decisions about to be dropped.
DELETE FROM outcomes WHERE route_id IN (SELECT route_id FROM decisions WHERE seq <= :seq);

-- name: drop_feedback_before
-- What was said of decisions about to be dropped.
DELETE FROM feedback WHERE route_id IN (SELECT route_id FROM decisions WHERE seq <= :seq);

-- name: drop_decisions_before
-- The oldest decisions, at the bound.
DELETE FROM decisions WHERE seq <= :seq;

-- name: drop_documents_before
-- The documents that no decision from here on names: another of their kind took their place before.
DELETE FROM documents AS old WHERE EXISTS (
    SELECT 1 FROM documents WHERE kind = old.kind AND position > old.position AND kept_after <= :seq
);

-- name: add_gap
-- Says what was dropped, and why.
INSERT INTO gaps (last_seq, recorded_at_utc, reason, decisions, row_digest)
VALUES (:last_seq, :recorded_at_utc, :reason, :decisions, :row_digest);

-- name: gaps
-- Everything that was dropped.
SELECT * FROM gaps ORDER BY last_seq;

-- name: extent
-- Which decisions are held.
SELECT min(seq) AS first, max(seq) AS last, count(*) AS number FROM decisions;

-- name: stray_outcomes
-- Outcomes of routes that nobody decided, and feedback on such.
SELECT count(*) AS number FROM (SELECT route_id FROM outcomes UNION ALL SELECT route_id FROM feedback)
WHERE route_id NOT IN (SELECT route_id FROM decisions);

-- name: unfinished
-- Decisions of which nobody knows what became.
SELECT count(*) AS number FROM decisions WHERE route_id NOT IN (SELECT route_id FROM outcomes);

-- name: status_counts
-- Outcomes by status.
SELECT status, count(*) AS number FROM outcomes GROUP BY status ORDER BY status;

-- name: add_feedback
-- A caller's last word on a route, unless its decision was dropped meanwhile.
INSERT INTO feedback (route_id, recorded_at_utc, verdict, has_correction, row_digest)
SELECT :route_id, :recorded_at_utc, :verdict, :has_correction, :row_digest
WHERE EXISTS (SELECT 1 FROM decisions WHERE route_id = :route_id)
ON CONFLICT (route_id) DO UPDATE
SET recorded_at_utc = excluded.recorded_at_utc, verdict = excluded.verdict,
    has_correction = excluded.has_correction, row_digest = excluded.row_digest;

-- name: feedback
-- Everything that callers said.
SELECT * FROM feedback ORDER BY route_id;

-- name: route
-- What a decision depended on, and how it ended.
SELECT decisions.*, outcomes.status AS status
FROM decisions LEFT JOIN outcomes ON outcomes.route_id = decisions.route_id
WHERE decisions.route_id = :route_id;

-- name: unfinished_after
-- Decisions after this one without an outcome.
SELECT seq, route_id FROM decisions
WHERE seq > :seq AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.route_id = decisions.route_id)
ORDER BY seq LIMIT :limit;

-- name: marks
-- How far every decision has its outcome.
SELECT * FROM marks;

-- name: set_mark
-- Moves it.
INSERT INTO marks (name, seq, row_digest) VALUES (:name, :seq, :row_digest)
ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, row_digest = excluded.row_digest;

-- name: add_to_feed
-- Something became of a decision, unless it was dropped meanwhile.
INSERT INTO feed (kind, decision) SELECT :kind, seq FROM decisions WHERE route_id = :route_id;

-- name: drop_feed_before
-- What became of decisions about to be dropped.
DELETE FROM feed WHERE decision <= :seq;

-- name: add_writer
-- This process writes from here on.
INSERT INTO writers (id, after_position) VALUES (:id, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0));

-- name: drop_writers
-- Those of whom nothing is left, but the first, who names the file.
DELETE FROM writers WHERE number > 1 AND number < (
    SELECT max(number) FROM writers WHERE after_position < (SELECT min(position) FROM feed)
);

-- name: writers
-- Who wrote to the feed.
SELECT id, after_position FROM writers ORDER BY number;

-- name: feed_extent
-- What the feed holds.
SELECT coalesce((SELECT min(position) FROM feed), 0) AS first,
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0) AS last;

-- name: feed_after
-- What became of decisions, behind a position.
SELECT feed.position, feed.kind, decisions.*, outcomes.status, outcomes.answered_by, outcomes.findings,
    outcomes.prompt_tokens, outcomes.completion_tokens, outcomes.first_token_ms, outcomes.total_ms, outcomes.confidence,
    outcomes.error_code, outcomes.recorded_at_utc AS ended_at_utc, feedback.verdict, feedback.has_correction,
    feedback.recorded_at_utc AS said_at_utc
FROM feed JOIN decisions ON decisions.seq = feed.decision
LEFT JOIN outcomes ON outcomes.route_id = decisions.route_id
LEFT JOIN feedback ON feedback.route_id = decisions.route_id
WHERE feed.position > :position ORDER BY feed.position LIMIT :limit;
