"""Frames around graphs, retrievers and tools: the span is current while the work runs, and every run is closed.

The bodies of chains, tools and nodes get their span through `_set_config_context` (frames.py). That leaves what a graph does
between its nodes (checkpoints), what a retriever does (it has no such context), and runs that are cancelled without a callback.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from langmeter.boundary import shield
from langmeter.langchain import state
from langmeter.langchain.endings import close_failed_step
from langmeter.langchain.generator_frames import asteps, step_in, step_out, steps
from langmeter.langchain.state import Frame

if TYPE_CHECKING:
    from langmeter.events import Failure
    from langmeter.observer import Observer


class StepFrames:
    """The wrappers around graphs, retrievers and tools; `wrapt` calls them with (wrapped, instance, args, kwargs)."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def stream(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Generator[Any, None, None]:
        """`Pregel.stream`, which `invoke` calls too."""
        frame = _frame(instance)
        return steps(wrapped(*args, **kwargs), frame, functools.partial(self._close, frame))

    def astream(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> AsyncGenerator[Any, None]:
        """`Pregel.astream`, which `ainvoke` calls too."""
        frame = _frame(instance)
        return asteps(wrapped(*args, **kwargs), frame, functools.partial(self._close, frame))

    def run(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseRetriever.invoke`."""
        frame = _frame(instance)
        entered = step_in(frame)
        try:
            return wrapped(*args, **kwargs)
        finally:
            step_out(frame, *entered)

    async def arun(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`BaseRetriever.ainvoke` and `BaseTool.arun`: LangChain fires nothing when they are cancelled."""
        frame = _frame(instance)
        entered = step_in(frame)
        try:
            return await wrapped(*args, **kwargs)
        except BaseException as error:
            if not isinstance(error, Exception):
                with shield("cancelled"):
                    for run_id in frame.opened:
                        close_failed_step(self._observer, run_id, error)
            raise
        finally:
            step_out(frame, *entered)

    async def abatch(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        """`abatch` of a sequence, of retries and of fallbacks: makes the chain known to the callbacks of its runs."""
        frame = Frame()
        frame.subject, frame.batch = instance, True
        token = state.enter(frame)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            state.leave(frame, token)

    def _close(self, frame: Frame, failure: Failure) -> None:
        """Close what a graph opened and LangChain left open."""
        for run_id in frame.opened:
            self._observer.steps.end(run_id, failure)


def _frame(subject: Any) -> Frame:
    frame = Frame()
    frame.subject = subject
    frame.armed = True
    return frame
