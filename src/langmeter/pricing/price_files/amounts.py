"""Amounts, rates and factors as price files write them: checked, and told apart from other units. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, TypeAlias

from langmeter.pricing.compilation import OVERRIDE_KEYS
from langmeter.pricing.price_files.book import Prices, Step, SteppedPrice
from langmeter.pricing.price_files.documents import Fault, Node

if TYPE_CHECKING:
    from collections.abc import Collection

Fields: TypeAlias = dict[str, Node]
Rates: TypeAlias = dict[str, Decimal | SteppedPrice]

_FEE: Final = "requests_kcount"
_DEAREST: Final = Decimal(100_000)
_MOST_TIMES: Final = Decimal(20)
# The cheapest published price is $0.0011 per million tokens (a cache read) and the dearest $0.0006 per token; no published
# output price is below $0.01 per million, while one per thousand tokens rarely reaches $0.005.
_PER_TOKEN: Final = Decimal("0.0008")
_PER_THOUSAND: Final = Decimal("0.005")
_LARGEST_INPUT: Final = 10**9


def fields(node: Node, known: Collection[str], what: str) -> Fields:
    """The members of a mapping.

    Raises:
        Fault: it is no mapping, or has a key that is not known.
    """
    if not isinstance(node.value, dict):
        raise Fault(f"{what} must be a mapping, got {node.shown()}", node.line)
    for key, item in node.value.items():
        if key not in known:
            raise Fault(f"{what} has no key {key!r:.80}; {_nearest(key, known)}", item.line)
    return node.value


def _nearest(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"it may have {', '.join(sorted(known))}"


def number(node: Node, what: str, most: Decimal) -> Decimal:
    """A finite number from 0 to `most`, given as a number or as decimal text.

    Raises:
        Fault: it is something else.
    """
    try:
        amount = Decimal(node.value) if isinstance(node.value, Decimal | str) else None
    except InvalidOperation:
        amount = None
    if amount is None:
        raise Fault(f"{what} must be a number, got {node.shown()}", node.line)
    if not amount.is_finite() or amount < 0:
        raise Fault(f"{what} must be a number of at least 0, got {node.shown()}", node.line)
    if amount > most:
        raise Fault(f"{what} must be at most {most:,}, got {node.shown()}", node.line)
    return amount.normalize()


def multiplier(node: Node) -> Decimal:
    """A factor on prices: 0.9 takes 10 % off.

    Raises:
        Fault: it is no number from 0 to 20.
    """
    return number(node, "multiplier", _MOST_TIMES)


def dollars(node: Node, what: str) -> Decimal:
    """An amount of US dollars that can be a price.

    Raises:
        Fault: it cannot.
    """
    return number(node, f"{what} (US dollars)", _DEAREST)


def rates(node: Node, what: str = "price") -> dict[str, Decimal]:
    """Price key to US dollars, at least one.

    Raises:
        Fault: a key is not known, an amount is no price or looks like one in another unit.
    """
    found = {key: _rate(key, item) for key, item in fields(node, OVERRIDE_KEYS, what).items()}
    if not found:
        raise Fault(f"{what} sets no price; give at least 'input_mtok' and 'output_mtok'", node.line)
    return found


def _rate(key: str, node: Node) -> Decimal:
    amount = number(node, f"{key} (US dollars per {'1,000 requests' if key == _FEE else 'million tokens'})", _DEAREST)
    if key == _FEE or not amount:
        return amount
    if amount < _PER_TOKEN:
        million = (amount * 10**6).normalize()
        raise Fault(
            f"{key}: {node.shown()} looks like a price per token; per million tokens it is {million:f}", node.line
        )
    if key == "output_mtok" and amount < _PER_THOUSAND:
        million = (amount * 10**3).normalize()
        raise Fault(
            f"{key}: {node.shown()} looks like a price per thousand tokens; per million tokens it is {million:f}",
            node.line,
        )
    return amount


def with_long_context(base: Mapping[str, Decimal], node: Node | None) -> Rates:
    """The rates with what long inputs cost instead. Prices that the longer input leaves out stay as they are.

    Raises:
        Fault: `above` is missing or no count, or a price has no counterpart for short inputs.
    """
    if node is None:
        return dict(base)
    given = fields(node, OVERRIDE_KEYS | {"above"}, "long_context")
    if "above" not in given:
        raise Fault("long_context needs 'above': the number of input tokens beyond which it applies", node.line)
    above = _count(given["above"])
    longer = rates(node._replace(value={key: item for key, item in given.items() if key != "above"}), "long_context")
    for key in longer:
        if key == _FEE or key not in base:
            problem = "a fee does not depend on the input" if key == _FEE else f"'price' must have {key} too"
            raise Fault(f"long_context cannot have {key}: {problem}", given[key].line)
    return {
        key: SteppedPrice(price, [Step(above, longer[key])]) if key in longer else price for key, price in base.items()
    }


def _count(node: Node) -> int:
    amount = number(node, "above", Decimal(_LARGEST_INPUT))
    if not amount or amount != amount.to_integral_value():
        raise Fault(f"above must be a whole number of tokens, at least 1, got {node.shown()}", node.line)
    return int(amount)


def frozen(prices: Mapping[str, Decimal | SteppedPrice]) -> Prices:
    """The rates in one order, so that equal ones are equal."""
    return tuple(sorted(prices.items()))
