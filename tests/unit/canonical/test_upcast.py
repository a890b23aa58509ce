"""Old versions become new ones, tried on a private type: the vocabulary itself is still at version 1."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from runtime.canonical import TYPES, CanonicalType, upcast
from runtime.canonical.classes import Class
from runtime.canonical.moments import Occurrence
from runtime.canonical.registry import UPCASTERS
from runtime.errors import Permanent


class PalletMoved(Occurrence, frozen=True, kw_only=True):
    pallet_id: Annotated[str, Class("business")]
    aisle: Annotated[str, Class("business")]
    level: Annotated[int, Class("business")]


def _split_position(raw: dict[str, Any]) -> dict[str, Any]:
    aisle, level = raw["position"].split("/")
    return {**raw, "aisle": aisle, "level": level}


def _rename_id(raw: dict[str, Any]) -> dict[str, Any]:
    return {**raw, "pallet_id": raw["id"]}


OURS = {"pallet.moved": CanonicalType(name="pallet.moved", struct=PalletMoved, key_field="pallet_id", version=3)}
STEPS = {("pallet.moved", 1): _split_position, ("pallet.moved", 2): _rename_id}
FIRST = {"occurred_at": "2026-01-01T00:00:00Z", "id": "P1", "position": "B/4"}


def test_an_event_of_the_first_version_passes_every_step_in_order() -> None:
    event = upcast("pallet.moved", 1, FIRST, types=OURS, upcasters=STEPS)
    assert (event.pallet_id, event.aisle, event.level) == ("P1", "B", 4)


def test_upcasting_leaves_the_stored_form_untouched() -> None:
    before = dict(FIRST)
    upcast("pallet.moved", 1, FIRST, types=OURS, upcasters=STEPS)
    assert before == FIRST


def test_a_version_in_the_middle_takes_only_the_steps_it_needs() -> None:
    second = {"occurred_at": "2026-01-01T00:00:00Z", "id": "P1", "aisle": "C", "level": 2}
    assert upcast("pallet.moved", 2, second, types=OURS, upcasters=STEPS).aisle == "C"


def test_a_missing_step_is_named() -> None:
    with pytest.raises(Permanent, match=r"pallet\.moved v2"):
        upcast("pallet.moved", 1, FIRST, types=OURS, upcasters={("pallet.moved", 1): _split_position})


def test_a_newer_version_asks_for_an_upgrade() -> None:
    with pytest.raises(Permanent, match="newer") as caught:
        upcast("stock.snapshot", 2, {})
    assert "upgrade" in caught.value.hint


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(Permanent, match=r"stock\.snapshoot"):
        upcast("stock.snapshoot", 1, {})


def test_data_that_does_not_fit_says_where() -> None:
    with pytest.raises(Permanent, match="on_hand"):
        upcast("stock.snapshot", 1, {"occurred_at": "2026-01-01T00:00:00Z", "sku": "A"})


def test_the_current_version_is_read_as_it_is() -> None:
    event = upcast("stock.snapshot", 1, {"occurred_at": "2026-01-01T00:00:00Z", "sku": "A", "on_hand": "1"})
    assert event.sku == "A"


def test_every_version_below_the_current_one_has_its_step() -> None:
    needed = {(name, version) for name, entry in TYPES.items() for version in range(1, entry.version)}
    assert set(UPCASTERS) == needed
