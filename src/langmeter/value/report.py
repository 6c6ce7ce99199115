"""A report on caches: its rows, as data and as text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from langmeter.value.rows import GhostRow, PromptCacheRow, ResponseCacheRow, json_ready

_UNKNOWN = "?"


class CacheReport(NamedTuple):
    """What was seen up to one moment; prints as tables. Immutable."""

    response_caches: tuple[ResponseCacheRow, ...] = ()
    """LangChain's response caches, by cache type and model."""
    prompt_caches: tuple[PromptCacheRow, ...] = ()
    """The providers' prompt caches, by model."""
    ghost: tuple[GhostRow, ...] | None = None
    """The response cache that nobody has installed, by model; None where ghost mode is off."""

    def to_dict(self) -> dict[str, Any]:
        """Everything as a JSON-ready dictionary: money as decimal strings, an infinite break-even as `never`."""
        return {name: json_ready(value) for name, value in self._asdict().items()}

    def __str__(self) -> str:
        return "\n".join(self._lines()) or "no call has used a cache so far"

    def _lines(self) -> Iterator[str]:
        if self.response_caches:
            yield "Response caches"
            yield from _table(_RESPONSE_HEADINGS, [_response_cells(row) for row in self.response_caches])
        if self.prompt_caches:
            yield "Prompt caches of the providers"
            yield from _table(_PROMPT_HEADINGS, [_prompt_cells(row) for row in self.prompt_caches])
        if self.ghost is not None:
            yield "Ghost: what a response cache would have done"
            yield from _table(_GHOST_HEADINGS, [cells for row in self.ghost for cells in _ghost_cells(row)])


_RESPONSE_HEADINGS = (
    "cache", "model", "hits", "look-ups", "ratio", "look-up", "saved", "net", "pays from",
    "net time", "saves from", "verdict",
)  # fmt: skip
_PROMPT_HEADINGS = (
    "model", "calls", "read", "written", "saved", "premium", "net", "even after", "never read again",
)  # fmt: skip
_GHOST_HEADINGS = ("model", "entries live", "calls", "hits", "ratio", "would save", "time", "not looked at")


def _response_cells(row: ResponseCacheRow) -> tuple[str, ...]:
    money, time = row.money, row.time
    verdict: str = row.verdict
    if row.verdict == "too early to say" and row.lookups_needed is not None:
        verdict += f" ({row.lookups_needed} more look-ups)"
    net_seconds = _seconds(time.net)
    return (
        row.cache_type,
        f"{row.provider}/{row.model}",
        str(row.hits),
        str(row.hits + row.misses),
        _share(row.hit_ratio),
        _seconds(time.hit_median if time.miss_median is None else time.miss_median),
        _at_least(money.saved_usd, money.unpriced_hits),
        _dollars(money.net_usd),
        _share(money.break_even),
        f"~{net_seconds}" if time.basis in ("estimated", "both") else net_seconds,
        _share(time.break_even),
        verdict,
    )


def _prompt_cells(row: PromptCacheRow) -> tuple[str, ...]:
    reads = row.break_even_reads
    return (
        f"{row.provider}/{row.model}",
        str(row.calls),
        str(row.read_tokens),
        str(row.write_tokens),
        _dollars(row.saved_usd),
        _dollars(row.premium_usd),
        _dollars(row.net_usd),
        _UNKNOWN if reads is None else f"{reads} read{'' if reads == 1 else 's'}",
        f"{row.wasted_write_tokens_at_least} to {row.wasted_write_tokens_at_most}",
    )


def _ghost_cells(row: GhostRow) -> Iterator[tuple[str, ...]]:
    for figures in row.lifetimes:
        yield (
            f"{row.provider}/{row.model}",
            figures.lifetime,
            str(row.calls),
            str(figures.hits),
            _share(figures.hit_ratio),
            _at_least(figures.saved_usd, figures.unpriced_hits),
            _seconds(figures.seconds_saved),
            str(row.not_looked_at),
        )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _dollars(amount: Decimal | None) -> str:
    if amount is None:
        return _UNKNOWN
    return f"{'-' if amount < 0 else ''}${abs(amount):,.4f}"


def _at_least(amount: Decimal | None, unpriced: int) -> str:
    return _dollars(amount) + ("+" if unpriced and amount is not None else "")


def _share(ratio: float | None) -> str:
    if ratio is None:
        return _UNKNOWN
    return "never" if math.isinf(ratio) else f"{ratio:.3g}" if 0 < ratio < 0.0001 else f"{ratio:.2%}"  # noqa: PLR2004  (0.01 %)


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"
