"""Embeddings that hold other embeddings: stores of vectors, and whatever else passes the work on.

Recognised by what they hold, without importing them. `CacheBackedEmbeddings` (langchain-classic) asks a store first; its
own attribute names tell it and its subclasses.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from langchain_core.embeddings import Embeddings

from langmeter.langchain.providers import stored_values

_UNDERLYING: Final = "underlying_embeddings"
_DOCUMENT_STORE: Final = "document_embedding_store"
_QUERY_STORE: Final = "query_embedding_store"
_NEVER_EMBEDDINGS: Final = frozenset({str, int, float, bool, bytes, dict, set, frozenset, type(None)})
_DEEPEST: Final = 8


class Passing(NamedTuple):
    """Embeddings that pass the work on to others, which are called, counted and billed on their own."""

    inner: Any
    """The embeddings object that does the work in the end."""
    store: Any = None
    """The store that is asked first in this call, if any."""


def passing(instance: Any, method: str) -> Passing | None:
    """What an embeddings object passes its work on to; None if it does the work itself, as far as can be seen."""
    inner = _held(instance)
    if inner is None:
        return None
    store = _store(instance, method)
    for _ in range(_DEEPEST):
        deeper = _held(inner)
        if deeper is None:
            break
        inner = deeper
    return Passing(inner, store)


def _held(instance: Any) -> Any:
    for values in stored_values(instance):
        for value in values.values():
            if type(value) not in _NEVER_EMBEDDINGS:
                for candidate in _candidates(value):
                    if candidate is not instance and Embeddings in type(candidate).__mro__:
                        return candidate
    return None


def _candidates(value: Any) -> Iterator[Any]:
    if type(value) in (list, tuple):
        yield from value[:_DEEPEST]
    elif type(value) is types.MethodType:  # a function made into embeddings: langgraph's `EmbeddingsLambda`
        yield value.__self__
    else:
        yield value


def _store(instance: Any, method: str) -> Any:
    values = next(stored_values(instance), {})
    if _UNDERLYING not in values or _DOCUMENT_STORE not in values:
        return None
    store = values.get(_QUERY_STORE if method.endswith("query") else _DOCUMENT_STORE)
    # An `EncoderBackedStore` translates keys and values; what it keeps them in says more.
    kept_in = getattr(store, "__dict__", {}).get("store")
    return kept_in if hasattr(type(kept_in), "mget") else store
