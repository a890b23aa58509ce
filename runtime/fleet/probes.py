"""The read-only questions that headquarters may ask an agent. Fixed names: there is no shell behind them."""

from __future__ import annotations

PROBES: dict[str, str] = {
    "status": "the books, the lanes and the alerts, as `entrepot status` shows them",
    "config": "digests of the slots, what is in force, and which keys a local override changes",
    "sources": "the sources with their lanes, rates and rejected messages; no partner's data",
    "letters": "rejected messages by source and reason, counted; no message is shown",
    "journal": "size, free space, oldest row, and the SQLite version",
    "doctor": "what `entrepot doctor` finds, without its probes that write",
    "versions": "versions of the program, of Python, of SQLite and of the hub",
}
REHEARSE = "rehearse"
"""Comes with a signed revision, which `entrepot fleet plan --rehearse` makes."""
UNKNOWN = "this agent knows no such probe"
"""An older agent says the same, word for word."""
