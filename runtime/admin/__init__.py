"""The admin interface of a running agent: HTTP on a Unix socket that only its owner and group may open."""
