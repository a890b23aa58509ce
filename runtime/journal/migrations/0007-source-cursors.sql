-- Where a source that fetches by itself stands: moved in the transaction of what was fetched, and never else.
CREATE TABLE source_cursors (
    source INTEGER PRIMARY KEY,
    value  TEXT NOT NULL,            -- the source's own, opaque here
    at_us  INTEGER NOT NULL
) STRICT;

-- Facts that only say where to look: pending until their document is in, or until they are letters.
CREATE TABLE following (
    intake_seq INTEGER PRIMARY KEY,
    source     INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX following_by_source ON following (source, intake_seq);
