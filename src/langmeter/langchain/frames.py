"""Frames around LangChain's model methods: the span is current while the work runs, and every run is closed.

Callbacks cannot do this: start and end run in different contexts on every async path, so what one attaches the other can
never detach. A frame attaches and detaches in the same call, and a stream does so around each of its steps.

Private names relied on, each optional: `_generate_with_cache`, `_agenerate_with_cache`, `_iter_v2_events`,
`_aiter_v2_events`, `_set_config_context`. Without one, what is lost is nesting or
exact cache attribution, never a call or a span. `_generate` and `_stream` are left alone: LangChain compares them by
identity to find out what a model can do.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncGenerator, Callable, Generator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from opentelemetry import context as otel_context

from langmeter.boundary import shield, swallow
from langmeter.events import CacheLookup, Failure
from langmeter.langchain import extract, state
from langmeter.langchain.cache import CacheWatch, resolve
from langmeter.langchain.content_size import CallContent
from langmeter.langchain.endings import close_failed
from langmeter.langchain.generator_frames import asteps, steps
from langmeter.langchain.providers import Directory, Model
from langmeter.langchain.state import Frame
from langmeter.telemetry.spans import current_run_id

if TYPE_CHECKING:
    from uuid import UUID

    from langmeter.langchain.generator_frames import Close
    from langmeter.observer import Observer
    from langmeter.runs import OpenCall

Wrapper: TypeAlias = Callable[[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any]], Any]


class ModelFrames:
    """The wrappers around chat and text models; `wrapt` calls them with (wrapped, instance, args, kwargs)."""

    def __init__(self, observer: Observer, watch: CacheWatch) -> None:
        self._observer = observer
        self._watch = watch
        self._directory = Directory()

    # -- chat models: generate --------------------------------------------------------------------------------------

    def generate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseChatModel.generate`: knows the model, and closes prompts that LangChain leaves open when one fails."""
        frame = self._batch_frame(instance, args, kwargs)
        token = state.enter(frame)
        try:
            return wrapped(*args, **kwargs)
        finally:
            state.leave(frame, token)
            self._close_leftovers(frame)

    async def agenerate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseChatModel.agenerate`."""
        frame = self._batch_frame(instance, args, kwargs)
        token = state.enter(frame)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            state.leave(frame, token)
            self._close_leftovers(frame)

    def generate_with_cache(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseChatModel._generate_with_cache`: one prompt; look-ups, nesting and the true end time."""
        with _Prompt(self._observer, self._call_of(kwargs), self.cache(instance)) as prompt:
            return prompt.answered(wrapped(*args, **kwargs))

    async def agenerate_with_cache(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseChatModel._agenerate_with_cache`; LangChain fires nothing when it is cancelled."""
        call = self._call_of(kwargs)
        try:
            with _Prompt(self._observer, call, self.cache(instance)) as prompt:
                return prompt.answered(await wrapped(*args, **kwargs))
        except BaseException as error:
            if call is not None and not isinstance(error, Exception):
                with shield("cancelled"):
                    close_failed(self._observer, call.run_id, error)
            raise

    # -- streams: each step of the generator is a frame of its own ----------------------------------------------------

    def stream(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Generator[Any, None, None]:
        """`stream` of chat and text models: consumer code between two chunks never sees our context."""
        frame = self._stream_frame(instance)
        return steps(wrapped(*args, **kwargs), frame, functools.partial(self._close_all, frame))

    def astream(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> AsyncGenerator[Any, None]:
        """`astream` of chat and text models."""
        frame = self._stream_frame(instance)
        return asteps(wrapped(*args, **kwargs), frame, functools.partial(self._close_all, frame))

    def events(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Generator[Any, None, None]:
        """`BaseChatModel._iter_v2_events`: the run is open before it; a dropped stream gets no callback at all."""
        frame, close = self._events_frame(instance, kwargs)
        return steps(wrapped(*args, **kwargs), frame, close)

    def aevents(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> AsyncGenerator[Any, None]:
        """`BaseChatModel._aiter_v2_events`."""
        frame, close = self._events_frame(instance, kwargs)
        return asteps(wrapped(*args, **kwargs), frame, close)

    # -- bodies of chains ---------------------------------------------------------------------------------------------

    def config_context(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """`_set_config_context`: runs inside a context that LangChain throws away with the body, so nothing is detached."""
        result = wrapped(*args, **kwargs)
        with shield("config context"):
            config = args[0] if args else kwargs.get("config")
            run_id = getattr((config or {}).get("callbacks"), "parent_run_id", None)
            run = self._observer.around(run_id, None) if run_id is not None else None
            if run is not None and run.context is not None and current_run_id() != run.run_id:
                otel_context.attach(run.context)
        return result

    # -- inside -------------------------------------------------------------------------------------------------------

    def model(self, instance: Any) -> Model | None:
        """What callbacks cannot see of a model object."""
        try:
            return self._directory.model(instance)
        except Exception as error:  # noqa: BLE001  (the boundary, without the price of a context manager)
            swallow("model", error)
            return None

    def cache(self, instance: Any) -> Any:
        """The response cache that a model will use, its class being watched from now on; None if none."""
        try:
            cache = resolve(instance)
            if cache is not None:
                self._watch.meet(cache)
        except Exception as error:  # noqa: BLE001  (the boundary, without the price of a context manager)
            swallow("cache", error)
            return None
        return cache

    def _batch_frame(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Frame:
        prompts = args[0] if args else kwargs.get("messages")
        starts = len(prompts) if isinstance(prompts, list) else 1
        frame = Frame(self.model(instance), starts=starts, sends_at_start=False)
        frame.waits = starts > 1
        return frame

    def _stream_frame(self, instance: Any) -> Frame:
        frame = Frame(self.model(instance), starts=1)
        frame.armed = True
        with shield("cache"):
            cache = resolve(instance)
            frame.bypasses = None if cache is None else self._watch.type_of(cache)
        return frame

    def _events_frame(self, instance: Any, kwargs: dict[str, Any]) -> tuple[Frame, Close]:
        frame = Frame()
        run_id = getattr(kwargs.get("run_manager"), "run_id", None)
        call = self._observer.runs.get(run_id)
        if call is not None:
            frame.context = call.context
            around = state.current_frame()
            if around is None or around.run_id != run_id:
                self._tell(call, instance)
        return frame, functools.partial(self._close_dropped, run_id, kwargs.get("stream"))

    def _tell(self, call: OpenCall, instance: Any) -> None:
        """Tell a version 3 stream, whose start callback has no frame, what the wrappers know of its model."""
        with shield("events"):
            endpoint = self._directory.model(instance).endpoint
            if call.request.server_address is None and endpoint.address is not None:
                self._observer.locate(call, endpoint.address, endpoint.port)
            cache = resolve(instance)
            if cache is not None:
                call.cache = CacheLookup("bypass", self._watch.type_of(cache))

    def _call_of(self, kwargs: dict[str, Any]) -> OpenCall | None:
        return self._observer.runs.get(getattr(kwargs.get("run_manager"), "run_id", None))

    def _close_leftovers(self, frame: Frame) -> None:
        """Close the prompts of a failed batch: the answered ones with their answer, the others uncounted."""
        for run_id in frame.opened:
            call = self._observer.runs.get(run_id)
            if call is None:
                continue
            with shield("leftovers"):
                if call.answer is not None:
                    self._observer.end(run_id, extract.model_response(call.answer))
                elif call.sent:
                    self._observer.end(run_id, Failure("abandoned", "GeneratorExit"))
                else:
                    self._observer.discard(run_id)

    def _close_all(self, frame: Frame, failure: Failure) -> None:
        """Close what a stream opened and LangChain left open: it does so where it cannot merge the chunks."""
        for run_id in frame.opened:
            self._observer.end(run_id, failure)

    def _close_dropped(self, run_id: UUID | None, stream: Any, failure: Failure) -> None:
        """Close the run of a version 3 stream that its consumer dropped; LangChain itself tells of any other end."""
        call = self._observer.runs.get(run_id)
        if call is None or run_id is None:
            return
        if isinstance(call.content, CallContent):
            call.content.arriving = stream  # not before: the run would keep alive what its consumer has dropped
        if failure.kind == "abandoned":
            self._observer.end(run_id, failure)


class _Prompt:
    """`with` one prompt under way: its look-ups are seen, its span is current, and its true end is noted."""

    __slots__ = ("_attached", "_call", "_frame", "_observer", "_token")

    def __init__(self, observer: Observer, call: OpenCall | None, cache: Any) -> None:
        self._observer = observer
        self._call = call
        self._frame = Frame()
        self._frame.cache = cache

    def __enter__(self) -> Self:
        call = self._call
        self._attached = None
        if call is not None:
            self._frame.run_id = call.run_id
            call.sent = True
            if call.span is None:
                with shield("prompt"):
                    self._observer.send(call)
            if call.context is not None:
                self._attached = otel_context.attach(call.context)
        self._token = state.enter(self._frame)
        return self

    def answered(self, result: Any) -> Any:
        """Keep the model's answer until its call ends: another prompt of the batch may fail before."""
        if self._call is not None:
            self._call.answer = result
        return result

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        frame, call = self._frame, self._call
        if state.leave(frame, self._token) and self._attached is not None:
            otel_context.detach(self._attached)
        if call is None:
            return
        # `on_llm_end` of a batch fires after its last prompt.
        call.stopped = time.perf_counter()
        if frame.lookups:
            call.cache = frame.lookups[0].event
        if kind is not None and frame.answer is not None:
            # The model answered and was paid; then the cache failed to store it.
            call.answer = SimpleNamespace(generations=[frame.answer], llm_output=None)
