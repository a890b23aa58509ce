"""From entrepot.toml to working parts: adapters, translators, policy, routes. Everything is checked before the start.

Problems that can lose or leak are errors; the rest are warnings with a next step.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from runtime import clock, packs, plugins
from runtime.access.settings import check_access
from runtime.clearance import Clearance, Policy, compile_policy, load_policy
from runtime.config.folders import claim, folders_of
from runtime.config.load import convert, read_toml
from runtime.config.model import BALLAST_BYTES, Model, SourceSettings
from runtime.config.overlay import Overlay, Reach, merged
from runtime.config.routes import idle_routes
from runtime.config.targets import ConfiguredTarget, configure_target, headquarters_key
from runtime.downlink import INBOX
from runtime.envelope import Message, Receipt
from runtime.errors import ConfigError
from runtime.fleet.post import FleetHub, FleetPost
from runtime.fleet.settings import check_fleet
from runtime.gateway import tls
from runtime.gateway.api.settings import check_api
from runtime.gateway.schema import MessageSchema
from runtime.gateway.settings import SourceLimits, check_gateway, is_loopback
from runtime.mapping import load as load_mapping
from runtime.mapping.decode import ANY
from runtime.mapping.faults import Spot
from runtime.mapping.link import Link, compile_link
from runtime.nearest import nearest
from runtime.pipeline.guard import Guarded
from runtime.pipeline.route import Router
from runtime.pipeline.translate import SourceRules
from runtime.ports import (
    Adapter,
    Follow,
    HubLink,
    Scope,
    Source,
    SourceContext,
    Target,
    TargetContext,
    Translator,
)
from runtime.record import CHECKPOINTS_LANE
from runtime.vault import SCHEME, Vault

_SHARED_KEYS = frozenset(SourceSettings.__struct_fields__)


class ConfiguredSource(Struct, frozen=True, kw_only=True):
    """One source, ready to be started."""

    name: str
    shared: SourceSettings
    adapter: Adapter
    settings: Any
    rules: SourceRules
    lane: str
    limits: SourceLimits
    keyed: bool
    """Whether a sender's retry is recognised without an Idempotency-Key header."""
    schema: MessageSchema | None = None
    """What its messages must look like to be taken."""


class Configuration(Struct, frozen=True, kw_only=True):
    """A checked configuration."""

    path: Path
    digest: str
    """SHA-256 of entrepot.toml and every file it names, in checkpoints and status."""
    model: Model
    directory: Path
    data_dir: Path
    vault: Vault
    sources: dict[str, ConfiguredSource]
    router: Router
    policy: Policy
    clearance: Clearance
    hub: FleetHub
    hub_settings: Any
    warnings: list[str]
    targets: dict[str, ConfiguredTarget] = {}
    headquarters_key: bytes | None = None
    """Raw Ed25519 key of `[downlink] public_key`."""
    references: dict[str, str] = {}
    """Where a secret is named → `secret://name`."""
    overlay: Overlay | None = None
    """What headquarters has said on top of the local file; None: that alone."""
    paths: tuple[Path, ...] = ()
    """Every file that was read: itself, the policy, mappings, tables, schemas."""

    def read_secrets(self) -> dict[str, str]:
        """Where each secret is named → SHA-256 of its bytes. Blocking. Raises `ConfigError` for one that is not there."""
        found = {place: self._digest_of(place, reference) for place, reference in self.references.items()}
        if self.model.gateway.tls is not None:
            found["gateway.tls"] = tls.digest(self.model.gateway.tls, self.directory)
        return found

    def read_tls(self) -> tls.Loaded | None:
        """The listener's certificate. Blocking. Raises `ConfigError`."""
        settings = self.model.gateway.tls
        return None if settings is None else tls.load(settings, self.directory)

    def _digest_of(self, place: str, reference: str) -> str:
        try:
            return sha256(self.vault.secret(reference)).hexdigest()
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {place}: {error}", hint=error.hint) from None
        except OSError as error:
            raise ConfigError(f"{self.path}: {place}: {reference} cannot be read ({error.strerror})") from None

    def make_source(self, name: str, context: SourceContext) -> Source:
        """A source with what it was lent. Raises `ConfigError`, naming the source."""
        configured = self.sources[name]
        try:
            return configured.adapter.source(configured.settings, context)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: sources.{name}: {error}", hint=error.hint) from None

    def make_target(self, name: str, log: Callable[..., None]) -> Target:
        """A target with what it is lent. Raises `ConfigError`, naming the target."""
        configured = self.targets[name]
        context = TargetContext(
            name=name,
            region=self.model.region,
            secret=self.vault.secret,
            directory=str(self.directory),
            log=log,
            now_us=clock.now_us,
        )
        try:
            return configured.adapter.target(configured.settings, context)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: targets.{name}: {error}", hint=error.hint) from None

    def try_sources(self, names: Iterable[str] | None = None) -> None:
        """Make every source once, with nothing behind it, and ask its adapter what lies in its way on this machine: one that
        can tell has `examine(settings, directory)`. A running agent waits for that to change instead. `names`: not all of
        them. Raises `ConfigError`.
        """
        for name in self.sources if names is None else names:
            context = SourceContext(
                name=name,
                intake=_Nowhere(),
                secret=self.vault.secret,
                directory=str(self.directory),
                log=lambda *_, **__: None,
                now_us=clock.now_us,
            )
            self.make_source(name, context)
            self._examine(name)

    def _examine(self, name: str) -> None:
        configured = self.sources[name]
        examine = getattr(configured.adapter, "examine", None)
        try:
            if examine is not None:
                examine(configured.settings, self.directory)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: sources.{name}: {error}", hint=error.hint) from None

    def try_targets(self, names: Iterable[str] | None = None) -> None:
        """Make every target once; nothing is delivered. `names`: not all of them. Raises `ConfigError`."""
        for name in self.targets if names is None else names:
            self.make_target(name, lambda *_, **__: None)

    def check_hub_files(self) -> None:
        """Whether login and certificates can be read; a running agent waits for them. Raises `ConfigError`."""
        try:
            self.hub.check(self.hub_settings, self._scope())
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}", hint=error.hint) from None

    def link(self) -> HubLink:
        """A connection to the hub as this region."""
        return self.hub.link(self.hub_settings, self._scope())

    def post(self) -> FleetPost:
        """What headquarters and this region say to each other about configuration."""
        return self.hub.post(self.hub_settings, self._scope())

    def _scope(self) -> Scope:
        return Scope(
            region=self.model.region,
            environment=self.model.environment,
            directory=str(self.directory),
            secret=self.vault.secret,
        )


class _Nowhere:
    """For sources that are only tried: they are never run."""

    async def accept(self, messages: Sequence[Message], *, cursor: str | None = None) -> list[Receipt]:
        raise AssertionError("a source that is only tried takes nothing in")

    async def cursor(self) -> str | None:
        raise AssertionError("a source that is only tried stands nowhere")


def load_configuration(path: Path, overlay: Overlay | None = None) -> Configuration:
    """Read and check everything that entrepot.toml names. Raises `ConfigError` with the first error.

    `overlay`: a revision of headquarters; its files go before those of the folder, its keys replace those of the file.
    """
    return _Assembly(path, overlay).finish()


class _Assembly:
    def __init__(self, path: Path, overlay: Overlay | None = None) -> None:
        self.path = path.absolute()
        self.where = str(path) if overlay is None else f"{path} with revision {overlay.version}"
        self.directory = self.path.parent
        self.overlay = overlay
        self.raw = read_toml(path)
        if not self.raw:
            raise ConfigError(f"{path} is not set up yet", hint="`entrepot init` asks what is needed and writes it")
        self.reach = None
        if overlay is not None:
            local, self.raw = self.raw, merged(self.raw, overlay.settings)
            self.reach = Reach(self.directory, local, self.raw)
        self.model = convert(self.raw, Model, where=self.where)
        self.paths = [self.path]
        self.files: list[bytes] = [msgspec.json.encode(self.raw, order="sorted")]
        secrets = self.model.secrets.dir
        self.vault = Vault(self.directory / secrets if secrets else None)
        self.warnings: list[str] = []

    def finish(self) -> Configuration:
        model = self.model
        self._check_lanes()
        self._check_tables()
        sources = {name: self._source(name, raw) for name, raw in sorted(model.sources.items())}
        if not sources:
            self.warnings.append(f"{self.where}: no [sources.…] is configured; the agent will take in nothing")
        self._check_api(sources)
        self.warnings += [f"{self.where}: {sentence}" for sentence in idle_routes(model.routes, sources)]
        targets = {
            name: configure_target(
                name,
                raw,
                model,
                where=self.where,
                directory=self.directory,
                reach=self.reach,
                read=self._table,
                warnings=self.warnings,
            )
            for name, raw in sorted(model.targets.items())
        }
        data_dir = self._data_dir()
        self._check(partial(claim, data_dir), folders_of({"sources": sources, "targets": targets}, self.directory))
        policy = self._policy()
        hub = plugins.hub()
        return Configuration(
            path=self.path,
            model=model,
            directory=self.directory,
            data_dir=data_dir,
            vault=self.vault,
            sources=sources,
            router=Router(tuple(model.routes), {s.name: s.lane for s in sources.values()}),
            policy=policy,
            clearance=compile_policy(policy, today=clock.today()),
            hub=hub,
            hub_settings=convert(model.hub, hub.settings, where=self.where, at="hub"),
            warnings=self.warnings,
            targets=targets,
            headquarters_key=headquarters_key(model, lambda name: self._table(self._place(name)), where=self.where),
            digest=sha256(b"\0".join(self.files)).hexdigest(),
            references=dict(_references(self.raw, "")),
            overlay=self.overlay,
            paths=tuple(dict.fromkeys(self.paths)),
        )

    def _data_dir(self) -> Path:
        folder = (self.directory / self.model.data_dir).absolute()
        if folder.exists() and not folder.is_dir():
            raise ConfigError(
                f"{self.where}: data_dir: {folder} is no folder", hint="name a folder; it is made if need be"
            )
        return folder

    def _check_lanes(self) -> None:
        lanes = self.model.lanes
        if not lanes:
            raise ConfigError(f"{self.where}: there is no lane", hint="add [lanes.realtime]")
        if CHECKPOINTS_LANE in lanes:
            raise ConfigError(f"{self.where}: the lane name {CHECKPOINTS_LANE!r} is reserved for signed checkpoints")
        if INBOX in lanes and self.model.targets:
            raise ConfigError(f"{self.where}: a lane cannot be named {INBOX!r} where there are targets: they read it")
        for index, route in enumerate(self.model.routes):
            self._known_lane(route.lane, f"routes[{index}].lane")

    def _check(self, check: Callable[[Any], None], settings: Any) -> None:
        """What no single key can say. Raises `ConfigError` with the file."""
        try:
            check(settings)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {error}", hint=error.hint) from None

    def _check_tables(self) -> None:
        model = self.model
        self._check(check_access, model.access)
        self._check(check_gateway, model.gateway)
        if model.fleet is not None:
            self._check(check_fleet, model.fleet)
        if model.gateway.tls is None and not is_loopback(model.gateway.listen):
            self.warnings.append(
                f"{self.where}: gateway.listen can be reached from elsewhere without TLS; add [gateway.tls],"
                " or listen on loopback behind a proxy"
            )

        if model.journal.ballast_bytes < BALLAST_BYTES:
            self.warnings.append(
                f"{self.where}: journal.ballast_bytes is below {BALLAST_BYTES}, what the journal's log may need on a full disk;"
                " it may then not go on by itself once there is room"
            )

    def _check_api(self, sources: dict[str, ConfiguredSource]) -> None:
        api = self.model.api
        if api is None:
            return
        self._check(check_api, api)
        doors = [name for name, source in sources.items() if source.adapter.accepts_http]
        if api.orders is not None and api.orders not in doors:
            raise ConfigError(
                f"{self.where}: api.orders is {api.orders!r}{nearest(api.orders, doors)}",
                hint='orders need a source that takes HTTP, for example with translator = "order-document"',
            )

    def _known_lane(self, name: str, at: str) -> str:
        if name not in self.model.lanes:
            raise ConfigError(f"{self.where}: {at} is {name!r}{nearest(name, self.model.lanes)}")
        return name

    def _source(self, name: str, raw: dict[str, Any]) -> ConfiguredSource:
        at = f"sources.{name}"
        own = {key: value for key, value in raw.items() if key in _SHARED_KEYS}
        if "adapter" not in own:
            raise ConfigError(f"{self.where}: the key '{at}.adapter' is missing")
        shared = convert(own, SourceSettings, where=self.where, at=at)
        adapter = plugins.adapter(shared.adapter, where=f"{self.where}: {at}.adapter")
        rest = {key: value for key, value in raw.items() if key not in _SHARED_KEYS}
        settings = convert(rest, adapter.settings, where=self.where, at=at)
        exposed = self.reach.exposes("sources", name, rest) if self.reach is not None else ""
        if exposed:
            raise ConfigError(f"{self.where}: {at}.{exposed}: secrets, keys or the journal lie there")
        lane = shared.lane or (next(iter(self.model.lanes)) if len(self.model.lanes) == 1 else "")
        translator = self._translator(shared, at)
        keyed = self._keyed(name, shared, adapter, translator)
        try:
            notes = adapter.check(settings, loopback=is_loopback(self.model.gateway.listen))
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {at}: {error}", hint=error.hint) from None
        self.warnings += [f"{self.where}: {at}: {note}" for note in notes]
        return ConfiguredSource(
            name=name,
            shared=shared,
            adapter=adapter,
            settings=settings,
            rules=SourceRules(translator, shared.on_letter == "park", self._link(adapter, settings, translator, at)),
            lane=self._known_lane(lane, f"{at}.lane"),
            limits=shared.limits or self.model.gateway,
            keyed=keyed,
            schema=self._schema(shared.schema, adapter, translator, f"{at}.schema"),
        )

    def _schema(self, relative: str | None, adapter: Adapter, translator: Translator, at: str) -> MessageSchema | None:
        if relative is None:
            return None
        try:
            if not adapter.accepts_http:
                raise ConfigError(
                    f"the adapter {adapter.name} receives no HTTP, and only its messages are compared with a schema",
                    hint="leave it out: what cannot be translated becomes a letter",
                )
            form = getattr(translator, "form", ANY)
            return MessageSchema(self._table(self._place(relative)), relative, form)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {at}: {error}", hint=error.hint) from None

    def _link(self, adapter: Adapter, settings: Any, translator: Translator, at: str) -> Link | None:
        """How thin messages are followed, if the adapter does that and the source wants it."""
        follow: Callable[[Any], Follow | None] = getattr(adapter, "follow", lambda _settings: None)
        rule = follow(settings)
        return None if rule is None else compile_link(rule.when, rule.url, translator, Spot(self.where, f"{at}.follow"))

    def _translator(self, shared: SourceSettings, at: str) -> Translator:
        given = [name for name in ("mapping", "pack", "translator") if getattr(shared, name) is not None]
        if len(given) != 1:
            said = f"has {' and '.join(given)}" if given else "does not say how its messages are translated"
            raise ConfigError(
                f"{self.where}: {at} {said}",
                hint='give it one of pack = "…" (`entrepot packs list`), mapping = "…" or translator = "…"',
            )
        if shared.options and shared.pack is None:
            raise ConfigError(f"{self.where}: {at}.options are those of a pack, and there is no pack")
        if shared.pack is not None:
            pack = packs.load(
                shared.pack,
                shared.options,
                where=f"{self.where}: {at}.pack",
                read_region=lambda name: self._table(self._place(name)),
            )
            self.files.append(pack.sha256.encode())
            return pack
        if shared.translator is not None:
            return Guarded(plugins.translator(shared.translator, where=f"{self.where}: {at}.translator"))
        return self._mapping(str(shared.mapping), f"{at}.mapping")

    def _mapping(self, relative: str, at: str) -> Translator:
        path = self._place(relative)
        raw = self._read(path, at)
        self.files.append(msgspec.json.encode(raw, order="sorted", enc_hook=str))
        text = path.read_text("utf-8")
        return load_mapping(text, relative, self._beside(relative))

    def _beside(self, mapping: str) -> Callable[[str], str]:
        """Reads the tables of a mapping."""
        folder = posixpath.dirname(mapping)
        return lambda name: self._table(self._place(posixpath.join(folder, name), mapping=mapping))

    def _place(self, relative: str, *, mapping: str | None = None) -> Path:
        """Where a mapping, policy, schema, or table (of a mapping) lies.

        Raises `ConfigError` when headquarters would have a file read that is none of its business.
        """
        found = self.overlay.place(relative) if self.overlay is not None else None
        if found is not None:
            return found
        steered = self.overlay is not None and mapping is not None and self.overlay.place(mapping) is not None
        if self.reach is not None and not self.reach.covers(relative, None if steered else mapping):
            raise ConfigError(f"{self.where}: {relative} is not in the revision, and no file that it may name")
        return self.directory / relative

    def _read(self, path: Path, at: str) -> dict[str, Any]:
        """A file that a key names: what is wrong with it is said with that key. Raises `ConfigError`."""
        self.paths.append(path)
        try:
            return read_toml(path)
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {at}: {error}", hint=error.hint) from None

    def _table(self, path: Path) -> str:
        self.paths.append(path)
        try:
            content = path.read_text("utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror})") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from None
        self.files.append(content.encode())
        return content

    def _policy(self) -> Policy:
        relative = self.model.residency.policy
        path = self._place(relative)
        self._read(path, "residency.policy")
        text = path.read_text("utf-8")
        self.files.append(text.encode())
        return load_policy(text, where=relative)

    def _keyed(self, name: str, shared: SourceSettings, adapter: Adapter, translator: Translator) -> bool:
        own_key = shared.dedupe == "key" and (translator_has_key(translator) or not adapter.accepts_http)
        keyed = own_key or shared.dedupe == "body"
        if not keyed:
            self.warnings.append(
                f"{self.where}: sources.{name}: without an Idempotency-Key header a sender's retry is a second fact;"
                ' give the mapping a key, or set dedupe = "body"'
            )
        return keyed


def _references(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith(SCHEME):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _references(part, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _references(part, f"{place}[{index}]")


def translator_has_key(translator: Translator) -> bool:
    """Whether messages carry their own idempotency key."""
    return bool(getattr(translator, "has_key", True))
