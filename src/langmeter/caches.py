"""Caches: what they are worth, and how to get more out of them.

Each name is imported when it is first used: the advisor needs no LangChain, the other two need nothing else.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from langmeter.langchain.caching.adaptive import adaptive_cache
    from langmeter.langchain.caching.cached_stream import cached_stream
    from langmeter.value.advisor import CacheAdvisor

__all__ = ["CacheAdvisor", "adaptive_cache", "cached_stream"]

_HOMES: Final = {
    "CacheAdvisor": "langmeter.value.advisor",
    "adaptive_cache": "langmeter.langchain.caching.adaptive",
    "cached_stream": "langmeter.langchain.caching.cached_stream",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
