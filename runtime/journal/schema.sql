-- The journal of one region. Append-only logs; a stage is a cursor; one row of counters balances the books.
-- Positions of lanes are packed: id = lane << 40 | number, so that every lane is one clustered range.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- Names that repeat in every row (sources, event types, policies) are stored once.
CREATE TABLE names (
    id   INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name)
) STRICT;

-- Raw facts: what was promised, for 35 days. `key_hash` narrows the search, `key` decides.
CREATE TABLE intake (
    seq          INTEGER PRIMARY KEY,
    epoch        INTEGER NOT NULL,
    source       INTEGER NOT NULL,
    key_hash     INTEGER,
    key          TEXT,
    sha256       BLOB NOT NULL,
    content_type TEXT NOT NULL,
    received_us  INTEGER NOT NULL,
    committed_us INTEGER NOT NULL,
    correlation  BLOB NOT NULL,
    traceparent  TEXT
) STRICT;

-- The facts of each key, up to books.keyed; the keys of later facts are found in memory.
CREATE TABLE keys (
    hash INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (hash, seq)
) STRICT, WITHOUT ROWID;

-- Bodies live apart: they may go when everything they led to is safe at the hub; the promise above stays.
CREATE TABLE bodies (
    seq    INTEGER PRIMARY KEY,
    key_id INTEGER NOT NULL,         -- 0: not encrypted
    body   BLOB NOT NULL
) STRICT;

-- The canonical backlog, uncleared and unsealed.
CREATE TABLE events (
    id            INTEGER PRIMARY KEY,
    intake_seq    INTEGER NOT NULL,
    output        INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    late          INTEGER NOT NULL,
    type          INTEGER NOT NULL,
    source        INTEGER NOT NULL,
    partition_key TEXT NOT NULL,
    correlation   BLOB NOT NULL,
    traceparent   TEXT,
    key_id        INTEGER NOT NULL DEFAULT 0,
    body          BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_origin ON events (intake_seq, output);

-- Cleared and sealed: what stands at this position of the hub's stream, for ever.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY,
    kind        INTEGER NOT NULL,    -- 0 released, 1 withheld (stub), 2 epoch record
    epoch       INTEGER NOT NULL,
    event       INTEGER NOT NULL,    -- number in the lane's events; 0 for an epoch record
    policy      INTEGER NOT NULL,
    disposition INTEGER NOT NULL,
    chain       BLOB NOT NULL,
    subject     TEXT NOT NULL,
    headers     BLOB NOT NULL,
    data        BLOB NOT NULL
) STRICT;

CREATE TABLE dispositions (
    id     INTEGER PRIMARY KEY,      -- first 63 bits of the SHA-256 over type and fields
    policy INTEGER NOT NULL,
    type   TEXT NOT NULL,
    fields TEXT NOT NULL             -- JSON: [[path, class, action, rule], …]
) STRICT;

CREATE TABLE lanes (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    queued       INTEGER NOT NULL DEFAULT 0,  -- last number given to an event
    sealed_event INTEGER NOT NULL DEFAULT 0,  -- last event cleared and sealed
    sealed       INTEGER NOT NULL DEFAULT 0,  -- last sequence given
    sealed_chain BLOB NOT NULL,
    acked        INTEGER NOT NULL DEFAULT 0,
    acked_chain  BLOB NOT NULL,
    oldest       INTEGER NOT NULL DEFAULT 1   -- first sequence still retained
) STRICT;

CREATE TABLE fences (
    lane     INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    action   TEXT NOT NULL,
    evidence TEXT NOT NULL,
    since_us INTEGER NOT NULL
) STRICT;

-- Origins that `adopt` found at the hub already, sealed by a timeline this journal does not know.
CREATE TABLE elsewhere (
    intake_seq INTEGER NOT NULL,
    output     INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    kind       INTEGER NOT NULL,
    proof      TEXT NOT NULL,        -- correlation id, or the stub's commitment: the same number may be another fact
    PRIMARY KEY (intake_seq, output, epoch)
) STRICT, WITHOUT ROWID;

-- Dead letters. `waits_for` is filled for sources with on_letter = "park".
CREATE TABLE letters (
    id         INTEGER PRIMARY KEY,
    intake_seq INTEGER NOT NULL UNIQUE,
    source     INTEGER NOT NULL,
    state      TEXT NOT NULL,        -- open, discarded
    reason     TEXT NOT NULL,
    position   TEXT NOT NULL,
    hint       TEXT NOT NULL,
    mapping    TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    last_us    INTEGER NOT NULL,
    park_key   TEXT                  -- successors of this key wait; '*' = the whole source; NULL = none wait
) STRICT;
CREATE INDEX letters_parking ON letters (source, park_key) WHERE park_key IS NOT NULL;

-- Facts whose turn came while an older letter of their key was open.
CREATE TABLE parked (
    intake_seq INTEGER PRIMARY KEY,
    letter     INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_by_letter ON parked (letter, intake_seq);

-- Their keys: a message with several keys must not be overtaken on those that no letter holds.
CREATE TABLE parked_keys (
    source     INTEGER NOT NULL,
    key        TEXT NOT NULL,
    intake_seq INTEGER NOT NULL,
    PRIMARY KEY (source, key, intake_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX parked_keys_by_fact ON parked_keys (intake_seq);

-- What a source has told once and need not tell again (tracker histories).
CREATE TABLE told (
    source     INTEGER NOT NULL,
    key_hash   BLOB NOT NULL,
    intake_seq INTEGER NOT NULL,
    PRIMARY KEY (source, key_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE ignored (
    reason TEXT PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE books (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    accepted      INTEGER NOT NULL DEFAULT 0,
    delivered     INTEGER NOT NULL DEFAULT 0,
    withheld      INTEGER NOT NULL DEFAULT 0,
    dead_lettered INTEGER NOT NULL DEFAULT 0,
    ignored       INTEGER NOT NULL DEFAULT 0,
    expired       INTEGER NOT NULL DEFAULT 0,
    pending       INTEGER NOT NULL DEFAULT 0,
    duplicates    INTEGER NOT NULL DEFAULT 0,
    facts         INTEGER NOT NULL DEFAULT 0,  -- last intake sequence
    translated    INTEGER NOT NULL DEFAULT 0,  -- cursor of translation
    keyed         INTEGER NOT NULL DEFAULT 0   -- cursor of the table of keys
) STRICT;
INSERT INTO books (id) VALUES (1);

CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    body   BLOB NOT NULL,
    digest TEXT NOT NULL,
    sent   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX checkpoints_unsent ON checkpoints (number) WHERE sent = 0;

CREATE TABLE incidents (
    id    INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    lane  TEXT NOT NULL,
    text  TEXT NOT NULL
) STRICT;

-- Ages are counted in seconds of running time: a jump of the wall clock ages nothing.
CREATE TABLE marks (
    age_seconds INTEGER PRIMARY KEY,
    intake_seq  INTEGER NOT NULL,
    acked       TEXT NOT NULL         -- JSON: {lane id: acked sequence}
) STRICT;
