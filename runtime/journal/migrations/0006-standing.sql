-- What the API answers from, while [api] is configured: where each business object stands, told by the events.
CREATE TABLE standing (
    kind TEXT NOT NULL,              -- shipment, stock, product, partner
    key  TEXT NOT NULL,
    part TEXT NOT NULL,              -- what is counted apart: JSON of location, status, lot and bin; else ''
    grp  TEXT,                       -- what lists are filtered by: location, role
    age  INTEGER NOT NULL,           -- of the journal in running hours when it was last told
    body BLOB NOT NULL,              -- JSON of a record of runtime.standing.records
    PRIMARY KEY (kind, key, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX standing_by_group ON standing (kind, grp, key, part) WHERE grp IS NOT NULL;
CREATE INDEX standing_by_age ON standing (kind, age);

-- One row for each event and business object that it names. Rows go from the oldest on, so ids have no gap.
CREATE TABLE timeline (
    id          INTEGER PRIMARY KEY,
    subject     TEXT NOT NULL,       -- order/1001
    type        INTEGER NOT NULL,
    source      INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    intake_seq  INTEGER NOT NULL,
    output      INTEGER NOT NULL,
    occurred_us INTEGER NOT NULL,
    status      TEXT,
    age         INTEGER NOT NULL     -- in running hours
) STRICT;
CREATE INDEX timeline_by_subject ON timeline (subject, id);

-- How far the events of each lane have been told, and how many rows of each kind there are.
CREATE TABLE told_through (
    lane   INTEGER PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT;
CREATE TABLE standing_rows (
    kind  TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
