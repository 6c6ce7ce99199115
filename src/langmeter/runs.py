"""The open model calls, by LangChain run id: the only mutable state of a call, in one bounded table."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from langmeter.events import CacheLookup, ModelRequest
    from langmeter.pricing.estimate import Content
    from langmeter.tracking import Usage


class OpenCall:
    """One model call between its start and its end. One thread at a time writes to it: the one that runs the call."""

    __slots__ = (
        "answer",
        "cache",
        "chunk_gaps",
        "content",
        "context",
        "first_chunk",
        "first_in_batch",
        "key",
        "last_chunk",
        "later_in_batch",
        "nested",
        "parent_run_id",
        "request",
        "run_id",
        "sent",
        "span",
        "start_time",
        "started",
        "stopped",
        "streams",
        "trackers",
        "usage_lost",
    )

    def __init__(self, run_id: UUID | None, request: ModelRequest, trackers: tuple[Usage, ...]) -> None:
        self.run_id = run_id
        self.request = request
        self.trackers = trackers
        self.start_time = time.time_ns()
        self.started = time.perf_counter()
        self.stopped: float | None = None
        """When the work of this call ended, where LangChain reports the end later: for all prompts of a batch at once."""
        self.first_chunk: float | None = None
        self.last_chunk = 0.0
        self.chunk_gaps: list[float] | None = None
        self.cache: CacheLookup | None = None
        self.key: Callable[[], int] | None = None
        """Makes the hash that ghost mode knows equal calls by."""
        self.answer: object = None
        """LangChain's result, from the moment it is there until the call ends: the rest of its batch may still fail."""
        self.content: Content | None = None
        """What an estimate would be made from; None when estimates are off."""
        self.sent = True
        """False while it is known that the call has not begun: a later prompt of a batch."""
        self.streams = False
        """True for a call made by `stream` or `astream`, whether or not a chunk arrived."""
        self.later_in_batch = False
        """True for the prompts of a text-model batch after its first."""
        self.first_in_batch: OpenCall | None = None
        """For those, the call of the first prompt, where it is known: it has the usage of them all."""
        self.usage_lost = False
        """True once the call has been answered without usage."""
        self.parent_run_id: UUID | None = None
        self.nested: tuple[UUID, ...] = ()
        """Runs that began inside this one: an answer that one of them gave is billed there."""
        self.span: Span | None = None
        self.context: Context | None = None
        """The OpenTelemetry context that holds the span: parent of what the call does, and source of exemplars."""


class RunTable:
    """Open calls by run id, at most `limit` of them.

    Reading and taking are single dictionary operations and need no lock. A call that never ends (LangChain has such runs)
    is handed to `abandon` once it is older than `timeout` seconds or the table is full, oldest first.
    """

    def __init__(self, limit: int, timeout: float, abandon: Callable[[OpenCall], None]) -> None:
        self._limit = limit
        self._timeout = timeout
        self._abandon = abandon
        self._calls: dict[UUID, OpenCall] = {}
        self._lock = threading.Lock()
        self._next_sweep = time.perf_counter() + timeout

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, run_id: UUID) -> bool:
        return run_id in self._calls

    def get(self, run_id: UUID | None) -> OpenCall | None:
        """The open call of a run, if there is one."""
        return self._calls.get(run_id) if run_id is not None else None

    def add(self, run_id: UUID, call: OpenCall) -> None:
        """Remember an open call; closes the oldest or the stale ones when there is no more room or it is time."""
        self._calls[run_id] = call
        if len(self._calls) > self._limit or call.started > self._next_sweep:
            self._sweep(call.started)

    def take(self, run_id: UUID) -> OpenCall | None:
        """The open call of a run, removed: the second end of the same run finds nothing."""
        return self._calls.pop(run_id, None)

    def count(self, provider: str, model: str | None) -> int:
        """How many calls of one model are open."""
        calls = list(self._calls.values())
        return sum(call.request.model == model and call.request.provider == provider for call in calls)

    def clear(self) -> None:
        """Forget everything: a forked child does not own its parent's calls."""
        self._lock = threading.Lock()
        self._calls = {}

    def _sweep(self, now: float) -> None:
        with self._lock:
            self._next_sweep = now + self._timeout / 4
            stale = [run_id for run_id, call in list(self._calls.items()) if now - call.started > self._timeout]
            surplus = max(0, len(self._calls) - len(stale) - self._limit)
            if surplus:
                known_stale = set(stale)
                stale += [run_id for run_id in list(self._calls) if run_id not in known_stale][:surplus]
        for run_id in stale:
            call = self.take(run_id)
            if call is not None:
                self._abandon(call)
