"""Caches: what they are worth, and how to get more out of them."""

from __future__ import annotations

from langmeter.langchain.caching.adaptive import adaptive_cache
from langmeter.langchain.caching.cached_stream import cached_stream
from langmeter.value.advisor import CacheAdvisor

__all__ = ["CacheAdvisor", "adaptive_cache", "cached_stream"]
