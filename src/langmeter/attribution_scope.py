"""`langmeter.attribution`: on whose behalf the code inside a block works, known to everything that starts inside it."""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, ParamSpec, TypeVar, cast

from opentelemetry import baggage
from opentelemetry import context as otel_context

from langmeter import semconv
from langmeter.attribution_keys import PROMPT_KEYS, PROMPT_NAME, PROMPT_VERSION, Value, checked_key, text
from langmeter.boundary import shield
from langmeter.errors import SettingsError

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.context import Context

P = ParamSpec("P")
R = TypeVar("R")


class _Carried(NamedTuple):
    """What the blocks have done to baggage."""

    outside: Mapping[str, object]
    """What it held before the blocks, by the keys that they have put there; None for nothing."""
    before: Context
    """The OpenTelemetry context around the innermost block."""
    inside: Context | None
    """The one that the block has made current; None once a block around it has ended first, for then `before` is of no use."""


class Scope(NamedTuple):
    """The innermost block around the current code, and what all blocks around it say together."""

    block: attribution
    around: Scope | None
    values: Mapping[str, str | None]
    """By key; None where a block said that there is nothing."""
    baggage: _Carried | None
    """None when the blocks have put nothing into baggage."""
    memory: dict[object, object]
    """Room for what readers make of `values`, by reader, so that they need not make it again."""


_scope: Final[contextvars.ContextVar[Scope | None]] = contextvars.ContextVar("langmeter_attribution", default=None)

current_scope = _scope.get


class Propagation:
    """Whether blocks put what they say into OpenTelemetry baggage, which leaves the process with the next request."""

    def __init__(self) -> None:
        self.on = False


propagation: Final = Propagation()
"""That of the process: switched by `instrument()`, from `Settings.attribution_baggage`."""


class attribution:  # noqa: N801  (used like a function: `with langmeter.attribution(tenant="acme"):`)
    """Say on whose behalf everything that starts inside the block works: a tenant, a feature, an environment.

    `with langmeter.attribution(tenant="acme", feature="search"):`, the same with `async with`, or `@langmeter.attribution(…)`
    on a function or coroutine function. Every span that starts inside carries `langchain.attribution.<key>`; metrics carry
    the keys that `Settings.metric_attribution_keys` allows. `prompt_name` and `prompt_version` go to spans of model calls as
    `gen_ai.prompt.name` and `gen_ai.prompt.version`.

    Blocks nest: an inner one adds keys and overrides those it repeats; a value of None, or an empty one, takes a key away.
    A prompt name takes the version of an outer prompt away. What a block says wins over run metadata and over baggage.

    The block holds for code in it, for the tasks that it starts, and for threads that run in a copy of the context, as
    LangChain's and LangGraph's own do; not for threads started by hand. A stream belongs to where its first chunk is asked
    for. One object may be used again, and by several tasks and threads at once. Costs a microsecond or two.

    Args:
        **keys: lower-case names; the values are text (cut after 256 characters), whole numbers or flags.

    Raises:
        SettingsError: a key is none, or a value has another type; raised where the block is made, never inside it.
    """

    __slots__ = ("_said",)

    def __init__(self, /, **keys: Value) -> None:
        said = {checked_key(key): _checked_text(key, value) for key, value in keys.items()}
        if PROMPT_NAME in said:
            said.setdefault(PROMPT_VERSION, None)
        self._said: Mapping[str, str | None] = said

    def __repr__(self) -> str:
        return f"attribution({', '.join(f'{key}={value!r}' for key, value in self._said.items())})"

    def __enter__(self) -> None:
        around = _scope.get()
        carried = None if around is None else around.baggage
        if propagation.on:
            with shield("baggage"):
                carried = _carry(self._said, carried)
        _scope.set(_inside(around, self, carried))

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # No token of `set` or `attach` is kept: it is of use in one context only, and tasks may share this block. A
        # generator that is collected is closed in somebody else's context, where this block is none of those around.
        scope = _scope.get()
        remaining = _without(scope, self)
        if scope is None or remaining is scope:
            return
        _scope.set(remaining)
        if scope.baggage is not None:
            with shield("baggage"):
                _restore(self._said, scope.baggage, remaining, innermost=scope.block is self)

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function with each of its calls inside this block; of a coroutine function, all of its run."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"attribution cannot decorate the generator {function.__qualname__}: between two of its values the block "
                "would hold for the code that consumes them. Decorate the consumer, or put `with` around the model calls"
            )
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", _around_coroutine(self, function))

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return call


def _around_coroutine(block: attribution, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with block:
            return await function(*args, **kwargs)

    return call


def _checked_text(key: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str | int):
        raise SettingsError(
            f"attribution({key}=…): a value is a text, a whole number, a flag or None, got {type(value).__name__}; "
            "pass `str(value)`"
        )
    return text(value)


def _inside(around: Scope | None, block: attribution, carried: _Carried | None) -> Scope:
    said = block._said  # noqa: SLF001  (the same module)
    return Scope(block, around, said if around is None else {**around.values, **said}, carried, {})


def _without(scope: Scope | None, block: attribution) -> Scope | None:
    """The scope with a block taken out, which need not be the innermost; itself if the block is none of those around."""
    if scope is None or scope.block is block:
        return None if scope is None else scope.around
    around = _without(scope.around, block)
    if around is scope.around:
        return scope
    return _inside(around, scope.block, scope.baggage and scope.baggage._replace(inside=None))


# -- baggage ---------------------------------------------------------------------------------------------------------


def _carry(said: Mapping[str, str | None], carried: _Carried | None) -> _Carried:
    """Put what a block says into the current baggage."""
    found = {key: baggage.get_baggage(_entry(key)) for key in said if key not in PROMPT_KEYS}
    before = otel_context.get_current()
    inside = _put({key: said[key] for key in found}, before)
    return _Carried(found if carried is None else {**found, **carried.outside}, before, inside)


def _restore(said: Mapping[str, str | None], carried: _Carried, remaining: Scope | None, *, innermost: bool) -> None:
    """Give the keys of a block that has ended the values of the blocks around it, else those from before all blocks.

    Nothing else of the current context changes: a span may have begun in the block that ends after it.
    """
    current = otel_context.get_current()
    if innermost and current is carried.inside:
        _attach(carried.before, current)
        return
    around = {} if remaining is None else remaining.values
    _put({key: around.get(key, carried.outside[key]) for key in said if key in carried.outside}, current)


def _put(values: Mapping[str, object], current: Context) -> Context:
    context = current
    for key, value in values.items():
        name = _entry(key)
        if baggage.get_baggage(name, context) == value:
            continue
        context = baggage.remove_baggage(name, context) if value is None else baggage.set_baggage(name, value, context)
    return _attach(context, current)


def _attach(context: Context, current: Context) -> Context:
    if context is not current:
        otel_context.attach(context)
    return context


def _entry(key: str) -> str:
    return semconv.ATTRIBUTION_PREFIX + key
