"""`cached_stream(model)`: a chat model whose streams ask the response cache, which LangChain's own never do.

The model that comes back is of a subclass with the same name, whose `_stream` and `_astream` look up first. LangChain's
`stream` around them stays as it is: callbacks, ids, the closing chunk. Private names relied on: `_stream`, `_astream` and
those of `keys.py`.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable, RunnableBinding

from langmeter.langchain.cache import resolve
from langmeter.langchain.caching.keys import Key, UnknownKeyError, lookup_key
from langmeter.langchain.caching.lookups import counted
from langmeter.langchain.caching.stored_answers import chunk_of, generations_of

_LOGGER: Final = logging.getLogger("langmeter")
_generating: Final[contextvars.ContextVar[Any]] = contextvars.ContextVar("langmeter_generating", default=None)
"""The model whose `generate` is under way: it has asked the cache, and what it streams inside must not ask again."""

_ABSENT: Final = object()

if TYPE_CHECKING:
    _Model = BaseChatModel
else:
    _Model = object

Streaming = TypeVar("Streaming", bound=Runnable[Any, Any])


def cached_stream(model: Streaming) -> Streaming:
    """The chat model with `stream` and `astream` served from its response cache; everything else is as before.

    A hit is one chunk with the stored text, tool calls, metadata and id, its usage marked `total_cost: 0` as LangChain does
    for `invoke`. A miss streams live; once the stream has ended, the whole answer is stored. Keys and entries are those of
    `invoke`, so both find each other's answers. A stream that fails, is closed before its end or breaks off without a
    finish reason is not stored. The cache is the model's own or else the global one, as it is at each call; without one,
    and with `cache=False`, nothing changes. Errors of the cache reach the caller, as they do from `invoke`.

    `bind_tools`, `with_structured_output` and the like work on the result; a model with bound arguments may be given, too.
    The original is not changed; the result is a copy of it that shares its clients. Safe from any thread.

    Not covered: text models, and version 3 stream events (both ask no cache, as without this). A rate limiter is asked
    before hits too, since LangChain's `stream` asks it first.

    Raises:
        TypeError: `model` is no chat model, with or without bound arguments.
    """
    if isinstance(model, RunnableBinding):
        return cast("Streaming", model.model_copy(update={"bound": cached_stream(model.bound)}))
    if not isinstance(model, BaseChatModel):
        raise TypeError(
            f"cached_stream takes a chat model, got {type(model).__qualname__}; in a chain, put it around the model alone: "
            "`prompt | cached_stream(model) | parser`"
        )
    return cast("Streaming", model if isinstance(model, CachedStream) else _of_class(model, _class_for(type(model))))


class CachedStream(_Model):
    """What all models made by `cached_stream` share. One that cannot stream gets no more: its `stream` is an `invoke`."""

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As it was; what the model streams inside is not looked up a second time."""
        token = _generating.set(self)
        try:
            return super().generate(*args, **kwargs)
        finally:
            _reset(token)

    async def agenerate(self, *args: Any, **kwargs: Any) -> Any:
        """As it was; what the model streams inside is not looked up a second time."""
        token = _generating.set(self)
        try:
            return await super().agenerate(*args, **kwargs)
        finally:
            _reset(token)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        """Pickle the original; the subclass is made anew over there, where nobody could import it."""
        return cached_stream, (_of_class(self, _original_class(type(self))),)


class _Question(NamedTuple):
    """What a stream is about to ask, and whom."""

    cache: Any
    key: Key


@functools.cache
def _class_for(base: type[BaseChatModel]) -> type[BaseChatModel]:
    """A subclass that LangChain takes for `base`: the class's name is part of the cache key of serialisable models."""
    methods: dict[str, Any] = {}
    if base._stream is not BaseChatModel._stream:
        methods["_stream"] = _streaming(base._stream)
    if methods or base._astream is not BaseChatModel._astream:
        methods["_astream"] = _astreaming(base)
    names = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    make: Any = type(base)
    cls: type[BaseChatModel] = make(base.__name__, (CachedStream, base), {**names, **methods})
    return cls


def _original_class(cls: type) -> type:
    return next(base for base in cls.__mro__ if not issubclass(base, CachedStream))


def _of_class(model: Any, cls: type) -> Any:
    """A shallow copy of a model as an instance of another class with the same fields."""
    copy = model.model_copy()
    object.__setattr__(copy, "__class__", cls)
    return copy


def _reset(token: contextvars.Token[Any]) -> None:
    with contextlib.suppress(ValueError):  # a coroutine that is collected is closed in somebody else's context
        _generating.reset(token)


def _streaming(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def _stream(
        self: Any, messages: list[Any], stop: list[str] | None = None, run_manager: Any = _ABSENT, **kwargs: Any
    ) -> Iterator[Any]:
        """The stored answer, or else the model's own stream, which is stored once it has ended."""
        if run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        question = _question(self, messages, stop, kwargs)
        if question is None:
            yield from original(self, messages, stop=stop, **kwargs)
            return
        with counted(question.cache):
            found = question.cache.lookup(*question.key)
        if isinstance(found, list):  # LangChain's own test
            yield from map(chunk_of, found[:1])
            return
        chunks = []
        for chunk in original(self, messages, stop=stop, **kwargs):
            chunks.append(chunk)
            yield chunk
        answer = generations_of(chunks)
        if answer is not None:
            question.cache.update(*question.key, answer)

    return _stream


def _astreaming(base: type[BaseChatModel]) -> Callable[..., AsyncIterator[Any]]:
    async def _astream(
        self: Any, messages: list[Any], stop: list[str] | None = None, run_manager: Any = _ABSENT, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """The same for `astream`."""
        if run_manager is not _ABSENT:
            kwargs["run_manager"] = run_manager
        # LangChain's own `_astream` runs `_stream` on another thread, with a run manager: it does not look up again.
        upstream = functools.partial(base._astream, self, messages, stop=stop, **kwargs)
        question = _question(self, messages, stop, kwargs)
        if question is None:
            async with _closing(upstream()) as chunks_of_model:
                async for chunk in chunks_of_model:
                    yield chunk
            return
        with counted(question.cache):
            found = await question.cache.alookup(*question.key)
        if isinstance(found, list):
            for generation in found[:1]:
                yield chunk_of(generation)
            return
        chunks = []
        async with _closing(upstream()) as chunks_of_model:
            async for chunk in chunks_of_model:
                chunks.append(chunk)
                yield chunk
        answer = generations_of(chunks)
        if answer is not None:
            await question.cache.aupdate(*question.key, answer)

    return _astream


@contextlib.asynccontextmanager
async def _closing(chunks: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Around a model's own stream: it is closed with ours, and not when the event loop finds that nobody reads it."""
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _question(model: Any, messages: list[Any], stop: list[str] | None, kwargs: dict[str, Any]) -> _Question | None:
    """What to ask the cache; None where it has been asked already, or cannot be."""
    if "run_manager" in kwargs or _generating.get() is model:
        return None  # not called by `stream`: by `generate`, which asks itself, or by a version 3 stream
    cache = resolve(model)
    if cache is None:
        return None
    try:
        return _Question(cache, lookup_key(model, messages, stop, kwargs))
    except UnknownKeyError as error:
        _warn_once(str(error))
        return None


@functools.cache
def _warn_once(reason: str) -> None:
    _LOGGER.warning("cached_stream does not use the response cache: %s; streams work as without it", reason)
