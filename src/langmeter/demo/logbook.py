"""What the application did beside calling models, by its own count: the truth that spans and metrics are checked against."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["agent", "tool", "retrieval", "workflow"]


class Work(NamedTuple):
    """One kind of work under one name."""

    kind: Kind
    name: str


class Logbook:
    """Counts of work done, of what failed, and of workflows that stopped for a person. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done: Counter[Work] = Counter()
        self.failed: Counter[Work] = Counter()
        self.stopped: Counter[Work] = Counter()

    def note(self, kind: Kind, name: str, *, failed: bool = False, stopped: bool = False) -> None:
        """Count one piece of work that has ended, for better or worse."""
        work = Work(kind, name)
        with self._lock:
            self.done[work] += 1
            self.failed[work] += failed
            self.stopped[work] += stopped

    def total(self, kind: Kind) -> int:
        """How much was done of one kind."""
        return sum(number for work, number in self.done.items() if work.kind == kind)

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Everything, ready for JSON: kind to name to how often it was done."""
        found: dict[str, dict[str, int]] = {}
        for work, number in sorted(self.done.items()):
            found.setdefault(work.kind, {})[work.name] = number
        return found
