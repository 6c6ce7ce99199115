"""`langmeter whatif`: what recorded calls would have cost on other models."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.text import Text

from langmeter.cli.price_figures import complain, figures, plain, print_json, totals
from langmeter.errors import LangmeterError
from langmeter.whatif import Bounds, Candidate, RecordError, Records, cheapest, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from rich.table import Table

_PROBLEM = 1
_PERCENT = 100


class Options(NamedTuple):
    """What the caller asked for."""

    file: Path
    models: tuple[str, ...]
    provider: str | None
    at: datetime | None
    prices: Path | None
    token_ratio: float | None
    skip_bad: bool
    as_json: bool


def compare(options: Options) -> int:
    """Print what the calls of a file would have cost; the exit status is 1 where nothing could be compared."""
    try:
        records = read(options.file, skip_bad=options.skip_bad)
        ranked = _ranked(records, options)
    except RecordError as error:
        first = f"langmeter whatif: {error.count:,} of the records cannot be read:"
        complain(first, *str(error).splitlines(), "Mend them, or leave them out with --skip-bad.")
        return _PROBLEM
    except (LangmeterError, OSError) as error:
        complain(f"langmeter whatif: {error}")
        return _PROBLEM
    if options.as_json:
        print_json({"file": str(options.file), "candidates": [_facts(candidate) for candidate in ranked]})
    else:
        _print(Console(highlight=False), ranked)
    return 0 if any(candidate.what_if.counts.calls for candidate in ranked) else _PROBLEM


def _ranked(records: Records, options: Options) -> tuple[Candidate, ...]:
    names = [model if options.provider is None else (options.provider, model) for model in options.models]
    ratio = options.token_ratio
    return cheapest(
        names,
        for_usage=records,
        at=options.at or "request",
        prices=options.prices,
        token_ratio=None if ratio is None else dict.fromkeys(names, ratio),
    )


def _facts(candidate: Candidate) -> dict[str, Any]:
    result = candidate.what_if
    return {
        "model": candidate.model,
        "provider": candidate.provider,
        "recorded_usd": plain(result.recorded),
        "compared_usd": _bounds(Bounds(result.same_caching, result.no_caching)),
        "saving_usd": None if candidate.saving is None else _bounds(candidate.saving),
        "not_compared_usd": _bounds(result.unrecorded),
        "counts": result.counts._asdict(),
        "price_versions": list(result.price_versions),
        "quality": candidate.quality,
        "assumptions": list(result.assumptions),
    }


def _bounds(amounts: Bounds) -> dict[str, str]:
    return {name: plain(amount) for name, amount in amounts._asdict().items()}


def _print(console: Console, ranked: tuple[Candidate, ...]) -> None:
    priced = [candidate for candidate in ranked if candidate.what_if.counts.calls]
    if priced:
        console.print(_table(priced))
    for candidate in ranked:
        if candidate not in priced:
            console.print(Text(f"{candidate.model}: no price for any of the calls", "yellow"))
    console.print()
    console.print(Text("Quality unknown: nothing here says that another model does the job as well.", "yellow"))
    for line in dict.fromkeys(_remarks(ranked)):
        console.print(Text(line, "dim"))


def _table(candidates: list[Candidate]) -> Table:
    """Every row is about the calls that can be compared, or, where none has a recorded cost, about all that have a price."""
    table = figures("model", "calls", "recorded", "same caching", "no caching", "saving", "")
    written = iter(totals([amount for candidate in candidates for amount in _amounts(candidate)]))
    for candidate in candidates:
        recorded, same, without, saving = itertools.islice(written, 4)
        counts = candidate.what_if.counts
        calls = counts.calls if candidate.saving is None else counts.calls - counts.unrecorded
        if candidate.saving is None:
            table.add_row(candidate.model, f"{calls:,}", Text("unknown", "dim"), same, without)
            continue
        saved, cost = candidate.saving.same_caching, candidate.what_if.recorded
        style = "green" if saved > 0 else "red"
        share = f"{saved / cost * _PERCENT:.0f} %" if cost else ""
        table.add_row(candidate.model, f"{calls:,}", recorded, same, without, Text(saving, style), Text(share, style))
    return table


def _amounts(candidate: Candidate) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Recorded, same caching, no caching, saving."""
    result = candidate.what_if
    if candidate.saving is None:
        return Decimal(0), *candidate.cost, Decimal(0)
    return result.recorded, result.same_caching, result.no_caching, candidate.saving.same_caching


def _remarks(ranked: tuple[Candidate, ...]) -> Iterator[str]:
    """The assumptions that all candidates share, and then those of one alone."""
    common = [
        line for line in ranked[0].what_if.assumptions if all(line in each.what_if.assumptions for each in ranked)
    ]
    yield from common
    for candidate in ranked:
        own = [line for line in candidate.what_if.assumptions if line not in common]
        yield from (f"{candidate.model}: {line[0].lower()}{line[1:]}" for line in own)
