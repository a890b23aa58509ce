"""The keys of a file target: where the files go, what they look like and how they are called."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from adapters.sdk.outbound import Filters


class Batch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`batch = { … }`: several events in one file. It is complete when one of the two is reached, or at a stop."""

    deliveries_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    """Events in one file."""
    seconds_max: Annotated[float, Meta(ge=1, le=3_000)] = 30.0
    """How long a file stays open after its first event. Less than the target's `timeout_seconds` (60): one delivery waits so long."""


class FileTargetSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[targets.<name>]` with `adapter = "file"`."""

    path: Annotated[str, Meta(min_length=1)]
    """The folder; relative to the configuration file. It must be there: a mount that is away is waited for. `.entrepot/` is made in it."""
    rendering: str = ""
    """File (TOML) that says what the events look like; see docs/targets.md. Empty: the event's data as JSON."""
    name: Annotated[str, Meta(max_length=500)] = ""
    """Name of each file, with `{expressions}`; other signs than letters, digits, `.`, `-` and `_` in their values become `_`. Empty: `{delivery.id}` (of a batch `{batch.time}-{batch.id}`) with the ending of the format."""
    overwrite: bool = False
    """Allows names without `{delivery.id}`: a later event then replaces the file of an earlier one."""
    batch: Batch | None = None
    """Several events in one file, for CSV and NDJSON. None: each event is a file."""
    filters: Filters = []
    """Which events: CloudEvents filters (`exact`, `prefix`, `suffix`, `all`, `any`, `not`); all must hold, none: every event."""
    file_mode: Annotated[str, Meta(pattern="^0?[0-7]{3}$")] = "0640"
    """Permissions of the files, in octal."""
