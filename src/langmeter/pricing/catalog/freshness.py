"""How old the data of the price table is, as far as that can be told. Never loads the table.

The table says when a fetched copy was fetched, and nothing about the copy that it ships with. The newest date from which
one of its prices holds is the best there is: the data is no older than that, unless the price was announced ahead and has
come into force since.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple


class DataDate(NamedTuple):
    """What is known of the age of a price table's data."""

    at: datetime
    """UTC."""
    fetched: bool
    """True when the data came over the network at that instant; False when `at` is its newest price."""


GENAI_PRICES: Final = "genai-prices"
"""The name of the price table, as a source and as a package."""

_dates: dict[str, DataDate] = {}


def note_fetched(table: str, fetched: datetime) -> None:
    """Remember that a table's data came over the network at `fetched`, in local time as the library gives it."""
    _dates[table] = DataDate(fetched.astimezone(UTC), fetched=True)


def note_newest_price(table: str, providers: Iterable[Any]) -> None:
    """Remember the newest price of the data that a table ships with, unless newer data was fetched. Takes under 1 ms."""
    newest = newest_price(providers, datetime.now(UTC).date())
    if newest is not None:
        _dates.setdefault(table, DataDate(datetime(newest.year, newest.month, newest.day, tzinfo=UTC), fetched=False))


def data_date(table: str) -> DataDate | None:
    """The date of a table's data; None until it was noted, and where there are no dates."""
    return _dates.get(table)


def ages() -> dict[str, float]:
    """Age of the data of every table whose date was noted, in seconds. Safe from any thread; reads memory only."""
    now = time.time()
    return {table: max(0.0, now - known.at.timestamp()) for table, known in list(_dates.items())}


def newest_price(providers: Iterable[Any], today: date) -> date | None:
    """The newest date, up to today, from which a price of the table holds; None when none has one."""
    return max((start for start in _start_dates(providers) if start <= today), default=None)


def _start_dates(providers: Iterable[Any]) -> Iterator[date]:
    for provider in providers:
        for model in provider.models:
            entries = [*(model.prices if isinstance(model.prices, list) else ())]
            entries += getattr(model, "price_variants", None) or ()
            for entry in entries:
                start = getattr(entry.constraint, "start_date", None)
                if start is not None:
                    yield start
