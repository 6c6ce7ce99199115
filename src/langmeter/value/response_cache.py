"""What a response cache is worth: hit ratio, net value, break-even, and whether enough look-ups were seen to say so.

Pure arithmetic: money in pico-dollars (1e-12 USD), time in seconds, ratios between 0 and 1. Values may be shared between
threads.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["pays", "does not pay", "trade-off", "too early to say"]

FEWEST_LOOKUPS: Final = 20
"""No verdict is given on fewer look-ups."""
NEVER: Final = math.inf
"""The break-even hit ratio of a cache that would not pay if every look-up were a hit."""
_Z: Final = 1.96
"""95 % confidence, two-sided."""
_MOST_LOOKUPS: Final = 10**9


def hit_ratio(hits: int, misses: int) -> float | None:
    """Hits per look-up that was answered, between 0 and 1; None where there was none. Errors and bypasses do not count."""
    lookups = hits + misses
    return hits / lookups if lookups else None


def net_money(saved: int, lookup_cost: int, write_cost: int = 0) -> int:
    """What is left of the money that hits saved after look-ups and writes were paid, all in pico-dollars."""
    return saved - lookup_cost - write_cost


def net_time(saved: float, lost: float) -> float:
    """What is left of the seconds that hits saved after those that look-ups without an answer took."""
    return saved - lost


def money_break_even(lookup: float, call: float, write: float = 0.0) -> float:
    """The hit ratio from which on a cache saves money; 0 for a cache that costs nothing, `NEVER` (infinite) if none does.

    Formula: with hit ratio h, look-ups at `lookup`, misses written at `write` and calls at `call`, the net of one look-up
    is `h * call - lookup - (1 - h) * write`, which is 0 at `(lookup + write) / (call + write)`. All in the same unit.
    """
    if lookup + write <= 0:
        return 0.0
    return _share(lookup + write, call + write)


def time_break_even(miss: float, hit: float, call: float) -> float:
    """The hit ratio from which on a cache saves time; `NEVER` (infinite) where a hit takes longer than the call.

    Formula: with hit ratio h, a look-up that misses in `miss` seconds, one that hits in `hit` and a call of `call`, the net
    of one look-up is `h * (call - hit) - (1 - h) * miss`, which is 0 at `miss / (call - hit + miss)`.
    """
    return 0.0 if miss <= 0 < call - hit else _share(miss, call - hit + miss)


def _share(cost: float, gain: float) -> float:
    """`cost / gain`, or `NEVER` where even a hit every time brings in less than it costs."""
    return cost / gain if gain > 0 and cost <= gain else NEVER


class Judgement(NamedTuple):
    """A verdict, and how many more look-ups it takes to reach one at the hit ratio seen so far."""

    verdict: Verdict
    lookups_needed: int | None = None
    """0 once there is a verdict; None where no number of look-ups would tell: the hit ratio is at the break-even."""


def judge(hits: int, lookups: int, break_even: float) -> Judgement:
    """Whether the true hit ratio is above or below the break-even, with 95 % confidence.

    Source: the score interval of a binomial share (Wilson 1927), which holds for few look-ups and for shares near 0 too.
    """
    if lookups >= FEWEST_LOOKUPS:
        if break_even > 1:
            return Judgement("does not pay", 0)
        low, high = _interval(hits / lookups, lookups)
        if low > break_even:
            return Judgement("pays", 0)
        if high < break_even:
            return Judgement("does not pay", 0)
    return Judgement("too early to say", _lookups_needed(hits, lookups, break_even))


def overall(money: Judgement | None, time: Judgement | None) -> Judgement:
    """The verdict on money and time together: `trade-off` where the cache gains one and loses the other.

    None stands for a side of which nothing is known or on which nothing is at stake; the other one decides then.
    """
    if money is None or time is None:
        return money or time or Judgement("too early to say", FEWEST_LOOKUPS)
    if money.verdict == time.verdict != "too early to say":
        return money
    undecided = [side for side in (money, time) if side.verdict == "too early to say"]
    if not undecided:
        return Judgement("trade-off", 0)
    needed = [side.lookups_needed for side in undecided if side.lookups_needed is not None]
    return Judgement("too early to say", max(needed) if len(needed) == len(undecided) else None)


def _interval(share: float, number: int) -> tuple[float, float]:
    square = _Z * _Z
    centre = (share + square / (2 * number)) / (1 + square / number)
    half = _Z / (1 + square / number) * math.sqrt(share * (1 - share) / number + square / (4 * number * number))
    # At a share of 0 or 1 the interval ends there: without rounding, which would hide the only certainty there is.
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def _lookups_needed(hits: int, lookups: int, break_even: float) -> int | None:
    """How many more look-ups at this hit ratio would settle it."""
    if not lookups:
        return FEWEST_LOOKUPS
    share = hits / lookups

    def settled(number: int) -> bool:
        low, high = _interval(share, number)
        return low > break_even or high < break_even

    if not settled(_MOST_LOOKUPS):
        return None
    low, high = max(lookups, FEWEST_LOOKUPS), _MOST_LOOKUPS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle + 1, high)
    return low - lookups
