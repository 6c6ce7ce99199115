"""Look-ups in LangChain's response cache, attributed to the call that made them.

The frame around a model call knows the cache object of that call. `lookup` and `alookup` are patched on the class of that
object, the first time it is met: that covers instances from before, classes from later and objects that only quack.
A look-up counts only if it is made on the frame's own object and not from inside another counted one, so wrappers,
`super()` calls, default `alookup`s and models inside a look-up count once.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import operator
import re
import threading
import time
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache

from langmeter.boundary import shield
from langmeter.events import CacheLookup, Failure, ModelResponse
from langmeter.langchain import answers, extract
from langmeter.langchain.cache_faults import QuietFailures, is_unreadable
from langmeter.langchain.state import Frame, Lookup, current_frame

_TYPES: Final = {
    "InMemoryCache": "in_memory",
    "SQLiteCache": "sqlite",
    "SQLAlchemyCache": "sqlalchemy",
    "SQLAlchemyMd5Cache": "sqlalchemy",
    "RedisCache": "redis",
    "AsyncRedisCache": "redis",
    "RedisSemanticCache": "redis_semantic",
    "GPTCache": "gptcache",
    "LangCacheSemanticCache": "langcache_semantic",
    "MongoDBCache": "mongodb",
    "MongoDBAtlasSemanticCache": "mongodb_atlas_semantic",
}


def resolve(model: Any) -> Any:
    """The response cache that LangChain will ask for this model, resolved exactly as it does; None if none will be."""
    own = getattr(model, "cache", None)
    if own is False:
        return None
    return own if isinstance(own, BaseCache) else get_llm_cache()


class CacheWatch:
    """Patches cache classes as they are met and takes the patches off again. Safe from any thread."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._patched: dict[type, dict[str, Any]] = {}
        self._types: dict[type, str] = {}
        self._quiet_failures = QuietFailures()
        self._lock = threading.Lock()

    def meet(self, cache: Any) -> None:
        """Make sure that look-ups of this cache's class are seen."""
        if type(cache) not in self._patched:
            with self._lock:
                if type(cache) not in self._patched:
                    for base in type(cache).__mro__:
                        self._quiet_failures.watch(base.__module__)
                    self._patched[type(cache)] = self._patch(type(cache))

    def type_of(self, cache: Any) -> str:
        """The value of `langchain.cache.type`: from the settings, a well-known class, or the class name in snake case."""
        cls = type(cache)
        found = self._types.get(cls)
        if found is None:
            found = self._types[cls] = (
                self._names.get(cls.__name__) or _TYPES.get(cls.__name__) or _snake_case(cls.__name__)
            )
        return found

    def restore(self) -> None:
        """Take every patch off: an inherited method becomes inherited again."""
        self._quiet_failures.restore()
        with self._lock:
            for cls, originals in self._patched.items():
                for name, original in originals.items():
                    if isinstance(vars(cls).get(name), _WatchedMethod):
                        delattr(cls, name) if original is None else setattr(cls, name, original)
            self._patched.clear()
            self._types.clear()

    def _patch(self, cls: type) -> dict[str, Any]:
        originals: dict[str, Any] = {}
        for name, call in _WATCHES.items():
            if not any(name in vars(base) for base in cls.__mro__):
                continue
            if isinstance(inspect.getattr_static(cls, name), staticmethod | classmethod):
                continue  # does not know the object that it is called on; LangChain's own mark still tells of hits
            original = vars(cls).get(name)
            with shield("cache patch"):
                try:
                    setattr(cls, name, _WatchedMethod(functools.partial(call, self.type_of), getattr(cls, name)))
                except (TypeError, AttributeError):  # a class written in C, or one that guards its attributes
                    continue
                originals[name] = original
        return originals


class _WatchedMethod:
    """A method that records look-ups and pickles as the original function.

    Cache classes of `__main__` are pickled by value (cloudpickle: Ray, Dask, Spark); a closure would drag a context
    variable along and fail.
    """

    def __init__(self, watch: Callable[..., Any], original: Callable[..., Any]) -> None:
        self._watch = watch
        self._original = original
        functools.update_wrapper(self, original)
        if inspect.iscoroutinefunction(original):
            self._is_coroutine = getattr(asyncio.coroutines, "_is_coroutine", None)  # how Python before 3.12 is told
            mark = getattr(inspect, "markcoroutinefunction", None)
            if mark is not None:
                mark(self)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        return self._watch(self._original, instance, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, tuple[tuple[Callable[..., Any]]]]:
        return operator.itemgetter(0), ((self._original,),)


class _Asked(NamedTuple):
    prompt: Any
    started: float


def _frame_of(cache: Any) -> Frame | None:
    frame = current_frame()
    return None if frame is None or frame.busy or frame.cache is not cache else frame


def _watch(type_of: Callable[[Any], str], original: Callable[..., Any], cache: Any, *args: Any, **kwargs: Any) -> Any:
    frame = _frame_of(cache)
    if frame is None:
        return original(cache, *args, **kwargs)
    frame.busy, frame.quiet_failure, frame.skipped = True, None, False
    call = _Asked(args[0] if args else kwargs.get("prompt"), time.perf_counter())
    try:
        found = original(cache, *args, **kwargs)
    except BaseException as error:
        _note(frame, type_of, cache, call, error=error)
        raise
    else:
        _note(frame, type_of, cache, call, found=found)
        return found
    finally:
        frame.busy = False


async def _watch_async(
    type_of: Callable[[Any], str], original: Callable[..., Any], cache: Any, *args: Any, **kwargs: Any
) -> Any:
    frame = _frame_of(cache)
    if frame is None:
        return await original(cache, *args, **kwargs)
    frame.busy, frame.quiet_failure, frame.skipped = True, None, False
    call = _Asked(args[0] if args else kwargs.get("prompt"), time.perf_counter())
    try:
        found = await original(cache, *args, **kwargs)
    except BaseException as error:
        _note(frame, type_of, cache, call, error=error)
        raise
    else:
        _note(frame, type_of, cache, call, found=found)
        return found
    finally:
        frame.busy = False


def _watch_update(_: Callable[[Any], str], original: Callable[..., Any], cache: Any, *args: Any, **kwargs: Any) -> Any:
    frame = _frame_of(cache)
    if frame is None:
        return original(cache, *args, **kwargs)
    frame.answer, frame.busy = _stored(args, kwargs), True
    try:
        return original(cache, *args, **kwargs)
    finally:
        frame.busy = False


async def _watch_update_async(
    _: Callable[[Any], str], original: Callable[..., Any], cache: Any, *args: Any, **kwargs: Any
) -> Any:
    frame = _frame_of(cache)
    if frame is None:
        return await original(cache, *args, **kwargs)
    frame.answer, frame.busy = _stored(args, kwargs), True
    try:
        return await original(cache, *args, **kwargs)
    finally:
        frame.busy = False


_WATCHES: Final = {
    "lookup": _watch,
    "alookup": _watch_async,
    "update": _watch_update,
    "aupdate": _watch_update_async,
}


def _stored(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[2] if len(args) > 2 else kwargs.get("return_val")  # noqa: PLR2004  (prompt, llm_string, return_val)


def _note(
    frame: Frame,
    type_of: Callable[[Any], str],
    cache: Any,
    call: _Asked,
    *,
    found: Any = None,
    error: BaseException | None = None,
) -> None:
    duration = time.perf_counter() - call.started
    with shield("cache look-up"):
        outcome: ModelResponse | Failure | None = None
        if error is not None:
            outcome = extract.failure(error)
            event = CacheLookup("error", type_of(cache), duration, error_type=outcome.error_type)
        elif isinstance(found, list):  # LangChain's own test: a tuple is a miss
            # Read now: LangChain is about to mark the stored usage as free, in place.
            stored = answers.stored_usage(found)
            event = CacheLookup("hit", type_of(cache), duration, stored.tokens, None, stored.tier, stored.cost_usd)
            if is_unreadable(found):
                event = event._replace(unreadable=True)
            outcome = answers.read_stored(found) if frame.keeps_answers else None
        elif frame.quiet_failure is not None:
            event = CacheLookup("error", type_of(cache), duration, error_type=frame.quiet_failure, swallowed=True)
        elif frame.skipped:
            event = CacheLookup("bypass", type_of(cache))
        else:
            event = CacheLookup("miss", type_of(cache), duration)
        frame.lookups.append(Lookup(event, call.prompt, call.started, outcome, found if outcome is not None else None))


def _snake_case(name: str) -> str:
    stem = name.removesuffix("Cache") or name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", stem).lower().strip("_")
