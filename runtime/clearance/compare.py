"""Whether a policy lets out more than another one. Pure; leaf by leaf, as both stand on their day."""

from __future__ import annotations

from runtime.clearance.actions import join
from runtime.clearance.compiled import Clearance


def loosened(before: Clearance, after: Clearance) -> list[str]:
    """`stock.snapshot site: drop → allow` for every leaf that `after` treats less strictly; empty when there is none."""
    old, new = before.actions(), after.actions()
    return [
        f"{name} {path}: {strict.name} → {action.name}"
        for (name, path), action in new.items()
        if (strict := old.get((name, path))) is not None and join(strict, action) != action
    ]
