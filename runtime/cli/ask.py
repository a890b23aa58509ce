"""One way to the journal for every verb: the running agent's admin socket, else the journal itself.

Nothing opens the journal while an agent holds it, and no command makes one: that is the first start's business.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from runtime.admin import client
from runtime.cli import places
from runtime.errors import Refused, one_at_a_time

if TYPE_CHECKING:
    from runtime.kernel import Kernel
    from runtime.status import Status

JOURNAL_FILE = "journal.db"
PAGE_ROWS = 1_000


class Ask(Protocol):
    """`ask("letters.list", limit=10)`: the answer as plain data. Raises `EntrepotError`s."""

    def __call__(self, verb: str, **parameters: Any) -> Any: ...


@contextmanager
def asking(options: Namespace) -> Iterator[Ask]:
    """The agent of `--config`, running or not. Raises `ConfigError`, `Refused` (no journal yet, held by another)."""
    config = places.config_file(options.config)
    data_dir = places.data_dir(config)
    if client.is_running(data_dir):
        yield lambda verb, **parameters: client.call(data_dir, verb, parameters)
        return
    with _stopped(config) as ask:
        yield ask


def collect(ask: Ask, verb: str, options: Namespace) -> list[dict[str, Any]]:
    """The rows of a list page by page: `options` has `state`, `after` and `limit`."""
    found: list[dict[str, Any]] = []
    after = options.after
    while len(found) < options.limit:
        wanted = min(PAGE_ROWS, options.limit - len(found))
        page = ask(verb, state=options.state, after=after, limit=wanted)
        found += page
        if len(page) < wanted:
            break
        after = page[-1]["id"]
    return found


def has_journal(data_dir: Path) -> bool:
    """Whether an agent has ever run on this data folder."""
    return (data_dir / JOURNAL_FILE).exists()


@contextmanager
def _stopped(config: Path) -> Iterator[Ask]:
    from anyio.from_thread import start_blocking_portal

    from runtime.cli import loop
    from runtime.fleet.force import load_in_force
    from runtime.journal.lock import JournalLock
    from runtime.kernel import open_kernel
    from runtime.operations import Operations

    configuration = load_in_force(config)
    if not has_journal(configuration.data_dir):
        raise Refused(
            f"there is no journal in {configuration.data_dir} yet",
            hint=f"`entrepot run --config {config}` makes it at its first start",
        )
    with (
        one_at_a_time(),
        start_blocking_portal(backend_options=loop.options()) as portal,
        portal.wrap_async_context_manager(
            open_kernel(configuration, lock=partial(JournalLock, role="command"))
        ) as kernel,
    ):
        operations = Operations(kernel, lambda: _status(kernel), running=False)
        yield lambda verb, **parameters: portal.call(operations.call, verb, parameters)


async def _status(kernel: Kernel) -> Status:
    from runtime.errors import StorageFull
    from runtime.fleet.regional import standing_of
    from runtime.reports import report
    from runtime.status import read_state

    try:
        await kernel.room.measure()
    except StorageFull:
        kernel.room.disk_is_full()
    revision = standing_of(kernel.configuration)
    return report(kernel, await kernel.journal.read(read_state), None, revision=revision)
