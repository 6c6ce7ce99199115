"""The callback handler: LangChain's events, translated and passed on; and the slot that installs one for everything."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult
from langchain_core.tracers.context import register_configure_hook
from opentelemetry import context as otel_context

from langmeter import semconv
from langmeter.boundary import guarded
from langmeter.events import CacheLookup, Failure, ModelResponse, ReportedUsage
from langmeter.langchain import answers, extract
from langmeter.langchain.caching.ghost import chat_hash, text_hash
from langmeter.langchain.content_size import CallContent
from langmeter.langchain.state import Frame, current_frame
from langmeter.listeners import listeners
from langmeter.observer import Observer, Providers, observer_for
from langmeter.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from langmeter.events import Operation
    from langmeter.langchain.cache import CacheWatch
    from langmeter.langchain.providers import Model
    from langmeter.runs import OpenCall


class InstalledHandler:
    """What LangChain's configure hook asks for the handler of every run: it only ever calls `get`."""

    handler: CallbackHandler | None = None

    def get(self) -> CallbackHandler | None:
        """The installed handler, or None."""
        return self.handler


installed: Final = InstalledHandler()
_NOTHING: Final = LLMResult(generations=[])


def register_hook() -> None:
    """Make LangChain ask `installed` from now on. Registering again has no effect; the hook is never taken back."""
    register_configure_hook(installed, inheritable=True)  # type: ignore[arg-type]  # quacks like the ContextVar it asks for


class CallbackHandler(BaseCallbackHandler):
    """Spans, tokens, cost and chat-cache hits for the model, chain or call that it is passed to, without patching anything.

    `model.invoke(..., config={"callbacks": [CallbackHandler()]})`. Look-up times, hits of text models and the nesting of
    HTTP spans need `instrument()`; while that is in force a passed handler stays silent, so nothing is counted twice.
    Never raises into LangChain; safe to share between threads, to copy and to pickle.

    Args:
        settings: options; `Settings()` if left out.
        tracer_provider: where spans go; the global provider if left out.
        meter_provider: where metrics go; the global provider if left out.
    """

    # Async runs would otherwise start this handler on the default executor and wait for a free thread there.
    run_inline = True
    steps_back = False
    """True for a handler that only counts for `track()`: it does not silence the handlers that the application passes."""
    retired = False
    """True once `uninstrument()` has taken it out: chains under way still have it in their lists."""
    watch: CacheWatch | None = None
    """Sees look-ups in response caches; None for a handler that patches nothing."""
    ignore_agent = True
    ignore_retriever = True
    ignore_retry = True
    ignore_custom_event = True

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        observer: Observer | None = None,
    ) -> None:
        if observer is None:
            observer = observer_for(settings or Settings(), Providers(tracer_provider, meter_provider))
        self.observer = observer

    # -- copies: LangChain's own tracers do the same, and deep-copying a model must not copy locks ------------------

    def __copy__(self) -> CallbackHandler:
        return self

    def __deepcopy__(self, _memo: object) -> CallbackHandler:
        return self

    def __reduce__(self) -> tuple[type[CallbackHandler], tuple[()]]:
        # Providers belong to their process: the copy over there finds the global ones.
        return CallbackHandler, ()

    # -- model calls -----------------------------------------------------------------------------------------------

    @guarded("on_chat_model_start")
    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Open a chat call."""
        call = self._start("chat", serialized, run_id, kwargs)
        if call is not None and self.observer.settings.estimates:
            call.content = CallContent(messages[0], kwargs.get("invocation_params"))
        if call is not None and self._keyed():
            call.key = functools.partial(chat_hash, serialized, messages[0], kwargs.get("invocation_params"))

    @guarded("on_llm_start")
    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Open a text-model call."""
        call = self._start("text_completion", serialized, run_id, kwargs)
        frame = current_frame() if self._is_first() else None
        if call is None:
            return
        batched = kwargs.get("batch_size", 1) > 1
        if batched:
            call.later_in_batch = frame is None or frame.opened[:1] != [run_id]
            if call.later_in_batch and frame is not None and frame.opened:
                call.first_in_batch = self.observer.runs.get(frame.opened[0])
        if self.observer.settings.estimates:
            call.content = CallContent(prompts[0], None, shares_usage=batched)
        if self._keyed():
            call.key = functools.partial(text_hash, prompts[0], kwargs.get("invocation_params"))
        if frame is not None and frame.cache is not None:
            call.cache = frame.missed(prompts[0])

    def on_llm_new_token(self, token: Any = None, *, run_id: UUID, chunk: Any = None, **_: Any) -> None:
        """Note a chunk. LangChain passes `token` by position or by name, as text or as a list; its content is not read."""
        call = self.observer.runs.get(run_id)
        if call is None:
            return
        if call.first_chunk is None or (call.chunk_gaps is not None and not answers.is_closing(token, chunk)):
            self.observer.chunk(call)

    @guarded("on_stream_event")
    def on_stream_event(self, event: Any = None, *, run_id: UUID, **_: Any) -> None:
        """Note an event of a version 3 stream."""
        call = self.observer.runs.get(run_id)
        if call is not None and call.first_chunk is None:
            self.observer.chunk(call)

    @guarded("on_llm_end")
    def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
        """Close a call with its answer."""
        call = self.observer.runs.take(run_id)
        if call is not None:
            outcome = ModelResponse()
            call.answer = response
            try:
                outcome = _own(extract.model_response(response), response, call)
            finally:
                self.observer.finish(call, outcome)

    @guarded("on_llm_error")
    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        """Close a call with its failure."""
        close_failed(self.observer, run_id, error, response)

    # -- decision models: model calls that LangChain reports as chains -----------------------------------------------

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_type: str | None = None, **kwargs: Any) -> None:
        """Open the call of a decision model; every other chain passes by."""
        if run_type == "llm":
            self._start_decision(serialized, **kwargs)

    @guarded("on_chain_start")
    def _start_decision(self, serialized: Any, *, run_id: UUID, **kwargs: Any) -> None:
        self._start("chat", serialized, run_id, kwargs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """Close the call of a decision model."""
        if run_id in self.observer.runs:
            self._end_decision(outputs, run_id)

    @guarded("on_chain_end")
    def _end_decision(self, outputs: Any, run_id: UUID) -> None:
        outcome = ModelResponse()
        try:
            outcome = extract.decision_response(outputs)
        finally:
            self.observer.end(run_id, outcome)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Close the failed call of a decision model."""
        if run_id in self.observer.runs:
            self.on_llm_error(error, run_id=run_id)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _keyed(self) -> bool:
        """Whether calls come with the hash that ghost mode knows equal calls by."""
        return listeners.want_keys or self.observer.settings.cache_ghost

    def _is_first(self) -> bool:
        """Whether this handler has the frames and the blocks of `track()` to itself: the installed one, or where none is."""
        return installed.handler is None or installed.handler is self

    def _start(self, operation: Operation, serialized: Any, run_id: UUID, kwargs: dict[str, Any]) -> OpenCall | None:
        active, first = installed.handler, self._is_first()
        if self.retired or (not first and active is not None and not active.steps_back):
            return None
        frame = current_frame() if first else None
        model = frame.claim() if frame is not None else None
        request = extract.model_request(
            operation,
            serialized=serialized,
            metadata=_metadata(kwargs.get("metadata"), model),
            invocation_params=kwargs.get("invocation_params"),
            options=kwargs.get("options"),
            endpoint=model.endpoint if model is not None else None,
            class_name=model.class_name if model is not None else None,
        )
        waits = frame is not None and model is not None and frame.waits
        call = self.observer.begin(run_id, kwargs.get("parent_run_id"), request, tracked=first, waits=waits)
        if call is not None and frame is not None and model is not None:
            _enter(frame, call, run_id)
        return call


def _own(outcome: ModelResponse, response: Any, call: OpenCall) -> ModelResponse:
    """The answer without what another run is billed for, and without a mark of replay that is not its own."""
    if outcome.usage.replayed and answers.made_by(response, (call.run_id,)):
        # A cache in memory shares the answer with the call that made it: a hit meanwhile has marked both.
        outcome = outcome._replace(usage=outcome.usage._replace(replayed=False))
    replayed_inside = outcome.usage.replayed and (call.cache is None or call.cache.status != "hit")
    if call.nested and (replayed_inside or answers.made_by(response, call.nested)):
        # A model that hands on the answer of another one.
        outcome = outcome._replace(usage=ReportedUsage(), usage_counted_elsewhere=True)
    elif outcome.usage_counted_elsewhere and (not call.later_in_batch or _is_lost(call.first_in_batch)):
        outcome = outcome._replace(usage_counted_elsewhere=False)
    call.usage_lost = outcome.usage.tokens is None
    return outcome


def _is_lost(first: OpenCall | None) -> bool:
    """Whether the first prompt of a batch has ended without the usage that LangChain gives to it."""
    return first is not None and first.usage_lost


def close_failed(observer: Observer, run_id: UUID | None, error: BaseException, response: Any = None) -> None:
    """Close the call of a run with its failure, if it is open; what the model had answered before is kept."""
    call = observer.runs.take(run_id) if run_id is not None else None
    if call is None:
        return
    outcome = Failure("error", semconv.ERROR_OTHER)
    try:
        outcome = extract.failure(error, response, with_message=observer.settings.exception_messages)
        if call.answer is not None:
            outcome = outcome._replace(partial=extract.model_response(call.answer))
        elif response is not None:
            # Where LangChain shows no part of a stream, at most its last chunk had arrived.
            call.answer = response if outcome.partial is not None else _NOTHING if call.streams else None
    finally:
        observer.finish(call, outcome)


def _metadata(metadata: Any, model: Model | None) -> Any:
    """The run's metadata; LangChain leaves out what it knows of a text model whose `generate` is called directly."""
    if model is None or not model.facts:
        return metadata
    return {**model.facts, **(metadata if isinstance(metadata, dict) else {})}


def _enter(frame: Frame, call: OpenCall, run_id: UUID) -> None:
    """Let the frame around the call know its run, and make the span current where only a callback can do so."""
    frame.opened.append(run_id)
    call.sent = frame.sends_at_start
    if frame.bypasses is not None:
        call.cache = CacheLookup("bypass", frame.bypasses)
    call.streams = frame.armed
    if frame.armed and call.context is not None:
        # A stream opens its run inside its first step: the frame around that step detaches what is attached here.
        frame.armed = False
        frame.context = call.context
        otel_context.attach(call.context)
