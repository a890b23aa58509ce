"""A scope allows what it says and nothing beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.access.scopes import SOURCE_VERBS, covers, expand, parse_roles, parse_scope
from runtime.access.settings import AccessSettings, OidcSettings, check_access
from runtime.errors import ConfigError

names = st.sampled_from(["wms", "dhl", "a-1"])
verbs = st.sampled_from(SOURCE_VERBS)


@given(names, verbs, names, verbs)
def test_a_plain_scope_covers_itself_alone(name: str, verb: str, other: str, another: str) -> None:
    held = [parse_scope(f"source:{name}:{verb}")]
    assert covers(held, ("source", other, another)) == ((name, verb) == (other, another))


@given(names, verbs, names, verbs)
def test_a_star_stands_for_its_own_place_only(name: str, verb: str, other: str, another: str) -> None:
    assert covers([parse_scope(f"source:*:{verb}")], ("source", other, another)) == (verb == another)
    assert covers([parse_scope(f"source:{name}:*")], ("source", other, another)) == (name == other)
    assert not covers([parse_scope("source:*:*")], ("letters", "retry"))
    assert not covers([parse_scope("letters:*")], ("source", other, another))


def test_a_shorter_scope_never_covers_a_longer_one_nor_the_other_way_round() -> None:
    assert not covers([("source", "wms")], ("source", "wms", "write"))
    assert not covers([("*", "*", "*")], ("letters", "retry"))
    assert not covers([()], ("source", "wms", "write"))


@pytest.mark.parametrize(
    "text",
    ["", "*", "source", "source:wms", "source:wms:write:now", "source::write", "source:WMS:write", "*:wms:write",
     "source:w*:write", "letters:wms:retry", "source:wms:write ", "journal:read", "source:wms:", "letters:"],
)  # fmt: skip
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_scope(text)


def test_a_misspelt_verb_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'write'"):
        parse_scope("source:wms:wirte")


def test_a_role_grants_its_scopes_and_a_missing_one_nothing() -> None:
    roles = parse_roles({"carrier": ["source:dhl:write", "source:dhl:check"]})
    assert expand(["role:carrier", "source:dhl:write"], roles) == (
        ("source", "dhl", "write"),
        ("source", "dhl", "check"),
    )
    assert expand(["role:gone"], roles) == ()


def test_a_role_with_an_unknown_scope_is_named() -> None:
    with pytest.raises(ConfigError, match=r"access\.roles\.carrier"):
        check_access(AccessSettings(roles={"carrier": ["source:dhl:send"]}))


def test_keys_of_a_provider_come_over_https_only() -> None:
    oidc = OidcSettings(issuer="i", audience=["a"], jwks="http://idp.example/keys")
    with pytest.raises(ConfigError, match="https"):
        check_access(AccessSettings(oidc=oidc))
