"""The keys of a file drop source: where files appear, when they are complete, and how they are read."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Megabytes = 1024 * 1024

Format = Literal["csv", "json", "ndjson", "xml"]
Delimiter = Literal[";", ",", "\t", "|"]
TextEncoding = Literal["utf-8", "latin-1"]


class FileDropSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sources.<name>]` with `adapter = "file_drop"`."""

    path: Annotated[str, Meta(min_length=1)]
    """The folder; relative to the configuration file. `processing/`, `done/` and `failed/` are made in it."""
    pattern: Annotated[str, Meta(min_length=1, max_length=200)] = "*"
    """Shell pattern that a file name must match, e.g. `stock_*.csv`."""
    format: Literal["auto", "csv", "json", "ndjson", "xml"] = "auto"
    """`auto` goes by the name's ending: .csv .txt .tsv, .json, .ndjson .jsonl, .xml."""
    delimiter: Literal["auto", ";", ",", "\t", "|"] = "auto"
    """`auto` takes what the first line has most of."""
    encoding: Literal["auto", "utf-8", "latin-1"] = "auto"
    """Of CSV. `auto`: UTF-8 (a byte order mark is dropped) if the whole file is, else Latin-1."""
    header: bool = True
    """The first line of a CSV file names the columns; otherwise they are c1, c2, …"""
    poll_seconds: Annotated[float, Meta(ge=0.05, le=3_600)] = 1.0
    """How often the folder is looked at."""
    stable_seconds: Annotated[float, Meta(ge=0.05, le=3_600)] = 2.0
    """A file is complete when size and time have not changed for this long. Longer for slow uploads."""
    file_bytes_max: Annotated[int, Meta(ge=1, le=4_096 * Megabytes)] = 64 * Megabytes
    """A larger file goes to `failed/` with the reason."""
    message_bytes_max: Annotated[int, Meta(ge=1, le=64 * Megabytes)] = Megabytes
    """One line, or a JSON or XML file as a whole."""
    lines_batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """Lines committed in one transaction."""
