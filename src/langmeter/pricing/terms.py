"""What an application says about the price of a call: in a `with` block, in the run's metadata, or by `price`."""

from __future__ import annotations

import contextvars
import hashlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from langmeter.errors import SettingsError
from langmeter.events import PricingTerms
from langmeter.pricing.cards import Source, Unpriced, unpriceable
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.notices import unknown_base_model
from langmeter.pricing.overrides import multiplied, narrowed
from langmeter.pricing.price_files.amounts import fields, multiplier, rates
from langmeter.pricing.price_files.documents import Fault, Node, from_object

if TYPE_CHECKING:
    from types import TracebackType

    from langmeter.pricing.catalog.sources import AnyCard, Below, Subject

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_LONGEST_NAME: Final = 512
_KNOWN_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "processing": ("batch", "standard"),
    "speed": ("fast", "standard"),
}
_scope: Final[contextvars.ContextVar[_Scope | None]] = contextvars.ContextVar("langmeter_pricing", default=None)


class _Scope(NamedTuple):
    """The blocks around the current code, the innermost last, and what they say together."""

    blocks: tuple[call_pricing, ...]
    terms: PricingTerms


def scoped_terms() -> PricingTerms | None:
    """What the `call_pricing` blocks around the current code say; None outside of all."""
    scope = _scope.get()
    return None if scope is None else scope.terms


# -- reading ---------------------------------------------------------------------------------------------------------


def terms_from(given: Mapping[str, object], where: str) -> PricingTerms:
    """Terms from their names and values; a value of None says nothing.

    Raises:
        SettingsError: a name is unknown or a value is wrong; the message names `where`, what and the fix.
    """
    try:
        said = {key: value for key, value in given.items() if value is not None}
        known = fields(from_object(said), PricingTerms._fields, "pricing of a call")
        factor, override = known.get("multiplier"), known.get("override")
        return PricingTerms(
            _word(known.get("service_tier"), "service_tier"),
            _word(known.get("processing"), "processing"),
            _word(known.get("speed"), "speed"),
            _model(known.get("base_model"), "base_model"),
            None if factor is None else multiplier(factor),
            None if override is None else tuple(sorted(rates(override, "override").items())),
        )
    except Fault as fault:
        raise SettingsError(f"{where}: {fault.reason}") from None


def _word(node: Node | None, key: str) -> str | None:
    if node is None:
        return None
    known = _KNOWN_WORDS.get(key)
    word = node.value.strip().lower() if isinstance(node.value, str) else ""
    if not _WORD.fullmatch(word) or (known is not None and word not in known):
        wanted = " or ".join(map(repr, known)) if known is not None else "a tier like 'flex'"
        raise Fault(f"{key} must be {wanted}, got {node.shown()}")
    return word


def _model(node: Node | None, key: str) -> str | None:
    if node is None:
        return None
    if isinstance(node.value, dict):
        parts = fields(node, ("provider", "model"), key)
        names = [_model(parts.get(part), part) for part in ("provider", "model") if part in parts]
        if "model" in parts:
            return "/".join(str(name) for name in names)
    if not isinstance(node.value, str) or not 0 < len(node.value.strip()) <= _LONGEST_NAME:
        raise Fault(f"{key} must be a model's name, as 'model' or 'provider/model', got {node.shown()}")
    return node.value.strip()


def inner_over_outer(inner: PricingTerms | None, outer: PricingTerms | None) -> PricingTerms | None:
    """Both, field by field; what the inner one says wins."""
    if inner is None or outer is None:
        return inner if outer is None else outer
    return outer._replace(**{name: said for name, said in inner._asdict().items() if said is not None})


# -- the block -------------------------------------------------------------------------------------------------------


class call_pricing:  # noqa: N801  (used like a function: `with langmeter.call_pricing(processing="batch"):`)
    """Say what LangChain cannot see about the price of every model call that starts inside the `with` block.

    Blocks nest: what an inner one says wins, field by field. The block holds for async code and for threads that run in a
    copy of the context, as LangChain's own do. It goes before run metadata (`langmeter_pricing`) and request parameters.
    One object may be used again, and by several tasks and threads at once. Costs one look-up of a context variable per
    call, in and outside of blocks.

    Args:
        processing: `batch` for calls whose answers come from a Batch API.
        service_tier: the tier agreed with the provider (`flex`, `priority`, …); what an answer says of itself wins.
        speed: `fast` for Anthropic's fast mode.
        base_model: the model whose prices apply, as `model` or `provider/model`: for inference profiles and private names.
        multiplier: a factor on the price, 0 to 20.
        override: US dollars per million tokens, with the keys of `langmeter.price`; wins over every other price.

    Raises:
        SettingsError: an argument has a wrong value.
    """

    __slots__ = ("_terms",)

    def __init__(
        self,
        *,
        processing: str | None = None,
        service_tier: str | None = None,
        speed: str | None = None,
        base_model: str | Mapping[str, str] | None = None,
        multiplier: Decimal | float | str | None = None,
        override: Mapping[str, object] | None = None,
    ) -> None:
        given = {
            "processing": processing,
            "service_tier": service_tier,
            "speed": speed,
            "base_model": base_model,
            "multiplier": multiplier,
            "override": override,
        }
        self._terms = terms_from(given, "call_pricing")

    def __enter__(self) -> None:
        around = _scope.get()
        _scope.set(_together((*(() if around is None else around.blocks), self)))

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # No token of `set` is kept: it is of use in one context only, and tasks may share this block. A generator that is
        # collected is closed in somebody else's context, where this block is none of those around.
        scope = _scope.get()
        if scope is not None and self in scope.blocks:
            last = len(scope.blocks) - 1 - scope.blocks[::-1].index(self)
            _scope.set(_together((*scope.blocks[:last], *scope.blocks[last + 1 :])))


def _together(blocks: tuple[call_pricing, ...]) -> _Scope | None:
    terms = None
    for block in blocks:
        terms = inner_over_outer(block._terms, terms)  # noqa: SLF001  (the same module)
    return None if terms is None else _Scope(blocks, terms)


# -- the price -------------------------------------------------------------------------------------------------------


class CallTerms:
    """The price source for what is said about single calls. Tiers need none: they are part of what is asked."""

    name = "call terms"

    def card(self, subject: Subject, at: float, below: Below) -> AnyCard | None:
        """See `PriceSource`; None when nothing is said but tiers."""
        terms = subject.terms
        if terms is None or terms[3:] == (None, None, None):
            return None
        version = f"ovr:{_digest(terms)}"
        card: AnyCard | None
        if terms.override is not None:
            card = compile_card(dict(terms.override), Source("override", version, "override", subject.tier))
        else:
            card = _base_card(subject, terms.base_model, at, below)
        if card is None or isinstance(card, Unpriced):
            return card
        if terms.override is None:
            version = f"{card.source.version}+{version}"
        factor = Decimal(1) if terms.multiplier is None else terms.multiplier
        return multiplied(card, factor, card.source._replace(version=version, match="override"))


def _base_card(subject: Subject, name: str | None, at: float, below: Below) -> AnyCard | None:
    plain = subject._replace(terms=None)
    if name is None:
        return below(plain, at)
    asked = plain._replace(requested=None, deployment=None)
    provider, slash, model = name.partition("/")
    first = below(asked._replace(provider=provider, model=model), at) if slash else None
    if first is not None and not isinstance(first, Unpriced):
        return first
    card = below(asked._replace(model=name), at)  # names of models have slashes too
    if card is None:
        unknown_base_model(subject.provider, name, "call_pricing or run metadata")
        card = Unpriced(unpriceable(subject.tier, "unknown_model"))
    return card if first is None else narrowed(card, (first.valid_from, first.valid_until))


def _digest(terms: PricingTerms) -> str:
    return hashlib.sha256(repr(terms[3:]).encode()).hexdigest()[:8]
