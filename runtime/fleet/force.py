"""Which configuration is in force: the local entrepot.toml, with what headquarters has said on top of it. Blocking."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from runtime import clock
from runtime.config.assemble import Configuration, load_configuration
from runtime.config.load import convert, read_toml
from runtime.config.overlay import Overlay
from runtime.errors import ConfigError, EntrepotError
from runtime.fleet import lifecycle
from runtime.fleet.lifecycle import LOCAL, State
from runtime.fleet.settings import FleetSettings
from runtime.fleet.slots import Slots


def load_in_force(path: Path) -> Configuration:
    """What a running agent works by, or the next start will. Changes nothing. Raises `ConfigError`, `Refused`."""
    slots = slots_of(path)
    if slots is None:
        return load_configuration(path)
    state = slots.read()
    if state.override is not None and state.override.until_us <= clock.now_us():
        state = lifecycle.resume(state)
    return load_version(path, slots, state, lifecycle.in_force(state))


class Standing(Struct, frozen=True, kw_only=True):
    """What an agent begins with."""

    configuration: Configuration
    found: State | None
    """As the last process left it; None when headquarters does not steer this region."""
    state: State | None
    """As it is from now on."""


def load_at_start(path: Path) -> Standing:
    """For an agent that begins: a trial that ended its process, or lasted too long, is taken back first.

    Writes nothing: whoever has the journal's lock does that. Raises `ConfigError`, `Refused`.
    """
    slots = slots_of(path)
    if slots is None:
        return Standing(configuration=load_configuration(path), found=None, state=None)
    found = slots.read()
    seconds_max = convert(read_toml(path)["fleet"], FleetSettings, where=str(path), at="fleet").hub_seconds_max
    state = lifecycle.start(found, hub_seconds_max=seconds_max, now_us=clock.now_us())
    try:
        configuration = load_version(path, slots, state, lifecycle.in_force(state))
    except EntrepotError as error:
        if state.stage != "provisional":
            raise
        state = lifecycle.revert(state, str(error))
        configuration = load_version(path, slots, state, lifecycle.in_force(state))
    return Standing(configuration=configuration, found=found, state=state)


def load_version(path: Path, slots: Slots, state: State, version: int) -> Configuration:
    """The local file with this revision on top. Raises `ConfigError`, `Refused`."""
    return load_configuration(path, overlay=overlay_of(slots, state, version))


def overlay_of(slots: Slots, state: State, version: int) -> Overlay | None:
    """None for the local file alone. Raises `Refused` when the slot is damaged."""
    return None if version == LOCAL else slots.overlay(state, version)


def slots_of(path: Path) -> Slots | None:
    """Those of the agent with this file; None when headquarters does not steer it. Raises `ConfigError`."""
    raw = read_toml(path)
    if "fleet" not in raw:
        return None
    named = raw.get("data_dir", "state")
    if not isinstance(named, str):
        raise ConfigError(f"{path}: data_dir must be a text, the path of a folder")
    return Slots((path.absolute().parent / named).absolute())
