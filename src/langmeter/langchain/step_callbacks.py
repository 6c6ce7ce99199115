"""The callbacks of everything that is not a model: chains, tools, retrievers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from langmeter.boundary import guarded
from langmeter.langchain import captured, fingerprints, runnables, step_requests
from langmeter.langchain.capture import Read, add, add_answer, capture
from langmeter.langchain.endings import close_failed_step
from langmeter.langchain.state import current_frame
from langmeter.runs import OpenStep
from langmeter.telemetry.spans import current_run_id

if TYPE_CHECKING:
    from uuid import UUID

    from langmeter.events import StepRequest
    from langmeter.langchain.attribution import Attribution
    from langmeter.observer import Observer
    from langmeter.runs import OpenRun


class StepCallbacks:
    """The part of the handler that sees steps. A run without a span is remembered all the same: it leads to its parent."""

    observer: Observer
    attribution: Attribution

    def sees_steps(self) -> bool:
        """Whether the steps of this process are this handler's to report."""
        raise NotImplementedError

    def claims_frames(self) -> bool:
        """Whether the frames around LangChain's methods belong to this handler."""
        raise NotImplementedError

    # -- chains ----------------------------------------------------------------------------------------------------

    @guarded("on_chain_start")
    def start_chain(self, run_id: UUID, parent_run_id: UUID | None, **kwargs: Any) -> None:
        """Open an agent or a workflow, and pass by any other chain."""
        around = self._around(parent_run_id)
        if kwargs.get("run_type") == "prompt" and self.observer.settings.content != "off":
            sequence = self.observer.steps.table.get(parent_run_id)
            if sequence is not None:
                sequence.prompt_variables = kwargs.get("inputs")
        runnable = runnables.calling_runnable() or self._batched()
        request = step_requests.chain_request(
            runnable,
            kwargs.get("name"),
            kwargs.get("metadata"),
            run_type=kwargs.get("run_type"),
            outermost=around is None and self.observer.steps.table.get(parent_run_id) is None,
        )
        if request is None:
            self.observer.steps.pass_by(run_id, around, parent_run_id)
        else:
            self._begin(run_id, parent_run_id, self.attribution.of_step(request, kwargs.get("metadata")), runnable)
            self._capture(run_id, captured.chain_content, kwargs.get("inputs"))

    @guarded("on_chain_end")
    def end_chain(self, run_id: UUID, outputs: Any, inputs: Any = None) -> None:
        """Close a chain. One that was streamed into knows its inputs only now."""
        step = self.observer.steps.table.get(run_id)
        if inputs is not None:
            add(step, captured.chain_content, inputs)
        add_answer(step, captured.chain_answer_content, outputs)
        self.observer.steps.end(run_id)

    @guarded("on_chain_error")
    def fail_step(self, run_id: UUID, error: BaseException) -> None:
        """Close any step with its failure."""
        close_failed_step(self.observer, run_id, error)

    # -- tools -----------------------------------------------------------------------------------------------------

    @guarded("on_tool_start")
    def on_tool_start(
        self, serialized: Any, input_str: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Open the execution of a tool."""
        if self.sees_steps():
            request = step_requests.tool_request(
                serialized,
                name=kwargs.get("name"),
                tool_call_id=kwargs.get("tool_call_id"),
                metadata=kwargs.get("metadata"),
            )
            request = self.attribution.of_step(request, kwargs.get("metadata"))
            self._begin(run_id, parent_run_id, request, None)
            self._capture(run_id, captured.tool_call_content, kwargs.get("inputs"), input_str)

    @guarded("on_tool_end")
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Close the execution of a tool. A failure that the tool itself has handled is none."""
        step = self.observer.steps.table.get(run_id)
        add_answer(step, captured.tool_result_content, output)
        if isinstance(step, OpenStep):
            step.request = step_requests.answered_tool(step.request, output)
        self.observer.steps.end(run_id)

    @guarded("on_tool_error")
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Close the failed execution of a tool."""
        close_failed_step(self.observer, run_id, error)

    # -- retrievers ------------------------------------------------------------------------------------------------

    @guarded("on_retriever_start")
    def on_retriever_start(
        self, serialized: Any, query: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Open a retrieval."""
        if self.sees_steps():
            retriever = runnables.calling_runnable()
            request = step_requests.retrieval_request(retriever, kwargs.get("metadata"))
            request = self.attribution.of_step(request, kwargs.get("metadata"))
            self._begin(run_id, parent_run_id, request, retriever)
            self._capture(run_id, captured.query_content, query)

    @guarded("on_retriever_end")
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_: Any) -> None:
        """Close a retrieval."""
        add_answer(self.observer.steps.table.get(run_id), captured.documents_content, documents)
        self.observer.steps.end(run_id)

    @guarded("on_retriever_error")
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Close a failed retrieval."""
        close_failed_step(self.observer, run_id, error)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _around(self, parent_run_id: UUID | None) -> OpenRun | None:
        return self.observer.around(parent_run_id, current_run_id())

    def _capture(self, run_id: UUID, read: Read, *values: Any) -> None:
        step = self.observer.steps.table.get(run_id)
        if isinstance(step, OpenStep):
            capture(self.observer, step, read, *values)

    def _batched(self) -> Any:
        """The chain whose `abatch` is under way: it starts its runs in tasks, where it is not on the stack."""
        frame = current_frame() if self.claims_frames() else None
        return frame.subject if frame is not None and frame.batch else None

    def _begin(self, run_id: UUID, parent_run_id: UUID | None, request: StepRequest, subject: Any) -> None:
        around = self._around(parent_run_id)
        ambient = self.observer.steps.ambient(parent_run_id) if around is None else None
        step = self.observer.steps.begin(run_id, around, request, ambient)
        if step is not None and self.observer.settings.describe:
            step.configuration = fingerprints.shared.of(subject)
        frame = current_frame() if step is not None and self.claims_frames() else None
        if step is None or frame is None or not frame.armed or frame.subject is None:
            return
        if frame.subject is not (subject or runnables.calling_runnable()):
            return
        frame.armed = False
        frame.opened.append(run_id)
        if step.context is not None:
            # The frame around this run detaches what is attached here.
            frame.context = step.context
            otel_context.attach(step.context)
