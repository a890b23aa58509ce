"""Events to a partner's webhook, signed as Standard Webhooks 1.0.0 asks."""

from adapters.webhook_out.target import WebhookOut

TARGET = WebhookOut()
