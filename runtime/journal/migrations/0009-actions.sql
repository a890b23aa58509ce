-- What headquarters has asked for: each id once, with the signed answer, which is kept until the hub has it.
CREATE TABLE actions (
    id     TEXT PRIMARY KEY,
    at_us  INTEGER NOT NULL,
    result BLOB,                     -- NULL: begun and not ended; it is done again, for each verb may be
    sent   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_unsent ON actions (at_us) WHERE sent = 0;
