"""`CacheAdvisor`: listens to every finished call and says what the caches are worth."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, Self, TypeVar

from langmeter import worker
from langmeter.listeners import listeners
from langmeter.value.ghost import GhostCache
from langmeter.value.lookup_costs import LookupCosts
from langmeter.value.report import CacheReport
from langmeter.value.rows import ghost_row, lookup_row, prompt_cache_row
from langmeter.value.tallies import GhostTally, LookupTally, PromptCacheTally

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from langmeter.events import ModelCall, PricedCall
    from langmeter.value.lookup_costs import Amounts

_ROWS: Final = 500
_OTHER: Final = "__other__"
_OTHER_MODEL: Final = (_OTHER, _OTHER)
_OTHER_CACHE: Final = (_OTHER, _OTHER, _OTHER)
_UNKNOWN: Final = "unknown"
_NANOSECONDS: Final = 1_000_000_000
_PATIENCE: Final = 2.0

Tally = TypeVar("Tally")


class CacheAdvisor:
    """Counts what the response caches and the providers' prompt caches did, and reports what it was worth.

    `with CacheAdvisor() as advisor: …; print(advisor.report())`, or `start()` and `stop()`. It hears of every model call of
    the process while `langmeter.instrument()` or `langmeter.track()` is in force. Rows are kept by cache type, provider and
    model, 500 of each kind; the surplus is one row named `__other__`. Safe from any thread; a forked child starts afresh.
    Nothing is switched on or off: it only advises.

    Args:
        ghost: also measure the hits that a response cache would have had, before anyone installs one: for every call that
            no cache answered, streams included, from a hash of its key. No prompt is kept. The hashing (15 µs and more for
            a call) is done on langmeter's worker thread; what does not fit in its queue is counted as not looked at. As
            `Settings.cache_ghost` says if left out.
        lookup_cost_usd: US dollars that one look-up costs in caches that embed the prompt (`*_semantic`, `gptcache`), or a
            mapping from cache type to it. Look-ups in all other caches cost nothing.
        write_cost_usd: the same for storing an answer after a miss; if left out, what a look-up costs.
        embedding_usd_per_million_tokens: instead of both, the price of the embedding model; the tokens are taken to be the
            input tokens of the call.

    Raises:
        SettingsError: an amount is negative or not a number.
    """

    def __init__(
        self,
        *,
        ghost: bool | None = None,
        lookup_cost_usd: Amounts | None = None,
        write_cost_usd: Amounts | None = None,
        embedding_usd_per_million_tokens: Amounts | None = None,
    ) -> None:
        self.wants_keys = bool(ghost)
        """Whether calls must come with a hash of the key that LangChain would have cached them by."""
        self._refuses_keys = ghost is False
        self._costs = LookupCosts(lookup_cost_usd, write_cost_usd, embedding_usd_per_million_tokens)
        self._renew()
        _advisors.add(self)

    def start(self) -> Self:
        """Count every call that ends from now on. Starting twice has no effect."""
        listeners.add(self)
        return self

    def stop(self) -> None:
        """Stop counting; what was counted stays."""
        listeners.remove(self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def record(self, priced: PricedCall) -> None:
        """Take note of one finished call: a few microseconds, on the thread that made it."""
        call = priced.call
        provider, model = call.request.provider, call.request.model or _UNKNOWN
        usage = call.usage
        with self._lock:
            if call.cache is not None:
                key = (call.cache.type or _UNKNOWN, provider, model)
                _row(self._lookups, key, LookupTally, _OTHER_CACHE).add(priced, call.cache, self._costs)
            if usage is not None and (usage.cache_read or usage.cache_write):
                _row(self._prompt_caches, (provider, model), PromptCacheTally, _OTHER_MODEL).add(
                    call, usage, priced.cost
                )
        make_key = call.key
        # A response cache answers models, never embeddings.
        could_be_cached = not call.cache_hit and call.request.operation != "embeddings"
        if could_be_cached and not self._refuses_keys and (self.wants_keys or make_key is not None):
            self._haunted = True
            if make_key is None or not worker.submit(functools.partial(self._look, priced, make_key)):
                self._skip(call)

    def report(self) -> CacheReport:
        """What was seen so far. With ghost mode on, waits up to 2 seconds for keys that are still being made."""
        haunted = self.wants_keys or self._haunted
        if haunted:
            worker.drain(_PATIENCE)
        with self._lock:
            return CacheReport(
                tuple(lookup_row(key, tally) for key, tally in sorted(self._lookups.items())),
                tuple(prompt_cache_row(key, tally) for key, tally in sorted(self._prompt_caches.items())),
                tuple(ghost_row(key, tally) for key, tally in sorted(self._ghosts.items())) if haunted else None,
            )

    # -- ghost mode ------------------------------------------------------------------------------------------------

    def _look(self, priced: PricedCall, make_key: Callable[[], int]) -> None:
        """On the worker: what imagined caches would have said to a call."""
        call = priced.call
        try:
            key = make_key()
        except Exception:
            self._skip(call)
            raise
        began = call.start_time / _NANOSECONDS
        with self._lock:
            hits = self._ghost.look(key, began, began + call.duration, answered=call.failure is None)
            self._ghost_tally(call).add(priced, hits)

    def _skip(self, call: ModelCall) -> None:
        with self._lock:
            self._ghost_tally(call).not_looked_at += 1

    def _ghost_tally(self, call: ModelCall) -> GhostTally:
        return _row(self._ghosts, (call.request.provider, call.request.model or _UNKNOWN), GhostTally, _OTHER_MODEL)

    # -- fork ------------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Start afresh: what a forked child inherits is the parent's to report, and its lock may be held for ever."""
        self._lock = threading.RLock()
        self._lookups: dict[tuple[str, str, str], LookupTally] = {}
        self._prompt_caches: dict[tuple[str, str], PromptCacheTally] = {}
        self._ghosts: dict[tuple[str, str], GhostTally] = {}
        self._ghost = GhostCache()
        self._haunted = False
        """Whether any call came with a key."""


Key = TypeVar("Key")


def _row(rows: dict[Key, Tally], key: Key, make: Callable[[], Tally], other: Key) -> Tally:
    """The row of a key; the common one where there is no room for another."""
    tally = rows.get(key)
    if tally is None:
        if len(rows) >= _ROWS:
            key = other
        tally = rows.setdefault(key, make())
    return tally


_advisors: Final[weakref.WeakSet[CacheAdvisor]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for advisor in list(_advisors):
        advisor._renew()  # noqa: SLF001  (the same module)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
