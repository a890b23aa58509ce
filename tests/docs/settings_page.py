"""Writes docs/settings.md from the structs that read entrepot.toml: `python -m tests.docs.settings_page > docs/settings.md`.

And docs/fleet-settings.md from those of fleet.toml: `python -m tests.docs.settings_page fleet > docs/fleet-settings.md`.
"""

from __future__ import annotations

import ast
import inspect as source_of
import sys
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from adapters.file_drop.settings import FileDropSettings
from adapters.file_target.settings import Batch, FileTargetSettings
from adapters.http_target.settings import HttpTargetSettings, TargetAuth
from adapters.rest_poll.cursor import CursorSettings
from adapters.rest_poll.settings import PageSettings, RestPollSettings
from adapters.sdk.follower import FollowSettings
from adapters.sdk.login import Login
from adapters.webhook.settings import Auth, WebhookSettings
from adapters.webhook_out.settings import WebhookOutSettings
from runtime.access.settings import AccessSettings, CallerLimits, OidcSettings
from runtime.config import model
from runtime.fleet.settings import FleetSettings
from runtime.gateway.api.settings import ApiSettings, Deprecation
from runtime.gateway.settings import GatewaySettings, SourceLimits, TlsSettings
from runtime.headquarters import settings as fleet
from runtime.observe.alerts import AlertSettings
from runtime.pipeline.route import Condition, Route
from sync.settings import HubSettings

INTRO = """# Settings

Everything that may stand in `entrepot.toml`, with defaults and bounds. This page is written from the code and checked against it;
`entrepot check` says in one sentence what is wrong with a file. Paths are relative to the file.
Ages (`refill_hours`, `key_days`) are counted in hours that the agent runs: a jump of the wall clock ages nothing.
"""
SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("entrepot.toml", model.Model),
    ("[hub]", HubSettings),
    ("[gateway]", GatewaySettings),
    ("[api]", ApiSettings),
    ("[api.deprecated.OPERATION]", Deprecation),
    ("[access]", AccessSettings),
    ("[access.limits]", CallerLimits),
    ("[access.oidc]", OidcSettings),
    ("[gateway.tls]", TlsSettings),
    ("[secrets]", model.SecretSettings),
    ("[residency]", model.ResidencySettings),
    ("[journal]", model.JournalSettings),
    ("[evidence]", model.EvidenceSettings),
    ("[alerts]", AlertSettings),
    ("[fleet]", FleetSettings),
    ("[lanes.NAME]", model.LaneSettings),
    ("[[routes]]", Route),
    ("[[routes]] when", Condition),
    ("[sources.NAME]", model.SourceSettings),
    ("[sources.NAME] limits", SourceLimits),
    ('[sources.NAME] adapter = "webhook"', WebhookSettings),
    ("auth = { scheme = …, … }", Auth),
    ("follow = { … }", FollowSettings),
    ('[sources.NAME] adapter = "file_drop"', FileDropSettings),
    ("[downlink]", model.DownlinkSettings),
    ("[targets.NAME]", model.TargetSettings),
    ("[targets.NAME.retry]", model.RetrySettings),
    ('[targets.NAME] adapter = "webhook_out"', WebhookOutSettings),
    ('[targets.NAME] adapter = "http"', HttpTargetSettings),
    ("auth = { bearer = …, … } of a target", TargetAuth),
    ('[targets.NAME] adapter = "file"', FileTargetSettings),
    ("batch = { … }", Batch),
    ('[sources.NAME] adapter = "rest_poll"', RestPollSettings),
    ("cursor = { … }", CursorSettings),
    ("pages = { … }", PageSettings),
    ("login = { … }", Login),
)
FLEET_INTRO = """# Settings of the fleet

Everything that may stand in headquarters' `fleet.toml`, with defaults and bounds; [fleet.md](fleet.md) says how it is used. This page is written from
the code and checked against it. Paths are relative to the file.
"""
FLEET_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("fleet.toml", fleet.FleetFile),
    ("[rollout]", fleet.RolloutSettings),
    ("[[freeze]]", fleet.FreezeSettings),
    ("[regions.NAME]", fleet.RegionSettings),
)


class Key(NamedTuple):
    """One key, in words, with Markdown's marks."""

    name: str
    default: str
    bounds: str
    says: str


def page() -> str:
    """The whole page."""
    return "\n".join([INTRO, *(section(title, kind) for title, kind in SECTIONS)])


def fleet_page() -> str:
    """Of fleet.toml."""
    return "\n".join([FLEET_INTRO, *(section(title, kind) for title, kind in FLEET_SECTIONS)])


def section(title: str, kind: type[msgspec.Struct]) -> str:
    """One table: key, default, bounds, meaning."""
    rows = [f"| `{key.name}` | {key.default} | {key.bounds} | {key.says} |" for key in keys(kind)]
    doc = " ".join((kind.__doc__ or "").split())
    table = ["| key | default | may be | says |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"## `{title}`", "", doc, "", *table])


def keys(kind: type[msgspec.Struct]) -> list[Key]:
    """Every key of one table, in order."""
    words = _words(kind)
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return [
        Key(field.encode_name, _default(field), _bounds(field.type), words.get(field.name, "")) for field in info.fields
    ]


def _words(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The string after each field, of the struct and of those it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if owner in (object, msgspec.Struct) or not issubclass(owner, msgspec.Struct):
            continue
        body = ast.parse(source_of.getsource(owner)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            named = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if named and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[field.target.id] = " ".join(str(text.value.value).split()).replace("|", "\\|")  # type: ignore[attr-defined]
    return found


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return "empty"
    return "none" if field.default in (None, "") else f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else f"{value}"


def _bounds(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        return _bounds(kind.type)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(_bounds(t) for t in kind.types if not isinstance(t, inspect.NoneType))
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{v}`" if v != "\t" else "tab" for v in kind.values).replace("`|`", "`\\|`")
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _range(kind)
    plain = {
        inspect.BoolType: "`true`, `false`",
        inspect.StrType: "text",
        inspect.ListType: "list",
        inspect.VarTupleType: "list",
        inspect.DictType: "tables",
        inspect.StructType: "table",
    }
    return next((word for known, word in plain.items() if isinstance(kind, known)), "")


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    above = "more than " if kind.ge is None and kind.gt is not None else ""
    if low is None and high is None:
        return "number"
    return f"{above}{low}" + (f" … {high}" if high is not None else " or more")


if __name__ == "__main__":
    print(fleet_page() if "fleet" in sys.argv[1:] else page(), end="")  # noqa: T201
