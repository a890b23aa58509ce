-- How many letters of a source are open: a figure that status and metrics look at every second.
CREATE TABLE letters_open (
    source INTEGER PRIMARY KEY,
    count  INTEGER NOT NULL
) STRICT;
INSERT INTO letters_open (source, count) SELECT source, count(*) FROM letters WHERE state = 'open' GROUP BY source;

-- What a stop interrupted between a letter's success and its successors: every start looks for these.
CREATE INDEX letters_draining ON letters (id) WHERE state = 'draining';
