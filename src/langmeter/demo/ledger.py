"""What the demo's provider really answered: the truth that the demo's figures are checked against."""

from __future__ import annotations

import threading
from typing import NamedTuple


class Usage(NamedTuple):
    """Billed tokens of one answer; `cached` is a part of `input`, `reasoning` a part of `output`. Embeddings have no output."""

    input: int
    output: int
    cached: int = 0
    reasoning: int = 0


class Entry(NamedTuple):
    """One request as the provider booked it."""

    model: str
    """The model that was asked for."""
    status: int
    """HTTP status of the answer."""
    prompts: int = 1
    """Prompts in the request: a text model takes several at once. The texts of one embeddings request count as one."""
    usage: Usage | None = None
    """None where the answer told the client no usage: errors, and streams that were not asked for it."""


class ModelTotals(NamedTuple):
    """The sums for one model. `silent` counts successful answers that carried no usage."""

    requests: int = 0
    calls: int = 0
    errors: int = 0
    silent: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    reasoning_tokens: int = 0

    def plus(self, entry: Entry) -> ModelTotals:
        """These sums with one more request in them."""
        failed = entry.status >= 400  # noqa: PLR2004  (HTTP: from here on it is an error)
        usage = entry.usage or Usage(0, 0)
        return ModelTotals(
            requests=self.requests + 1,
            calls=self.calls + entry.prompts,
            errors=self.errors + (entry.prompts if failed else 0),
            silent=self.silent + (entry.prompts if entry.usage is None and not failed else 0),
            input_tokens=self.input_tokens + usage.input,
            output_tokens=self.output_tokens + usage.output,
            cache_read_tokens=self.cache_read_tokens + usage.cached,
            reasoning_tokens=self.reasoning_tokens + usage.reasoning,
        )


class Ledger:
    """Every answer in the order of its booking. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def book(self, entry: Entry) -> None:
        """Write one answer down; done before it is sent, so that a client never knows more than the ledger."""
        with self._lock:
            self._entries.append(entry)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """A snapshot of all answers so far."""
        with self._lock:
            return tuple(self._entries)

    def by_model(self) -> dict[str, ModelTotals]:
        """The sums for every model, by the name that was asked for."""
        totals: dict[str, ModelTotals] = {}
        for entry in self.entries:
            totals[entry.model] = totals.get(entry.model, ModelTotals()).plus(entry)
        return dict(sorted(totals.items()))

    def to_dict(self) -> dict[str, dict[str, int]]:
        """`by_model` ready for JSON."""
        return {model: totals._asdict() for model, totals in self.by_model().items()}
