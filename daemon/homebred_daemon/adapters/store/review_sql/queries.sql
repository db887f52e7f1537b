-- name: add_item
-- One item, whole.
INSERT INTO items (
    route_id, task_id, workflow, classes, reason_code, filed_by, filed_at_utc, expires_at_utc, state, claimed_by,
    claim_id, claim_ends_at_utc, resolution_mark, due_at_utc
) VALUES (
    :route_id, :task_id, :workflow, :classes, :reason_code, :filed_by, :filed_at_utc, :expires_at_utc, :state,
    :claimed_by, :claim_id, :claim_ends_at_utc, :resolution_mark, :due_at_utc
);

-- name: change_item
-- What a transition changes.
UPDATE items
SET state = :state, claimed_by = :claimed_by, claim_id = :claim_id, claim_ends_at_utc = :claim_ends_at_utc,
    resolution_mark = :resolution_mark, expires_at_utc = :expires_at_utc, due_at_utc = :due_at_utc
WHERE route_id = :route_id;

-- name: erase_item
-- The last of an item.
DELETE FROM items WHERE route_id = :route_id;

-- name: item
-- One item.
SELECT * FROM items WHERE route_id = :route_id;

-- name: items_in
-- Items in one state, in the order filed.
SELECT * FROM items WHERE state = :state ORDER BY seq LIMIT :limit;

-- name: due_items
-- Items that time has done something to.
SELECT * FROM items WHERE due_at_utc <= :now ORDER BY due_at_utc, seq LIMIT :limit;

-- name: oldest_ended_items
-- Those that ended first.
SELECT * FROM items WHERE state IN ('answered', 'declined', 'expired') ORDER BY due_at_utc, seq LIMIT :limit;

-- name: next_due
-- When time next does something; null: never.
SELECT min(due) AS due
FROM (SELECT min(due_at_utc) AS due FROM items UNION ALL SELECT min(due_at_utc) FROM corrections);

-- name: open_items
-- How many items are open.
SELECT count(*) AS number FROM items WHERE state IN ('waiting', 'claimed');

-- name: ended_items
-- How many items have ended and are still kept.
SELECT count(*) AS number FROM items WHERE state IN ('answered', 'declined', 'expired');

-- name: states
-- Items by state, and when the first of each was filed.
SELECT state, count(*) AS number, min(filed_at_utc) AS oldest FROM items GROUP BY state;

-- name: add_content
-- The sealed content of a new item.
INSERT INTO contents (route_id, slot, content, size_bytes) VALUES (:route_id, :slot, :content, :size_bytes);

-- name: add_resolution
-- The sealed resolution of an item.
UPDATE contents SET resolution = :resolution, size_bytes = size_bytes + length(:resolution) WHERE route_id = :route_id;

-- name: content
-- The sealed content of an item.
SELECT data_key, content, resolution FROM contents JOIN data_keys USING (slot) WHERE route_id = :route_id;

-- name: content_bytes
-- How much sealed content there is.
SELECT coalesce(sum(size_bytes), 0) AS number FROM contents;

-- name: free_slot
-- Where a key may go; null: nowhere yet.
SELECT min(slot) AS slot FROM data_keys WHERE is_used = 0;

-- name: add_key
-- A key in a slot of its own.
INSERT INTO data_keys (is_used, data_key) VALUES (1, :data_key) RETURNING slot;

-- name: put_key
-- A key in a free slot.
UPDATE data_keys SET is_used = 1, data_key = :data_key WHERE slot = :slot;

-- name: shred
-- Without the data key nobody can open what a disk may still hold of the rest.
UPDATE data_keys SET is_used = 0, data_key = zeroblob(length(data_key)) WHERE slot = :slot;

-- name: content_slot
-- Where an item's key is.
SELECT slot FROM contents WHERE route_id = :route_id;

-- name: erase_content
-- What is sealed with a key that was shredded.
DELETE FROM contents WHERE route_id = :route_id;

-- name: add_correction
-- The last word on an answer.
INSERT INTO corrections (route_id, slot, content, due_at_utc) VALUES (:route_id, :slot, :content, :due_at_utc);

-- name: correction
-- What an answer should have been, sealed.
SELECT data_key, content FROM corrections JOIN data_keys USING (slot) WHERE route_id = :route_id;

-- name: other_corrections
-- How many there are beside this one.
SELECT count(*) AS number FROM corrections WHERE route_id <> :route_id;

-- name: correction_slot
-- Where a correction's key is.
SELECT slot FROM corrections WHERE route_id = :route_id;

-- name: due_corrections
-- Those whose retention is over.
SELECT route_id FROM corrections WHERE due_at_utc <= :now LIMIT :limit;

-- name: erase_correction
-- What is sealed with a key that was shredded.
DELETE FROM corrections WHERE route_id = :route_id;

-- name: count
-- One more.
INSERT INTO counts (name, number) VALUES (:name, 1) ON CONFLICT (name) DO UPDATE SET number = number + 1;

-- name: counts
-- What became of all items.
SELECT name, number FROM counts;
