"""Which canonical type the messages are, and which of their fields goes to which leaf. Guesses, each with its confidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from runtime.canonical.quantities import Measure
from runtime.canonical.registry import TYPES
from runtime.mapping.paths import Segment
from runtime.mapping.scaffold.sample import Seen
from runtime.mapping.scaffold.words import EVENTS, LISTS, OF_PARTIES, PARTIES, names_of, words_of
from runtime.mapping.targets import FieldTarget, Target, fields_of

CONFIDENCE_MIN = 0.5
"""Below this a field is rather listed as not placed than guessed."""
_FITS = {
    "text": {"text", "number-text"},
    "decimal": {"decimal", "decimal_comma"},
    "instant": {"instant"},
    "date": {"date"},
    "boolean": {"boolean"},
    "choice": {"word"},
    "integer": {"integer"},
    "float": {"float", "decimal"},
}
_BY_LOOKS = {"email": ("email", 0.7), "gtin": ("gtin", 0.6), "sscc": ("sscc", 0.7), "currency": ("currency", 0.55)}
"""Leaf → what a value looks like, and how much that says without a name."""
_MUST = {"country": "country", "email": "email", "currency": "currency", "payee_iban": "iban", "iban": "iban"}


class Slot(Struct, frozen=True, kw_only=True):
    """One leaf of a type that a field may go to."""

    path: tuple[str, ...]
    """Names of fields from the top of the type."""
    list: str
    """The list of the type that it is inside, or empty."""
    target: Target
    required: bool
    names: tuple[tuple[str, ...], ...]
    context: frozenset[str]
    """One of these words must stand around the value; empty: none."""


class Guess(Struct, frozen=True, kw_only=True):
    """One field of the samples at one leaf."""

    slot: Slot
    seen: Seen
    confidence: float


class Draft(Struct, frozen=True, kw_only=True):
    """The whole guess."""

    type: str
    confidence: float
    each: tuple[Segment, ...] | None
    """The list whose elements are each an event."""
    lists: dict[str, tuple[Segment, ...]]
    """List of the type → list of the messages."""
    guesses: list[Guess]
    discriminator: Seen | None
    key: Seen | None
    left: list[Seen]
    """What could not be placed."""


def draft(seen: Sequence[Seen], type_name: str | None = None) -> Draft:
    """The best guess; of this type, if it is given."""
    usable = [one for one in seen if one.usable]
    discriminator = _discriminator(usable)
    key = next((one for one in usable if one.list is None and _is_key(one)), None)
    free = [one for one in usable if one is not key and one is not discriminator]
    lists = list(dict.fromkeys(one.list for one in free if one.list is not None))
    found: list[tuple[float, Draft]] = []
    for name in [type_name] if type_name else TYPES:
        sources = [*free, discriminator] if discriminator and name == "shipment.milestone" else free
        found += [_attempt(name, each, sources, lists, discriminator) for each in (None, *lists)]
    ranked = sorted(found, key=lambda one: -one[0])
    score, best = ranked[0]
    rival = next((other for other, one in ranked if one.type != best.type), 0.0)
    certain = 1.0 if type_name else min(0.95, max(0.2, 0.5 + (score - max(rival, 0)) / 10))
    used = {guess.seen.path for guess in best.guesses}
    used |= {one.path for one in (key, discriminator) if one is not None}
    left = [one for one in seen if one.path not in used]
    return _with(best, confidence=certain, key=key, left=left)


def _with(given: Draft, *, confidence: float, key: Seen | None, left: list[Seen]) -> Draft:
    return Draft(
        type=given.type, confidence=confidence, each=given.each, lists=given.lists, guesses=given.guesses,
        discriminator=given.discriminator, key=key, left=left,
    )  # fmt: skip


def _attempt(
    name: str,
    each: tuple[Segment, ...] | None,
    sources: list[Seen],
    lists: list[tuple[Segment, ...]],
    discriminator: Seen | None,
) -> tuple[float, Draft]:
    """One type, with one event a message or one a list element; and how well it goes."""
    slots = list(_slots(fields_of(TYPES[name].struct), (), "", required=True, context=frozenset()))
    plain = [slot for slot in slots if not slot.list]
    guesses = _fill(plain, [one for one in sources if one.list in (None, each)], name)
    chosen: dict[str, tuple[Segment, ...]] = {}
    for field in dict.fromkeys(slot.list for slot in slots if slot.list):
        inner = [slot for slot in slots if slot.list == field]
        here = [path for path in lists if path not in chosen.values()] if each is None else []
        best = max((_elements(field, inner, path, sources, name) for path in here), default=(0.0, (), []))
        if best[0] > 0:
            chosen[field] = best[1]
            guesses += best[2]
    placed = {guess.slot.path for guess in guesses}
    lacking = [slot for slot in slots if slot.required and slot.path not in placed]
    lacking = [slot for slot in lacking if not slot.list or _list_is_required(name, slot.list) or slot.list in chosen]
    score = sum(guess.confidence * (1.5 if guess.slot.required else 0.5) for guess in guesses)
    score += _hints(name, discriminator, sources) - 2 * len(lacking) - (1.0 if each is not None else 0.0)
    outcome = Draft(
        type=name, confidence=0.0, each=each, lists=chosen, guesses=guesses, discriminator=discriminator, key=None, left=[]
    )  # fmt: skip
    return score, outcome


def _list_is_required(name: str, field: str) -> bool:
    return fields_of(TYPES[name].struct)[field].required


def _elements(
    field: str, slots: list[Slot], path: tuple[Segment, ...], sources: list[Seen], name: str
) -> tuple[float, tuple[Segment, ...], list[Guess]]:
    """How well one list of the messages goes into one list of the type."""
    guesses = _fill(slots, [one for one in sources if one.list == path], name)
    placed = {guess.slot.path for guess in guesses}
    lacking = sum(slot.required and slot.path not in placed for slot in slots)
    named = bool(set(words_of(str(path[-1]))) & LISTS.get(field, {field}))
    score = sum(guess.confidence for guess in guesses) - lacking + named
    return (score if guesses and (lacking == 0 or named) else 0.0), path, guesses


def _fill(slots: list[Slot], sources: list[Seen], name: str) -> list[Guess]:
    """The best pairs first; each field and each leaf once."""
    pairs = [
        Guess(slot=slot, seen=one, confidence=confidence)
        for slot in slots
        for one in sources
        if (confidence := _confidence(slot, one, name)) >= CONFIDENCE_MIN
    ]
    pairs.sort(key=lambda pair: (-pair.confidence, not pair.slot.required, len(pair.slot.path)))
    taken: set[object] = set()
    chosen: list[Guess] = []
    for pair in pairs:
        if pair.slot.path not in taken and pair.seen.path not in taken:
            taken |= {pair.slot.path, pair.seen.path}
            chosen.append(pair)
    return _whole(slots, chosen)


def _whole(slots: list[Slot], chosen: list[Guess]) -> list[Guess]:
    """Without objects that lack something which makes them whole, such as a weight without its value."""
    placed = {guess.slot.path for guess in chosen}
    broken = {
        slot.path[:-1] for slot in slots if slot.target.kind != "choice" and not slot.required and _needed(slot, placed)
    }
    return [guess for guess in chosen if guess.slot.path[:-1] not in broken]


def _needed(slot: Slot, placed: set[tuple[str, ...]]) -> bool:
    return slot.path[-1] == "value" and slot.path not in placed


def _slots(
    fields: dict[str, FieldTarget], path: tuple[str, ...], within: str, *, required: bool, context: frozenset[str]
) -> Iterator[Slot]:
    for name, field in fields.items():
        here, target = (*path, name), field.target
        must = required and field.required
        if target.kind == "object" and target.struct is not None:
            around = frozenset(PARTIES.get(name, ())) or context
            measured = frozenset(words_of(name)) if target.struct is Measure else around
            yield from _slots(fields_of(target.struct), here, within, required=must, context=measured)
        elif target.kind == "list" and target.element is not None:
            if not within and target.element.struct is not None:
                inner = fields_of(target.element.struct)
                yield from _slots(inner, here, name, required=True, context=frozenset())
        elif target.kind != "other" and name not in ("time_quality", "unit_raw"):
            names = (path[-1:], ("value",)) if name == "value" and path else names_of(name)
            yield Slot(
                path=here, list=within, target=target, required=must, names=tuple(tuple(n) for n in names), context=context
            )  # fmt: skip


# ---------------------------------------------------------------- how well a field goes to a leaf


def _confidence(slot: Slot, seen: Seen, name: str) -> float:
    leaf, kind = slot.path[-1], slot.target.kind
    if not seen.kinds & _FITS.get(kind, set()):
        return 0.0
    if leaf in _MUST and _MUST[leaf] not in seen.kinds:
        return 0.0
    around = set(seen.around) | set(seen.words)
    if slot.context and not slot.context & around:
        return 0.0
    words = tuple(word for word in seen.words if word not in slot.context) or seen.words
    looks, worth = _BY_LOOKS.get(leaf, ("", 0.0))
    score = max(_named(slot, words, seen.around), worth if looks in seen.kinds else 0.0)
    if kind == "choice":
        score = min(score, 0.7) if choice_of(seen.values[0], slot.target.choices) else min(score, 0.5)
    elsewhere = set(seen.around) & OF_PARTIES
    if elsewhere and not slot.context and not name.startswith("partner") and not elsewhere & set(words_of(leaf)):
        score *= 0.5
    return score


def _named(slot: Slot, words: tuple[str, ...], around: tuple[str, ...]) -> float:
    best = 0.0
    for rank, name in enumerate(slot.names):
        less = 0.03 * min(rank, 5)
        both = (*around, *words)
        if words == name:
            best = max(best, 0.95 - less - (0.1 if name == ("id",) and around else 0.0))
        elif len(name) > 1 and both[-len(name) :] == name:
            best = max(best, 0.92 - less)
        elif set(name) <= set(words):
            best = max(best, 0.78 - less)
        elif set(name) <= set(both) and set(name) & set(words):
            best = max(best, 0.62 - less)
    return best


def choice_of(value: object, choices: Sequence[str]) -> str | None:
    """The choice that a code says in its own words, or None."""
    text = "_".join(str(value).lower().replace("-", " ").replace("_", " ").split())
    return text if text in choices else None


# ---------------------------------------------------------------- what kind of message it is


def _discriminator(usable: list[Seen]) -> Seen | None:
    """The field that tells kinds of message apart."""
    fits = [
        one for one in usable
        if one.list is None and len(one.path) <= 2 and "event" in one.words and "word" in one.kinds
        and not one.kinds & {"instant", "decimal"}
    ]  # fmt: skip
    return fits[0] if fits else None


def _is_key(seen: Seen) -> bool:
    return seen.words in {("message", "id"), ("event", "id"), ("message",), ("delivery", "id")} and len(seen.path) <= 2


def _hints(name: str, discriminator: Seen | None, sources: list[Seen]) -> float:
    domain, event = name.split(".", 1)
    said = {word for value in (discriminator.values if discriminator else ()) for word in words_of(str(value))}
    keys = {word for one in sources if one.list is None for word in (*one.around, *one.words)}
    hints = EVENTS.get(event, {event})
    return 4.0 * (domain in said) + 3.0 * bool(hints & said) + 1.0 * (domain in keys) + 0.5 * bool(hints & keys)
