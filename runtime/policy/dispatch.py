"""Which delivery may go now: order within each business key, back-off, expiry, the breaker, how many at once. Pure.

One object a target. Times are monotonic seconds passed in; expiry alone speaks of the wall clock, in microseconds.
"""

from __future__ import annotations

from bisect import insort
from heapq import heappop, heappush

from msgspec import Struct

from runtime.policy.breaker import Breaker
from runtime.policy.retry import Backoff, wait_seconds

Key = str | int
"""A business key, or the delivery's own number where it has none."""


class Rules(Struct, frozen=True, kw_only=True):
    """What a target's settings say."""

    backoff: Backoff
    in_flight_max: int
    attempts_max: int | None
    give_up_seconds: float | None
    parks: bool
    """A letter holds the successors of its key."""


class Waiting(Struct):
    """One open delivery. `due`: monotonic seconds."""

    number: int
    key: Key
    attempts: int = 0
    due: float = 0.0
    expires_us: int | None = None


class Dispatch:
    """Everything open of one target. A failing key holds its own successors and nobody else's."""

    def __init__(self, rules: Rules, breaker: Breaker) -> None:
        self._rules = rules
        self._breaker = breaker
        self._queues: dict[Key, list[Waiting]] = {}
        self._known: dict[int, Waiting] = {}
        self._due: list[tuple[float, int]] = []
        """Heads of queues by the moment they may go; entries that are none any more are passed over."""
        self._expiring: list[tuple[int, int]] = []
        self._in_flight: dict[int, Key] = {}
        self._letters: dict[Key, set[int]] = {}
        self._troubled: set[int] = set()
        self._paused_until = float("-inf")

    def __len__(self) -> int:
        """Open deliveries, those on their way included."""
        return len(self._known)

    @property
    def in_flight(self) -> int:
        """On their way now."""
        return len(self._in_flight)

    @property
    def breaker(self) -> str:
        """closed, open or trial."""
        return self._breaker.state

    @property
    def attempts_worst(self) -> int:
        """Of what is open: how often one of them has failed."""
        return max((self._known[number].attempts for number in self._troubled if number in self._known), default=0)

    # ------------------------------------------------------------ what is there

    def add(self, waiting: Waiting) -> None:
        """Take in an open delivery; known ones are made due anew. Never overtakes an older one of its key."""
        known = self._known.get(waiting.number)
        if known is not None:
            known.due = waiting.due
        else:
            self._known[waiting.number] = waiting
            insort(self._queues.setdefault(waiting.key, []), waiting, key=_number)
            if waiting.expires_us is not None:
                heappush(self._expiring, (waiting.expires_us, waiting.number))
        self._offer(waiting.key)

    def hold(self, number: int, key: Key) -> None:
        """There is a letter of this key."""
        if not self._rules.parks:
            return
        self._letters.setdefault(key, set()).add(number)

    def release(self, number: int) -> None:
        """This delivery is no letter any more, nor open if it was."""
        for key in [key for key, held in self._letters.items() if number in held]:
            self._letters[key].discard(number)
            if not self._letters[key]:
                del self._letters[key]
            self._offer(key)
        self._drop(number)

    def _offer(self, key: Key) -> None:
        """The head of a queue, if it may ever go, waits for its moment."""
        head = self._head(key)
        if head is not None:
            heappush(self._due, (head.due, head.number))

    def _head(self, key: Key) -> Waiting | None:
        """What may go next of a key; None while one of it is on its way, or a letter holds it."""
        queue = self._queues.get(key)
        if not queue or key in self._in_flight.values():
            return None
        if self._rules.parks and any(number < queue[0].number for number in self._letters.get(key, ())):
            return None
        return queue[0]

    def _drop(self, number: int) -> Waiting | None:
        waiting = self._known.pop(number, None)
        self._in_flight.pop(number, None)
        self._troubled.discard(number)
        if waiting is not None:
            queue = self._queues[waiting.key]
            queue.remove(waiting)
            if not queue:
                del self._queues[waiting.key]
            self._offer(waiting.key)
        return waiting

    def flies(self, number: int) -> bool:
        """Whether it is on its way now."""
        return number in self._in_flight

    # ------------------------------------------------------------ what goes

    def take(self, now: float) -> int | None:
        """The number of a delivery that goes now and counts as on its way; None: nothing may."""
        if len(self._in_flight) >= self._rules.in_flight_max or now < self._paused_until:
            return None
        head = self._first()
        if head is None or head.due > now or self._breaker.wait_seconds(now) > 0:
            return None
        heappop(self._due)
        self._in_flight[head.number] = head.key
        return head.number

    def next_seconds(self, now: float) -> float | None:
        """How long until `take` may give something; None: not before something happens."""
        head = self._first()
        if head is None or len(self._in_flight) >= self._rules.in_flight_max:
            return None
        return max(0.0, head.due - now, self._paused_until - now, self._breaker.left_seconds(now))

    def _first(self) -> Waiting | None:
        """The head that is due first."""
        while self._due:
            due, number = self._due[0]
            waiting = self._known.get(number)
            if waiting is not None and waiting.due == due and self._head(waiting.key) is waiting:
                return waiting
            heappop(self._due)
        return None

    def overdue(self, now_us: int) -> list[int]:
        """Those that have expired and are not on their way."""
        found: list[int] = []
        later: list[tuple[int, int]] = []
        while self._expiring and self._expiring[0][0] <= now_us:
            entry = heappop(self._expiring)
            waiting = self._known.get(entry[1])
            if waiting is None or waiting.expires_us != entry[0]:
                continue
            if entry[1] in self._in_flight:
                later.append(entry)
            else:
                found.append(entry[1])
        for entry in later:
            heappush(self._expiring, entry)
        return found

    # ------------------------------------------------------------ what came of it

    def finished(self, number: int) -> None:
        """It is not open any more: delivered, expired or discarded."""
        self._drop(number)

    def answered(self) -> None:
        """The target works, whatever it said."""
        self._breaker.succeeded()

    def became_letter(self, number: int) -> None:
        """A person decides about it."""
        waiting = self._known.get(number)
        if waiting is not None:
            self.hold(number, waiting.key)
            self._drop(number)

    def failed(
        self, number: int, now: float, draw: float, *, waited_seconds: float, after_seconds: float | None = None
    ) -> float | None:
        """An attempt failed that may be repeated: the pause in seconds, or None: it is given up and stays on its way.

        `after_seconds`: what the target asked for; it rests as a whole. `waited_seconds`: since it was ready.
        """
        rules = self._rules
        waiting = self._known[number]
        waiting.attempts += 1
        self._troubled.add(number)
        self._breaker.failed(now)
        pause = wait_seconds(rules.backoff, waiting.attempts, draw, after_seconds=after_seconds)
        if after_seconds is not None:
            self._paused_until = max(self._paused_until, now + min(after_seconds, rules.backoff.seconds_max))
        if rules.attempts_max is not None and waiting.attempts >= rules.attempts_max:
            return None
        if rules.give_up_seconds is not None and waited_seconds >= rules.give_up_seconds:
            return None
        waiting.due = now + pause
        return pause

    def back(self, number: int) -> None:
        """It is no longer on its way and still open."""
        self._in_flight.pop(number, None)
        waiting = self._known.get(number)
        if waiting is not None:
            self._offer(waiting.key)


def _number(waiting: Waiting) -> int:
    return waiting.number
