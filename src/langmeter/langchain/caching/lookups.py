"""Look-ups that our own code makes, counted like those of LangChain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from langmeter.boundary import shield
from langmeter.langchain import state
from langmeter.langchain.handler import installed
from langmeter.langchain.state import Frame, current_frame


@contextlib.contextmanager
def counted(cache: Any) -> Iterator[None]:
    """Around a look-up that a stream makes: it is counted on that stream's call. Nothing happens while we are switched off."""
    handler, around = installed.handler, current_frame()
    if handler is None or handler.watch is None or around is None:
        yield
        return
    frame = Frame()
    frame.cache = cache
    with shield("cache"):
        handler.watch.meet(cache)
    token = state.enter(frame)
    try:
        yield
    finally:
        state.leave(frame, token)
        with shield("cache"):
            call = handler.observer.runs.get(around.opened[-1]) if around.opened else None
            if call is not None:
                # A look-up that no patch can see is no bypass either: its hit is told by LangChain's own mark.
                call.cache = frame.lookups[0].event if frame.lookups else None
