-- name: find
-- One command.
SELECT * FROM commands WHERE id = :id;

-- name: add
-- A new one with its first result.
INSERT INTO commands (
    id, op, deadline_s, issued_by, parameters, state, at_s, problem_code, problem, answer, attachment, revision, told
) VALUES (
    :id, :op, :deadline_s, :issued_by, :parameters, :state, :at_s, :problem_code, :problem, :answer, :attachment, 1, 0
);

-- name: change
-- Its next result, which was not told.
UPDATE commands
SET state = :state, at_s = :at_s, problem_code = :problem_code, problem = :problem, answer = :answer,
    attachment = :attachment, revision = revision + 1
WHERE id = :id;

-- name: tell_again
-- The controller asks for a command that it knows already.
UPDATE commands SET told = 0 WHERE id = :id;

-- name: untold
-- Those with a result that was not told, in the order in which they came.
SELECT * FROM commands WHERE told < revision ORDER BY seq LIMIT :limit;

-- name: told
-- A result was told; a newer one was not.
UPDATE commands SET told = max(told, :revision) WHERE id = :id AND revision >= :revision;

-- name: open
-- Those that have not ended.
SELECT * FROM commands WHERE state IN ('accepted', 'waiting') ORDER BY seq;

-- name: number
-- All that are known.
SELECT count(*) AS number FROM commands;

-- name: forget
-- The oldest that has ended, was told and can be asked for no more, as its deadline is over.
DELETE FROM commands
WHERE seq = (
    SELECT min(seq) FROM commands
    WHERE state NOT IN ('accepted', 'waiting') AND told >= revision AND deadline_s < :now_s
);
