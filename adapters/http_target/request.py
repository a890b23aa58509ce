"""One event as a request: method, path, headers and body, from the templates of the settings. Pure.

What an event says can fill a part of the path or a value of the query, and never lead to another path or header.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from msgspec import Struct

from adapters.http_target.login import login_header
from adapters.http_target.settings import HttpTargetSettings
from adapters.sdk.outbound import OWN_HEADERS, Door, plain_target
from runtime.errors import ConfigError, Permanent
from runtime.ports import Delivery
from runtime.rendering import Rendering, Template, compile_template, event_tree

_HEADER_VALUE = re.compile(r"[ -~]*")
_DOTS = re.compile(r"\.{1,2}")
JSON = "application/json"


class Asked(Struct, frozen=True):
    """What is sent."""

    target: str
    headers: dict[str, str]
    body: bytes


class Templates(Struct, frozen=True):
    """The compiled templates of one target."""

    path: Template
    headers: dict[str, Template]


def compile_templates(settings: HttpTargetSettings, door: Door) -> Templates:
    """Raises `ConfigError` with the key and column."""
    path = compile_template(door.rest, "url")
    plain_target(path.fixed)
    taken = {name.lower() for name in (settings.idempotency_header, login_header(settings.auth)) if name}
    for name, value in settings.headers.items():
        if name.lower() in OWN_HEADERS | taken:
            raise ConfigError(f"headers: {name} is written by the target itself", hint="leave it out")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(f"headers: {name} holds signs that no header may have")
    headers = {name: compile_template(value, f"headers.{name}") for name, value in settings.headers.items()}
    return Templates(path, headers)


class Writer:
    """Makes the request of each event."""

    def __init__(
        self,
        settings: HttpTargetSettings,
        templates: Templates,
        rendering: Rendering | None,
        region: str,
    ) -> None:
        self._settings = settings
        self._templates = templates
        self._rendering = rendering
        self._region = region

    def write(self, delivery: Delivery) -> Asked:
        """The same for the same event. Raises `Permanent`."""
        tree = event_tree(delivery, self._region)
        target = self._templates.path.fill(tree, quote=lambda text: quote(text, safe=""))
        if any(_DOTS.fullmatch(part) for part in target.partition("?")[0].split("/")):
            raise Permanent("a value of the event would lead to another path (. or ..)")
        headers: dict[str, str] = {}
        body, media = delivery.data, JSON
        if self._rendering is not None:
            body, media = self._rendering.render(tree), self._rendering.content_type
        elif self._settings.content == "none":
            body = b""
        if body:
            headers["Content-Type"] = media
        for name, value in self._templates.headers.items():
            headers = {kept: said for kept, said in headers.items() if kept.lower() != name.lower()}
            headers[name] = _header_value(name, value.fill(tree))
        if self._settings.idempotency_header:
            headers[self._settings.idempotency_header] = delivery.id
        return Asked(target, headers, body)


def _header_value(name: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise Permanent(f"the header {name} would hold signs that no header may have")
    return value
