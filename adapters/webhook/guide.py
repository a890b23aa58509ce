"""How to sign by hand what a scheme asks for, with openssl and a shell: for people who connect a sender. Pure."""

from __future__ import annotations

import shlex

from adapters.sdk.scheme import Scheme, parts
from runtime.ports import Guide

_HEX = "od -An -vtx1 | tr -d ' \\n'"
_BASE64 = "base64 | tr -d '\\n'"
_FIELD = "python3 -c 'import json, sys; print(json.load(open(sys.argv[2]))[sys.argv[1]], end=\"\")'"
_URL = "base64 | tr -d '=\\n' | tr '+/' '-_'"
_FORMS = {
    "raw": "printf '%s' \"$SECRET\"",
    "nfkd": "printf '%s' \"$SECRET\"",
    "base64": "printf '%s' \"${SECRET#whsec_}\" | base64 -d",
}
_WORDS = {
    "{body}": 'cat "$FILE"',
    "{ts}": "printf '%s' \"$TS\"",
    "{id}": "printf '%s' \"$ID\"",
    "{secret}": "printf '%s' \"$SECRET\"",
}
_SAYS = {
    "{body}": "the body byte for byte",
    "{ts}": "the timestamp",
    "{id}": "the message id",
    "{secret}": "the shared secret",
}
_NAMES = {
    "sha256": "a plain SHA-256",
    "hmac-sha256": "HMAC-SHA256",
    "hmac-sha512": "HMAC-SHA512",
    "ed25519": "an Ed25519 signature",
    "rsa-sha256": "an RSA signature with SHA-256",
}


def signs_the_whole(scheme: Scheme) -> bool:
    """Whether the signature is over the body as such, and not over fields of it."""
    return "{body}" in scheme.template


def guide(scheme: Scheme, *, by_secret: bool) -> Guide:
    """The words and shell lines of one scheme. `by_secret`: a shared secret is configured, not only public keys."""
    if scheme.alg == "none":
        return Guide(sentences=["Nothing is asked: only systems on the same machine can send."])
    if scheme.alg in {"caller", "bearer"}:
        return _bearer(scheme)
    if scheme.alg == "static":
        return _static(scheme)
    if scheme.alg == "jws":
        return _token(by_secret)
    return _signature(scheme, by_secret)


def _bearer(scheme: Scheme) -> Guide:
    caller = scheme.alg == "caller"
    name, what = ("KEY", "your own API key") if caller else ("SECRET", "the shared secret")
    sentences = [f"Send the header `Authorization: Bearer …` with {what}."]
    if caller:
        sentences.append(
            "The operator makes the key (`entrepot access grant`), and shows it once. Where it was agreed, a token of"
            " your identity provider or a client certificate stands in for the key."
        )
    return Guide(sentences=sentences, variable=name, headers=[f'"Authorization: Bearer ${name}"'])


def _static(scheme: Scheme) -> Guide:
    if scheme.header:
        sentence = f"Send the header `{scheme.header}` with the credential."
        return Guide(sentences=[sentence], variable="SECRET", headers=[f'"{scheme.header}: $SECRET"'])
    sentence = f"Write the credential, percent-encoded, into the parameter `{scheme.query}` of the URL."
    return Guide(sentences=[sentence], variable="SECRET", query=f'"?{scheme.query}=$SECRET"')


def _token(by_secret: bool) -> Guide:
    sentences = ["The body is a compact JWS (RFC 7515) whose payload is the message."]
    if not by_secret:
        return Guide(sentences=[*sentences, "Only the platform holds its key."], sends=False, asks=False)
    lines = [
        f'SIGNED=$(printf \'%s\' \'{{"alg":"HS256"}}\' | {_URL}).$(cat "$FILE" | {_URL})',
        f"TOKEN=$SIGNED.$(printf '%s' \"$SIGNED\" | {_hmac('sha256', _FORMS['raw'])} | {_URL})",
    ]
    sentences.append("The signature is HS256 with the shared secret.")
    return Guide(sentences=sentences, variable="SECRET", shell=lines, body='"$TOKEN"', asks=False)


def _signature(scheme: Scheme, by_secret: bool) -> Guide:
    cut = parts(scheme) or ["{body}"]
    signed = " · ".join(_said(part) for part in cut)
    where = f"`{scheme.header}: {scheme.prefix}SIGNATURE`"
    sentences = [f"Send {where}: {_NAMES[scheme.alg]}, written as {scheme.enc}, over: {signed}."]
    if scheme.secret_form == "base64":  # noqa: S105 - how it is written, not what it is
        sentences.append("The secret is Base64 (after `whsec_`, where it begins so): decode it first.")
    if scheme.timestamp or scheme.timestamp_part:
        place = (
            f"`{scheme.timestamp}`" if scheme.timestamp else f"the part `{scheme.timestamp_part}=` of the same header"
        )
        sentences.append(f"The timestamp stands in {place} and may be off by {scheme.tolerance_seconds} s at most.")
    if scheme.id:
        sentences.append(f"The message id stands in `{scheme.id}`; a retry repeats it: it is the idempotency key.")
    if not by_secret or scheme.alg in {"ed25519", "rsa-sha256"}:
        sentences.append("Only the platform holds the private key, so nobody else can make a request that passes.")
        return Guide(sentences=sentences, sends=False, asks=False)
    return Guide(
        sentences=sentences,
        variable="SECRET",
        shell=_lines(scheme, cut),
        headers=_headers(scheme),
        asks=signs_the_whole(scheme),
    )


def _lines(scheme: Scheme, cut: list[str]) -> list[str]:
    lines = ["TS=$(date +%s)"] if scheme.timestamp or scheme.timestamp_part else []
    lines += ["ID=${ID:-msg-$(date +%s%N)}"] if scheme.id else []
    steps = "; ".join(_step(part) for part in cut)
    write = _HEX if scheme.enc == "hex" else _BASE64
    maker = "openssl dgst -sha256 -binary"
    if scheme.alg != "sha256":
        maker = _hmac(scheme.alg.removeprefix("hmac-"), _FORMS[scheme.secret_form])
    return [*lines, f"SIG=$({{ {steps}; }} | {maker} | {write})"]


def _headers(scheme: Scheme) -> list[str]:
    stamp = f'{scheme.timestamp_part}="$TS"{shlex.quote(scheme.separator)}' if scheme.timestamp_part else ""
    found = [f"'{scheme.header}: '{stamp}{shlex.quote(scheme.prefix) if scheme.prefix else ''}\"$SIG\""]
    found += [f'"{scheme.timestamp}: $TS"'] if scheme.timestamp else []
    found += [f'"{scheme.id}: $ID"'] if scheme.id else []
    return found


def _hmac(digest: str, secret: str) -> str:
    """A key in hex: openssl's `-hmac` would stop at a zero byte and show the secret to everybody who lists processes."""
    return f'openssl dgst -{digest} -mac HMAC -macopt "hexkey:$({secret} | {_HEX})" -binary'


def _step(part: str) -> str:
    if part.startswith("{json:"):
        return f'{_FIELD} {part[6:-1]} "$FILE"'
    return _WORDS.get(part) or f"printf '%s' {shlex.quote(part)}"


def _said(part: str) -> str:
    if part.startswith("{json:"):
        return f"the field `{part[6:-1]}` of the message"
    return _SAYS.get(part) or f"`{part}`"
