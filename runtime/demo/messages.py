"""What three partners say on a working day, some of it rubbish. Pure: a seeded draw and the time make the next message.

Each message knows what must come of it, so that the judge needs no mapping to know what is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

RUBBISH_SHARE = 0.02
ORDERS_OPEN_MAX = 40
PARCELS_OPEN_MAX = 60
REPORT_LINES = (15, 40)

_GOODS = (
    ("ACM-4410", "4006381333931", "Akkuschrauber 18V", "STK", "ST"),
    ("ACM-0092", "4006381333948", "Bohrer-Set 19-teilig", "STK", "ST"),
    ("ACM-7001", "4006381333955", "Montagekleber", "KG", "KG"),
    ("ACM-8120", "4006381333962", "Kabeltrommel Gummi, 50 m", "STK", "M"),
    ("ACM-9003", "4006381333979", "Schrauben \"Größe 4x40\"", "KRT", "KAR"),
)  # fmt: skip
_PEOPLE = ("Erika Beispiel", "Max Mustermann", "Lena Probe", "Jörg Attrappe", "Özlem Muster")
_CITIES = (("20099", "Hamburg"), ("10115", "Berlin"), ("50667", "Köln"), ("80331", "München"))
_JOURNEY = ("AVI", "ABH", "EIN", "AUS", "UML", "EIN", "AUS", "ZST", "ZUG")


class Outgoing(Struct, frozen=True, kw_only=True):
    """One message and what must come of it: so many events, or a letter, or nothing (0 events: ignored)."""

    body: bytes
    events: int
    letter: bool = False
    key: str | None = None
    """For the header Idempotency-Key; None: the mapping finds the key in the message."""


class Line(Struct, frozen=True, kw_only=True):
    """One line of a report, and what must come of it."""

    text: str
    events: int
    letter: bool = False


def encode(message: dict[str, Any]) -> bytes:
    """As a partner's JSON library would write it."""
    return json.dumps(message, ensure_ascii=False).encode()


def sscc(serial: int) -> str:
    """A serial shipping container code with its check digit (GS1)."""
    digits = f"34012345{serial % 10**9:09d}"
    total = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


class Warehouse:
    """The warehouse system: orders come in, are picked and shipped; goods arrive; stock is counted."""

    def __init__(self, draw: Random, prefix: str, now: Callable[[], str]) -> None:
        """`now` gives the local time as the system writes it, `2026-03-02T08:14:09`."""
        self._draw = draw
        self._prefix = prefix
        self._now = now
        self._count = 0
        self._open: list[tuple[str, str, list[dict[str, Any]]]] = []

    def next(self) -> Outgoing:
        """One message."""
        self._count += 1
        dice = self._draw.random()
        if dice < RUBBISH_SHARE:
            return self._rubbish()
        if dice < 0.06:
            return Outgoing(body=encode(self._head("PING")), events=0)
        if dice < 0.14:
            return self._receipt()
        if dice < 0.24:
            return self._adjustment()
        if len(self._open) >= ORDERS_OPEN_MAX or (self._open and dice < 0.70):
            return self._advance()
        return self._order()

    def _head(self, kind: str) -> dict[str, Any]:
        number = f"sk-{self._prefix}-{self._count:08d}"
        return {"message_id": number, "kind": kind, "site": f"HAM{self._draw.randint(1, 2)}", "at": self._now()}

    def _order(self) -> Outgoing:
        number = f"SO-{self._prefix}-{self._count}"
        lines = [self._line(at * 10) for at in range(1, self._draw.randint(2, 5))]
        zip_code, city = self._draw.choice(_CITIES)
        person = self._draw.choice(_PEOPLE)
        order = {
            "action": "NEW",
            "no": number,
            "customer_ref": f"B-2026-{self._count:04d}",
            "channel": self._draw.choice(("WEBSHOP", "EDI", "PHONE")),
            "currency": "EUR",
            "net": "252.00",
            "gross": "299.88",
            "note": "Bitte hinten am Tor abgeben",
            "recipient": {
                "customer_no": 70_000 + self._count,
                "name": person,
                "email": "kunde@beispiel.example",
                "street": f"Musterweg {self._draw.randint(1, 99)}",
                "zip": zip_code,
                "city": city,
                "country": "DE",
            },
            "lines": lines,
        }
        self._open.append((number, "picked", lines))
        return Outgoing(body=encode(self._head("ORDER") | {"order": order}), events=1)

    def _line(self, position: int) -> dict[str, Any]:
        sku, ean, text, unit, _ = self._draw.choice(_GOODS)
        quantity = self._draw.randint(1, 12)
        return {"pos": position, "sku": sku, "ean": ean, "text": text, "qty": quantity, "uom": unit, "price": "89.00"}

    def _advance(self) -> Outgoing:
        at = self._draw.randrange(len(self._open))
        number, state, lines = self._open.pop(at)
        if state == "picked":
            self._open.insert(at, (number, "packed", lines))
            bare = [{"pos": p["pos"], "sku": p["sku"], "qty": p["qty"], "uom": p["uom"]} for p in lines]
            pick = {"id": self._count, "order_no": number, "by": "m.muster", "lines": bare}
            return Outgoing(body=encode(self._head("PICK") | {"pick": pick}), events=1)
        if state == "packed" and self._draw.random() < 0.3:
            self._open.insert(at, (number, "ready", lines))
            return self._shipment(number, "50", lines, events=0)
        return self._shipment(number, "90", lines, events=1)

    def _shipment(self, order: str, status: str, lines: list[dict[str, Any]], *, events: int) -> Outgoing:
        zip_code, city = self._draw.choice(_CITIES)
        shipment = {
            "id": f"SH-{order}",
            "status": status,
            "order_no": order,
            "carrier": self._draw.choice(("BLITZ", "NORDPOST")),
            "service": "EXPRESS12",
            "tracking": f"BLZ{self._count:011d}",
            "driver": "J. Probe",
            "recipient": {"name": self._draw.choice(_PEOPLE), "zip": zip_code, "city": city, "country": "DE"},
            "lines": [{"pos": p["pos"], "sku": p["sku"], "qty": p["qty"], "uom": p["uom"]} for p in lines],
            "parcels": [{"sscc": sscc(self._count), "tracking": f"BLZ{self._count:011d}", "weight_kg": 6.42}],
        }
        return Outgoing(body=encode(self._head("SHIP") | {"shipment": shipment}), events=events)

    def _receipt(self) -> Outgoing:
        line = self._line(1)
        received = {"announced": line["qty"], "state": "OK", "batch": "L2602"}
        receipt = {
            "no": f"WE-{self._prefix}-{self._count}",
            "purchase_order": f"PO-{self._count}",
            "closed": "Y",
            "by": "k.test",
            "supplier": {"no": 4_410, "name": "Werkzeug Phantasie AG"},
            "lines": [{name: line[name] for name in ("pos", "sku", "ean", "qty", "uom")} | received],
        }
        return Outgoing(body=encode(self._head("RECEIPT") | {"receipt": receipt}), events=1)

    def _adjustment(self) -> Outgoing:
        """One event an item whose stock really changes."""
        deltas = [self._draw.randint(-3, 3) for _ in range(self._draw.randint(1, 4))]
        items = [
            {"no": at, "sku": self._draw.choice(_GOODS)[0], "delta": d, "after": 400 + d, "uom": "STK", "status": "FREI", "reason": "INV"}
            for at, d in enumerate(deltas, 1)
        ]  # fmt: skip
        return Outgoing(body=encode(self._head("ADJUST") | {"adjustments": items}), events=sum(d != 0 for d in deltas))

    def _rubbish(self) -> Outgoing:
        head = self._head("ORDER")
        choice = self._draw.randrange(4)
        if choice == 0:
            return Outgoing(body=encode(head)[:-20], events=0, letter=True, key=head["message_id"])
        if choice == 1:
            return Outgoing(body=b"<order>not even JSON</order>", events=0, letter=True, key=head["message_id"])
        if choice == 2:
            line = self._line(10) | {"qty": "drei"}
            order = {"action": "NEW", "no": f"SO-{self._prefix}-{self._count}", "lines": [line]}
            return Outgoing(body=encode(head | {"order": order}), events=0, letter=True)
        return Outgoing(body=encode(head | {"order": {"action": "NEW", "lines": []}}), events=0, letter=True)


class Carrier:
    """The parcel service: with each scan it sends the whole history again, in any order."""

    def __init__(self, draw: Random, prefix: str, now: Callable[[], str]) -> None:
        self._draw = draw
        self._prefix = prefix
        self._now = now
        self._count = 0
        self._parcels: list[tuple[str, list[dict[str, Any]]]] = []

    def next(self) -> Outgoing:
        """One message. Messages of one Carrier must be sent one after the other."""
        self._count += 1
        if self._draw.random() < RUBBISH_SHARE:
            return self._rubbish()
        if not self._parcels or (len(self._parcels) < PARCELS_OPEN_MAX and self._draw.random() < 0.3):
            self._parcels.append((f"BLZ{self._prefix}{self._count:09d}", []))
        at = self._draw.randrange(len(self._parcels))
        tracking, history = self._parcels[at]
        new = self._scans(len(history))
        history += new
        if len(history) >= len(_JOURNEY):
            self._parcels.pop(at)
        return Outgoing(body=self._update(tracking, history), events=len(new))

    def _scans(self, so_far: int) -> list[dict[str, Any]]:
        """None (it only repeats itself), one or two new ones."""
        count = min(self._draw.choice((0, 1, 1, 1, 2)), len(_JOURNEY) - so_far)
        city = self._draw.choice(_CITIES)
        return [
            {
                "code": _JOURNEY[so_far + at],
                # The step is part of the seconds: two scans of a parcel never look the same.
                "time": f"{self._now()[:17].replace('T', ' ')}{so_far + at:02d}",
                "text": "Sendung bearbeitet",
                "depot": {"id": 2_001 + so_far + at, "city": city[1], "zip": city[0], "country": "de"},
            }
            for at in range(count)
        ]

    def _update(self, tracking: str, history: list[dict[str, Any]]) -> bytes:
        shown = self._draw.sample(history, len(history))
        if self._draw.random() < 0.1:
            shown.append({"code": "SYS", "time": f"{self._now().replace('T', ' ')}", "internal": True})
        parcel = {"tracking_no": tracking, "reference": f"SH-{tracking}", "sscc": sscc(self._count), "history": shown}
        message = {"delivery_id": f"blz-{self._prefix}-{self._count}", "event": "tracking.updated", "parcel": parcel}
        return encode(message)

    def _rubbish(self) -> Outgoing:
        scan = {"code": "EIN", "time": "gestern gegen acht", "depot": {"id": 1}}
        return Outgoing(body=self._update(f"BLZ{self._prefix}X{self._count}", [scan]), events=0, letter=True)


class Legacy:
    """The ERP extension of 1998: a stock report in Latin-1 with decimal commas, a total line at the end."""

    HEAD = "Artikelnummer;Bezeichnung;Menge;Reserviert;Einheit;Lagerort;Charge;Stand"

    def __init__(self, draw: Random, now: Callable[[], str]) -> None:
        """`now` gives the time as the report writes it, `02.03.2026 06:15`."""
        self._draw = draw
        self._now = now
        self._count = 0

    def next(self) -> tuple[str, bytes, list[Line]]:
        """(file name, content, its lines without the heading)."""
        self._count += 1
        lines = [self._line() for _ in range(self._draw.randint(*REPORT_LINES))]
        lines.append(Line(text=f"SUMME;;{len(lines)};0;;;;{self._now()}", events=0))
        text = "\r\n".join([self.HEAD, *(line.text for line in lines)]) + "\r\n"
        return f"bestand-{self._count:06d}.csv", text.encode("latin-1"), lines

    def _line(self) -> Line:
        sku, _, text, _, unit = self._draw.choice(_GOODS)
        name = '"' + text.replace('"', '""') + '"'
        rubbish = self._draw.random() < RUBBISH_SHARE
        amount = "zwölf" if rubbish else f"{self._draw.randint(0, 9)}.{self._draw.randint(0, 999):03d},50"
        fields = (sku, name, amount, "1,5", unit, f"HAM{self._draw.randint(1, 2)}", f"L{self._count}", self._now())
        return Line(text=";".join(fields), events=0 if rubbish else 1, letter=rubbish)
