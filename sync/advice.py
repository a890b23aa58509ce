"""The next step for somebody whose region cannot reach the hub, by the reason that the server or TLS gave.

Pure. The words are OpenSSL's and nats-server's own; an unknown reason gets no advice, so the alert's general one stands.
"""

from __future__ import annotations

_WATCH = "Nothing is lost meanwhile; watch the time left."
UNUSABLE = f"Put a complete file that the agent may read there; it is read again at each attempt. {_WATCH}"
"""For a login or a certificate of our own that cannot be used."""
_STEPS = (
    (
        ("does not offer tls",),
        (
            "Ask the central team whether the hub lost its TLS, or somebody else answers at this address. "
            "Do not remove tls_ca: the login would go out in plain text."
        ),
    ),
    (
        ("certificate has expired", "certificate is not yet valid"),
        (
            "Check this machine's clock, then ask the central team to renew the hub's certificate. "
            "The region connects by itself when that is done."
        ),
    ),
    (
        ("mismatch", "is not valid for"),
        (
            "Write the host name that the hub's certificate carries into [hub] servers, or ask the central team to "
            "issue one for this name."
        ),
    ),
    (
        ("unable to get local issuer", "self-signed certificate", "self signed certificate"),
        (
            "Compare the file of [hub] tls_ca with the authority that signed the hub's certificate. "
            "If they should fit, somebody else answers at this address."
        ),
    ),
    (
        ("alert unknown ca", "alert bad certificate", "certificate required", "alert certificate", "before the login"),
        (
            "The hub seems to refuse this region's certificate: put a valid one at [hub] tls_cert and tls_key. "
            "It is read again at each attempt."
        ),
    ),
    (
        ("authentication revoked",),
        (
            "Ask the central team why. If it was meant, the region goes on collecting and sends nothing; if not, ask for "
            "a fresh token and run `entrepot enrol`."
        ),
    ),
    (
        ("authentication expired", "authorization violation", "account authentication"),
        (
            "The hub refuses this region's login: ask the central team for a fresh one and put it in the place of the "
            "old. It is read again at each attempt."
        ),
    ),
)


def next_step(reason: str) -> str:
    """What to do about it; empty when the reason says no more than that the hub is away."""
    said = reason.lower()
    return next((f"{step} {_WATCH}" for words, step in _STEPS if any(word in said for word in words)), "")
