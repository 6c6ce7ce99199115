"""Frames around each step of a generator: what is produced has its span current, what is done with it has not.

A generator has no context of its own, and its steps may run in different threads and tasks, so each step attaches and detaches.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import context as otel_context

from langmeter.boundary import shield
from langmeter.events import Failure
from langmeter.langchain import extract, state

if TYPE_CHECKING:
    from langmeter.langchain.state import Frame

Close: TypeAlias = Callable[[Failure], None]
_END: Final = object()


def steps(inner: Iterator[Any], frame: Frame, close: Close) -> Generator[Any, None, None]:
    """The items of `inner`, each produced inside the frame and consumed outside of it."""
    failure = None
    try:
        item = _first_step(inner, frame)
        while item is not _END:
            yield item
            # From here on the start callback has come, and the context is all that a step needs.
            if frame.context is None:
                item = next(inner, _END)
                continue
            attached = otel_context.attach(frame.context)
            try:
                item = next(inner, _END)
            finally:
                # A span that the model itself keeps open over several chunks stays current in it.
                frame.context = otel_context.get_current()
                otel_context.detach(attached)
    except BaseException as error:
        with shield("stream"):
            failure = extract.failure(error)
        raise
    finally:
        try:
            _shut(inner, frame)
        finally:
            if failure is not None:
                with shield("stream"):
                    close(failure)


def _first_step(inner: Iterator[Any], frame: Frame) -> Any:
    entered = step_in(frame)
    try:
        return next(inner, _END)
    finally:
        step_out(frame, *entered)


def _shut(inner: Iterator[Any], frame: Frame) -> None:
    shut = getattr(inner, "close", None)
    if shut is not None:
        entered = step_in(frame)
        try:
            shut()
        finally:
            step_out(frame, *entered)


async def asteps(inner: AsyncIterator[Any], frame: Frame, close: Close) -> AsyncGenerator[Any, None]:
    """The items of `inner`, each produced inside the frame and consumed outside of it."""
    failure = None
    following: Callable[[AsyncIterator[Any], object], Awaitable[Any]] = _first_anext
    try:
        while True:
            entered = step_in(frame)
            try:
                item = await following(inner, _END)
            finally:
                step_out(frame, *entered)
            if item is _END:
                return
            yield item
            following = anext
    except BaseException as error:
        with shield("stream"):
            failure = extract.failure(error)
        raise
    finally:
        try:
            await _ashut(inner, frame)
        finally:
            if failure is not None:
                with shield("stream"):
                    close(failure)


async def _ashut(inner: AsyncIterator[Any], frame: Frame) -> None:
    shut = getattr(inner, "aclose", None)
    if shut is not None:
        entered = step_in(frame)
        try:
            await shut()
        finally:
            step_out(frame, *entered)


def _first_anext(inner: AsyncIterator[Any], end: object) -> Awaitable[Any]:
    """`anext`, with which a generator becomes ours alone to close.

    An event loop that shuts down closes every generator it has seen begin, all at once: one of those that another one is
    just closing raises "already running", which is logged as the application's error.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_closed_by_the_frame)
    try:
        return anext(inner, end)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _closed_by_the_frame(_inner: object) -> None:
    """What happens to a generator that is collected together with the frame around it: the frame is closed, which closes it."""


def step_in(frame: Frame) -> tuple[Any, Any]:
    """Enter a frame with its span current; give what comes back to `step_out`."""
    # Attached even without a span yet: detaching also undoes what the start callback attaches in the first step.
    attached = otel_context.attach(frame.context if frame.context is not None else otel_context.get_current())
    return state.enter(frame), attached


def step_out(frame: Frame, token: Any, attached: Any) -> None:
    """Leave a frame; the context is as it was before `step_in`."""
    context = otel_context.get_current()
    if state.leave(frame, token):
        if frame.context is not None:
            # A span that the model itself keeps open over several chunks stays current in it.
            frame.context = context
        otel_context.detach(attached)
