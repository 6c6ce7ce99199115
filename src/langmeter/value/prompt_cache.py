"""What the provider's prompt cache is worth: net money, break-even, and what was written and never read again.

Nothing here is about a response cache. Money in pico-dollars (1e-12 USD), time in seconds of the unix clock.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

FIVE_MINUTES: Final = 300.0
ONE_HOUR: Final = 3_600.0
"""How long an entry lives after it was written or last read, by the kind of write."""
_TICK: Final = 1.0
"""Writes of the same kind within a second are one batch, so that an hour takes 3,600 of them at most."""


def break_even_reads(premium: float, saving: float) -> int | None:
    """How many reads of a prefix pay for writing it once; None if reading it saves nothing.

    Args:
        premium: what writing a token costs on top of plain input.
        saving: what reading a token saves against plain input, in the same unit.
    """
    if premium <= 0:
        return 0
    # The quotient of two prices is seldom exact: 3 reads, not 4, where it comes to 3.0000000004.
    return math.ceil(premium / saving - 1e-9) if saving > 0 else None


def prefix_net(tokens: int, reads: int, *, plain: int, read: int, write: int) -> int:
    """What writing a prefix once and reading it `reads` times saved against plain input, in pico-dollars; may be negative.

    Formula: `reads * tokens * (plain - read) - tokens * (write - plain)`, the prices being pico-dollars per token.
    """
    return reads * tokens * (plain - read) - tokens * (write - plain)


class Waste(NamedTuple):
    """Tokens written to the prompt cache that no call read within their lifetime, and the premium paid for them."""

    least_tokens: int = 0
    most_tokens: int = 0
    least_premium: int = 0
    most_premium: int = 0
    pending_tokens: int = 0
    """Written and neither read nor out of time yet, by the reckoning that gives the most waste."""


class WriteWindow:
    """The writes to one model's prompt cache that are still alive, and which of them were read. Not safe for threads.

    Usage says how many tokens a call read, not which. So two reckonings run side by side. The one for `least` takes every
    read to be of tokens that nobody had read before, as far as there are any; the one for `most` takes it to be of tokens
    that were read before, as far as there are any. The truth lies between, for the calls that are seen here: another
    process with the same account may read what this one wrote, and the other way round.
    """

    __slots__ = ("_least", "_most")

    def __init__(self) -> None:
        self._least = _Reckoning(prefers_fresh=True)
        self._most = _Reckoning(prefers_fresh=False)

    def record(self, now: float, *, read: int, written_5m: int, written_1h: int, premium: int) -> None:
        """Take note of one call, in order of time: first what it read, then what it wrote.

        A premium paid for writes of both kinds at once is shared between them by tokens.
        """
        written = written_5m + written_1h
        for reckoning in (self._least, self._most):
            reckoning.advance(now)
            reckoning.read(now, read)
            for tokens, lifetime in ((written_5m, FIVE_MINUTES), (written_1h, ONE_HOUR)):
                if tokens > 0:
                    reckoning.write(now, tokens, premium * tokens / written, lifetime)

    def waste(self, now: float) -> Waste:
        """What was wasted up to `now`."""
        for reckoning in (self._least, self._most):
            reckoning.advance(now)
        least, most = self._least, self._most
        return Waste(
            least.wasted, most.wasted, round(least.wasted_premium), round(most.wasted_premium), most.fresh_tokens()
        )


class _Batch:
    """Tokens written at about the same time, for the same lifetime, that nobody has read."""

    __slots__ = ("premium", "tokens", "written")

    def __init__(self, written: float) -> None:
        self.written = written
        self.tokens = 0
        self.premium = 0.0

    def take(self, tokens: int) -> int:
        """Remove up to so many tokens with their premium; how many there were."""
        taken = min(tokens, self.tokens)
        self.premium -= self.premium * taken / self.tokens if self.tokens else 0.0
        self.tokens -= taken
        return taken


class _Reckoning:
    """One way to tell which tokens a read was of."""

    __slots__ = ("_fresh", "_prefers_fresh", "_used", "wasted", "wasted_premium")

    def __init__(self, *, prefers_fresh: bool) -> None:
        self._prefers_fresh = prefers_fresh
        self._fresh: dict[float, deque[_Batch]] = {FIVE_MINUTES: deque(), ONE_HOUR: deque()}
        self._used: dict[float, list[float]] = {FIVE_MINUTES: [0, 0.0], ONE_HOUR: [0, 0.0]}
        """By lifetime: tokens that were read before, and when they were last read."""
        self.wasted = 0
        self.wasted_premium = 0.0

    def advance(self, now: float) -> None:
        """Let time pass: what nobody has read within its lifetime is wasted."""
        for lifetime, batches in self._fresh.items():
            while batches and batches[0].written + lifetime < now:
                batch = batches.popleft()
                self.wasted += batch.tokens
                self.wasted_premium += batch.premium
            used = self._used[lifetime]
            if used[1] + lifetime < now:
                used[0] = 0

    def read(self, now: float, tokens: int) -> None:
        """Tell where the tokens that a call read came from."""
        if tokens <= 0:
            return
        if self._prefers_fresh:
            self._read_fresh(now, tokens)
        else:
            self._read_fresh(now, tokens - self._read_used(now, tokens))

    def write(self, now: float, tokens: int, premium: float, lifetime: float) -> None:
        """Add what a call wrote."""
        batches = self._fresh[lifetime]
        if not batches or now - batches[-1].written >= _TICK:
            batches.append(_Batch(now))
        batches[-1].tokens += tokens
        batches[-1].premium += premium

    def fresh_tokens(self) -> int:
        """Tokens that were written and not read, and may still be."""
        return sum(batch.tokens for batches in self._fresh.values() for batch in batches)

    def _read_used(self, now: float, tokens: int) -> int:
        found = 0
        for used in self._used.values():
            taken = min(tokens - found, int(used[0]))
            if taken > 0:
                used[1] = now  # a read makes an entry live on
            found += taken
        return found

    def _read_fresh(self, now: float, tokens: int) -> None:
        # Those that would expire first come first: it wastes the least, and no more is known.
        for lifetime, batches in self._fresh.items():
            for batch in batches:
                if tokens <= 0:
                    return
                taken = batch.take(tokens)
                tokens -= taken
                if taken:
                    self._used[lifetime][0] += taken
                    self._used[lifetime][1] = now
            while batches and not batches[0].tokens:
                batches.popleft()
