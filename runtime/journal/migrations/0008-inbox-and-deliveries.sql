-- Headquarters whose lane for this region is read: the last record taken in, and why nothing more is.
CREATE TABLE downlinks (
    id      INTEGER PRIMARY KEY,
    region  TEXT NOT NULL UNIQUE,
    epoch   INTEGER NOT NULL DEFAULT 0,
    seq     INTEGER NOT NULL DEFAULT 0,
    highest INTEGER NOT NULL DEFAULT 0,  -- of this epoch: what was delivered once never gets its id again
    chain   BLOB NOT NULL,             -- empty: a person decided to believe the next record
    fence   TEXT                       -- JSON; NULL: none
) STRICT;

-- Its records as the hub holds them, append-only; number: 1, 2, … in order of arrival.
CREATE TABLE inbox (
    number      INTEGER PRIMARY KEY,
    downlink    INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    received_us INTEGER NOT NULL,
    chain       BLOB NOT NULL,
    subject     TEXT NOT NULL,
    headers     BLOB NOT NULL,
    data        BLOB NOT NULL
) STRICT;

-- One row a target: what it reads, how far it has looked, and its own books.
-- received = delivered + not_wanted + dead_lettered + expired + pending, at every commit.
CREATE TABLE targets (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    reads         TEXT NOT NULL,       -- inbox, or the name of a lane
    active        INTEGER NOT NULL,    -- 0: removed with nothing left to deliver
    looked        INTEGER NOT NULL,    -- rows up to here have been looked at
    counted       INTEGER NOT NULL,    -- rows up to here are in `received`
    received      INTEGER NOT NULL DEFAULT 0,
    delivered     INTEGER NOT NULL DEFAULT 0,
    not_wanted    INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0,
    expired       INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0,
    letters       INTEGER NOT NULL DEFAULT 0,   -- those of dead_lettered that wait for a decision
    disabled      TEXT                 -- why it gets nothing until a person enables it
) STRICT;

-- What a target wants: unfinished ones and letters with their content, finished ones without.
CREATE TABLE deliveries (
    number     INTEGER PRIMARY KEY,
    target     INTEGER NOT NULL,
    state      TEXT NOT NULL,          -- open, letter, delivered, expired, discarded
    id         TEXT NOT NULL,          -- idempotency key
    type       TEXT NOT NULL,
    key        TEXT,
    attempts   INTEGER NOT NULL DEFAULT 0,
    first_us   INTEGER NOT NULL,
    next_us    INTEGER NOT NULL,
    last_us    INTEGER NOT NULL DEFAULT 0,
    expires_us INTEGER,
    reason     TEXT NOT NULL DEFAULT '',
    hint       TEXT NOT NULL DEFAULT '',
    reference  TEXT NOT NULL DEFAULT '',
    headers    BLOB NOT NULL,
    data       BLOB NOT NULL
) STRICT;
CREATE INDEX deliveries_by_target ON deliveries (target, state, number);
CREATE INDEX deliveries_by_state ON deliveries (state, number);
