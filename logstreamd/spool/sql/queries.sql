-- The casts are for rows that a flipped bit has given another type.

-- schema --
SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rootpage;

-- insert --
INSERT INTO batches (seq, appended_at, input, frames, seal, body) VALUES (?, ?, ?, ?, ?, ?);

-- delete --
DELETE FROM batches WHERE seq = ?;

-- assign --
INSERT OR REPLACE INTO numbers (seq, number, seal) VALUES (?, ?, ?);

-- unassign --
DELETE FROM numbers WHERE seq = ?;

-- set_position --
INSERT OR REPLACE INTO positions (input, file, position, seal) VALUES (?, ?, ?, ?);

-- forget_position --
DELETE FROM positions WHERE input = ? AND file = ?;

-- positions --
SELECT input, position, cast(seal AS INTEGER) FROM positions;

-- summary --
SELECT cast(input AS TEXT), count(*), cast(total(frames) AS INTEGER) FROM batches GROUP BY input;

-- lengths --
SELECT ifnull(length(body), 0) FROM batches;

-- last --
SELECT ifnull(max(seq), 0) FROM batches;

-- after --
SELECT seq, cast(appended_at AS INTEGER), cast(input AS TEXT), cast(frames AS INTEGER), cast(seal AS INTEGER),
       ifnull(length(body), 0)
FROM batches WHERE seq > ? ORDER BY seq;

-- before --
SELECT seq, cast(appended_at AS INTEGER), cast(input AS TEXT), cast(frames AS INTEGER), cast(seal AS INTEGER),
       ifnull(length(body), 0)
FROM batches WHERE seq < ? ORDER BY seq DESC;

-- row --
SELECT seq, cast(appended_at AS INTEGER), cast(input AS TEXT), cast(frames AS INTEGER), cast(seal AS INTEGER),
       ifnull(length(body), 0)
FROM batches WHERE seq = ?;

-- body --
SELECT body FROM batches WHERE seq = ?;

-- number --
SELECT number, seal FROM numbers WHERE seq = ?;

-- seqs --
SELECT seq FROM batches LIMIT ?;
