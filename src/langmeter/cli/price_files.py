"""`langmeter prices validate`: whether a file of price overrides can be used, and what it overrides."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.text import Text

from langmeter.cli.price_figures import complain, dollars, figures, iso, plain, print_json
from langmeter.errors import PriceFileError
from langmeter.pricing.cards import Card
from langmeter.pricing.catalog import GenaiPrices, PricingUnavailableError, Subject, nothing_below
from langmeter.pricing.price_files.file import read_price_file
from langmeter.pricing.whatif.model_providers import providers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langmeter.pricing.price_files.book import Match, PriceBook, PriceRow, Prices

_BAD_FILE = 1
_PICODOLLARS_PER_TOKEN = 10**6
"""Of one US dollar per million tokens."""
_PATTERN = frozenset("*?[")
_WIDEST_LINE = 100


class Entry(NamedTuple):
    """One entry of a file, in words."""

    line: int | None
    match: dict[str, str]
    sets: str
    replaces: str
    valid_from: str | None
    valid_until: str | None


def validate_file(path: Path, *, as_json: bool) -> int:
    """Print what a file says, or what is wrong with it; the exit status is 1 where it cannot be used."""
    try:
        book = read_price_file(str(path))
    except PriceFileError as error:
        if as_json:
            print_json({"file": error.path, "valid": False, "line": error.line, "reason": error.reason})
        else:
            _print_error(error)
        return _BAD_FILE
    entries = [*_entries(book), *_discounts(book)]
    if as_json:
        document = {"file": str(path), "valid": True, "digest": book.digest()}
        print_json({**document, "entries": [entry._asdict() for entry in entries]})
    else:
        _print(Console(highlight=False), path, book, entries)
    return 0


def _print_error(error: PriceFileError) -> None:
    text = _line(error.path, error.line)
    complain(f"langmeter prices validate: {error}", *([f"{error.line:>6} | {text}"] if text else []))


def _line(path: str, number: int | None) -> str:
    """The line at fault, where it can be shown: cut, and without what a terminal would take for a command."""
    if number is None:  # what is no file, or too large for one, was not read and is not to be
        return ""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")[:number]
    except (OSError, ValueError):
        return ""
    line = lines[-1].rstrip() if len(lines) == number else ""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[:_WIDEST_LINE])
    return shown + "…" * (len(line) > _WIDEST_LINE)


def _entries(book: PriceBook) -> Iterator[Entry]:
    for row in book.rows:
        yield Entry(
            row.line, _match(row.match), _sets(row), _replaced(row.match), iso(row.valid_from), iso(row.valid_until)
        )


def _discounts(book: PriceBook) -> Iterator[Entry]:
    for discount in book.discounts:
        yield Entry(
            discount.line,
            _match(discount.match),
            f"published price x {plain(discount.multiplier)}",
            _replaced(discount.match),
            None,
            None,
        )


def _match(match: Match) -> dict[str, str]:
    return {name: value for name, value in match._asdict().items() if value is not None}


def _sets(row: PriceRow) -> str:
    """What calls cost by this entry."""
    if row.per_hour is not None:
        return f"{dollars(row.per_hour)} an hour"
    if row.base is not None:
        base = row.base.model if row.base.provider is None else f"{row.base.provider} {row.base.model}"
        return base if row.multiplier == 1 else f"{base} x {plain(row.multiplier)}"
    tiers = f"; {', '.join(name for name, _ in row.tiers)}" if row.tiers else ""
    return _in_and_out(row.prices) + tiers + ("; some hours only" if row.window is not None else "")


def _in_and_out(prices: Prices) -> str:
    """Input and output in US dollars per million tokens, and whether there is more to it."""
    amounts = {key: price if isinstance(price, Decimal) else price.base for key, price in prices}
    words = [
        f"{dollars(amounts.pop(key))} {name}"
        for key, name in (("input_mtok", "in"), ("output_mtok", "out"))
        if key in amounts
    ]
    stepped = ["more for long inputs"] if any(not isinstance(price, Decimal) for _, price in prices) else []
    others = [f"{len(amounts)} more"] if amounts else []
    return ", ".join([*words, *others, *stepped])


def _replaced(match: Match) -> str:
    """The published price that an entry for one model takes the place of."""
    if match.deployment is not None:
        return "whatever is deployed"
    if match.model is None:
        return "all its models"
    if _PATTERN & set(match.model):
        return "models by pattern"
    now = time.time()
    provider = match.provider or next(iter(providers_of(match.model, now)), None)
    try:
        card = GenaiPrices().card(Subject(provider or "", match.model), now, nothing_below)
    except PricingUnavailableError:
        card = None
    if not isinstance(card, Card) or card.source.match == "loose":
        return "no published price"
    rates = (("in", card.rates.input), ("out", card.rates.output))
    return ", ".join(f"{dollars(Decimal(str(rate)) / _PICODOLLARS_PER_TOKEN)} {name}" for name, rate in rates)


def _print(console: Console, path: Path, book: PriceBook, entries: list[Entry]) -> None:
    table = figures("line", "for", "price", "instead of", "in force")
    for column in table.columns[1:]:
        column.justify = "left"
        column.overflow = "fold"
    for entry in entries:
        since, until = (text.removesuffix("T00:00:00Z") if text else None for text in entry[4:])
        period = f"{f'from {since} ' if since else ''}{f'until {until}' if until else ''}".strip()
        table.add_row(f"{entry.line}", " ".join(entry.match.values()), entry.sets, entry.replaces, period or "always")
    console.print(table)
    console.print()
    count = f"{len(entries)} entr{'y' if len(entries) == 1 else 'ies'}"
    console.print(Text(f"{path}: {count}, no faults; costs will name it ovr:{book.digest()}", "green"), soft_wrap=True)
