"""Documents of prices checked and turned into a `PriceBook`. What is wrong is refused with its line and the way to mend it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from langmeter.errors import PriceFileError
from langmeter.pricing.names import clean_model, price_provider
from langmeter.pricing.price_files.amounts import (
    Fields,
    Rates,
    dollars,
    fields,
    frozen,
    multiplier,
    number,
    rates,
    with_long_context,
)
from langmeter.pricing.price_files.book import BaseModel, Discount, Match, PriceBook, PriceRow, Prices
from langmeter.pricing.price_files.conflicts import refuse_conflicts
from langmeter.pricing.price_files.dates import instant, window
from langmeter.pricing.price_files.documents import Fault, Node, from_object

TIERS: Final = ("batch", "fast", "flex", "priority", "provisioned_throughput", "reserved", "scale", "ultrafast")
_REGION: Final = re.compile(r"geo-[a-z0-9-]{2,30}")
_LONGEST_NAME: Final = 512
_PATTERN: Final = frozenset("*?[")
_BOOK_KEYS: Final = ("version", "currency", "models", "discounts")
_MATCH_KEYS: Final = ("provider", "model", "deployment")
_KINDS: Final = ("price", "base_model", "per_hour")
_ROW_KEYS: Final = (
    *_KINDS,
    "match",
    "from",
    "until",
    "weekdays",
    "hours",
    "tiers",
    "long_context",
    "multiplier",
    "source",
)


def read_rows(document: Mapping[str, object], *, name: str) -> PriceBook:
    """The set of prices that a dictionary in the form of a price file describes.

    Args:
        document: `{"models": [{"match": {…}, "price": {…}}, …], "discounts": […]}`; see docs/prices.md.
        name: what errors call it.

    Raises:
        PriceFileError: something in it is wrong; nothing of it is used.
    """
    try:
        return price_book(from_object(document))
    except Fault as fault:
        raise PriceFileError(name, fault.reason, fault.line) from None


def price_book(root: Node) -> PriceBook:
    """The set of prices of a document.

    Raises:
        Fault: something in it is wrong.
    """
    if root.value is None or root.value == {}:
        raise Fault("is empty; it needs at least 'models:' with one entry", root.line)
    book = fields(root, _BOOK_KEYS, "the document")
    if "version" in book and number(book["version"], "version", Decimal(math.inf)) != 1:
        raise Fault(f"version must be 1, got {book['version'].shown()}", book["version"].line)
    if "currency" in book and book["currency"].value != "USD":
        raise Fault(f"currency must be USD, got {book['currency'].shown()}", book["currency"].line)
    rows = tuple(_row(item) for item in _list(book.get("models"), "models"))
    discounts = tuple(_discount(item) for item in _list(book.get("discounts"), "discounts"))
    if not rows and not discounts:
        raise Fault("has no entries; it needs at least 'models:' with one entry", root.line)
    refuse_conflicts(rows)
    _refuse_equal_discounts(discounts)
    return PriceBook(rows, discounts)


def _list(node: Node | None, what: str) -> list[Node]:
    if node is None:
        return []
    if not isinstance(node.value, list):
        raise Fault(f"{what} must be a list, got {node.shown()}", node.line)
    return node.value


def _row(node: Node) -> PriceRow:
    entry = fields(node, _ROW_KEYS, "an entry of models")
    if "match" not in entry:
        raise Fault("an entry needs 'match': which provider, model or deployment it is for", node.line)
    kinds = [kind for kind in _KINDS if kind in entry]
    if len(kinds) != 1:
        given = f"got {' and '.join(kinds)}" if kinds else "got none"
        raise Fault(f"an entry needs exactly one of {', '.join(_KINDS)}; {given}", node.line)
    for key, needed in (("tiers", "price"), ("long_context", "price"), ("multiplier", "base_model")):
        if key in entry and needed not in entry:
            raise Fault(f"{key} goes with {needed} only", entry[key].line)
    since = instant(entry["from"], "from") if "from" in entry else -math.inf
    until = instant(entry["until"], "until") if "until" in entry else math.inf
    if since >= until:
        raise Fault("until must be later than from: an entry holds from the one until just before the other", node.line)
    prices, tiers = _prices(entry) if "price" in entry else ((), ())
    return PriceRow(
        _match(entry["match"], _MATCH_KEYS),
        prices,
        tiers,
        _base_model(entry["base_model"]) if "base_model" in entry else None,
        multiplier(entry["multiplier"]) if "multiplier" in entry else Decimal(1),
        _per_hour(entry["per_hour"]) if "per_hour" in entry else None,
        since,
        until,
        window(entry.get("weekdays"), entry.get("hours")),
        _text(entry["source"], "source") if "source" in entry else None,
        node.line,
    )


def _match(node: Node, keys: tuple[str, ...]) -> Match:
    given = fields(node, keys, "match")
    if not given:
        raise Fault(f"match must have at least one of {', '.join(keys)}", node.line)
    names = {key: _text(item, key).lower() for key, item in given.items()}
    if "provider" in names:
        if _PATTERN & set(names["provider"]):
            shown = given["provider"]
            raise Fault(
                f"provider must be a name, not a pattern, got {shown.shown()}; leave it out to mean every provider",
                shown.line,
            )
        names["provider"] = price_provider(names["provider"])
    if "model" in names:
        names["model"] = clean_model(names["model"])
    return Match(**names)


def _text(node: Node, what: str) -> str:
    # A model may be called 4.5: YAML reads it as a number.
    text = str(node.value) if isinstance(node.value, Decimal) else node.value
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_NAME:
        raise Fault(f"{what} must be text, 1 to {_LONGEST_NAME} characters, got {node.shown()}", node.line)
    return text.strip()


def _prices(entry: Fields) -> tuple[Prices, tuple[tuple[str, Prices], ...]]:
    standard = rates(entry["price"])
    stepped = with_long_context(standard, entry.get("long_context"))
    tiers = entry.get("tiers", Node({})).value
    if not isinstance(tiers, dict):
        raise Fault(f"tiers must be a mapping of tier to prices, got {entry['tiers'].shown()}", entry["tiers"].line)
    at_tiers = {_tier(name, node): frozen(_at_tier(standard, stepped, node)) for name, node in tiers.items()}
    return frozen(stepped), tuple(sorted(at_tiers.items()))


def _tier(name: str, node: Node) -> str:
    parts = name.lower().split("+")
    if not all(part in TIERS or _REGION.fullmatch(part) for part in parts) or len(set(parts)) < len(parts):
        raise Fault(
            f"tier {name!r:.80} is not known; tiers are {', '.join(TIERS)}, geo-<region>, joined by '+'", node.line
        )
    return "+".join(sorted(parts))


def _at_tier(standard: dict[str, Decimal], stepped: Rates, node: Node) -> Rates:
    """The rates at a tier: those that it leaves out are the entry's own, with what they cost for long inputs."""
    if not isinstance(node.value, dict):
        raise Fault(f"a tier must be a mapping of prices, got {node.shown()}", node.line)
    given = {key: item for key, item in node.value.items() if key != "long_context"}
    own = rates(node._replace(value=given), "a tier")
    longer = node.value.get("long_context")
    return {**stepped, **own} if longer is None else with_long_context({**standard, **own}, longer)


def _base_model(node: Node) -> BaseModel:
    if not isinstance(node.value, dict):
        return BaseModel(clean_model(_text(node, "base_model")))
    match = _match(node, ("provider", "model"))
    if match.model is None:
        raise Fault("base_model needs 'model'", node.line)
    return BaseModel(match.model, match.provider)


def _per_hour(node: Node) -> Decimal:
    given = fields(node, ("usd", "share"), "per_hour")
    if "usd" not in given:
        raise Fault("per_hour needs 'usd': US dollars per hour", node.line)
    if "share" in given and given["share"].value != "in_flight":
        raise Fault(f"share must be in_flight, got {given['share'].shown()}", given["share"].line)
    return dollars(given["usd"], "usd")


def _discount(node: Node) -> Discount:
    given = fields(node, ("provider", "model", "multiplier"), "an entry of discounts")
    for key in ("provider", "multiplier"):
        if key not in given:
            raise Fault(f"a discount needs {key!r}", node.line)
    names = {key: item for key, item in given.items() if key != "multiplier"}
    return Discount(_match(Node(names, node.line), ("provider", "model")), multiplier(given["multiplier"]), node.line)


def _refuse_equal_discounts(discounts: tuple[Discount, ...]) -> None:
    seen: dict[Match, int | None] = {}
    for discount in discounts:
        if discount.match in seen:
            where = "" if discount.line is None else f", in line {seen[discount.match]}"
            raise Fault(f"{discount.match} has a discount already{where}", discount.line)
        seen[discount.match] = discount.line
