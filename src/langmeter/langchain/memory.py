"""The long-term memory of agents: LangGraph's stores, which call back to nobody."""

from __future__ import annotations

from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from langmeter import semconv
from langmeter.boundary import shield
from langmeter.events import StepKind, StepRequest
from langmeter.langchain import captured, extract, state
from langmeter.langchain.attribution import Attribution
from langmeter.langchain.capture import add_answer, capture
from langmeter.langchain.endings import note_failure
from langmeter.langchain.names import name_in
from langmeter.telemetry.spans import current_run_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langmeter.events import ParameterValue
    from langmeter.observer import Observer
    from langmeter.runs import OpenStep

OPERATIONS: Final[dict[str, StepKind]] = {
    "get": "search_memory",
    "search": "search_memory",
    "put": "upsert_memory",
    "delete": "delete_memory",
}
"""The conventions' operation for each method of a store; `put` leaves it to the store whether a record is new."""


class MemoryFrames:
    """The wrappers around the methods of a LangGraph store; `wrapt` calls them with (wrapped, instance, args, kwargs)."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._attribution = Attribution(observer.settings)

    def call(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseStore.get`, `search`, `put`, `delete`."""
        with self._operation(wrapped.__name__, instance, args, kwargs) as results:
            results.append(wrapped(*args, **kwargs))
        return results[0]

    async def acall(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseStore.aget`, `asearch`, `aput`, `adelete`."""
        with self._operation(wrapped.__name__.removeprefix("a"), instance, args, kwargs) as results:
            results.append(await wrapped(*args, **kwargs))
        return results[0]

    @contextmanager
    def _operation(self, method: str, store: Any, args: Any, kwargs: Any) -> Iterator[list[Any]]:
        around = state.current_frame()
        if around is not None and around.busy and around.subject is store:
            yield []  # a method of the store that another one calls
            return
        results: list[Any] = []
        step = self._begin(method, args, kwargs)
        frame = state.Frame()
        frame.subject, frame.busy = store, True
        attached = otel_context.attach(step.context) if step is not None and step.context is not None else None
        token = state.enter(frame)
        try:
            yield results
        except BaseException as error:
            self._end(step, method, results, error)
            raise
        else:
            self._end(step, method, results, None)
        finally:
            if state.leave(frame, token) and attached is not None:
                otel_context.detach(attached)

    def _begin(self, method: str, args: Any, kwargs: Any) -> OpenStep | None:
        with shield("memory"):
            parameters: list[tuple[str, ParameterValue]] = []
            if method != "search":
                record = name_in(args[1] if len(args) > 1 else kwargs.get("key"))
                if record is not None:
                    parameters.append((semconv.MEMORY_RECORD_ID, record))
            request = StepRequest(OPERATIONS[method], parameters=tuple(parameters))
            around = self._observer.around(None, current_run_id())
            step = self._observer.steps.open(around, self._attribution.of_inner(request, around))
            if method in ("get", "search"):
                capture(self._observer, step, captured.memory_query_content, kwargs.get("query"))
            elif method == "put":
                value = args[2] if len(args) > 2 else kwargs.get("value")  # noqa: PLR2004  (namespace, key, value)
                capture(self._observer, step, captured.memory_records_content, value)
            return step
        return None

    def _end(self, step: OpenStep | None, method: str, results: list[Any], error: BaseException | None) -> None:
        if step is None:
            return
        with shield("memory"):
            failure = None
            try:
                if error is None:
                    if OPERATIONS[method] == "search_memory":
                        add_answer(step, captured.memory_records_content, results[0])
                    count = (semconv.MEMORY_RECORD_COUNT, _count(method, results[0]))
                    step.request = step.request._replace(parameters=(*step.request.parameters, count))
                else:
                    failure = extract.failure(error, with_message=self._observer.settings.exception_messages)
                    failure = note_failure(step, error, failure)
            finally:
                self._observer.steps.finish(step, failure)


def _count(method: str, result: Any) -> int:
    """How many records a read found; for a write, how many it was for."""
    if method == "search":
        return len(result) if isinstance(result, Sized) else 0
    return int(result is not None) if method == "get" else 1
