"""What regional IT asks and says about revisions: show, override, resume, veto. The same for a running and a stopped agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from runtime import clock
from runtime.config.assemble import Configuration
from runtime.errors import Permanent, Refused
from runtime.fleet import lifecycle
from runtime.fleet.lifecycle import LOCAL, Override, State
from runtime.fleet.slots import Slots
from runtime.journal import access_log
from runtime.status import RevisionStatus

if TYPE_CHECKING:
    from runtime.fleet.steward import Steward
    from runtime.journal.journal import Journal
    from runtime.observe.log import Log

HOURS_MAX = 24 * 14
"""An override that lasts for ever is no override: then the revision has to change, or the local file."""
HOUR_US = 3_600 * 1_000_000
REASON_CHARS_MAX = 500


class Regional:
    """The four verbs of a running agent."""

    def __init__(self, steward: Steward | None) -> None:
        self._steward = steward

    async def show(self) -> dict[str, Any]:
        """What is in force and from where."""
        answer: dict[str, Any] = await self._there().ask(shown)
        return answer

    async def override(self, *, hours: float, reason: str, version: int = LOCAL) -> dict[str, Any]:
        """Work by the local file alone, or by a version that still has a slot, for a while."""
        await self._there().override(wanted(hours, reason, version))
        return await self.show()

    async def resume(self) -> dict[str, Any]:
        """End an override before its time."""
        await self._there().resume()
        return await self.show()

    async def veto(self, *, reason: str) -> dict[str, Any]:
        """Do not take the newest revision."""
        await self._there().veto(said(reason))
        return await self.show()

    def _there(self) -> Steward:
        if self._steward is None:
            raise unsteered()
        return self._steward


def unsteered() -> Refused:
    """Nobody steers this region."""
    return Refused(
        "headquarters does not steer this region: there is no [fleet] in the local file",
        hint="docs/fleet.md says how a region joins the fleet",
    )


def wanted(hours: float, reason: str, version: int) -> Override:
    """Raises `Permanent` for an override without end or reason."""
    if not 0 < hours <= HOURS_MAX:
        raise Permanent(f"an override lasts up to {HOURS_MAX} hours, not {hours:g}", hint="give --hours")
    return Override(until_us=clock.now_us() + int(hours * HOUR_US), reason=said(reason), version=version)


def said(reason: str) -> str:
    """Raises `Permanent` for an empty or endless one."""
    text = " ".join(reason.split())
    if not text or len(text) > REASON_CHARS_MAX:
        raise Permanent(
            f"a reason of up to {REASON_CHARS_MAX} characters is needed: headquarters sees it", hint="give --reason"
        )
    return text


async def enter(state: State, journal: Journal, log: Log) -> State:
    """At a start: what was decided while no agent ran goes into the access log; twice if the process ends right here."""
    if not state.words:
        return state
    words = [{"verb": word.verb, "by": word.by, "decided_at": word.at} for word in state.words]
    entries = [{"event": "administered", **word} for word in words]
    await journal.write(lambda connection: access_log.append(connection, entries))
    for word in words:
        log.info("regional IT has decided while no agent ran", **word)
    return msgspec.structs.replace(state, words=[])


def shown(slots: Slots, state: State) -> dict[str, Any]:
    """All that `entrepot revision show` says. Blocking."""
    version, held = lifecycle.in_force(state), state.override
    revision = slots.revision(state, version) if version != LOCAL else None
    return {
        "in_force": version,
        "stage": state.stage,
        "version": state.version,
        "reason": state.reason,
        "complaint": state.complaint,
        "confirmed": state.confirmed,
        "previous": state.previous,
        "seen": state.seen,
        "failed": state.failed,
        "believed_until": _instant(state.expires_us),
        "stale": lifecycle.is_stale(state, clock.now_us()),
        "override": None
        if held is None
        else {"version": held.version, "until": _instant(held.until_us), "reason": held.reason},
        "by": revision.by if revision else "",
        "ticket": revision.ticket if revision else "",
        "note": revision.note if revision else "",
        "settings": {key: _layer(revision.provenance, key) for key in _keys(revision.settings)} if revision else {},
        "files": sorted(revision.files) if revision else [],
    }


def standing_of(configuration: Configuration) -> RevisionStatus | None:
    """For the status of a stopped agent. Blocking. Raises `Refused`."""
    return None if configuration.model.fleet is None else in_short(Slots(configuration.data_dir).read())


def in_short(state: State) -> RevisionStatus:
    """For `entrepot status`."""
    return RevisionStatus(
        in_force=lifecycle.in_force(state),
        stage=state.stage,
        version=state.version,
        reason=state.complaint or state.reason,
        confirmed=state.confirmed,
        override_until=_instant(state.override.until_us) if state.override else "",
    )


def _instant(at_us: int) -> str:
    return clock.rfc3339(at_us) if at_us else ""


def _keys(settings: dict[str, Any], place: str = "") -> list[str]:
    """Dotted names of everything that a revision says, never the values."""
    found: list[str] = []
    for key, value in settings.items():
        name = f"{place}.{key}" if place else key
        found += _keys(value, name) if isinstance(value, dict) and value else [name]
    return sorted(found)


def _layer(provenance: dict[str, str], key: str) -> str:
    """The layer of a key, or of the closest table around it."""
    while key:
        if key in provenance:
            return provenance[key]
        key = key.rpartition(".")[0]
    return ""
