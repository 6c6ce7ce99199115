"""What a look-up in a response cache costs: nothing in an exact one, an embedding in a semantic one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from langmeter.errors import SettingsError
from langmeter.events import PICODOLLARS_PER_DOLLAR

if TYPE_CHECKING:
    from langmeter.events import TokenUsage

Amount: TypeAlias = Decimal | float | int
Amounts: TypeAlias = Amount | Mapping[str, Amount]
"""US dollars: one amount for every cache that embeds, or one for each cache type."""

_EMBEDDING_TYPES = frozenset({"gptcache"})
_MILLION = 1_000_000


class LookupCosts:
    """Prices of look-ups and writes, in pico-dollars. Immutable after construction.

    Args:
        lookup: US dollars for a look-up.
        write: US dollars for storing an answer after a miss; what a look-up costs if left out, since LangChain's semantic
            caches embed the prompt once to look it up and again to store it.
        embedding: US dollars for a million embedding tokens, instead of the other two: a look-up then costs this for the
            input tokens of the call, which is what the prompt is embedded as, give or take its JSON.

    Raises:
        SettingsError: an amount is negative or not a number.
    """

    def __init__(
        self, lookup: Amounts | None = None, write: Amounts | None = None, embedding: Amounts | None = None
    ) -> None:
        self._lookup = _amounts("lookup_cost_usd", lookup)
        self._write = _amounts("write_cost_usd", write)
        self._embedding = _amounts("embedding_usd_per_million_tokens", embedding)

    def lookup(self, cache_type: str | None, usage: TokenUsage | None) -> int | None:
        """What one look-up costs; None where it costs something and nothing tells how much."""
        given = _of(self._lookup, cache_type)
        if given is not None:
            return round(given)
        return self._embedded(cache_type, usage)

    def write(self, cache_type: str | None, usage: TokenUsage | None) -> int | None:
        """What storing one answer costs; None where it costs something and nothing tells how much."""
        given = _of(self._write, cache_type)
        return round(given) if given is not None else self.lookup(cache_type, usage)

    def _embedded(self, cache_type: str | None, usage: TokenUsage | None) -> int | None:
        price = _of(self._embedding, cache_type)
        if price is not None:
            return round(price * usage.input_tokens / _MILLION) if usage is not None else None
        return None if embeds(cache_type) else 0


def embeds(cache_type: str | None) -> bool:
    """Whether caches of this type turn a prompt into a vector to look it up, which takes an embedding model."""
    return cache_type is not None and ("semantic" in cache_type or cache_type in _EMBEDDING_TYPES)


def _of(amounts: dict[str, Decimal] | Decimal | None, cache_type: str | None) -> Decimal | None:
    if isinstance(amounts, dict):
        return amounts.get(cache_type or "")
    return amounts if embeds(cache_type) else None


def _amounts(name: str, amounts: Amounts | None) -> dict[str, Decimal] | Decimal | None:
    if amounts is None:
        return None
    if isinstance(amounts, Mapping):
        return {cache_type: picodollars(f"{name}[{cache_type!r}]", amount) for cache_type, amount in amounts.items()}
    return picodollars(name, amounts)


def picodollars(name: str, amount: object) -> Decimal:
    """An amount of US dollars that a caller gave, in pico-dollars.

    Raises:
        SettingsError: it is negative or not a number; the message calls it `name`.
    """
    if isinstance(amount, Decimal | float | int) and not isinstance(amount, bool):
        dollars = Decimal(str(amount))
        if dollars.is_finite() and dollars >= 0:
            return dollars * PICODOLLARS_PER_DOLLAR
    raise SettingsError(f"{name} must be US dollars, a number of at least 0, got {amount!r:.80}")
