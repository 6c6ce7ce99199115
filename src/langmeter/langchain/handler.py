"""The callback handler: LangChain's events, translated and passed on; and the slot that installs one for everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from opentelemetry import context as otel_context

from langmeter.boundary import guarded
from langmeter.events import CacheLookup, ModelResponse
from langmeter.langchain import answers, captured, extract, fingerprints, runnables
from langmeter.langchain.attribution import Attribution
from langmeter.langchain.caching.ghost import DeferredHash, chat_hash, text_hash
from langmeter.langchain.capture import add, add_answer, capture
from langmeter.langchain.content_size import CallContent
from langmeter.langchain.endings import close_failed, own_answer
from langmeter.langchain.state import Frame, current_frame
from langmeter.langchain.step_callbacks import StepCallbacks
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


def register_hook() -> None:
    """Make LangChain ask `installed` from now on. Registering again has no effect; the hook is never taken back."""
    register_configure_hook(installed, inheritable=True)  # type: ignore[arg-type]  # quacks like the ContextVar it asks for


class CallbackHandler(StepCallbacks, BaseCallbackHandler):
    """Spans, tokens, cost and chat-cache hits for the model, chain, agent or call that it is passed to, without any patch.

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
        self.attribution = Attribution(observer.settings)
        self._captures = observer.settings.content != "off"

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
            call.key = DeferredHash(chat_hash, serialized, messages[0], kwargs.get("invocation_params"))
        if self._captures:
            given = kwargs.get("invocation_params"), kwargs.get("options"), self.observer.settings
            capture(self.observer, call, captured.call_content, messages[0], *given)
            self._add_variables(call, kwargs.get("parent_run_id"))

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
            call.key = DeferredHash(text_hash, prompts[0], kwargs.get("invocation_params"))
        if frame is not None and frame.cache is not None:
            call.cache = frame.missed(prompts[0])
        if self._captures:
            capture(self.observer, call, captured.prompt_content, prompts[0])
            self._add_variables(call, kwargs.get("parent_run_id"))

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
            add_answer(call, captured.answer_content, response)
            try:
                outcome = own_answer(extract.model_response(response), response, call)
            finally:
                self.observer.finish(call, outcome)

    @guarded("on_llm_error")
    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **_: Any) -> None:
        """Close a call with its failure."""
        close_failed(self.observer, run_id, error, response)

    # -- chains: model calls too, where they are decision models --------------------------------------------------------

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        run_type: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Open a chain, or the call of a decision model."""
        if run_type == "llm":
            self._start_decision(serialized, inputs, run_id=run_id, parent_run_id=parent_run_id, **kwargs)
        elif self.sees_steps():
            self.start_chain(run_id, parent_run_id, inputs=inputs, run_type=run_type, **kwargs)

    @guarded("on_chain_start")
    def _start_decision(self, serialized: Any, inputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        call = self._start("chat", serialized, run_id, kwargs)
        capture(self.observer, call, captured.chain_content, inputs)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Close a chain, or the call of a decision model."""
        if run_id in self.observer.runs:
            self._end_decision(outputs, run_id)
        else:
            self.end_chain(run_id, outputs, kwargs.get("inputs"))

    @guarded("on_chain_end")
    def _end_decision(self, outputs: Any, run_id: UUID) -> None:
        outcome = ModelResponse()
        add_answer(self.observer.runs.get(run_id), captured.chain_answer_content, outputs)
        try:
            outcome = extract.decision_response(outputs)
        finally:
            self.observer.end(run_id, outcome)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Close a failed chain, or the failed call of a decision model."""
        if run_id in self.observer.runs:
            self.on_llm_error(error, run_id=run_id)
        else:
            self.fail_step(run_id, error)

    # -- inside ----------------------------------------------------------------------------------------------------

    def sees_steps(self) -> bool:
        """Whether the steps of this process are this handler's to report: not to count for `track()` alone, nor twice."""
        return not (self.steps_back or self._is_silent())

    def claims_frames(self) -> bool:
        """Whether the frames around LangChain's methods belong to this handler."""
        return self._is_first()

    def _is_silent(self) -> bool:
        """Whether another handler reports, or this one has been taken out."""
        active = installed.handler
        return self.retired or (active is not None and active is not self and not active.steps_back)

    def _add_variables(self, call: OpenCall | None, sequence: UUID | None) -> None:
        """Add what the prompt before the call in the same sequence was filled with."""
        if call is not None and call.captured is not None:
            around = self.observer.steps.table.get(sequence)
            add(call, captured.prompt_variables_content, around.prompt_variables if around is not None else None)

    def _keyed(self) -> bool:
        """Whether calls come with the hash that ghost mode knows equal calls by."""
        return listeners.want_keys or self.observer.settings.cache_ghost

    def _is_first(self) -> bool:
        """Whether this handler has the frames and the blocks of `track()` to itself: the installed one, or where none is."""
        return installed.handler is None or installed.handler is self

    def _start(self, operation: Operation, serialized: Any, run_id: UUID, kwargs: dict[str, Any]) -> OpenCall | None:
        if self._is_silent():
            return None
        first = self._is_first()
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
            attributed=self.attribution.read(kwargs.get("metadata")),
        )
        waits = frame is not None and model is not None and frame.waits
        call = self.observer.begin(run_id, kwargs.get("parent_run_id"), request, tracked=first, waits=waits)
        if call is not None and self.observer.settings.describe:
            call.configuration = fingerprints.shared.of(runnables.calling_runnable())
        if call is not None and frame is not None and model is not None:
            _enter(frame, call, run_id)
        return call


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
