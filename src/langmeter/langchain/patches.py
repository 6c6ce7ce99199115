"""What is patched in LangChain, how it comes off again, and the repair that an inline handler makes necessary."""

from __future__ import annotations

import copy
import logging
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import wrapt

from langmeter.boundary import shield
from langmeter.langchain.frames import ModelFrames
from langmeter.langchain.memory import OPERATIONS, MemoryFrames
from langmeter.langchain.step_frames import StepFrames
from langmeter.langchain.text import TextFrames

if TYPE_CHECKING:
    from langmeter.langchain.cache import CacheWatch
    from langmeter.langchain.frames import Wrapper
    from langmeter.observer import Observer

_LOGGER = logging.getLogger("langmeter")
_CHAT: Final = "langchain_core.language_models.chat_models"
_TEXT: Final = "langchain_core.language_models.llms"
_LANGGRAPH: Final = "langgraph."


class Patch(NamedTuple):
    """One attribute of LangChain and the wrapper around it."""

    module: str
    path: str
    wrapper: Wrapper
    loses: str
    """What is lost where a version of LangChain lacks the attribute; empty where that is normal."""


class Patches:
    """The patches in force. Applying and removing is exact: what was replaced by somebody else meanwhile stays."""

    def __init__(self, observer: Observer, watch: CacheWatch) -> None:
        models = ModelFrames(observer, watch)
        self._wanted = tuple(
            _patches(models, TextFrames(observer, models), StepFrames(observer), MemoryFrames(observer))
        )
        self._applied: list[tuple[Any, str, Any, Any]] = []

    def apply(self) -> None:
        """Wrap everything that this version of LangChain has, and LangGraph as soon as the application imports it."""
        for patch in self._wanted:
            if not patch.module.startswith(_LANGGRAPH):
                self._wrap(patch)
        for module in {patch.module for patch in self._wanted if patch.module.startswith(_LANGGRAPH)}:
            _imports.call(module, self)

    def imported(self, module: str) -> None:
        """Wrap what is wanted of a module that the application has imported."""
        for patch in self._wanted:
            if patch.module == module:
                self._wrap(patch)

    def _wrap(self, patch: Patch) -> None:
        try:
            owner, name, original = wrapt.resolve_path(patch.module, patch.path)
        except (AttributeError, ImportError):
            if patch.loses:
                _LOGGER.warning(
                    "the installed version of %s has no %s: %s; everything else works",
                    patch.module,
                    patch.path,
                    patch.loses,
                )
            return
        # Switched off with us even where another library has wrapped our wrapper and it cannot be taken out.
        wrapper = wrapt.FunctionWrapper(original, patch.wrapper, enabled=self._in_force)
        wrapt.apply_patch(owner, name, wrapper)
        self._applied.append((owner, name, original, wrapper))

    def _in_force(self) -> bool:
        return bool(self._applied)

    def remove(self) -> None:
        """Put back what was there before."""
        _imports.forget(self)
        while self._applied:
            owner, name, original, wrapper = self._applied.pop()
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)


class _Imports:
    """Who wants to know of a module's import. A hook can never be taken back, so there is one for each module at most."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._hooked: set[str] = set()
        self._waiting: weakref.WeakSet[Patches] = weakref.WeakSet()

    def call(self, module: str, patches: Patches) -> None:
        """Call `patches.imported` once the application has imported the module: at once, where it has."""
        with self._lock:
            self._waiting.add(patches)
            if module in sys.modules:
                patches.imported(module)
            elif module not in self._hooked:
                self._hooked.add(module)
                wrapt.register_post_import_hook(self._arrived, module)

    def forget(self, patches: Patches) -> None:
        """Call these patches no more."""
        with self._lock:
            self._waiting.discard(patches)

    def _arrived(self, module: ModuleType) -> None:
        with self._lock, shield("import"):
            for patches in list(self._waiting):
                patches.imported(module.__name__)


_imports: Final = _Imports()


def _patches(models: ModelFrames, texts: TextFrames, step_frames: StepFrames, memory: MemoryFrames) -> Iterator[Patch]:
    nesting = "what a model call does is not nested under its span"
    attribution = "response-cache look-ups are not seen"
    yield Patch(_CHAT, "BaseChatModel.generate", models.generate, "")
    yield Patch(_CHAT, "BaseChatModel.agenerate", models.agenerate, "")
    yield Patch(_CHAT, "BaseChatModel._generate_with_cache", models.generate_with_cache, attribution)
    yield Patch(_CHAT, "BaseChatModel._agenerate_with_cache", models.agenerate_with_cache, attribution)
    yield Patch(_CHAT, "BaseChatModel.stream", models.stream, "")
    yield Patch(_CHAT, "BaseChatModel.astream", models.astream, "")
    yield Patch(_CHAT, "BaseChatModel._iter_v2_events", models.events, "")  # from 1.3.2 on
    yield Patch(_CHAT, "BaseChatModel._aiter_v2_events", models.aevents, "")
    yield Patch(_TEXT, "BaseLLM.generate", texts.generate, "")
    yield Patch(_TEXT, "BaseLLM.agenerate", texts.agenerate, "")
    yield Patch(_TEXT, "BaseLLM._generate_helper", texts.helper, nesting)
    yield Patch(_TEXT, "BaseLLM._agenerate_helper", texts.ahelper, nesting)
    yield Patch(_TEXT, "BaseLLM.stream", models.stream, "")
    yield Patch(_TEXT, "BaseLLM.astream", models.astream, "")
    yield Patch("langchain_core.runnables.config", "_set_config_context", models.config_context, nesting)
    yield Patch("langchain_core.retrievers", "BaseRetriever.invoke", step_frames.run, "")
    yield Patch("langchain_core.retrievers", "BaseRetriever.ainvoke", step_frames.arun, "")
    yield Patch("langchain_core.tools.base", "BaseTool.arun", step_frames.arun, "")
    yield Patch("langchain_core.runnables.base", "RunnableSequence.abatch", step_frames.abatch, "")
    yield Patch("langchain_core.runnables.retry", "RunnableRetry.abatch", step_frames.abatch, "")
    yield Patch("langchain_core.runnables.fallbacks", "RunnableWithFallbacks.abatch", step_frames.abatch, "")
    yield Patch("langgraph._internal._runnable", "_set_config_context", models.config_context, nesting)
    yield Patch("langgraph.pregel.main", "Pregel.stream", step_frames.stream, "checkpoints are not nested")
    yield Patch("langgraph.pregel.main", "Pregel.astream", step_frames.astream, "checkpoints are not nested")
    for method in OPERATIONS:
        for module, store in (("base", "BaseStore"), ("base.batch", "AsyncBatchedBaseStore")):
            yield Patch(f"langgraph.store.{module}", f"{store}.{method}", memory.call, "")
            yield Patch(f"langgraph.store.{module}", f"{store}.a{method}", memory.acall, "")
    yield Patch("langchain_core.callbacks.manager", "AsyncCallbackManager.on_llm_start", start_every_handler, "")


async def start_every_handler(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """`AsyncCallbackManager.on_llm_start`, for inline and other handlers alike.

    As it is (langchain-core 1.0.0 to 1.8.2), one inline handler, ours included, keeps every handler that is not inline
    from ever hearing of the start of a text-model call. Both kinds get theirs, with the same run id.
    """
    inline = [handler for handler in instance.handlers if handler.run_inline]
    if not inline or len(inline) == len(instance.handlers):
        return await wrapped(*args, **kwargs)
    return await _start_both(wrapped.__func__, instance, inline, *args, **kwargs)


async def _start_both(
    original: Any,
    manager: Any,
    inline: list[Any],
    serialized: Any,
    prompts: list[str],
    run_id: Any = None,
    **kwargs: Any,
) -> list[Any]:
    first, second = copy.copy(manager), copy.copy(manager)
    first.handlers = inline
    second.handlers = [handler for handler in manager.handlers if not handler.run_inline]
    run_managers = []
    for prompt in prompts:
        this_run, run_id = run_id or uuid.uuid4(), None
        await original(first, serialized, [prompt], run_id=this_run, **kwargs)
        (run_manager,) = await original(second, serialized, [prompt], run_id=this_run, **kwargs)
        run_manager.handlers = manager.handlers
        run_managers.append(run_manager)
    return run_managers
