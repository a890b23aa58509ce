"""One file a measure; each has `NAME`, `run(bench) -> list[Row]`. `ALL` is the order of the table."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from bench.measures import (
    backlog_drain,
    footprint,
    hub_restart,
    isolation,
    keys_preloaded,
    latency,
    leaf_durable,
    ndjson_intake,
    offline_month,
    reconnect,
    single_post,
    steady,
)
from bench.results import Row
from bench.scale import Bench

MODULES: list[ModuleType] = [
    single_post,
    ndjson_intake,
    keys_preloaded,
    steady,
    latency,
    isolation,
    leaf_durable,
    backlog_drain,
    hub_restart,
    footprint,
    offline_month,
    reconnect,
]
ALL: dict[str, Callable[[Bench], list[Row]]] = {module.NAME: module.run for module in MODULES}
