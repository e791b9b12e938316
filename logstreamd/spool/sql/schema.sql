-- One row is one batch, in the order of arrival; deleted when it is stored. The small columns come before the body,
-- so that counting what is here never reads a body.
CREATE TABLE batches (
    seq         INTEGER PRIMARY KEY,
    appended_at INTEGER NOT NULL,
    input       TEXT    NOT NULL,
    frames      INTEGER NOT NULL,
    seal        INTEGER NOT NULL, -- CRC-32 over the columns above and the body's own CRC
    body        BLOB    NOT NULL
) STRICT;

-- The batch number a batch was given at its first attempt. A table of its own: changing a row of batches would write
-- its whole body again.
CREATE TABLE numbers (
    seq    INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    seal   INTEGER NOT NULL -- CRC-32 over the columns above
) STRICT;
