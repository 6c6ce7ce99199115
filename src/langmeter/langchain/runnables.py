"""What kind of runnable a chain callback comes from: callbacks get a name only, and any name can mean anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from langchain_core.language_models import BaseLanguageModel
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    Runnable,
    RunnableBranch,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnableSequence,
)
from langchain_core.tools import BaseTool

TYPE_NAMES: Final = frozenset(
    {"LangGraph", "StateGraph", "CompiledStateGraph", "Pregel", "AgentExecutor", "RunnableWithMessageHistory"}
)
"""Names that LangChain gives where the application gave none."""
_FRAMES: Final = 32
"""Frames between a callback and the runnable that it is about: 3 in synchronous code, about 12 in asynchronous."""
_DEPTH: Final = 8
_ITERATOR: Final = "AgentExecutorIterator"
"""What `AgentExecutor.iter` gives: it starts the run itself."""
_HISTORY: Final = "langchain_core.runnables.history"
_INSTEAD: Final = ("fallbacks", "alternatives")
"""Fields of what runs instead of a runnable's model, not besides it."""
_WORKERS: Final = (BaseLanguageModel, BaseRetriever, BaseTool)


def calling_runnable() -> Any:
    """The runnable whose method made LangChain call back; None where it cannot be told.

    LangChain hands callbacks the name of a chain but not the chain. The method that starts a run is always on the stack
    above its start callback, as the nearest one of a runnable.
    """
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        above = frame.f_back
        if above is None:
            return None
        frame = above
        code = frame.f_code
        if code.co_argcount and code.co_varnames[0] == "self":
            owner = frame.f_locals.get("self")
            if isinstance(owner, Runnable):
                return owner
            if type(owner).__name__ == _ITERATOR:
                return getattr(owner, "agent_executor", None)
    return None


def is_graph(runnable: Any) -> bool:
    """Whether it is a compiled LangGraph graph; recognised without importing LangGraph."""
    pregel = getattr(sys.modules.get("langgraph.pregel"), "Pregel", None)
    return isinstance(pregel, type) and isinstance(runnable, pregel)


def is_agent_executor(runnable: Any) -> bool:
    """Whether it is the agent of LangChain before version 1, which lives on in `langchain-classic`."""
    return any(cls.__name__ == "AgentExecutor" for cls in type(runnable).__mro__)


def is_named(runnable: Any, name: Any) -> bool:
    """Whether the application chose the name of this run: LangChain makes up one from the class, or from a function."""
    if isinstance(runnable, RunnableLambda | RunnableGenerator):
        return bool(name != runnable.get_name())
    return bool(getattr(runnable, "name", None)) or bool(name != runnable.get_name())


def coordinates(runnable: Any) -> bool:
    """Whether a chain coordinates several models, retrievers, tools or graphs; a single model in wrappers does not."""
    if not isinstance(runnable, RunnableSequence | RunnableParallel | RunnableBranch):
        return False
    workers = _workers(runnable, _DEPTH)
    return next(workers, None) is not None and next(workers, None) is not None


def _workers(runnable: Any, depth: int) -> Iterator[Any]:
    if isinstance(runnable, _WORKERS) or is_graph(runnable):
        yield runnable
    elif depth:
        for part in _kept_with_history(runnable) if isinstance(runnable, RunnableLambda) else _parts(runnable):
            yield from _workers(part, depth - 1)


def _kept_with_history(runnable: RunnableLambda[Any, Any]) -> Iterator[Any]:
    """What `RunnableWithMessageHistory` runs: it has no field for that, only a function that returns it."""
    function = getattr(runnable, "func", None)
    if getattr(function, "__module__", None) == _HISTORY:
        yield from (cell.cell_contents for cell in getattr(function, "__closure__", None) or ())


def _parts(runnable: Any) -> Iterator[Any]:
    """The runnables that a runnable is made of, as far as its fields tell."""
    for name, value in vars(runnable).items():
        if name in _INSTEAD:
            continue
        if isinstance(value, Runnable):
            yield value
        elif isinstance(value, Mapping):
            yield from (part for part in value.values() if isinstance(part, Runnable))
        elif isinstance(value, list | tuple):
            for part in value:
                if isinstance(part, Runnable):
                    yield part
                elif isinstance(part, tuple):
                    yield from (inner for inner in part if isinstance(inner, Runnable))
