"""What a source of prices is asked, and how it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, runtime_checkable

from langmeter.pricing.cards import Card, HourlyCard, Unpriced

if TYPE_CHECKING:
    from langmeter.events import PricingTerms

AnyCard: TypeAlias = Card | HourlyCard | Unpriced
"""What a source may answer. `Unpriced` ends the search: the source knows that there is no price to be had."""


class Subject(NamedTuple):
    """All that decides which card prices a call."""

    provider: str
    """A LangChain provider name or a `gen_ai.provider.name`, as the caller spells it."""
    model: str | None
    """As the answer, or else the request, names it."""
    tier: str | None = None
    requested: str | None = None
    """The name that the request gave, where that is another one: `gpt-4o` for an answer from `gpt-4o-2024-08-06`."""
    deployment: str | None = None
    """The name of an Azure deployment."""
    terms: PricingTerms | None = None
    """What the application said about the price of this call."""


Below: TypeAlias = Callable[[Subject, float], AnyCard | None]
"""Asks the sources after the one that is given it: for prices that are derived from another model's."""


def nothing_below(_subject: Subject, _at: float) -> None:
    """`Below` for asking one source by itself."""


class PriceSource(Protocol):
    """Something that knows prices: an override, a correction, a table."""

    name: str

    def card(self, subject: Subject, at: float, below: Below) -> AnyCard | None:
        """The card in force at `at` (unix seconds), None when the model is not known here.

        Called on the thread of the model call, once per subject and price period; the model's name is cleaned of paths.
        An exception counts as an unavailable source.
        """


@runtime_checkable
class DatedSource(Protocol):
    """A source whose silence has an end: it may know a model tomorrow that it does not know today."""

    def period(self, subject: Subject, at: float) -> tuple[float, float]:
        """From when until when (unix seconds, half-open) it answers, or does not, for the same reason as at `at`."""


class PricingUnavailableError(Exception):
    """A price source cannot answer at all; the message says why."""
