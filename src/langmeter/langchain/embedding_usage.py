"""What providers report about embeddings: read where their clients return it, because LangChain's integrations drop it.

A method of the client, or of the integration where that speaks HTTP itself, is wrapped once its module is loaded and
embeddings are called. Outside of an embeddings call the wrapper does nothing; inside it looks at the answer that passes by.
Each hook is optional: where a release lacks it, the tokens of its calls are estimated and marked so.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import wrapt

from langmeter.boundary import shield
from langmeter.langchain import embedding_answers as answers
from langmeter.langchain.embedding_frames import EmbeddingFrame, Report, current_frame
from langmeter.langchain.providers import stored_values


class Hook(NamedTuple):
    """One method that an answer passes through."""

    module: str
    path: str
    read: Callable[[Any, tuple[Any, ...]], Report | None]
    """Given the answer and the positional arguments; None where this was no embeddings request."""


_HOOKS: Final = (
    Hook("openai.resources.embeddings", "Embeddings.create", answers.openai),
    Hook("openai.resources.embeddings", "AsyncEmbeddings.create", answers.openai),
    Hook("perplexity.resources.embeddings", "EmbeddingsResource.create", answers.perplexity),
    Hook("perplexity.resources.embeddings", "AsyncEmbeddingsResource.create", answers.perplexity),
    Hook("cohere.client", "Client.embed", answers.cohere),
    Hook("cohere.client", "AsyncClient.embed", answers.cohere),
    Hook("ollama._client", "Client.embed", answers.ollama),
    Hook("ollama._client", "AsyncClient.embed", answers.ollama),
    Hook("google.genai.models", "Models.embed_content", answers.google),
    Hook("google.genai.models", "AsyncModels.embed_content", answers.google),
    Hook("voyageai.client", "Client.embed", answers.voyage),
    Hook("voyageai.client", "Client.contextualized_embed", answers.voyage),
    Hook("voyageai.client_async", "AsyncClient.embed", answers.voyage),
    Hook("voyageai.client_async", "AsyncClient.contextualized_embed", answers.voyage),
    Hook("azure.ai.inference", "EmbeddingsClient.embed", answers.openai),
    Hook("azure.ai.inference.aio", "EmbeddingsClient.embed", answers.openai),
    Hook("botocore.client", "BaseClient._make_api_call", answers.bedrock),
    Hook("langchain_nvidia_ai_endpoints.embeddings", "NVIDIAEmbeddings._process_response", answers.nvidia),
)
_NAMESPACES: Final = {"google": 2, "azure": 3}
"""How many parts the name of a package has there."""
_MISTRAL: Final = ("langchain_mistralai.embeddings", "MistralAIEmbeddings._retry")


class UsageHooks:
    """The hooks in force. Safe from any thread."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str, Any]] = []
        self._applied: list[tuple[Any, str, Any, Any]] = []
        self._lock = threading.Lock()

    def apply(self) -> None:
        """Start: each method is wrapped when embeddings are called and its module is loaded."""
        with self._lock:
            self._waiting = [(hook.module, hook.path, functools.partial(_watched, hook.read)) for hook in _HOOKS]
            self._waiting.append((*_MISTRAL, _watched_requests))

    def prepare(self, instance: Any) -> None:
        """Wrap what is loaded by now, and what the call of this object is about to load: a client that is built late."""
        if not self._waiting:
            return
        modules = None
        for row in tuple(self._waiting):
            module = row[0]
            if module not in sys.modules:
                package = _package(module)
                if package not in sys.modules:
                    continue
                if modules is None:
                    modules = _client_modules(instance)
                if not any(name == package or name.startswith(f"{package}.") for name in modules):
                    continue
                with contextlib.suppress(Exception):  # before the lock: it may take a second
                    importlib.import_module(module)
            elif _is_loading(module):  # on another thread; in a child forked meanwhile for ever
                continue
            with shield("embeddings usage"), self._lock:
                if row in self._waiting:
                    self._waiting.remove(row)
                    self._apply(*row)

    def remove(self) -> None:
        """Put back what was there before."""
        with self._lock:
            self._waiting = []
            while self._applied:
                owner, name, original, wrapper = self._applied.pop()
                if vars(owner).get(name) is wrapper:
                    delattr(owner, name) if original is None else setattr(owner, name, original)

    def _apply(self, module: str, path: str, wrapper: Any) -> None:
        try:
            owner, name, original = wrapt.resolve_path(module, path)
        except (ImportError, AttributeError):
            return
        if inspect.iscoroutinefunction(original) and wrapper is not _watched_requests:
            wrapper = functools.partial(_watched_async, *wrapper.args)
        # Switched off with us even where another library has wrapped our wrapper and it cannot be taken out.
        proxy = wrapt.FunctionWrapper(original, wrapper, enabled=self._in_force)
        before = vars(owner).get(name)  # None for a method that the class inherits
        wrapt.apply_patch(owner, name, proxy)
        self._applied.append((owner, name, before, proxy))

    def after_fork_in_child(self) -> None:
        """Make the lock anew: another thread may have had it."""
        self._lock = threading.Lock()

    def _in_force(self) -> bool:
        return bool(self._applied)


def _client_modules(instance: Any) -> set[str]:
    """The modules of the client objects that an embeddings object holds."""
    return {type(value).__module__ for values in stored_values(instance) for value in values.values()}


def _is_loading(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))  # as importlib itself asks


@functools.cache
def _package(module: str) -> str:
    """The package that a client belongs to: in a namespace it is further down, and its neighbours are no clients of ours."""
    parts = module.split(".")
    return ".".join(parts[: _NAMESPACES.get(parts[0], 1)])


def _asking() -> EmbeddingFrame | None:
    """The call that a request now belongs to."""
    return current_frame()


def _watched(read: Any, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    frame = _asking()
    answer = wrapped(*args, **kwargs)
    if frame is not None:
        _note(frame, read, answer, args)
    return answer


async def _watched_async(read: Any, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    frame = _asking()
    answer = await wrapped(*args, **kwargs)
    if frame is not None:
        _note(frame, read, answer, args)
    return answer


def _note(frame: EmbeddingFrame, read: Any, answer: Any, args: tuple[Any, ...]) -> None:
    with shield("embeddings usage"):
        report = read(answer, args)
        if report is not None:
            frame.reports.append(report)


def _watched_requests(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """`MistralAIEmbeddings._retry` makes a function that sends one request into one that sends it again if need be."""
    frame = _asking()
    if frame is None or len(args) != 1:
        return wrapped(*args, **kwargs)
    send = args[0]
    watched = _watched_async if inspect.iscoroutinefunction(send) else _watched
    return wrapped(functools.wraps(send)(_sender(watched, send)), **kwargs)


def _sender(watched: Any, send: Any) -> Any:
    if watched is _watched:
        return lambda *args, **kwargs: _watched(answers.mistral, send, None, args, kwargs)

    async def asend(*args: Any, **kwargs: Any) -> Any:
        return await _watched_async(answers.mistral, send, None, args, kwargs)

    return asend
