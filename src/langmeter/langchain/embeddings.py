"""Calls of embeddings objects: one span, one bill for each outermost call, whichever of the four methods it came by.

LangChain has no callbacks for embeddings, so the methods themselves are watched. A call that an object makes on itself
(`embed_query` by `embed_documents`, a subclass by its base, an asynchronous default by its synchronous twin on an executor
thread) is the same call. Embeddings that hold others (`CacheBackedEmbeddings`) have no call of their own as long as
those do the work.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Final

from langmeter.boundary import guarded, shield
from langmeter.events import CacheLookup
from langmeter.langchain import extract, fingerprints
from langmeter.langchain.attribution import Attribution
from langmeter.langchain.embedding_content import EmbeddedTexts
from langmeter.langchain.embedding_frames import EmbeddingFrame, current_frame
from langmeter.langchain.embedding_methods import EmbeddingClasses
from langmeter.langchain.embedding_requests import embeddings_request
from langmeter.langchain.embedding_stores import passing
from langmeter.langchain.embedding_threads import Threads
from langmeter.langchain.embedding_usage import UsageHooks
from langmeter.langchain.providers import Directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langmeter.langchain.cache import CacheWatch
    from langmeter.langchain.embedding_methods import WatchedMethod
    from langmeter.langchain.embedding_stores import Passing
    from langmeter.observer import Observer
    from langmeter.runs import OpenCall

_NOT_WATCHED: Final = contextlib.nullcontext()


class EmbeddingPatches:
    """The patches around embeddings. Applying and removing is exact; safe from any thread."""

    def __init__(self, observer: Observer, watch: CacheWatch) -> None:
        """Prepare.

        Args:
            observer: where calls go.
            watch: knows the names of stores.
        """
        self._hooks = UsageHooks()
        self._calls = EmbeddingCalls(observer, watch, self._hooks)
        self._classes = EmbeddingClasses(self._calls)
        _patches.add(self)

    def apply(self) -> None:
        """Watch every embeddings class, and those defined from now on."""
        self._hooks.apply()
        self._calls.active = True
        self._classes.watch_all()

    def remove(self) -> None:
        """Put back what was there before. Methods that somebody has kept by themselves fall silent."""
        self._calls.active = False
        self._classes.restore()
        self._hooks.remove()

    def after_fork_in_child(self) -> None:
        """Make the locks anew; forget what other threads were doing."""
        self._calls.after_fork_in_child()
        self._classes.after_fork_in_child()
        self._hooks.after_fork_in_child()


class EmbeddingCalls:
    """What runs around the calls of embeddings objects."""

    def __init__(self, observer: Observer, watch: CacheWatch, hooks: UsageHooks) -> None:
        self.active = False
        self._observer = observer
        self._watch = watch
        self._hooks = hooks
        self._threads = Threads()
        self._directory = Directory()
        self._attribution = Attribution(observer.settings)

    def run(self, method: WatchedMethod, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a synchronous method."""
        with self._enter(method.name, instance, args, kwargs) or _NOT_WATCHED:
            return method.call(instance, args, kwargs)

    async def arun(self, method: WatchedMethod, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call an asynchronous method."""
        with self._enter(method.name, instance, args, kwargs) or _NOT_WATCHED:
            return await method.call(instance, args, kwargs)

    def after_fork_in_child(self) -> None:
        """Forget the parent process's calls."""
        self._threads.after_fork_in_child()

    @guarded("embeddings")
    def _enter(self, method: str, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Work | None:
        """The work of an outermost call, begun; None for what needs no watching."""
        if not self.active:
            return None
        around = current_frame()
        if around is not None and around.is_around(instance):
            return None
        texts, passes = _texts(method, args, kwargs), passing(instance, method)
        sent = self._threads.sender(instance if passes is None else passes.inner, texts) if around is None else None
        around = around if sent is None else sent.frame
        frame = EmbeddingFrame(instance, around, time.perf_counter())
        frame.passing = passes
        self._hooks.prepare(instance)
        if passes is None:
            lookup = None if around is None else self._missed(around, frame.started)
            if sent is None:
                frame.call = self._open(frame, instance, texts, kwargs)
            else:  # where its sender is: what it hangs below, who counts it, for whom
                frame.call = sent.context.copy().run(self._open, frame, instance, texts, kwargs)
            frame.call.cache = lookup
        elif around is not None:
            around.ask_other()
        return _Work(self, frame, texts)

    def begin(self, frame: EmbeddingFrame, texts: Any) -> None:
        """Make a call current, and known to threads that it gives its texts to."""
        frame.attach()
        self._threads.add(frame, texts)

    def end(self, frame: EmbeddingFrame, texts: Any, error: BaseException | None) -> None:
        """Close a call with what was reported about it."""
        now = time.perf_counter()
        self._threads.remove(frame)
        call = frame.call
        if frame.asked_others and not frame.reports:
            if call is not None:  # an object that did not show that it holds others: its span stays, they are counted
                call.end_span()
            return
        if error is None and not frame.reports and _is_empty(texts):
            if call is not None:  # there was nothing to send
                call.end_span()
            return
        if call is None:
            if frame.passing is None:
                return
            call = self._open_late(frame, frame.passing, texts)
            if not frame.reports:
                call.cache = self._looked_up(frame.passing.store, now - frame.started, error)
        call.stopped = now
        response = frame.response()
        if error is None:
            self._observer.finish(call, response)
            return
        failure = extract.failure(error, with_message=self._observer.settings.exception_messages)
        self._observer.finish(call, failure._replace(partial=response if frame.reports else None))

    def _open(self, frame: EmbeddingFrame, instance: Any, texts: Any, kwargs: Mapping[str, Any]) -> OpenCall:
        call = self._observer.open(embeddings_request(instance, kwargs, self._directory), None, frame.started)
        call.request = self._attribution.of_inner(call.request, call.parent)
        if self._observer.settings.describe:
            call.configuration = fingerprints.shared.of(instance)
        if self._observer.settings.estimates:
            call.content = EmbeddedTexts(texts)
        return call

    def _open_late(self, frame: EmbeddingFrame, passes: Passing, texts: Any) -> OpenCall:
        """Nobody else was asked: the store had everything, or the object did the work itself after all."""
        return self._open(frame, frame.owner if frame.reports else passes.inner, texts, {})

    def _missed(self, around: EmbeddingFrame, now: float) -> CacheLookup | None:
        """The look-up of the store that sent the missing texts here; only the first of its batches carries it."""
        store = around.passing.store if around.passing is not None else None
        if not around.ask_other() or store is None:
            return None
        return CacheLookup("miss", self._watch.type_of(store), now - around.started)

    def _looked_up(self, store: Any, duration: float, error: BaseException | None) -> CacheLookup | None:
        if store is None:
            return None
        if error is None:
            return CacheLookup("hit", self._watch.type_of(store), duration)
        return CacheLookup("error", self._watch.type_of(store), duration, error_type=extract.error_type(error))


class _Work:
    """`with` one outermost call: its span is current inside."""

    __slots__ = ("_calls", "_frame", "_texts")

    def __init__(self, calls: EmbeddingCalls, frame: EmbeddingFrame, texts: Any) -> None:
        self._calls = calls
        self._frame = frame
        self._texts = texts

    def __enter__(self) -> None:
        self._calls.begin(self._frame, self._texts)

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: object) -> None:
        self._frame.detach()
        with shield("embeddings"):
            self._calls.end(self._frame, self._texts, error)


def _texts(method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The texts of a call: a list, or whatever the application gave instead."""
    if method.endswith("query"):
        return [args[0] if args else kwargs.get("text")]
    return args[0] if args else kwargs.get("texts")


def _is_empty(texts: Any) -> bool:
    """Whether there was nothing to embed. An array has no truth value, an iterator no length."""
    return isinstance(texts, Sized) and len(texts) == 0


_patches: Final[weakref.WeakSet[EmbeddingPatches]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for patches in list(_patches):
        patches.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
