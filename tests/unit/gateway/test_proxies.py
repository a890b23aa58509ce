"""An address in a header counts only as far as trusted proxies vouch for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from runtime.errors import ConfigError
from runtime.gateway.proxies import Proxies

XFF, FORWARDED = "x-forwarded-for", "forwarded"


def head(*lines: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(lines))


@pytest.mark.parametrize(
    ("peer", "value", "sender"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, _hidden", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.1", "198.51.100.7", "203.0.113.1"),
        ("", "198.51.100.7", ""),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_is_the_sender(peer: str, value: str, sender: str) -> None:
    assert Proxies(["10.0.0.0/8"]).sender(peer, head((XFF, value))) == sender


def test_only_the_header_that_the_proxies_write_is_read() -> None:
    both = head((XFF, "198.51.100.7"), (FORWARDED, 'for="[2001:db8::9]:80";proto=https, for=203.0.113.9;by=10.0.0.1'))
    assert Proxies(["10.0.0.1"]).sender("10.0.0.1", both) == "198.51.100.7"
    assert Proxies(["10.0.0.1"], FORWARDED).sender("10.0.0.1", both) == "203.0.113.9"
    assert Proxies(["10.0.0.1", "203.0.113.9"], FORWARDED).sender("10.0.0.1", both) == "2001:db8::9"
    assert Proxies(["10.0.0.1"], FORWARDED).sender("10.0.0.1", head((FORWARDED, "proto=https"))) == "10.0.0.1"


def test_a_line_that_the_sender_wrote_itself_does_not_hide_the_one_that_the_proxy_wrote_below() -> None:
    forged = head((XFF, "198.51.100.7"), ("X-Forwarded-For", "203.0.113.9"))
    assert Proxies(["10.0.0.1"]).sender("10.0.0.1", forged) == "203.0.113.9"
    forged = head((FORWARDED, "for=198.51.100.7"), ("Forwarded", "for=203.0.113.9"))
    assert Proxies(["10.0.0.1"], FORWARDED).sender("10.0.0.1", forged) == "203.0.113.9"


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert Proxies().sender("127.0.0.1", head((XFF, "203.0.113.9"))) == "127.0.0.1"


@given(st.text(max_size=200), st.sampled_from([XFF, FORWARDED]))
def test_whatever_stands_in_the_header_nothing_breaks(value: str, header: str) -> None:
    Proxies(["10.0.0.0/8"], header).sender("10.0.0.1", head((header, value)))  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0"])
def test_a_proxy_that_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.trusted_proxies"):
        Proxies([text])
