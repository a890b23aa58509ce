"""`entrepot map coverage`: which fields of samples are read, which leaves they fill, and what may leave the region."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigError

if TYPE_CHECKING:
    from runtime.clearance import Clearance
    from runtime.mapping import Trial
    from runtime.mapping.coverage import Coverage, LeafUse


def show(trials: list[Trial], options: Namespace) -> int:
    """Exit code 2: a message cannot be translated; 1: fields unread, guessed, or a policy keeps whole events."""
    import msgspec

    from runtime.cli import screen
    from runtime.mapping.coverage import measure

    clearance, policy = _clearance(options)
    coverage = measure(trials, clearance)
    if options.json:
        screen.show_json({"policy": policy, **msgspec.to_builtins(coverage)})
    else:
        _tell(coverage, policy, everything=options.all)
    if coverage.rejected:
        return 2
    doubtful = any(field.use != "read" for field in coverage.fields) or any(one.withheld for one in coverage.types)
    return 1 if doubtful else 0


def _clearance(options: Namespace) -> tuple[Clearance, str]:
    """The policy that was named, else the region's, else denial of everything; and its name. Raises `ConfigError`."""
    from runtime import clock
    from runtime.clearance import compile_policy, load_policy
    from runtime.cli.places import config_file
    from runtime.config.load import read_toml

    path = Path(options.policy) if options.policy else None
    if path is None:
        try:
            config = config_file(options.config)
        except ConfigError:
            if options.config is not None:
                raise
            config = None
        residency = read_toml(config).get("residency") if config is not None else None
        named = residency.get("policy") if isinstance(residency, dict) else None
        path = config.absolute().parent / named if config is not None and isinstance(named, str) else None
    if path is None:
        empty = load_policy('policy = "none"\nversion = 1\n', where="no policy")
        return compile_policy(empty, today=clock.today()), "none: what no rule allows stays"
    read_toml(path)
    policy = load_policy(path.read_text("utf-8"), where=str(path))
    return compile_policy(policy, today=clock.today()), str(path)


def _tell(coverage: Coverage, policy: str, *, everything: bool) -> None:
    from runtime.cli import screen

    uses = [field.use for field in coverage.fields]
    counts = ", ".join(f"{uses.count(use)} {use}" for use in ("read", "guessed", "unread"))
    screen.say(
        f"{coverage.messages} message{'s' * (coverage.messages != 1)} ({coverage.rejected} rejected, {coverage.ignored} ignored); fields: {counts}",
        "critical" if coverage.rejected else "",
    )
    shown = [field for field in coverage.fields if everything or field.use != "read"]
    if shown:
        rows = [(field.path, field.use, field.messages, field.message) for field in shown]
        screen.table(("field of the sample", "use", "messages", "kind"), rows)
    screen.say(f"policy: {policy}")
    for one in coverage.types:
        own = [leaf for leaf in coverage.leaves if leaf.type == one.type]
        _tell_type(one.type, one.events, own, everything=everything)
        if one.withheld:
            screen.say(f"  {one.withheld} of {one.events} would stay in the region as a whole: {one.rule}", "warning")


def _tell_type(name: str, events: int, leaves: list[LeafUse], *, everything: bool) -> None:
    from runtime.cli import screen

    filled = [leaf for leaf in leaves if leaf.filled]
    screen.say(f"{name}: {events} event{'s' * (events != 1)}, {len(filled)} of {len(leaves)} leaves filled", "ok")
    rows = [
        (leaf.path, leaf.class_name, f"{leaf.filled} of {events}", leaf.hub if leaf.filled else "", leaf.rule)
        for leaf in (leaves if everything else filled)
    ]
    screen.table(("leaf", "class", "filled", "at the hub", "by rule"), rows)
    empty = [leaf.path for leaf in leaves if not leaf.filled]
    if empty and not everything:
        screen.say(f"  {len(empty)} leaves are empty; --all shows them")
