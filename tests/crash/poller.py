"""The process that is killed while it asks a partner: `python -m tests.crash.poller KIND DIRECTORY URL POINT NTH`.

KIND `poll`: a polled source; `follow`: a source whose messages only say where to look.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite
import anyio
import msgspec

from adapters.rest_poll import ADAPTER as REST_POLL
from adapters.webhook import ADAPTER as WEBHOOK
from runtime import clock
from runtime.journal import store
from runtime.kernel import Kernel
from runtime.mapping.decode import ANY
from runtime.mapping.faults import Spot
from runtime.mapping.link import Link
from runtime.pipeline.accept import SourceIntake
from runtime.pipeline.follow import SourceNotices
from runtime.pipeline.translate import SourceRules
from runtime.ports import SourceContext
from tests.crash.child import ARMED, STATEMENTS, Deadly
from tests.support import kernel as support
from tests.support.kernel import StockTranslator

STATEMENTS |= {
    "in_poll": "INSERT INTO source_cursors ", "in_follow": "DELETE FROM following ", "after_poll": "COMMIT",
    "after_follow": "COMMIT",
}  # fmt: skip
ARMED |= {"after_poll": STATEMENTS["in_poll"], "after_follow": STATEMENTS["in_follow"]}
ASKING: dict[str, Any] = {"networks": ["loopback"], "requests_per_hour_max": 1_000_000}
POLLING: dict[str, Any] = {
    **ASKING, "items": "data.items", "id": "id", "every_seconds": 0.05, "pages": {"by": "link"},
    "cursor": {"path": "updated_at", "start": "2026-01-01T00:00:00Z", "overlap_seconds": 1},
}  # fmt: skip


def context(kernel: Kernel) -> SourceContext:
    return SourceContext(
        name="wms",
        intake=SourceIntake(kernel.acceptance, kernel.journal, "wms"),
        secret=lambda _: b"",
        directory="",
        log=lambda *_, **__: None,
        now_us=clock.now_us,
        notices=SourceNotices(kernel.acceptance, kernel.journal, kernel.translation, "wms"),
    )


async def poll(kernel: Kernel, url: str) -> None:
    """Poll until cancelled."""
    settings = msgspec.convert({**POLLING, "url": f"{url}/items?since={{cursor}}"}, REST_POLL.settings)
    await REST_POLL.source(settings, context(kernel)).run()


async def follow(kernel: Kernel, url: str) -> None:
    """Translate and follow until cancelled."""
    link = Link("thin", f"{url}/doc/{{sku}}", (), ANY, Spot("test"))
    rules = {"wms": SourceRules(StockTranslator(), False, link)}
    kernel.translation.use(rules, kernel.configuration.router)
    follow_settings = {**ASKING, "url": f"{url}/doc/{{sku}}", "when": "thin"}
    settings = msgspec.convert({"auth": {"scheme": "none"}, "follow": follow_settings}, WEBHOOK.settings)
    async with anyio.create_task_group() as group:
        group.start_soon(WEBHOOK.source(settings, context(kernel)).run)
        while True:
            await support.translate(kernel)
            kernel.translation.noticed.notify()
            with anyio.move_on_after(0.2):
                await kernel.acceptance.arrived.wait()


async def work(kind: str, directory: Path, url: str) -> None:
    async with support.region(directory) as kernel:
        await {"poll": poll, "follow": follow}[kind](kernel, url)


def main() -> None:
    """Arm the point and work until it kills."""
    kind, directory, url, point, nth = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5])
    Deadly.point, Deadly.left = point, nth
    store.aiosqlite.connect = partial(aiosqlite.connect, factory=Deadly)  # type: ignore[assignment]
    anyio.run(work, kind, directory, url)


if __name__ == "__main__":
    main()
