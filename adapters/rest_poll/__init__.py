"""Asks a partner's API again and again for what is new, and moves on only with what the journal has committed."""

from adapters.rest_poll.adapter import RestPollAdapter

ADAPTER = RestPollAdapter()
