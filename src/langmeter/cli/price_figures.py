"""How the commands about prices write amounts, instants and tables."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_CENTS = 2
_FINEST = 9


def plain(amount: Decimal) -> str:
    """A decimal as digits, without an exponent and without zeros at its end: for JSON."""
    text = format(amount, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def aligned(amounts: Sequence[Decimal | None]) -> list[str]:
    """Amounts of US dollars with as many decimals each as the finest of them needs, and at least cents."""
    places = max((_places(amount) for amount in amounts if amount is not None), default=_CENTS)
    return ["" if amount is None else f"${amount:,.{places}f}" for amount in amounts]


def _places(amount: Decimal) -> int:
    _, _, fraction = plain(amount).partition(".")
    return max(len(fraction), _CENTS)


def iso(seconds: float) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for a time without end."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z") if math.isfinite(seconds) else None


def totals(amounts: Sequence[Decimal]) -> list[str]:
    """Sums of US dollars rounded for people: to cents, or further where the smallest of them would vanish."""
    smallest = min((abs(amount) for amount in amounts if amount), default=Decimal(1))
    places = min(max(_CENTS, 1 - smallest.adjusted()), _FINEST)
    return [f"{'-' if amount < 0 else ''}${abs(amount):,.{places}f}" for amount in amounts]


def dollars(amount: Decimal) -> str:
    """An amount of US dollars with as many decimals as it needs, and at least cents."""
    return aligned([amount])[0]


def matched(kind: str, model: str | None = None) -> Text:
    """In words how a name was found in the price table."""
    found = model or "another model"
    if kind == "dated":
        return Text(f"dated: {found}, whose name differs by a date or version only")
    if kind == "loose":
        return Text(f"loose: a rule on names chose {found}; the table may be older than the model", "yellow")
    return Text(kind)


def complain(*lines: str) -> None:
    """Lines on stderr: wrapped between words on a terminal, each kept whole for a program."""
    console = Console(stderr=True, highlight=False)
    for line in lines:
        console.print(line, markup=False, soft_wrap=not console.is_terminal)


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def pairs(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and what is to be said of them, one below the other."""
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(name, text)
    return grid


def figures(*columns: str) -> Table:
    """An empty table: names in the first column, figures flush right in the others."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    for index, title in enumerate(columns):
        table.add_column(title, justify="right" if index else "left", no_wrap=index == 0)
    return table
