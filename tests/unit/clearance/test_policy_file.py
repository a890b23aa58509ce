"""Policy files: what they may say, and the one sentence for what they may not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from runtime.clearance import Cleared, compile_policy, load_policy
from runtime.clearance.load import RULES_MAX
from runtime.errors import ConfigError

HEAD = 'policy = "p"\nversion = 1\n'
RULE = '[[rules]]\nid = "r"\nwhen = { class = "business" }\naction = "allow"\n'
EXAMPLE = Path(__file__).parents[3] / "examples" / "eu-de" / "policy.toml"


def test_a_file_is_read_in_full() -> None:
    text = HEAD + (
        '[[rules]]\nid = "r"\nnote = "why"\nbasis = "contract 7"\naction = "mask"\nfrom = 2026-01-01\nuntil = "2026-12-31"\n'
        'when = { type = ["order.*", "return.requested"], class = "personal.*", path = "customer.name", destination = "hub" }\n'
    )
    loaded = load_policy(text, where="p.toml")
    (rule,) = loaded.rules
    assert (loaded.name, loaded.version, rule.id, rule.action.name, rule.basis) == ("p", 1, "r", "mask", "contract 7")
    assert (rule.types, rule.classes) == (("order.*", "return.requested"), ("personal.*",))
    assert (rule.paths, rule.destinations) == (("customer.name",), ("hub",))
    assert (rule.since, rule.until) == (date(2026, 1, 1), date(2026, 12, 31))


def test_a_file_without_rules_is_valid_and_releases_nothing() -> None:
    assert load_policy(HEAD, where="p.toml").rules == ()


WRONG = [
    ("policy = ", "not valid TOML"),
    ("version = 1", "p.toml: policy: missing"),
    ('policy = ""\nversion = 1', "policy: must be a text"),
    ('policy = "p"', "version: must be a whole number"),
    ('policy = "p"\nversion = "1"', "version: must be a whole number from 1, not '1'"),
    ('policy = "p"\nversion = true', "version: must be a whole number"),
    (HEAD + "polcy = 1", "polcy: 'polcy' is not a key here; did you mean 'policy'?"),
    (HEAD + "rules = 1", "rules: write each rule as a [[rules]] table"),
    (HEAD + "[rules]\nid = 'r'", "rules: write each rule as a [[rules]] table"),
    (HEAD + "[[rules]]", "rules[0].id: missing"),
    (HEAD + "[[rules]]\nid = 'A b'", "rules[0].id: 'A b'"),
    (HEAD + "[[rules]]\nid = 'default-deny'", "reserved"),
    (HEAD + RULE.replace("id =", "idd ="), "rules[0].idd: 'idd' is not a key here; did you mean 'id'?"),
    (HEAD + RULE.replace("allow", "alow"), "rules[r].action: 'alow' is not an action; did you mean 'allow'?"),
    (HEAD + RULE.replace('"allow"', '"pseudonymise"'), "choose one of allow, drop, mask"),
    (HEAD + RULE.replace('"allow"', '"hold"'), "'hold' is not an action"),
    (HEAD + RULE.replace('"allow"', "1"), "rules[r].action: must be a text, not 1"),
    (HEAD + '[[rules]]\nid = "r"\naction = "allow"', "rules[r].when: missing"),
    (HEAD + RULE.replace("{ class", "{ clas"), "rules[r].when.clas: 'clas' is not a key here; did you mean 'class'?"),
    (HEAD + RULE.replace('class = "business"', ""), "rules[r].when: name at least one of type, class, path"),
    (HEAD + RULE.replace('class = "business"', 'destination = "hub"'), "name at least one of type, class, path"),
    (HEAD + RULE.replace('"business"', '"busines"'), "'busines' is not a residency class; did you mean 'business'?"),
    (HEAD + RULE.replace('"business"', '"persons.*"'), "rules[r].when.class: 'persons.*' is not a residency class"),
    (HEAD + RULE.replace('"business"', "[]"), "must be a text or a list of texts"),
    (HEAD + RULE.replace('"business"', "[1]"), "must be a text or a list of texts"),
    (HEAD + RULE.replace('class = "business"', 'type = "stock.snapshoot"'), "did you mean 'stock.snapshot'?"),
    (
        HEAD + RULE.replace('class = "business"', 'type = "order.created", path = "lines[].skuu"'),
        "rules[r].when.path: 'lines[].skuu' is not a leaf of these types; did you mean 'lines[].sku'?",
    ),
    (
        HEAD + RULE.replace('class = "business"', 'type = "stock.*", path = "customer.name"'),
        "'customer.name' is not a leaf of these types",
    ),
    (HEAD + RULE.replace("business", 'free_text", path = "order_id'), "their classes are: business"),
    (HEAD + RULE.replace("{ class", '{ destination = "hupp", class'), "'hupp' is not a destination; did you mean 'hub'?"),
    (HEAD + RULE + "from = 5", "rules[r].from: must be a day such as 2026-01-31, not 5"),
    (HEAD + RULE + 'until = "tomorrow"', "rules[r].until: must be a day"),
    (HEAD + RULE + "from = 2026-01-01T00:00:00Z", "rules[r].from: must be a day"),
    (HEAD + RULE + "from = 2026-02-01\nuntil = 2026-01-01", "rules[r].until: 2026-01-01 lies before from = 2026-02-01"),
    (HEAD + RULE + RULE, "rules[r]: two rules have this id"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_gets_one_sentence_with_file_and_place(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy(text, where="p.toml")
    assert str(caught.value).startswith("p.toml: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_of_rules_is_bounded() -> None:
    text = HEAD + "".join(RULE.replace('"r"', f'"r{number}"') for number in range(RULES_MAX + 1))
    with pytest.raises(ConfigError, match=f"at most {RULES_MAX}"):
        load_policy(text, where="p.toml")


def test_a_class_that_no_leaf_has_yet_may_be_dropped_ahead_of_time() -> None:
    text = HEAD + RULE.replace("business", "important_data").replace("allow", "drop")
    assert len(load_policy(text, where="p.toml").rules) == 1


def test_comments_layout_and_order_do_not_change_the_digest() -> None:
    other = RULE.replace('"r"', '"s"')
    one = load_policy(HEAD + RULE + other, where="a.toml")
    two = load_policy("# floor\n" + HEAD + other + "note = 'x'\n\n" + RULE, where="b.toml")
    assert one.digest == two.digest
    assert len(one.digest) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [("version = 1", "version = 2"), ('"p"', '"q"'), ("allow", "mask"), ('"business"', '"public"'), ('"r"', '"s"')],
)
def test_every_word_that_counts_changes_the_digest(old: str, new: str) -> None:
    changed = (HEAD + RULE).replace(old, new)
    assert load_policy(changed, where="p").digest != load_policy(HEAD + RULE, where="p").digest


def test_the_example_floor_keeps_persons_and_free_words_in_the_region() -> None:
    clearance = compile_policy(load_policy(EXAMPLE.read_text(), where=str(EXAMPLE)), today=date(2026, 11, 23))
    body = (
        b'{"occurred_at":"2026-11-23T09:00:00+01:00","order_id":"SO-1","lines":[{"line_id":"1","sku":"A-1","quantity":"3"}],'
        b'"customer":{"party_id":"K-1","name":"Erika","email":"e@example.org","address":{"city":"Kiel","country":"DE"}},'
        b'"remarks":"ring twice"}'
    )
    outcome = clearance.clear("order.created", body)
    assert isinstance(outcome, Cleared)
    assert (outcome.subject, outcome.time) == ("SO-1", "2026-11-23T09:00:00+01:00")
    assert b'"name":"***"' in outcome.data
    assert b'"country":"DE"' in outcome.data
    assert b'"party_id":"K-1"' in outcome.data
    assert not any(word in outcome.data for word in (b"Erika", b"example.org", b"Kiel", b"ring twice"))
    unreleased = [d.type for d in clearance.dispositions() if not any(field[2] == "allow" for field in d.fields)]
    assert unreleased == []
