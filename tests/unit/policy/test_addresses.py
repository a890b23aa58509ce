"""No connection goes where an attacker would like it: each special range, each disguise, and what a person may open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ConfigError
from runtime.policy.addresses import PUBLIC, SITE, Reach, is_private, read_reach, refusal, split_origin


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "100.64.0.1", "169.254.169.254", "169.254.0.1", "168.63.129.16", "100.100.100.200", "192.0.0.192", "192.0.0.1",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "198.51.100.1",
        "203.0.113.1", "192.88.99.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fd12:3456::1", "ff02::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001::1", "2001:0:7f00:1::", "::127.0.0.1", "2001:db8::1",
        "3fff::1", "100::1", "5f00::1", "4000::1", "no address", "", "127.1", "0x7f.0.0.1", "2130706433",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "8.8.8.8",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert not refusal(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fd12::1", "::ffff:10.0.0.1", "100.64.0.1"]
)
def test_addresses_of_the_site_are_allowed_where_the_operator_says_so(address: str) -> None:
    assert not refusal(address, SITE)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "224.0.0.1",
        "fd00:ec2::254",
        "100.100.100.200",
        "2002:7f00:1::",
    ],
)
def test_metadata_link_local_multicast_and_tunnels_stay_closed_even_then(address: str) -> None:
    assert refusal(address, SITE)


def test_a_network_that_is_named_is_open_and_its_neighbour_is_not() -> None:
    reach = read_reach(False, ["10.20.0.0/16", "fd12::/64"])
    assert [bool(refusal(one, reach)) for one in ("10.20.3.4", "::ffff:10.20.3.4", "fd12::9", "10.21.0.1", "127.0.0.1")] == [
        False, False, False, True, True,
    ]  # fmt: skip


def test_a_wrong_network_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="allow_networks"):
        read_reach(False, ["10.20.0.1/16"])


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_like_itself(address: object) -> None:
    plain = bool(refusal(str(address)))
    assert bool(refusal(f"::ffff:{address}")) == plain


@given(st.ip_addresses(v=6))
def test_nothing_outside_the_global_range_is_ever_public(address: object) -> None:
    if not refusal(str(address)):
        text = str(address)
        assert text[0] in "23" or text.startswith(("::ffff:", "64:ff9b::"))


@pytest.mark.parametrize(
    ("url", "origin", "rest"),
    [
        ("https://partner.example", "https://partner.example", "/"),
        ("https://Partner.Example:8443/hooks?a=1", "https://partner.example:8443", "/hooks?a=1"),
        ("https://partner.example?x", "https://partner.example", "/?x"),
        ("https://93.184.216.34/x", "https://93.184.216.34", "/x"),
        ("https://[2606:4700::1111]:444/x", "https://[2606:4700::1111]:444", "/x"),
    ],
)
def test_an_origin_is_cut_from_its_path(url: str, origin: str, rest: str) -> None:
    found, left = split_origin(url)
    assert (str(found), left) == (origin, rest)


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://partner.example", "https://", "https:///x", "partner.example", "https://user@partner.example/", "https://a:b@c/",
        "https://partner.example:99999/", "https://partner.example\\@evil.example/", "https://partner.example#x", "https://bücher.example/",
        "https://{data.host}/x", "https://partner{data.host}/x", "https://partner.example:{data.port}/", "http://partner.example/",
        "http://93.184.216.34/", "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://127.1/",
        "https://0x7f000001/x", "https://2130706433/", "https://[::ffff:127.0.0.1]/",
    ],
)  # fmt: skip
def test_an_address_that_could_lead_elsewhere_is_refused_before_the_start(url: str) -> None:
    with pytest.raises(ConfigError):
        split_origin(url)


def test_plain_http_is_for_the_site() -> None:
    assert str(split_origin("http://127.0.0.1:8080/x", SITE)[0]) == "http://127.0.0.1:8080"
    assert split_origin("http://wms.site/x", SITE)[0].plain
    with pytest.raises(ConfigError, match="leads out of the site"):
        split_origin("http://93.184.216.34/x", SITE)


def test_private_is_the_site_and_nothing_else() -> None:
    assert [is_private(one) for one in ("10.0.0.1", "127.0.0.1", "::ffff:10.0.0.1", "fd12::1", "8.8.8.8", "169.254.169.254", "x")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
    assert Reach() == PUBLIC
