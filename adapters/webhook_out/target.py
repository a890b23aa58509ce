"""Posts each event to one webhook and takes the status for an answer; 410 means that nobody wants more.

Standard Webhooks 1.0.0, "Delivery success and failure": all but 2xx and 410 is tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.sdk.outbound import Door, open_door, plain_target, read_door, try_later, wanted, warnings
from adapters.webhook_out.settings import WebhookOutSettings
from adapters.webhook_out.signing import Sign, binary, signed_headers, signer, structured
from runtime.errors import Refused
from runtime.outgoing import Outgoing
from runtime.ports import Delivered, Delivery, TargetContext

ANSWER_BYTES_MAX = 1_024
"""Read so that the connection can be used again; never looked at and never logged."""
GONE = 410
_FORMS = {"structured": structured, "binary": binary}
_UNKNOWN = frozenset({401, 403})


class WebhookOutTarget:
    """One subscriber."""

    idempotent = True
    """`webhook-id` is the idempotency key of the specification."""

    def __init__(
        self, settings: WebhookOutSettings, door: Door, signers: Sequence[Sign], context: TargetContext
    ) -> None:
        self._door = door
        self._path = plain_target(door.rest)
        self._form = _FORMS[settings.mode]
        self._signers = signers
        self._now_us = context.now_us
        self._client: Outgoing = open_door(door, settings, context)

    def wants(self, type: str, attributes: Mapping[str, str]) -> bool:
        """See `runtime.ports.Target`."""
        return wanted(self._door, type, attributes)

    async def deliver(self, delivery: Delivery) -> Delivered:
        """Raises `Retryable` for any answer but 2xx and 410, `Refused` for 410, `Permanent` for data that is no JSON."""
        body, headers = self._form(delivery)
        seconds = self._now_us() // 1_000_000
        headers |= signed_headers(self._signers, delivery.id, seconds, body)
        answer = await self._client.send(
            "POST", self._path, headers=headers, body=body, answer_bytes_max=ANSWER_BYTES_MAX
        )
        if 200 <= answer.status < 300:
            return Delivered()
        if answer.status == GONE:
            raise Refused(
                f"{self._door.origin} answered 410: it wants no more events",
                hint="ask the partner; enable the target again if it was a mistake",
            )
        hint = "the partner may not have the current key: compare it with secrets" if answer.status in _UNKNOWN else ""
        raise try_later(self._door.origin, answer, self._now_us, hint=hint)

    async def close(self) -> None:
        await self._client.close()


class WebhookOut:
    """The entry object `webhook_out`."""

    name = "webhook_out"
    settings = WebhookOutSettings

    def target(self, settings: WebhookOutSettings, context: TargetContext) -> WebhookOutTarget:
        """Raises `ConfigError` for an address that is not allowed, and for a missing or unusable secret."""
        signers = [signer(context.secret(name), name) for name in settings.secrets]
        return WebhookOutTarget(settings, read_door(settings), signers, context)

    def files(self, settings: WebhookOutSettings, directory: str) -> Sequence[str]:
        """What the settings name and `target` reads: a change in one of them changes the target."""
        return [str(Path(directory) / settings.ca_file)] if settings.ca_file else []

    def check(self, settings: WebhookOutSettings, *, loopback: bool) -> Sequence[str]:
        """Raises `ConfigError` for an address or filters that cannot work."""
        door = read_door(settings)
        plain_target(door.rest)
        return warnings(settings, door)
