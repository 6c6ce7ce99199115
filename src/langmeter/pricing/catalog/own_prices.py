"""The prices that an application sets in its settings: a dictionary, and a file that may change while it runs."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from langmeter import worker
from langmeter.errors import PriceFileError
from langmeter.pricing import notices
from langmeter.pricing.overrides import Book, multiplied
from langmeter.pricing.price_files.book import PriceBook
from langmeter.pricing.price_files.documents import import_yaml
from langmeter.pricing.price_files.file import read_price_file, signature
from langmeter.pricing.price_files.rows import read_rows
from langmeter.settings import named_by_environment

if TYPE_CHECKING:
    from langmeter.pricing.cards import Card, HourlyCard
    from langmeter.pricing.catalog.sources import Subject
    from langmeter.settings import Settings

SECONDS_BETWEEN_LOOKS: Final = 15.0
"""A changed file is in force after this time at most: one `stat` on the worker thread each time."""
_UNCHANGED: Final = Decimal(1)
_numbers = itertools.count(1)


class OwnPrices:
    """One state of an application's own prices. Immutable.

    Args:
        prices: the entries of the dictionary and then those of the file.
    """

    def __init__(self, prices: PriceBook) -> None:
        self.sources: tuple[Book, ...] = (Book(prices),) if prices.rows else ()
        self.hourly = any(row.per_hour is not None for row in prices.rows)
        """Whether a call may have a price without any usage."""
        self._discounts = prices.discounts
        self._mark = f"+{Book(prices).version}" if prices.rows or prices.discounts else ""

    def applied_to(self, card: Card | HourlyCard, subject: Subject) -> Card | HourlyCard:
        """A card of the price table or of a correction, discounted, and marked as found beside overrides."""
        if card.source.match == "override" or not self._mark:
            return card
        source = card.source._replace(version=f"{card.source.version}{self._mark}")
        for discount in self._discounts:
            if discount.match.fits(subject.provider, subject.model, subject.requested):
                return multiplied(card, discount.multiplier, source)
        return multiplied(card, _UNCHANGED, source)


class PriceSettings:
    """What `Settings.cost_overrides` and `Settings.prices` hold, read at once and, for the file, again when it changes.

    Raises:
        PriceFileError: one that is named in code has a fault. One that only the environment names is warned about.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.prices
        given = settings.cost_overrides
        self._given = PriceBook() if given is None else read_rows(given, name="cost_overrides")
        self._in_file = PriceBook()
        self._seen = signature(self._path) if self._path else None
        if self._path:
            self._read(self._path, must_be_sound=not named_by_environment(settings, "prices"))

    @property
    def current(self) -> OwnPrices:
        """As last read without a fault."""
        return OwnPrices(self._given.followed_by(self._in_file))

    def watch(self, changed: Callable[[OwnPrices], None]) -> None:
        """Look at the file now and then, on the worker thread, and hand the new state to a bound method.

        Its object is not kept alive: the watch ends with it.
        """
        if self._path is None:
            return
        key, method = f"prices-{next(_numbers)}", weakref.WeakMethod(changed)

        def look() -> None:
            listener = method()
            if listener is not None and self.look_again():
                listener(self.current)

        worker.repeat(key, SECONDS_BETWEEN_LOOKS, look)
        weakref.finalize(changed.__self__, worker.cancel, key).atexit = False  # type: ignore[attr-defined]  # a bound method

    def look_again(self) -> bool:
        """Read the file if it is not the one read last; whether that gave other prices. A bad file changes nothing."""
        if self._path is None:
            return False
        seen = signature(self._path)
        if seen == self._seen:
            return False
        self._seen, before = seen, self._in_file
        with worker.importing():
            import_yaml()  # if it was not needed before; a fork does not wait for the file, whose path may be slow
        self._read(self._path, must_be_sound=False)
        return self._in_file != before

    def _read(self, path: str, *, must_be_sound: bool) -> None:
        try:
            self._in_file = read_price_file(path)
        except PriceFileError as error:
            if must_be_sound:
                raise
            notices.price_file_refused(path, error, kept=bool(self._in_file.rows or self._in_file.discounts))
