-- name: add_document
-- Keeps a document once, under its digest.
INSERT INTO documents (digest, kind, body) VALUES (:digest, :kind, :body) ON CONFLICT DO NOTHING;

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
-- What became of a route.
INSERT INTO outcomes (
    route_id, recorded_at_utc, status, answered_by, findings, finish_reason, error_code, prompt_tokens, cached_tokens,
    completion_tokens, first_token_ms, total_ms, confidence, row_digest
) VALUES (
    :route_id, :recorded_at_utc, :status, :answered_by, :findings, :finish_reason, :error_code, :prompt_tokens,
    :cached_tokens, :completion_tokens, :first_token_ms, :total_ms, :confidence, :row_digest
);

-- name: decisions
-- Every decision in the order made.
SELECT * FROM decisions ORDER BY seq;

-- name: outcomes
-- Every outcome.
SELECT * FROM outcomes ORDER BY recorded_at_utc, route_id;

-- name: drop_outcomes_before
-- The outcomes of decisions about to be dropped.
DELETE FROM outcomes WHERE route_id IN (SELECT route_id FROM decisions WHERE seq <= :seq);

-- name: drop_decisions_before
-- The oldest decisions, at the bound.
DELETE FROM decisions WHERE seq <= :seq;

-- name: add_gap
-- Says what was dropped, and why.
INSERT INTO gaps (recorded_at_utc, reason, decisions) VALUES (:recorded_at_utc, :reason, :decisions);

-- name: status_counts
-- Outcomes by status.
SELECT status, count(*) AS number FROM outcomes GROUP BY status ORDER BY status;
