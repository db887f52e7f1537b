-- name: last_boot
-- The newest start that is known.
SELECT coalesce(max(number), 0) AS number FROM boots;

-- name: add_boot
-- A start of the daemon.
INSERT INTO boots (number, id, last_seq) VALUES (:number, :id, 0);

-- name: boots
-- Every start that is still known.
SELECT number, id FROM boots;

-- name: boot
-- A start by its id.
SELECT number FROM boots WHERE id = :id;

-- name: drop_streams_of_old_boots
-- What was acknowledged of starts long ago that have nothing left.
DELETE FROM streams WHERE boot <= :number
AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.boot = streams.boot)
AND boot NOT IN (SELECT value FROM json_each(:waiting));

-- name: drop_old_boots
-- Starts long ago that have nothing left.
DELETE FROM boots WHERE number <= :number
AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.boot = boots.number)
AND number NOT IN (SELECT value FROM json_each(:waiting));

-- name: boots_of_events
-- Starts that have events of a stream which were not cut.
SELECT DISTINCT boot FROM events WHERE stream = :stream;

-- name: last_seq
-- The last number that this start gave to an event.
SELECT last_seq AS number FROM boots WHERE number = :boot;

-- name: set_last_seq
-- Numbers were given.
UPDATE boots SET last_seq = :seq WHERE number = :boot;

-- name: add_event
-- One event, numbered.
INSERT INTO events (stream, boot, seq, size_bytes, body) VALUES (:stream, :boot, :seq, :size_bytes, :body);

-- name: droppable
-- What of a stream may go, the oldest first.
SELECT boot, seq, size_bytes FROM events WHERE stream = :stream ORDER BY boot, seq;

-- name: drop_event
-- One that is counted in a gap.
DELETE FROM events WHERE stream = :stream AND boot = :boot AND seq = :seq;

-- name: oldest_boot
-- The oldest start that has something of a stream to be cut.
SELECT boot FROM events WHERE stream = :stream ORDER BY boot LIMIT 1;

-- name: next_events
-- The next events of one start's stream.
SELECT seq, size_bytes, body FROM events WHERE stream = :stream AND boot = :boot ORDER BY seq LIMIT :limit;

-- name: drop_cut_events
-- They are in a batch now.
DELETE FROM events WHERE stream = :stream AND boot = :boot AND seq <= :seq;

-- name: stream
-- How far one start's stream was cut, and has gone.
SELECT cut_seq, gone_seq, gone_events FROM streams WHERE boot = :boot AND stream = :stream;

-- name: floors
-- What has gone of the starts' streams, the newest first.
SELECT streams.*, boots.id AS boot_id FROM streams JOIN boots ON boots.number = streams.boot WHERE gone_seq > 0
ORDER BY boot DESC, stream LIMIT :limit OFFSET :skip;

-- name: set_cut
-- A batch was cut.
INSERT INTO streams (boot, stream, cut_seq, gone_seq, gone_events) VALUES (:boot, :stream, :seq, 0, 0)
ON CONFLICT (boot, stream) DO UPDATE SET cut_seq = excluded.cut_seq;

-- name: set_gone
-- Batches were acknowledged or refused.
UPDATE streams SET gone_seq = :seq, gone_events = gone_events + :events
WHERE boot = :boot AND stream = :stream;

-- name: add_batch
-- A batch, as it will be sent however often.
INSERT INTO batches (boot, stream, after_seq, last_seq, events, size_bytes, payload)
VALUES (:boot, :stream, :after_seq, :last_seq, :events, :size_bytes, :payload) RETURNING number;

-- name: batches
-- Every batch that was cut and has not gone, in the order cut.
SELECT batches.*, boots.id AS boot_id FROM batches JOIN boots ON boots.number = batches.boot ORDER BY batches.number;

-- name: batches_up_to
-- The batches of one start's stream that have gone.
SELECT number, after_seq, last_seq, events, size_bytes FROM batches
WHERE boot = :boot AND stream = :stream AND last_seq <= :seq ORDER BY last_seq;

-- name: drop_batch
-- It has gone.
DELETE FROM batches WHERE number = :number;

-- name: pending_gaps
-- Losses that no batch tells yet, the oldest first.
SELECT * FROM gaps WHERE cut_in IS NULL ORDER BY number LIMIT :limit;

-- name: pending_gaps_number
-- How many there are.
SELECT count(*) AS number FROM gaps WHERE cut_in IS NULL;

-- name: pending_gap
-- The newest loss of a kind that no batch tells yet.
SELECT * FROM gaps WHERE cut_in IS NULL AND boot_id = :boot_id AND stream = :stream AND reason = :reason
ORDER BY number DESC LIMIT 1;

-- name: oldest_placed_gap
-- The oldest loss that no batch tells yet and that says whose events they were; of refused ones, which the controller
-- counts too and knows again by their place, last.
SELECT * FROM gaps WHERE cut_in IS NULL AND boot_id <> '' ORDER BY reason = 'refused', number LIMIT 1;

-- name: add_gap
-- A loss.
INSERT INTO gaps (boot_id, stream, first_seq, last_seq, events, reason, noted_at_s, cut_in)
VALUES (:boot_id, :stream, :first_seq, :last_seq, :events, :reason, :noted_at_s, NULL);

-- name: widen_gap
-- More of the same.
UPDATE gaps SET first_seq = :first_seq, last_seq = :last_seq, events = :events WHERE number = :number;

-- name: cut_gap
-- A batch tells it.
UPDATE gaps SET cut_in = :batch WHERE number = :number;

-- name: put_gaps_back
-- The batch that told them was refused: another will.
UPDATE gaps SET cut_in = NULL WHERE cut_in = :batch;

-- name: drop_gap
-- It is told in another.
DELETE FROM gaps WHERE number = :number;

-- name: drop_told_gaps
-- The controller has them.
DELETE FROM gaps WHERE cut_in = :batch;

-- name: standing
-- How the outbox stands.
SELECT * FROM standing;

-- name: set_cursor
-- How far the source was read.
UPDATE standing SET cursor = :cursor;

-- name: count_lost
-- Events are gone, and counted in a gap.
UPDATE standing SET lost_events = lost_events + :events;

-- name: change_standing
-- What was added and taken away.
UPDATE standing SET events = events + :events, size_bytes = size_bytes + :size_bytes, cut_events = cut_events + :cut,
    acknowledged_events = acknowledged_events + :acknowledged;
