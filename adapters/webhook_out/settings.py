"""The keys of a webhook target: where it goes, how it is signed and which events it gets."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from adapters.sdk.outbound import OutboundSettings, SecretName


class WebhookOutSettings(OutboundSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[targets.<name>]` with `adapter = "webhook_out"`."""

    secrets: Annotated[list[SecretName], Meta(min_length=1, max_length=4)]
    """`whsec_…` (shared, signs v1) or `whsk_…` (private Ed25519 key, signs v1a). Every one signs, so a key is rotated by naming the new one first and removing the old one later."""
    mode: Literal["structured", "binary"] = "structured"
    """`structured`: the body is the whole CloudEvent as JSON. `binary`: the body is its data, the attributes are `ce-…` headers."""
    answer_seconds_max: Annotated[float, Meta(ge=1, le=30)] = 20.0
    """For one try; Standard Webhooks recommends 15 to 30."""
