-- Who may call, by which credential. Secrets are never here, only their digests.
CREATE TABLE callers (
    name       TEXT PRIMARY KEY,
    grants     TEXT NOT NULL,        -- JSON: ["source:wms:write", "role:carrier", …]
    limits     TEXT NOT NULL,        -- JSON
    created_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE credentials (
    id         TEXT PRIMARY KEY,
    caller     TEXT NOT NULL,
    kind       TEXT NOT NULL,        -- key, certificate, certificate-subject, oidc-subject
    digest     BLOB NOT NULL,        -- SHA-256 of the secret, the certificate, or the name in it
    created_us INTEGER NOT NULL,
    expires_us INTEGER,
    revoked_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX credentials_in_force ON credentials (kind, digest) WHERE revoked_us IS NULL;

-- Subjects and token ids of the identity provider that open nothing any more.
CREATE TABLE revocations (
    digest BLOB PRIMARY KEY,
    at_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a caller has used of the day, so that a restart gives nobody a second one.
CREATE TABLE caller_days (
    caller   TEXT PRIMARY KEY,
    day      INTEGER NOT NULL,
    requests INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who sent a fact, where senders have names of their own.
CREATE TABLE senders (
    intake_seq INTEGER PRIMARY KEY,
    caller     INTEGER NOT NULL
) STRICT;

-- Every decision about access. Each entry is chained to the one before.
CREATE TABLE access_log (
    number INTEGER PRIMARY KEY,
    entry  TEXT NOT NULL,            -- JSON, chained exactly as it stands here
    chain  BLOB NOT NULL
) STRICT;
CREATE TRIGGER access_log_is_not_changed BEFORE UPDATE ON access_log
BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
CREATE TRIGGER access_log_is_not_shortened BEFORE DELETE ON access_log
BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER access_log_is_only_continued BEFORE INSERT ON access_log
WHEN NEW.number <> (SELECT coalesce(max(number), 0) + 1 FROM access_log)
BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END;
