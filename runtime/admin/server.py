"""Answers `POST /v1/<verb>` on the admin socket: who may connect is decided by file mode and peer credentials."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import anyio
import orjson
from aiohttp import StreamReader, web
from anyio.abc import TaskStatus

from runtime.admin.place import socket_path
from runtime.errors import EntrepotError, Permanent, Refused, Retryable
from runtime.kernel import Kernel
from runtime.operations import Operations

MODE = 0o660
BODY_BYTES_MAX = 1024 * 1024
_STATUS: tuple[tuple[type[EntrepotError], int], ...] = ((Refused, 409), (Permanent, 422), (Retryable, 503))


def _silent(_event: str, **_fields: object) -> None:
    pass


class AdminServer:
    """The admin interface of one agent."""

    def __init__(self, operations: Operations, log: Callable[..., None] = _silent) -> None:
        self._operations = operations
        self._log = log

    async def serve(self, kernel: Kernel, *, task_status: TaskStatus[None]) -> None:
        """Listen until cancelled."""
        path = socket_path(kernel.configuration.data_dir)
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # the journal's lock proves that nobody else uses it
        runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await runner.setup()
        before = os.umask(0o777 & ~MODE)
        try:
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(before)
        try:
            task_status.started()
            await anyio.sleep_forever()
        finally:
            for site in list(runner.sites):
                await site.stop()
            path.unlink(missing_ok=True)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        uid, allowed = _peer(request)
        if not allowed:
            self._operations.turned_away(uid)
            return _problem(403, Refused("this user may not administer the agent", hint="join the socket's group"))
        try:
            body = await _read(request.content)
            parameters: Any = orjson.loads(body) if body else {}
            if not isinstance(parameters, dict):
                return _problem(400, Permanent("the parameters are no JSON object"))
            answer = await self._operations.call(request.path.removeprefix("/v1/"), parameters, uid=uid)
            return web.Response(body=orjson.dumps(answer), content_type="application/json")
        except orjson.JSONDecodeError:
            return _problem(400, Permanent("the parameters are no JSON"))
        except EntrepotError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            return _problem(status, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours costs this one command, and is told like any failure
            self._log("a command failed by a defect", command=request.path.removeprefix("/v1/")[:60], error=error)
            return _problem(500, _defect(error))


async def _read(content: StreamReader) -> bytes:
    """The whole body, in however many pieces it comes. Raises `Permanent`."""
    found = bytearray()
    while piece := await content.readany():
        found += piece
        if len(found) > BODY_BYTES_MAX:
            raise Permanent(f"the parameters have more than {BODY_BYTES_MAX} bytes", hint="ask for less at a time")
    return bytes(found)


def _defect(error: Exception) -> Permanent:
    """Of a foreign error the class alone is told: its text may quote what is nobody's business."""
    return Permanent(
        f"the agent failed at this by a defect ({type(error).__name__}); it goes on",
        hint="the end of its log says where: `journalctl -u entrepot -n 20`; please report it",
    )


def _problem(status: int, error: EntrepotError) -> web.Response:
    body = {"error": str(error), "hint": error.hint, "kind": type(error).__name__}
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def _peer(request: web.BaseRequest) -> tuple[int, bool]:
    """Who asks, and whether they may: root, the agent's own user, or a member of the group that owns the socket's folder (file mode lets them in)."""
    transport = request.transport
    peer: socket.socket | None = transport.get_extra_info("socket") if transport else None
    if peer is None:
        return -1, False
    _, uid, gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid, uid in {0, os.getuid()} or gid == os.getgid() or gid in os.getgroups()
