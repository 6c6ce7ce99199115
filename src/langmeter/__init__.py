"""OpenTelemetry instrumentation for LangChain: exact tokens, cost, latency, speed and cache hits.

`langmeter.instrument()` once at start-up is all that an application needs. Importing this package loads nothing heavy:
each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

from langmeter.version import __version__

if TYPE_CHECKING:
    from langmeter.attribution_scope import attribution
    from langmeter.errors import PriceFileError, SettingsError
    from langmeter.events import Cost
    from langmeter.langchain.description import describe
    from langmeter.langchain.handler import CallbackHandler
    from langmeter.langchain.instrumentor import LangChainInstrumentor, flush, instrument, track, uninstrument
    from langmeter.pricing.estimate import estimate
    from langmeter.pricing.quote import price
    from langmeter.pricing.terms import call_pricing
    from langmeter.settings import Settings
    from langmeter.tracking import Usage

__all__ = [
    "CallbackHandler",
    "Cost",
    "LangChainInstrumentor",
    "PriceFileError",
    "Settings",
    "SettingsError",
    "Usage",
    "__version__",
    "attribution",
    "call_pricing",
    "describe",
    "estimate",
    "flush",
    "instrument",
    "price",
    "track",
    "uninstrument",
]

_HOMES: Final = {
    "CallbackHandler": "langmeter.langchain.handler",
    "Cost": "langmeter.events",
    "LangChainInstrumentor": "langmeter.langchain.instrumentor",
    "PriceFileError": "langmeter.errors",
    "Settings": "langmeter.settings",
    "SettingsError": "langmeter.errors",
    "Usage": "langmeter.tracking",
    "attribution": "langmeter.attribution_scope",
    "call_pricing": "langmeter.pricing.terms",
    "describe": "langmeter.langchain.description",
    "estimate": "langmeter.pricing.estimate",
    "flush": "langmeter.langchain.instrumentor",
    "instrument": "langmeter.langchain.instrumentor",
    "price": "langmeter.pricing.quote",
    "track": "langmeter.langchain.instrumentor",
    "uninstrument": "langmeter.langchain.instrumentor",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
