"""The generic webhook source: none, bearer or HMAC-SHA256."""

from adapters.webhook.adapter import WebhookAdapter

ADAPTER = WebhookAdapter()
