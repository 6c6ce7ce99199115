"""How runs end: with an answer that is their own, or with a failure that is reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from langchain_core.outputs import LLMResult

from langmeter import semconv
from langmeter.events import Failure, ModelResponse, ReportedUsage
from langmeter.langchain import answers, captured, extract
from langmeter.langchain.capture import add_answer
from langmeter.runs import OpenStep

if TYPE_CHECKING:
    from uuid import UUID

    from langmeter.observer import Observer
    from langmeter.runs import OpenCall, OpenRun

_NOTHING: Final = LLMResult(generations=[])


def own_answer(outcome: ModelResponse, response: Any, call: OpenCall) -> ModelResponse:
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
        outcome = note_failure(call, error, outcome)
        if call.answer is not None:
            outcome = outcome._replace(partial=extract.model_response(call.answer))
        elif response is not None:
            # Where LangChain shows no part of a stream, at most its last chunk had arrived.
            call.answer = response if outcome.partial is not None else _NOTHING if call.streams else None
        add_answer(call, captured.answer_content, call.answer)
    finally:
        observer.finish(call, outcome)


def close_failed_step(observer: Observer, run_id: UUID, error: BaseException) -> None:
    """Close the step of a run with its failure, if it is open."""
    step = observer.steps.table.take(run_id)
    if not isinstance(step, OpenStep):
        return
    failure = Failure("error", semconv.ERROR_OTHER)
    try:
        failure = extract.failure(error, with_message=observer.settings.exception_messages)
        failure = note_failure(step, error, failure)
    finally:
        observer.steps.finish(step, failure)


def note_failure(run: OpenRun, error: BaseException, failure: Failure) -> Failure:
    """The failure of a run, marked if a run inside it has reported the same exception, which is on its way up."""
    mark = (id(error), type(error), _place(error))
    if run.parent is not None:
        run.parent.reported = mark
    return failure._replace(reported=True) if run.reported == mark else failure


def _place(error: BaseException) -> tuple[str, int] | None:
    """Where an exception was raised: another one may have got the address of the last since that was freed."""
    trace = error.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
