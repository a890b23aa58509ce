"""The dry run of a revision on this agent: does it load, may it be, and what would it change. Blocking; applies nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from runtime.config.assemble import Configuration, load_configuration
from runtime.config.change import compare, fixed
from runtime.config.overlay import Overlay, merged
from runtime.errors import ConfigError, EntrepotError, Refused, Retryable
from runtime.fleet.loosening import loosenings

LOOSENINGS_SHOWN = 5


def rehearse(path: Path, overlay: Overlay, running: Configuration, *, regional: bool, today: date) -> str:
    """What would change, as a sentence. `regional`: the region has signed it, so that it may loosen.

    Raises `ConfigError` and `Refused` with the reason, `Retryable` when the local file cannot be read just now.
    """
    try:
        local = load_configuration(path)
    except ConfigError as error:
        raise Retryable(f"waits: the local file cannot be used ({error})", hint=error.hint) from None
    new = load_configuration(path, overlay)
    found = loosenings(local, new, today=today)
    if found and not regional:
        more = f" and {len(found) - LOOSENINGS_SHOWN} more" if len(found) > LOOSENINGS_SHOWN else ""
        raise Refused(
            f"only the region may loosen: {'; '.join(found[:LOOSENINGS_SHOWN])}{more}",
            hint="let regional IT sign this revision, or leave it out",
        )
    fixed(running, new)
    secrets = new.read_secrets()
    plan = compare(running, new, secrets, secrets)
    # What is broken on this machine already is not the revision's fault.
    new.try_sources(plan.started)
    new.try_targets(plan.targets_started)
    if plan.uplink:
        new.check_hub_files()
    parts = "; ".join(f"{change.part} {change.change} {change.detail}".strip() for change in plan.changes)
    drains = f"; after these lanes have drained: {', '.join(sorted(plan.drains))}" if plan.drains else ""
    return f"changes {parts}{drains}" if parts else "changes nothing"


def keeping_lanes(running: Configuration, wanted: Configuration) -> Overlay:
    """The way to `wanted`, but every source goes on by the lanes that it has now: they have not drained, and order must hold."""
    model = running.model
    lanes = {
        "lanes": msgspec.to_builtins(model.lanes),
        "routes": msgspec.to_builtins(model.routes),
        "sources": {name: {"lane": s.lane} for name, s in running.sources.items() if name in wanted.sources},
    }
    overlay = wanted.overlay or Overlay(version=0, settings={})
    return msgspec.structs.replace(overlay, settings=merged(overlay.settings, lanes))


def reason_of(error: Exception) -> str:
    """Why a configuration cannot be used, with the next step."""
    if isinstance(error, EntrepotError):
        return f"{error}; {error.hint}" if error.hint else str(error)
    return f"it could not be prepared ({type(error).__name__})"
