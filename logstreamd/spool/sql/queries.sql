-- insert --
INSERT INTO batches (seq, appended_at, input, frames, seal, body)
VALUES (:seq, :appended_at, :input, :frames, :seal, :body);

-- delete --
DELETE FROM batches WHERE seq = ?;

-- assign --
INSERT OR REPLACE INTO numbers (seq, number, seal) VALUES (?, ?, ?);

-- unassign --
DELETE FROM numbers WHERE seq = ?;

-- summary --
SELECT input, count(*), sum(frames) FROM batches GROUP BY input;

-- lengths --
SELECT length(body) FROM batches;

-- last --
SELECT coalesce(max(seq), 0) FROM batches;

-- after --
SELECT seq, appended_at, input, frames, seal, length(body) FROM batches WHERE seq > ? ORDER BY seq;

-- before --
SELECT seq, appended_at, input, frames, seal, length(body) FROM batches WHERE seq < ? ORDER BY seq DESC;

-- row --
SELECT seq, appended_at, input, frames, seal, length(body) FROM batches WHERE seq = ?;

-- body --
SELECT body FROM batches WHERE seq = ?;

-- number --
SELECT number, seal FROM numbers WHERE seq = ?;

-- seqs --
SELECT seq FROM batches LIMIT ?;
