"""Catches product code that blocks the event loop: it raises at the call, and fails the test even if that is swallowed.

A call counts when a loop runs in this thread and the nearest frame of ours on the stack belongs to the product.
Tests may block; the product may block in worker threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import queue
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = tuple(f"{ROOT / folder}{os.sep}" for folder in ("runtime", "adapters", "sync"))
TESTS = f"{ROOT / 'tests'}{os.sep}"
HERE = __file__


class BlockingCallError(AssertionError):
    """Product code blocked the event loop."""


def _always(*_args: Any, **_kwargs: Any) -> bool:
    return True


def _blocking_socket(sock: socket.socket, *_args: Any, **_kwargs: Any) -> bool:
    return sock.gettimeout() != 0


def _unfinished(future: concurrent.futures.Future[Any], *_args: Any, **_kwargs: Any) -> bool:
    return not future.done()


def _waits(_queue: object, block: bool = True, *_args: Any, **_kwargs: Any) -> bool:
    return block


def _polls(_r: object, _w: object, _x: object, timeout: float | None = None) -> bool:
    return timeout != 0


WATCHED: tuple[tuple[object, str, Callable[..., bool]], ...] = (
    (time, "sleep", _always),
    (os, "fsync", _always),
    (os, "fdatasync", _always),
    (os, "sync", _always),
    (os, "system", _always),
    (select, "select", _polls),
    (socket, "create_connection", _always),
    (socket, "getaddrinfo", _always),
    (socket, "gethostbyname", _always),
    (socket.socket, "connect", _blocking_socket),
    (sqlite3, "connect", _always),
    (subprocess, "run", _always),
    (subprocess.Popen, "wait", _always),
    (subprocess.Popen, "communicate", _always),
    (threading.Thread, "join", _always),
    (concurrent.futures.Future, "result", _unfinished),
    (queue.Queue, "get", _waits),
    (urllib.request, "urlopen", _always),
)
"""What blocks, where it is looked up, and whether these arguments make it block."""


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _product_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame of ours if it is the product's; None when a test made the call by itself."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PRODUCT):
            return frame
        if file.startswith(TESTS) and file != HERE:
            return None
        frame = frame.f_back
    return None


def _guard(name: str, original: Callable[..., Any], blocks: Callable[..., bool], seen: list[str]) -> Callable[..., Any]:
    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _loop_runs_here() and blocks(*args, **kwargs):
            frame = _product_frame(sys._getframe(1))
            if frame is not None:
                place = f"{name} blocks the event loop at {frame.f_code.co_filename}:{frame.f_lineno}"
                seen.append(place)
                raise BlockingCallError(place)
        return original(*args, **kwargs)

    return guarded


@contextmanager
def watch() -> Iterator[list[str]]:
    """Guard every watched call; yields the list of blocking calls seen, which grows while the block runs."""
    seen: list[str] = []
    originals = [(owner, attribute, getattr(owner, attribute)) for owner, attribute, _ in WATCHED]
    for owner, attribute, blocks in WATCHED:
        name = f"{getattr(owner, '__name__', owner)}.{attribute}"
        setattr(owner, attribute, _guard(name, getattr(owner, attribute), blocks, seen))
    try:
        yield seen
    finally:
        for owner, attribute, original in originals:
            setattr(owner, attribute, original)
