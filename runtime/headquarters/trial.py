"""Tries a rendered configuration before anything is sent: it is loaded, its policy compared, golden messages translated.

In a folder of its own that is gone afterwards. Blocking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from msgspec import Struct

from runtime.canonical.registry import NAMES
from runtime.clearance.compare import loosened
from runtime.config.assemble import Configuration, ConfiguredSource, load_configuration
from runtime.config.overlay import merged
from runtime.envelope import Envelope, Event
from runtime.errors import ConfigError, Untranslatable
from runtime.fleet.documents import Revision
from runtime.fleet.layers import Rendered
from runtime.headquarters.folder import CONFIG, GOLDEN, Folder
from runtime.mapping.trial import CONTENT_TYPES, split_sample
from runtime.pipeline.difference import Difference, find_differences
from runtime.ports import Translator
from runtime.setup.documents import quoted

UNKNOWN_POLICY = "policy-of-the-region.toml"
"""Stands for the region's own policy, which headquarters does not know: by it nothing leaves."""


class GoldenDifference(Struct, frozen=True, kw_only=True):
    """One golden message that becomes something else than before."""

    source: str
    sample: str
    says: str
    breaks: bool = False
    """It was understood and is no longer."""
    differences: list[Difference] = []


class Trial(Struct, frozen=True, kw_only=True):
    """What came of it. `refused` is the sentence that keeps it from being sent; empty: it may go."""

    refused: str = ""
    hint: str = ""
    warnings: list[str] = []
    loosened: list[str] = []
    golden: list[GoldenDifference] = []
    samples: int = 0
    """Golden messages that were tried."""


def try_region(
    folder: Folder, region: str, rendered: Rendered, last: Revision | None, old_files: Mapping[str, bytes]
) -> Trial:
    """Never raises for what the layers say: it becomes `refused`."""
    with TemporaryDirectory(prefix="entrepot-fleet-") as scratch:
        try:
            new = _load(folder, region, Path(scratch, "new"), rendered.settings, rendered.files)
        except ConfigError as error:
            said = _without(str(error), Path(scratch, "new"))
            return Trial(refused=f"{said}{_layer_of(said, rendered)}", hint=error.hint)
        warnings = [_without(warning, Path(scratch, "new")) for warning in new.warnings]
        old = None if last is None else _load_old(folder, region, Path(scratch, "old"), last, old_files)
        return _compared(new, old, rendered, warnings, steered=last is not None and _steers_policy(last.settings))


def _load_old(
    folder: Folder, region: str, place: Path, last: Revision, files: Mapping[str, bytes]
) -> Configuration | None:
    """None when it can no longer be loaded here: then there is nothing to compare with."""
    try:
        return _load(folder, region, place, last.settings, files)
    except ConfigError:
        return None


def _compared(
    new: Configuration, old: Configuration | None, rendered: Rendered, warnings: list[str], *, steered: bool
) -> Trial:
    looser = loosened(old.clearance, new.clearance) if old is not None and steered else []
    golden: list[GoldenDifference] = []
    samples = 0
    for name, source in new.sources.items():
        for path, content in _golden_of(source, rendered):
            samples += 1
            before = None if old is None or name not in old.sources else old.sources[name]
            golden += _try_sample(path, content, before, source)
    refused, hint = "", ""
    broken = [one for one in golden if one.breaks]
    if looser:
        refused = f"the policy would let out more than the newest revision does: {looser[0]}"
        hint = "headquarters can only tighten; the region's own key may loosen, and `entrepot fleet rollback` goes back"
    elif broken:
        refused = f"golden message {broken[0].sample}: {broken[0].says}"
        hint = "mend the mapping, or remove the sample if this is meant"
    return Trial(refused=refused, hint=hint, warnings=warnings, loosened=looser, golden=golden, samples=samples)


# ---------------------------------------------------------------- loading


def _load(
    folder: Folder, region: str, place: Path, settings: Mapping[str, Any], files: Mapping[str, bytes]
) -> Configuration:
    """Raises `ConfigError`."""
    place.mkdir()
    for relative, content in files.items():
        path = place / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    whole = merged(merged(_own(folder, region), folder.local(region)), settings)
    if "policy" not in whole.get("residency", {}):
        (place / UNKNOWN_POLICY).write_text('policy = "unknown"\nversion = 1\n')
        whole = merged(whole, {"residency": {"policy": UNKNOWN_POLICY}})
    (place / CONFIG).write_text("".join(f"{quoted(key)} = {as_toml(value)}\n" for key, value in whole.items()))
    return load_configuration(place / CONFIG)


def _own(folder: Folder, region: str) -> dict[str, Any]:
    """The keys that the region alone has, as far as fleet.toml says them."""
    return {
        "region": region,
        "jurisdiction": folder.settings.regions[region].jurisdiction,
        "environment": folder.settings.environment,
        "hub": {"servers": folder.settings.hub.get("servers", [])},
    }


def as_toml(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(key)} = {as_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return repr(value)


def _without(sentence: str, place: Path) -> str:
    """The scratch folder is nobody's business, and regions that differ in name alone share a trial."""
    return sentence.replace(f"{place}/", "")


def _layer_of(sentence: str, rendered: Rendered) -> str:
    """Which layer said the key that the sentence is about, if it names one."""
    named = [key for key in rendered.provenance if key in sentence]
    if not named:
        return ""
    return f" (said by {rendered.provenance[max(named, key=len)]})"


def _steers_policy(settings: Mapping[str, Any]) -> bool:
    return "policy" in settings.get("residency", {})


# ---------------------------------------------------------------- golden messages


def _golden_of(source: ConfiguredSource, rendered: Rendered) -> Iterator[tuple[str, bytes]]:
    """Samples in `golden/<source>/` beside the mapping; for a pack beside entrepot.toml."""
    beside = PurePosixPath(source.shared.mapping or "").parent / GOLDEN / source.name
    for path, content in sorted(rendered.golden.items()):
        if PurePosixPath(path).parent == beside:
            yield path, content


def _try_sample(
    path: str, content: bytes, before: ConfiguredSource | None, after: ConfiguredSource
) -> Iterator[GoldenDifference]:
    kind = CONTENT_TYPES.get(PurePosixPath(path).suffix.lower(), "application/json")
    try:
        parts = split_sample(content, kind)
    except Untranslatable as error:
        yield GoldenDifference(source=after.name, sample=path, says=f"cannot be read: {error}")
        return
    one = "application/json" if kind == "text/csv" else kind.replace("x-ndjson", "json")
    for number, part in enumerate(parts, 1):
        name = f"{path}, message {number}" if len(parts) > 1 else path
        old = None if before is None else _outcome(before.rules.translator, after.name, part, one)
        yield from _differing(after.name, name, old, _outcome(after.rules.translator, after.name, part, one))


Outcome = dict[int, tuple[str, bytes]] | str
"""Output number → (type, JSON), or why it is a letter."""


def _outcome(translator: Translator, source: str, body: bytes, content_type: str) -> Outcome:
    fact = Envelope(
        source=source,
        body=body,
        content_type=content_type,
        intake_seq=1,
        epoch=1,
        received_us=0,
        correlation_id=GOLDEN,
    )
    try:
        outputs = translator.translate(fact)
    except Untranslatable as error:
        return str(error)
    return {
        output.output: (NAMES[type(output.data)], msgspec.json.encode(output.data))
        for output in outputs
        if isinstance(output, Event)
    }


def _differing(source: str, sample: str, old: Outcome | None, new: Outcome) -> Iterator[GoldenDifference]:
    if isinstance(new, str):
        if not isinstance(old, str):
            was = "would be rejected" if old is None else "was understood and would be rejected"
            yield GoldenDifference(source=source, sample=sample, says=f"{was}: {new}", breaks=bool(old))
        return
    if old is None:
        return
    if isinstance(old, str):
        yield GoldenDifference(source=source, sample=sample, says="was rejected and would be understood")
        return
    for number in sorted({*old, *new}):
        found = find_differences(old.get(number), new.get(number))
        if found:
            says = f"output {number} {_how(number in old, number in new)}"
            yield GoldenDifference(source=source, sample=sample, says=says, differences=found)


def _how(was: bool, will_be: bool) -> str:
    if was and will_be:
        return "would change"
    return "would be new" if will_be else "would be missing"
