"""`adaptive_cache(inner)`: a response cache that stops asking where asking costs more than it brings, and keeps probing."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import time
import weakref
from typing import Any, Final, NamedTuple

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache

from langmeter import worker
from langmeter.boundary import shield
from langmeter.errors import SettingsError
from langmeter.langchain.caching.stored_answers import StoredFacts, stored_facts
from langmeter.langchain.state import current_frame
from langmeter.value.experience import Experience
from langmeter.value.lookup_costs import Amount, picodollars
from langmeter.value.response_cache import Verdict, hit_ratio

_GROUPS: Final = 1_000
_UNANSWERED: Final = 1_000
_CHECK_EVERY: Final = 20
_HASHES: Final = 2**32


def adaptive_cache(
    inner: BaseCache,
    *,
    probe_share: float = 0.02,
    window: int = 1_000,
    lookup_cost_usd: Amount = 0,
    write_cost_usd: Amount | None = None,
) -> AdaptiveCache:
    """The cache `inner`, asked only where that pays; use it as a model's `cache=` or with `set_llm_cache`.

    Calls are told apart by LangChain's `llm_string`, that is by model, parameters and tools. Where the hit ratio of the
    last look-ups is, with 95 % confidence, below the break-even in money and in time, look-ups and writes are skipped. A
    skipped look-up is a miss: the model answers. A share of the prompts, always the same ones, is looked up and stored all
    the same, and when these pay, all are again. Nothing is ever answered but by `inner` for exactly this key.

    With the default prices a cache that had any hit lately is never skipped: its look-ups cost nothing and a hit saves
    money. So the defaults matter only to caches that are slow, semantic ones above all; give those `lookup_cost_usd`.

    Safe from any thread, for sync and async use. Adds about 4 µs to a look-up. What it has learnt is the process's own: a
    forked child keeps it, a pickled copy starts afresh and pickles if `inner` does.

    Args:
        inner: any LangChain cache.
        probe_share: the share of prompts, above 0 and at most 1, that is always looked up.
        window: look-ups (of one `llm_string`) that it takes before any is skipped, so that a cold cache can warm up, and that
            are remembered, at least; at most twice as many are.
        lookup_cost_usd: US dollars that a look-up costs: the embedding, for a semantic cache.
        write_cost_usd: US dollars that storing an answer costs; what a look-up costs if left out.

    Raises:
        SettingsError: an argument is out of its range.
    """
    return AdaptiveCache(inner, probe_share, window, lookup_cost_usd, write_cost_usd)


class AdaptiveGroup(NamedTuple):
    """What an adaptive cache knows about the calls of one `llm_string`."""

    id: str
    """A hash of the `llm_string`."""
    model: str | None
    """The model that answers name, once one was seen."""
    asks: bool
    """False while look-ups are skipped but for the probes."""
    verdict: Verdict
    lookups: int
    """Look-ups made since the start, probes included."""
    hits: int
    hit_ratio: float | None
    skipped: int
    """Look-ups that were not made."""
    switches: int
    """How often it went from asking to skipping or back."""


class AdaptiveCache(BaseCache):
    """What `adaptive_cache` returns."""

    def __init__(
        self,
        inner: BaseCache,
        probe_share: float = 0.02,
        window: int = 1_000,
        lookup_cost_usd: Amount = 0,
        write_cost_usd: Amount | None = None,
    ) -> None:
        if not 0 < probe_share <= 1:
            raise SettingsError(f"probe_share must be above 0 and at most 1, got {probe_share!r:.80}")
        if window < _CHECK_EVERY:
            raise SettingsError(f"window must be at least {_CHECK_EVERY} look-ups, got {window!r:.80}")
        self.inner = inner
        self._arguments = (probe_share, window, lookup_cost_usd, write_cost_usd)
        self._probed_hashes = probe_share * _HASHES
        self._window = window
        self._lookup_cost = self._write_cost = round(picodollars("lookup_cost_usd", lookup_cost_usd))
        if write_cost_usd is not None:
            self._write_cost = round(picodollars("write_cost_usd", write_cost_usd))
        self._groups: dict[int, _Group] = {}
        self._lock = threading.Lock()
        _caches.add(self)

    def __reduce__(self) -> tuple[type[AdaptiveCache], tuple[Any, ...]]:
        return AdaptiveCache, (self.inner, *self._arguments)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """What `inner` has, or None where asking does not pay."""
        group = self._group(llm_string)
        if self._skips(group, prompt, llm_string):
            self._note_skip(group)
            return None
        started = time.perf_counter()
        found = self.inner.lookup(prompt, llm_string)
        self._note_lookup(group, prompt, found, started)
        return found

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """What `inner` has, or None where asking does not pay."""
        group = self._group(llm_string)
        if self._skips(group, prompt, llm_string):
            self._note_skip(group)
            return None
        started = time.perf_counter()
        found = await self.inner.alookup(prompt, llm_string)
        self._note_lookup(group, prompt, found, started)
        return found

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store an answer, except where asking for it does not pay."""
        group = self._group(llm_string)
        self._note_answer(group, prompt, return_val)
        if not self._skips(group, prompt, llm_string):
            self.inner.update(prompt, llm_string, return_val)

    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store an answer, except where asking for it does not pay."""
        group = self._group(llm_string)
        self._note_answer(group, prompt, return_val)
        if not self._skips(group, prompt, llm_string):
            await self.inner.aupdate(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Clear `inner`; what was learnt stays."""
        self.inner.clear(**kwargs)

    async def aclear(self, **kwargs: Any) -> None:
        """Clear `inner`; what was learnt stays."""
        await self.inner.aclear(**kwargs)

    def state(self) -> tuple[AdaptiveGroup, ...]:
        """What is known and decided now, for each `llm_string` seen (the first 1,000 of them; others are always asked)."""
        with self._lock:
            return tuple(group.state(self._lookup_cost, self._write_cost) for group in self._groups.values())

    # -- inside ----------------------------------------------------------------------------------------------------

    def _group(self, llm_string: str) -> _Group | None:
        key = hash(llm_string)  # the string may be long: it describes every tool
        group = self._groups.get(key)
        if group is None and len(self._groups) < _GROUPS:
            with self._lock:
                group = self._groups.setdefault(key, _Group(_hash(llm_string).hex(), self._window))
        return group

    def _skips(self, group: _Group | None, prompt: str, llm_string: str) -> bool:
        if group is None or group.asks:
            return False
        probe = int.from_bytes(_hash(f"{llm_string}\0{prompt}")[:4], "big")
        return probe >= self._probed_hashes

    def _note_skip(self, group: _Group | None) -> None:
        frame = current_frame()
        if frame is not None and frame.cache is self:
            frame.skipped = True  # langmeter counts it as a bypass
        if group is not None:
            with self._lock:
                group.skipped += 1

    def _note_lookup(self, group: _Group | None, prompt: str, found: Any, started: float) -> None:
        now = time.perf_counter()
        if group is None:
            return
        with shield("adaptive cache"):
            hit = isinstance(found, list)  # LangChain's own test
            with self._lock:
                group.looked_up(now - started, hit=hit)
                if not hit:
                    group.wait(prompt, now)
                group.decide(self._lookup_cost, self._write_cost)
            if hit:
                self._learn(group, found)

    def _note_answer(self, group: _Group | None, prompt: str, answer: Any) -> None:
        now = time.perf_counter()
        if group is None:
            return
        with shield("adaptive cache"):
            with self._lock:
                group.arrived(prompt, now)
            self._learn(group, answer)

    def _learn(self, group: _Group, answer: Any) -> None:
        """Have the worker price an answer, where look-ups cost something; elsewhere any hit pays."""
        facts = stored_facts(answer)
        if facts is not None and group.model is None:
            group.model = facts.model
        if facts is not None and self._lookup_cost + self._write_cost:
            worker.submit(functools.partial(self._price, group, facts))

    def _price(self, group: _Group, facts: StoredFacts) -> None:
        price = facts.price()
        if price is not None:
            with self._lock:
                group.priced(price)


class _Group:
    """The calls of one `llm_string`. Guarded by the lock of its cache."""

    def __init__(self, name: str, window: int) -> None:
        self.name = name
        self.model: str | None = None
        self.asks = True
        self.lookups = 0
        self.hits = 0
        self.skipped = 0
        self.switches = 0
        self._window = window
        self._experience = Experience(window)
        self._waiting: dict[int, float] = {}
        """Misses without an answer yet: hash of the prompt and when the look-up ended."""

    def looked_up(self, seconds: float, *, hit: bool) -> None:
        self.lookups += 1
        self.hits += hit
        self._experience.add_lookup(seconds, hit=hit)

    def wait(self, prompt: str, now: float) -> None:
        if len(self._waiting) >= _UNANSWERED:  # calls that failed never come back
            self._waiting.pop(next(iter(self._waiting)))
        self._waiting[hash(prompt)] = now

    def arrived(self, prompt: str, now: float) -> None:
        since = self._waiting.pop(hash(prompt), None)
        if since is not None:
            self._experience.add_call(now - since)

    def priced(self, price: int) -> None:
        self._experience.add_price(price)

    def decide(self, lookup_cost: int, write_cost: int) -> None:
        """Switch, if what was seen calls for it: off when it surely does not pay, on when it does in one way at least."""
        if self.asks and (self.lookups % _CHECK_EVERY or self._experience.lookups < self._window):
            return
        verdict = self._experience.judgement(lookup_cost, write_cost).verdict
        pays = verdict in ("pays", "trade-off") or (lookup_cost + write_cost == 0 and self._experience.hits > 0)
        if (self.asks and verdict == "does not pay") or (not self.asks and pays):
            self.asks = not self.asks
            self.switches += 1
            self._experience.forget()

    def state(self, lookup_cost: int, write_cost: int) -> AdaptiveGroup:
        return AdaptiveGroup(
            self.name,
            self.model,
            self.asks,
            self._experience.judgement(lookup_cost, write_cost).verdict,
            self.lookups,
            self.hits,
            hit_ratio(self.hits, self.lookups - self.hits),
            self.skipped,
            self.switches,
        )


def _hash(text: str) -> bytes:
    """The same in every process, so that those that share a cache probe with the same prompts."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


_caches: Final[weakref.WeakSet[AdaptiveCache]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for cache in list(_caches):
        cache._lock = threading.Lock()  # another thread of the parent may have held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
