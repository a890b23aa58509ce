"""docs/operations.md, the Prometheus rules and the dashboard name what the code has, and all of it."""

from __future__ import annotations

import json
import re
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.cli.parser import VERBS
from runtime.observe.alert_kinds import ALERTS
from runtime.observe.alerts import AlertSettings
from runtime.observe.metric_kinds import FENCES, METRICS
from runtime.ports import Fence

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
RULES = (ROOT / "observability" / "prometheus-rules.yml").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((ROOT / "observability" / "grafana-dashboard.json").read_text(encoding="utf-8"))


def metrics_table() -> str:
    rows = ["| metric | type | labels | says |", "|---|---|---|---|"]
    for name, kind in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in kind.labels)
        rows.append(f"| `{name}` | {kind.type} | {labels} | {kind.text} |")
    return "\n".join(rows)


def alert_sections() -> str:
    parts = []
    for name, kind in ALERTS.items():
        delay = f" Told after {kind.after_seconds:.0f} s." if kind.after_seconds else ""
        parts.append(
            f"#### {name}\n\n**{kind.title}** ({kind.severity}).{delay}\n\n- *It means:* {kind.what_it_means}\n"
            f"- *The agent did:* {kind.what_the_agent_did}\n- *Do now:* {kind.what_to_do}"
        )
    return "\n\n".join(parts)


def anchors() -> set[str]:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def expressions() -> list[str]:
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    variables = [item["definition"] for item in DASHBOARD["templating"]["list"] if "definition" in item]
    return [*shown, *variables, RULES]


def known(name: str) -> bool:
    parts = [name.removesuffix(suffix) for suffix in ("_bucket", "_sum", "_count")]
    return name in METRICS or any(METRICS[part].type == "histogram" for part in parts if part in METRICS)


def test_the_page_has_the_table_of_all_metrics() -> None:
    assert metrics_table() in PAGE, f"put this into docs/operations.md:\n{metrics_table()}"


def test_the_page_has_the_words_of_all_alerts() -> None:
    assert alert_sections() in PAGE, f"put this into docs/operations.md:\n{alert_sections()}"


def test_every_kind_of_fence_has_a_runbook() -> None:
    documented = set(re.findall(r"^#### Fence: (\w+)$", PAGE, re.MULTILINE))
    assert documented == set(FENCES) - {"other"}


def test_the_port_knows_the_same_kinds_of_fence() -> None:
    source = (ROOT / "runtime" / "ports.py").read_text(encoding="utf-8")
    listed = re.search(rf"class {Fence.__name__}\(.*?kind: str\n    \"\"\"(.*?)\.\"\"\"", source, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r"\w+", listed[1])) - {"or"} == set(FENCES) - {"other"}


def test_every_setting_of_alerts_is_on_the_page_with_its_default_and_bounds() -> None:
    hints = typing.get_type_hints(AlertSettings, include_extras=True)
    for field in msgspec.structs.fields(AlertSettings):
        row = re.search(rf"^\| `{field.name}` \| (.+?) \| (.+?) \|", PAGE, re.MULTILINE)
        assert row is not None, field.name
        if isinstance(field.default, int | float):
            assert row[1] == f"{field.default:g}", field.name
            meta = hints[field.name].__metadata__[0]
            assert row[2] == f"{meta.ge:g} … {meta.le:g}", field.name


def test_every_link_on_the_page_and_every_runbook_of_a_rule_has_its_section() -> None:
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE)) | set(re.findall(r"docs/operations\.md#([\w-]+)", RULES))
    assert linked - anchors() == set()


def test_every_command_on_the_page_and_in_the_alerts_exists() -> None:
    texts = [PAGE, RULES, *(kind.what_to_do for kind in ALERTS.values())]
    used = set(re.findall(r"`entrepot ([a-z]+)", "\n".join(texts)))
    assert used - VERBS.keys() == set()
    assert {"status", "adopt", "topology", "letters", "replay"} <= used


def test_every_metric_in_the_rules_and_the_dashboard_exists() -> None:
    used = {name for text in expressions() for name in re.findall(r"\bentrepot_[a-z_]+", text)}
    assert {name for name in used if not known(name)} == set()
    assert len(used) > 30


def test_every_metric_is_on_the_dashboard_or_part_of_a_shown_metric() -> None:
    shown = " ".join(text for text in expressions() if text is not RULES)
    hidden = {name for name in METRICS if name not in shown} - {"entrepot_accepted_events"}
    assert hidden == set()


def test_every_label_used_with_a_metric_is_one_that_it_has() -> None:
    for text in expressions():
        for name, selector in re.findall(r"\b(entrepot_[a-z_]+)\{([^}]*)\}", text):
            kind = METRICS.get(name) or METRICS[name.removesuffix("_bucket").removesuffix("_count")]
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
            assert labels <= {*kind.labels, "instance", "job"}, name


def test_every_rule_has_a_severity_a_sentence_and_a_runbook() -> None:
    rules = re.split(r"^      - alert: ", RULES, flags=re.MULTILINE)[1:]
    assert len(rules) >= 15
    for rule in rules:
        assert re.search(r"severity: (warning|critical)\n", rule), rule
        assert len(re.findall(r"^ {10}(?:summary|description|runbook): \".+\"$", rule, re.MULTILINE)) == 3, rule


def test_names_of_rules_are_unique() -> None:
    names = re.findall(r"- alert: (\w+)", RULES)
    assert len(names) == len(set(names))


def test_panels_of_the_dashboard_have_their_own_number_and_place() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("panel", [p for p in DASHBOARD["panels"] if p["type"] != "row"], ids=lambda p: str(p["title"]))
def test_every_panel_explains_itself_and_uses_the_chosen_data_source(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
