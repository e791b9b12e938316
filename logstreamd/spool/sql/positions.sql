-- How far each followed file is read, written in the transaction that appends the batch with its lines. Format 2.
CREATE TABLE positions (
    input    TEXT    NOT NULL,
    file     BLOB    NOT NULL, -- device and inode
    position BLOB    NOT NULL, -- as in the body of a batch
    seal     INTEGER NOT NULL, -- CRC-32 over the columns above
    PRIMARY KEY (input, file)
) STRICT, WITHOUT ROWID;
