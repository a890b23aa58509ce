"""The admin socket answers everything with JSON, a defect of ours too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from runtime.admin import client
from runtime.admin.server import BODY_BYTES_MAX, AdminServer
from runtime.errors import Permanent, Refused, Retryable

pytestmark = pytest.mark.anyio


class Verbs:
    """Operations of which one is broken."""

    async def call(self, verb: str, parameters: dict[str, Any], *, uid: int) -> Any:
        match verb:
            case "broken":
                raise RuntimeError("Erika Mustermann")
            case "refused":
                raise Refused("not now", hint="later")
            case "away":
                raise Retryable("nobody is there")
        return {"verb": verb, **parameters}


class Asked:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logged: list[tuple[str, dict[str, Any]]] = []

    async def call(self, verb: str, parameters: Any = None) -> Any:
        return await run_sync(client.call, self.folder, verb, {} if parameters is None else parameters)


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    site = Asked(tmp_path)
    kernel: Any = SimpleNamespace(configuration=SimpleNamespace(data_dir=tmp_path))
    operations: Any = Verbs()
    server = AdminServer(operations, lambda event, **fields: site.logged.append((event, fields)))
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, kernel)
        yield site
        tasks.cancel_scope.cancel()


async def test_a_defect_is_told_as_json_without_its_words_and_the_socket_goes_on(asked: Asked) -> None:
    with pytest.raises(Permanent, match="by a defect \\(RuntimeError\\); it goes on") as told:
        await asked.call("broken")
    assert "journalctl" in told.value.hint
    assert "Erika" not in str(told.value) + told.value.hint
    [(event, fields)] = asked.logged
    assert (event, fields["command"], type(fields["error"])) == ("a command failed by a defect", "broken", RuntimeError)
    assert await asked.call("status", {"a": 1}) == {"verb": "status", "a": 1}


@pytest.mark.parametrize(("verb", "kind"), [("refused", Refused), ("away", Retryable)])
async def test_what_was_raised_on_purpose_comes_out_as_it_was(asked: Asked, verb: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await asked.call(verb)
    assert not asked.logged


@pytest.mark.parametrize("parameters", [[], 7, "x", [["by", 1]]])
async def test_parameters_that_are_no_object_are_refused_with_a_sentence(asked: Asked, parameters: Any) -> None:
    with pytest.raises(Permanent, match="no JSON object"):
        await asked.call("status", parameters)
    assert not asked.logged


async def test_parameters_that_come_in_many_pieces_are_read_to_their_end(asked: Asked) -> None:
    ids = list(range(100_000))
    assert (await asked.call("letters.retry", {"ids": ids}))["ids"] == ids


async def test_parameters_that_are_too_many_are_told_as_such(asked: Asked) -> None:
    with pytest.raises(Permanent, match="1048576 bytes") as told:
        await asked.call("letters.retry", {"ids": ["x" * BODY_BYTES_MAX]})
    assert told.value.hint
    assert await asked.call("status") == {"verb": "status"}
