"""A login that renews itself: asks headquarters once for each JWT, and puts the answer in its file. The key stays.

The request stands at `st.<region>.login`, the answer at `cf.<region>.login`; either side may be away for days. Nobody
here asks the clock: headquarters decides what is due, and an answer counts when it was issued later than what is held.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from msgspec import Struct

from runtime.errors import EntrepotError, Refused
from runtime.ports import HubObserver, Scope
from sync import board, jwt
from sync import fleet_names as names
from sync.access import Access, section
from sync.channel import Channel
from sync.jwt import Claims

AGAIN_SECONDS_MAX = 300.0
"""Between two looks at the answer, a hundredth of a short life; a poke of headquarters makes it sooner."""


class LoginRequest(Struct, frozen=True, kw_only=True):
    """What an agent says of its login. The hub lets only this region's own user write it."""

    user: str
    """Public key: the answer is of no use to anybody else."""
    issued_at: int
    expires_at: int
    lanes: list[str]


class Renewal:
    """Of one connection. Does nothing where the login is no JWT that ends, or lies where it cannot be written."""

    def __init__(self, channel: Channel, access: Access, lanes: list[str], scope: Scope, observer: HubObserver) -> None:
        self._channel, self._access, self._scope, self._observer = channel, access, scope, observer
        self._lanes = lanes
        self.renewed = anyio.Event()
        """A fresh login lies in the file: connect anew."""
        self._hint = anyio.Event()

    async def run(self) -> None:
        """Until the login is renewed or the task is cancelled; failures are waited out."""
        login, file = self._access.login, self._access.credentials_file
        if login is None or not login.exp or login.tags.get("role") != "agent" or file is None:
            return
        pause = min(AGAIN_SECONDS_MAX, (login.exp - login.iat) / 100)
        asked = False
        while not self.renewed.is_set():
            self._hint = anyio.Event()
            try:
                if not asked:
                    await self._channel.listen(names.poke(self._scope.region), self._poked)
                    await self._ask(login)
                    asked = True
                await self._look(login, file)
            except EntrepotError as error:
                self._observer.log("login_not_renewed", reason=str(error))
            except OSError as error:
                self._observer.log("login_not_renewed", reason=f"{file} cannot be written ({error.strerror})")
            if not self.renewed.is_set():
                with anyio.move_on_after(pause):
                    await self._hint.wait()

    def _poked(self, _subject: bytes, _headers: bytes, _data: bytes) -> None:
        self._hint.set()

    async def _ask(self, login: Claims) -> None:
        request = LoginRequest(user=login.sub, issued_at=login.iat, expires_at=login.exp, lanes=self._lanes)
        await board.post(self._channel, names.login_request(self._scope.region), msgspec.json.encode(request))

    async def _look(self, login: Claims, file: Path) -> None:
        found = await board.last(self._channel, names.CONFIG_STREAM, names.login(self._scope.region))
        if found is None:
            return
        token = found.body.decode("ascii", "replace")
        fresh = _checked(token, login)
        if fresh is None:
            return
        await anyio.to_thread.run_sync(replace, file, token)
        self._observer.log("login_renewed", expires_at=fresh.exp)
        self.renewed.set()


def _checked(token: str, held: Claims) -> Claims | None:
    """None: not newer than what is held. Raises `Refused` for one that is of no use here."""
    try:
        fresh = jwt.read(token)
    except ValueError:
        raise Refused("what headquarters left as the new login is no JWT") from None
    if fresh.iat <= held.iat:
        return None
    if fresh.sub != held.sub:
        raise Refused("the new login that headquarters left is for another key")
    for tag in ("environment", "region"):
        if fresh.tags.get(tag) != held.tags.get(tag):
            raise Refused(f"the new login that headquarters left is for another {tag}")
    return fresh


def replace(file: Path, token: str) -> None:
    """The JWT in a `.creds` file, with the same seed, owner and mode; at no moment is there half a file."""
    before = file.stat()
    seed = section(file.read_text(), "USER NKEY SEED")
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as opened:
        opened.write(jwt.credentials(token, seed))
        if os.geteuid() == 0:
            os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, before.st_mode & 0o777)
        opened.flush()
        os.fsync(handle)
    unfinished.rename(file)
