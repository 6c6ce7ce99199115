"""What an adaptive cache has learnt lately, and whether it should go on asking. Pure; not safe for threads."""

from __future__ import annotations

from langmeter.value import response_cache
from langmeter.value.response_cache import Judgement


class Experience:
    """Look-ups of the recent past: between one and two times `window` of them, older ones are forgotten.

    Money in pico-dollars, time in seconds.
    """

    __slots__ = ("_older", "_window", "_younger")

    def __init__(self, window: int) -> None:
        self._window = window
        self.forget()

    def forget(self) -> None:
        """Start over."""
        self._older = _Sums()
        self._younger = _Sums()

    @property
    def lookups(self) -> int:
        """Look-ups remembered."""
        return self._older.lookups + self._younger.lookups

    @property
    def hits(self) -> int:
        """Hits remembered."""
        return self._older.hits + self._younger.hits

    def add_lookup(self, seconds: float, *, hit: bool) -> None:
        """Count a look-up."""
        if self._younger.lookups >= self._window:
            self._older, self._younger = self._younger, _Sums()
        sums = self._younger
        sums.lookups += 1
        if hit:
            sums.hits += 1
            sums.hit_seconds += seconds
        else:
            sums.miss_seconds += seconds

    def add_call(self, seconds: float) -> None:
        """Count the time between a miss and its answer."""
        self._younger.calls += 1
        self._younger.call_seconds += seconds

    def add_price(self, picodollars: int) -> None:
        """Count the price of an answer, stored or found."""
        self._younger.priced += 1
        self._younger.cost += picodollars

    def judgement(self, lookup_cost: int, write_cost: int) -> Judgement:
        """Whether look-ups at these prices have paid lately.

        A look-up that costs nothing pays with the first hit; one whose worth nobody knows is never said not to pay.
        """
        past = self._older.plus(self._younger)
        time = _time(past)
        if lookup_cost + write_cost <= 0:
            return response_cache.overall(Judgement("pays", 0) if past.hits else None, time)
        if not past.priced:
            return Judgement("too early to say")
        break_even = response_cache.money_break_even(lookup_cost, past.cost / past.priced, write_cost)
        return response_cache.overall(response_cache.judge(past.hits, past.lookups, break_even), time)


class _Sums:
    __slots__ = ("call_seconds", "calls", "cost", "hit_seconds", "hits", "lookups", "miss_seconds", "priced")

    def __init__(self) -> None:
        self.lookups = 0
        self.hits = 0
        self.hit_seconds = 0.0
        self.miss_seconds = 0.0
        self.calls = 0
        self.call_seconds = 0.0
        self.priced = 0
        self.cost = 0

    def plus(self, other: _Sums) -> _Sums:
        total = _Sums()
        for name in self.__slots__:
            setattr(total, name, getattr(self, name) + getattr(other, name))
        return total


def _time(past: _Sums) -> Judgement | None:
    misses = past.lookups - past.hits
    if not misses or not past.calls:
        return None
    miss = past.miss_seconds / misses
    hit = past.hit_seconds / past.hits if past.hits else miss
    break_even = response_cache.time_break_even(miss, hit, past.call_seconds / past.calls)
    return response_cache.judge(past.hits, past.lookups, break_even)
