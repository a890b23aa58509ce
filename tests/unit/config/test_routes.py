"""A route that nothing can take is told by name; one that something can take is not."""

from __future__ import annotations

from runtime.config.routes import idle_routes
from runtime.pipeline.route import Condition, Route


def idle(**when: str) -> list[str]:
    return list(idle_routes([Route(Condition(**when), "bulk")], ["wms", "carrier"]))


def test_a_condition_that_nothing_fits_is_named_with_the_nearest_that_something_would() -> None:
    (sentence,) = idle(type="stock.snapshoot")
    assert sentence == "routes[0].when.type is 'stock.snapshoot', which nothing fits; did you mean 'stock.snapshot'?"
    assert len(idle(type="stok.*", source="wsm")) == 2


def test_a_condition_that_something_fits_is_left_alone() -> None:
    assert not idle()
    assert not idle(type="stock.*", source="w?s", key="A-1")
