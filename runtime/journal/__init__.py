"""The journal: append-only logs in one SQLite file; a stage is a cursor; every change is one group commit.

`journal` opens it, `store` owns the connection, `writer` commits; `intake`, `events`, `outbox`, `lanes`,
`letters` and `books` are the tables. Functions take the connection: they run inside a change or a read.
"""
