"""Frames around LangChain's text models (`BaseLLM`), whose response cache works before and without any callback.

All prompts of a batch are looked up first; only the missing ones get a run. So a miss is matched to its run by its prompt,
and the call of a hit is made up from the look-up. Private names relied on, each optional: `_generate_helper`,
`_agenerate_helper`; without them, what is lost is nesting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from langmeter.boundary import shield
from langmeter.events import ModelResponse
from langmeter.langchain import captured, extract, state
from langmeter.langchain.attribution import Attribution
from langmeter.langchain.capture import add, capture
from langmeter.langchain.endings import close_failed
from langmeter.langchain.state import Frame, Lookup

if TYPE_CHECKING:
    from uuid import UUID

    from langmeter.langchain.frames import ModelFrames
    from langmeter.observer import Observer


class TextFrames:
    """The wrappers around text models; `wrapt` calls them with (wrapped, instance, args, kwargs)."""

    def __init__(self, observer: Observer, models: ModelFrames) -> None:
        self._observer = observer
        self._models = models
        self._attribution = Attribution(observer.settings)

    def generate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseLLM.generate`: collects the look-ups and makes up the calls of the hits."""
        frame = self._frame(instance, args, kwargs)
        token = state.enter(frame)
        try:
            return wrapped(*args, **kwargs)
        finally:
            state.leave(frame, token)
            self._report_lookups(frame, instance, args, kwargs)

    async def agenerate(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseLLM.agenerate`."""
        frame = self._frame(instance, args, kwargs)
        token = state.enter(frame)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            state.leave(frame, token)
            self._report_lookups(frame, instance, args, kwargs)

    def helper(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseLLM._generate_helper`: one request for all missing prompts, nested under the first of them."""
        with self._request(args, kwargs):
            return wrapped(*args, **kwargs)

    async def ahelper(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseLLM._agenerate_helper`."""
        with self._request(args, kwargs):
            return await wrapped(*args, **kwargs)

    def _frame(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Frame:
        prompts = args[0] if args else kwargs.get("prompts")
        model = self._models.model(instance)
        if model is not None and kwargs.get("metadata") is None:
            with shield("text model"):
                model = model._replace(facts=_facts(instance, kwargs))
        frame = Frame(model, starts=len(prompts) if isinstance(prompts, list) else 1)
        frame.cache = self._models.cache(instance)
        frame.keeps_answers = True
        return frame

    @contextmanager
    def _request(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[None]:
        managers = args[2] if len(args) > 2 else kwargs.get("run_managers")  # noqa: PLR2004  (prompts, stop, run_managers)
        run_ids: list[UUID] = [manager.run_id for manager in managers or ()]
        call = self._observer.runs.get(run_ids[0]) if run_ids else None
        frame = Frame()
        attached = otel_context.attach(call.context) if call is not None and call.context is not None else None
        token = state.enter(frame)
        try:
            yield
        except BaseException as error:
            for run_id in run_ids:
                # LangChain tells of a model that failed, but not of an answer that it cannot take apart.
                with shield("text model"):
                    close_failed(self._observer, run_id, error)
            raise
        else:
            for run_id in run_ids:
                # Nor of an answer that holds fewer results than there were prompts.
                with shield("text model"):
                    self._observer.end(run_id, ModelResponse())
        finally:
            if state.leave(frame, token) and attached is not None:
                otel_context.detach(attached)

    def _report_lookups(self, frame: Frame, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # The misses have been taken by their runs.
        places: dict[Any, int] = {}
        for lookup in frame.lookups:
            with shield("text model cache"):
                if lookup.outcome is not None:
                    # Equal prompts of a batch have each a look-up, a parent and metadata of their own.
                    place = _prompts(args, kwargs).index(lookup.prompt, places.get(lookup.prompt, 0))
                    places[lookup.prompt] = place + 1
                    self._report(lookup, place, frame, instance, args, kwargs)

    def _report(
        self, lookup: Lookup, place: int, frame: Frame, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        metadata = _metadata(place, kwargs)
        request = extract.model_request(
            "text_completion",
            metadata={**_facts(instance, kwargs), **metadata},
            endpoint=frame.model.endpoint if frame.model is not None else None,
            class_name=type(instance).__name__,
            attributed=self._attribution.read(metadata),
        )
        call = self._observer.open(request, _parent_run_id(place, args, kwargs), lookup.started)
        call.stopped = lookup.started + (lookup.event.duration or 0.0)
        call.cache = lookup.event
        capture(self._observer, call, captured.prompt_content, lookup.prompt)
        add(call, captured.answer_content, lookup.found)
        self._observer.finish(call, lookup.outcome or ModelResponse())


def _facts(instance: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """LangChain's own metadata of the model, for the model that this call asks for."""
    model = kwargs.get("model")
    facts: dict[str, Any] = instance._get_ls_params(**({"model": model} if isinstance(model, str) else {}))
    return facts


def _prompts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    prompts: list[Any] = args[0] if args else kwargs["prompts"]
    return prompts


def _metadata(place: int, kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """The metadata given with a prompt of the batch: one mapping for all prompts, or one for each."""
    metadata = kwargs.get("metadata")
    if isinstance(metadata, list):
        metadata = metadata[place]
    return metadata if isinstance(metadata, Mapping) else {}


def _parent_run_id(place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> UUID | None:
    """The run that a prompt of the batch belongs to: one callback manager for all prompts, or one for each."""
    callbacks = args[2] if len(args) > 2 else kwargs.get("callbacks")  # noqa: PLR2004  (prompts, stop, callbacks)
    if isinstance(callbacks, list):
        callbacks = callbacks[place] if place < len(callbacks) else None
    parent: UUID | None = getattr(callbacks, "parent_run_id", None)
    return parent
