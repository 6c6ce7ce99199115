"""Asks whoever else instruments a provider's SDK not to report a call again that we report.

The official instrumentations (`opentelemetry-util-genai` and what builds on it) look into the current context: where it
holds an object of theirs under a key of theirs, an outer instrumentation measures the call, and theirs gives its data to
that object instead of making a span, metrics and events. So the context of our span holds such an object. The package is
never imported by us: if nobody else has imported it, nobody reports anything twice.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import wrapt
from opentelemetry import context as otel_context

from langmeter import semconv
from langmeter.boundary import guarded

if TYPE_CHECKING:
    from types import ModuleType

Entries: TypeAlias = Mapping[str, object]

_OFFICIAL: Final = "opentelemetry.util.genai.invocation"
_INFERENCE: Final = ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData")
# By operation: the names, in that module, of the context key and of the class that it looks for there.
_KINDS: Final = {
    semconv.CHAT: _INFERENCE,
    semconv.TEXT_COMPLETION: _INFERENCE,
    semconv.EMBEDDINGS: ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData"),
    semconv.RETRIEVAL: ("CLIENT_RETRIEVAL_CONTEXT_KEY", "RetrievalData"),
}
NO_CLAIMS: Final[Entries] = {}
_MEASURED: Final = otel_context.create_key("langmeter-measured-operation")
# What the context of an operation holds, found once per process: the entry of our own, and the official one from the moment
# that the package is imported. Values are replaced as a whole, so any thread may read them.
_claims: Final[dict[str, Entries]] = {operation: {_MEASURED: operation} for operation in _KINDS}


def claims(operation: str) -> Entries:
    """The context entries that say "this is measured already"; none for what provider SDKs do not report. Any thread."""
    return _claims.get(operation, NO_CLAIMS)


def measured_operation() -> str | None:
    """The operation of ours that the current context belongs to, if its settings ask others to be silent about it."""
    operation = otel_context.get_value(_MEASURED)
    return operation if isinstance(operation, str) else None


@functools.cache
def watch() -> None:
    """Look for the official package from now on; at once if it is imported already."""
    wrapt.register_post_import_hook(_add_official, _OFFICIAL)


@guarded("duplicates")
def _add_official(module: ModuleType) -> None:
    for operation, (key_name, class_name) in _KINDS.items():
        key, kind = getattr(module, key_name, None), getattr(module, class_name, None)
        if isinstance(key, str) and isinstance(kind, type):  # an older release has fewer of them
            _claims[operation] = {_MEASURED: operation, key: _silent(kind)}


@functools.cache
def _silent(kind: type) -> object:
    """An instance of their class that forgets what it is given, prompts included, and so can serve every call."""
    return type(kind.__name__, (kind,), {"merge": _forget})()


def _forget(*_: object, **__: object) -> None:
    return None
